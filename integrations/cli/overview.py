"""Bare ``agentmem``: what is in the memory, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmem.integrations import values
from agentmem.integrations.cli import render
from agentmem.integrations.cli.place import Place

if TYPE_CHECKING:
    from agentmem.memory import Memory
    from agentmem.notes.note import Note, Scope

__all__ = ["overview"]

_LATEST = 5
_OWNERS = 50
"""Users and agents that are looked at one by one; of more, there is the sum."""
_WEIGHED = 20_000
"""Notes up to which it is worked out here what may fade: it weighs each of them."""
_BY_HEART = 3


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose notes, with how to ask for them: the arguments of a call, and the filter that leaves out what others share."""

    name: str
    whose: Mapping[str, Any]
    where: Mapping[str, Any]
    option: str


def overview(place: Place) -> None:
    """Print it; nothing is made where there is nothing."""
    if not place.exists():
        found: dict[str, Any] = {"path": place.shown, "exists": False, "notes": 0}
    else:
        with place.memory(reading=True) as memory:
            found = _look(place, memory)
    found["next"] = [{"command": command, "why": why} for command, why in _next(place, found)]
    if place.json:
        render.data(found)
    else:
        _tell(found)


# -- what there is -------------------------------------------------------------------------------------------


def _look(place: Place, memory: Memory) -> dict[str, Any]:
    held = memory.users()
    owners = [_owner(whose, held) for whose in held[:_OWNERS]]
    counts = {each.name: _count(memory, each) for each in owners}
    states = [memory.status(**each.whose) for each in owners]
    stats = memory.stats()
    notes = int(str(stats["notes"]))
    latest = sorted((note for each in owners for note in _last(memory, each, counts[each.name])), key=_made)[-_LATEST:]
    edits = {edit.id: edit for each in owners for edit in memory.edits(**each.whose)}
    return {
        "path": place.shown, "exists": True, "notes": notes, "owners": counts, "more_owners": len(held) - len(owners),
        "options": {each.name: each.option for each in owners},
        "latest": [values.note_dict(note) for note in reversed(latest)],
        "by_heart": int(str(stats["edits"])),
        "known": [{"question": edit.prompt, "answer": edit.target} for edit in list(edits.values())[-_BY_HEART:]],
        "waiting": len({id for state in states for id in state.waiting}),
        "adrift": sum(len(state.stale) + len(state.contradicted) for state in states),
        "fading": len(memory.fade(dry_run=True)) if notes <= _WEIGHED else None,
        "unindexed": stats.get("outbox"), "reembedding": stats.get("reembedding"), "embedder": stats.get("embedder"),
        "bytes": _size(place.path) if isinstance(place.path, Path) else None,
    }  # fmt: skip


def _owner(whose: Scope, held: Sequence[Scope]) -> _Owner:
    if whose.user is not None:
        return _Owner(whose.user, {"user": whose.user}, {"user": whose.user}, f" --user {shlex.quote(whose.user)}")
    if whose.agent is not None:
        where = {"agent": whose.agent, "user": {"$exists": False}}
        return _Owner(f"agent {whose.agent}", {"agent": whose.agent}, where, f" --agent {shlex.quote(whose.agent)}")
    # What is shared everybody sees; once notes are somebody's, somebody has to ask.
    other = next((each for each in held if each), None)
    asking = {} if other is None else {"user": other.user} if other.user is not None else {"agent": other.agent}
    return _Owner("shared", asking, {"user": {"$exists": False}, "agent": {"$exists": False}}, "")


def _count(memory: Memory, owner: _Owner) -> int:
    """How many notes somebody has: found by halving, without reading them."""

    def reaches(place: int) -> bool:
        return bool(memory.notes(where=owner.where, limit=1, offset=place, **owner.whose))

    most = 1
    while reaches(most):
        most *= 2
    least = most // 2
    while least < most:
        middle = (least + most) // 2
        least, most = (middle + 1, most) if reaches(middle) else (least, middle)
    return least


def _last(memory: Memory, owner: _Owner, count: int) -> list[Note]:
    return memory.notes(where=owner.where, limit=_LATEST, offset=max(0, count - _LATEST), **owner.whose)


def _made(note: Note) -> tuple[Any, str]:
    return note.created_at, note.id


def _size(path: Path) -> int:
    """Bytes of all files of the directory."""
    sizes = []
    for file in path.rglob("*"):
        try:
            sizes.append(file.lstat().st_size if file.is_file() else 0)
        except OSError:  # a log that was just emptied
            continue
    return sum(sizes)


# -- what to do ----------------------------------------------------------------------------------------------


def _next(place: Place, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Commands that help now, with why: the most pressing first."""
    if not found["notes"]:
        return [
            ('agentmem remember "My sister lives in Porto."', "store a note; of somebody with --user"),
            ("agentmem import notes/", "Markdown, text and chats of a folder, or a dump of another memory"),
            ("agentmem demo", "see in half a minute what a memory does"),
        ]
    options = list(found["options"].values())
    who = (
        "" if place.user or place.agent else options[0] if len(options) == 1 else " --user NAME" if any(options) else ""
    )
    steps = []
    if found["reembedding"]:
        steps.append(("agentmem doctor", "a change of the embedder is not finished"))
    if found["adrift"]:
        steps.append(
            (f"agentmem consolidate{who}", f"{found['adrift']} facts known by heart no longer say what the notes say")
        )
    if found["waiting"]:
        steps.append(
            (f"agentmem consolidate{who}", f"{found['waiting']} facts are asked for often enough to be learnt by heart")
        )
    if found["fading"]:
        steps.append((f"agentmem fade{who} --dry-run", f"{found['fading']} notes are faint, unlinked and unused"))
    if not found["by_heart"] and not found["waiting"]:
        steps.append(
            (f"agentmem chat{who}", "what is asked in it and answered from notes can be learnt by heart later")
        )
    steps.append((f'agentmem recall "…"{who}', "find notes, and see why"))
    if found["by_heart"] or found["waiting"]:
        steps.append((f"agentmem chat{who}", "talk with a model that remembers"))
    return steps


# -- how it is told ------------------------------------------------------------------------------------------


def _tell(found: Mapping[str, Any]) -> None:
    from rich.text import Text

    if not found["exists"]:
        render.say(Text.assemble(("agentmem", "bold"), f": there is no memory at {found['path']} yet."))
    else:
        render.say(Text.assemble(("agentmem", "bold"), f" at {found['path']}: {_sum(found)}"))
        _inside(found)
    rows = [(Text(step["command"], style="cyan"), step["why"]) for step in found["next"]]
    render.say(render.table(("next", ""), rows))
    render.say(Text("agentmem -h lists all commands.", style="dim"))


def _sum(found: Mapping[str, Any]) -> str:
    notes, heart = found["notes"], found["by_heart"]
    size = "" if found["bytes"] is None else f", {_bytes(found['bytes'])}"
    return f"{notes:,} note{'s' * (notes != 1)}, {heart:,} known by heart{size}"


def _inside(found: Mapping[str, Any]) -> None:
    from rich.text import Text

    if len(found["owners"]) > 1 or "shared" not in found["owners"]:
        told = [f"{name} {count:,}" for name, count in found["owners"].items()]
        more = f", and {found['more_owners']} more" if found["more_owners"] else ""
        render.say(Text(f"of {', '.join(told)}{more}"))
    if found["latest"]:
        several = len(found["owners"]) > 1
        rows = [
            (render.short(n["id"]), f"{n['occurred_at']:%Y-%m-%d}", *([n["user"] or n["agent"] or ""] if several else []), _short(n["content"]))
            for n in found["latest"]
        ]  # fmt: skip
        columns = ("id", "when", *(["of"] if several else []), "latest notes")
        render.say(render.table(columns, rows, styles={"id": "dim", "when": "dim", "of": "dim"}))
    if found["known"]:
        rows = [(each["answer"], each["question"]) for each in found["known"]]
        render.say(render.table(("answer", "known by heart"), rows))


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else f"{text[:most]} …"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
