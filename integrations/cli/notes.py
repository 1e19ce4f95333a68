"""Commands on notes: remember, update, recall, notes, users, history, evidence, why-not, fade; ``forget`` has a file of its own."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmem.errors import InvalidArgument
from agentmem.integrations import values
from agentmem.integrations.cli import given, render
from agentmem.integrations.cli.forgetting import DryOption, WhereOption, YesOption, confirm, forget
from agentmem.integrations.cli.place import Place, at_place, find

if TYPE_CHECKING:
    from agentmem.memory import Memory
    from agentmem.notes.note import Note, Receipt
    from agentmem.recall.result import Recollection

__all__ = ["add_to", "number", "reasons"]

_MARKS = {"stored": "green", "superseded": "cyan", "merged": "yellow", "rejected": "red"}


def add_to(app: typer.Typer) -> None:
    """Register the commands on notes."""
    panel = "Notes"
    for name, command in (
        ("remember", remember), ("update", update), ("recall", recall), ("notes", notes), ("users", users), ("history", history), ("evidence", evidence), ("why-not", why_not),
        ("forget", forget), ("fade", fade), ("unfade", unfade),
    ):  # fmt: skip
        app.command(name, rich_help_panel=panel)(at_place(command))


def remember(
    place: Place,
    text: Annotated[
        list[str] | None, typer.Argument(help='What to remember, one note each; "-" reads lines from stdin.')
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A note per line; a .jsonl file holds mappings or messages.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Who said it.")] = None,
    at: Annotated[str | None, typer.Option(help="When it happened (ISO 8601).")] = None,
    kind: Annotated[str, typer.Option(help="episodic, semantic or experience.")] = "episodic",
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")] = None,
    fact: Annotated[
        tuple[str, str, str] | None, typer.Option(help="The fact it states: SUBJECT RELATION OBJECT.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where it comes from, e.g. web, email, import.")] = None,
    trust: Annotated[str | None, typer.Option(help="0 to 1, or untrusted, low, medium, high, trusted.")] = None,
    importance: Annotated[float | None, typer.Option(help="0 to 1.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: a retry stores nothing twice.")] = None,
    facts: Annotated[bool, typer.Option(help="Read what the words state.")] = True,
    merge: Annotated[bool, typer.Option(help="Take equal words for the note that is there.")] = True,
) -> None:
    """Store notes, durably; says what became of each.

    agentmem remember "My sister lives in Porto." --user ana

    Of a note that states several facts they stand in a .jsonl file: {"content": "…", "facts": [["Ana", "lives in", "Porto"], …]}.
    """
    items = _items(text or [], file)
    if key is not None and len(items) > 1:
        raise InvalidArgument("One key was given for several notes.", hint="store them one by one, or without --key.")
    options: dict[str, Any] = {
        "actor": actor, "occurred_at": at, "kind": kind, "tags": tuple(tag or ()), "fact": fact, "source": source,
        "trust": number(trust), "importance": importance, "idempotency_key": key,
        "facts": facts, "merge": merge,
    }  # fmt: skip
    with place.memory(make=True) as memory:
        receipts = memory.remember_many(items, **options)
        if place.json:
            render.data({"receipts": [values.receipt_dict(r) for r in receipts]})
        else:
            render.say(_receipts(memory, receipts, items))
    if not any(r.ok for r in receipts):
        raise typer.Exit(1)


def _items(texts: list[str], file: Path | None) -> list[str | dict[str, Any]]:
    lines: list[str] = []
    items: list[str | dict[str, Any]] = []
    for text in texts:
        (lines.extend(given.lines(given.stdin())) if text == "-" else items.append(text))
    if file is not None:
        read = given.lines(given.contents(file))
        if file.suffix == ".jsonl":
            for n, line in enumerate(read, 1):
                value = given.json_of(line, f"line {n} of {file}") if line.strip() else []
                items += value if isinstance(value, list) else [value]  # a line may hold a list of messages
        else:
            lines += read
    items += [line for line in lines if line.strip()]
    if not items:
        raise InvalidArgument("There is nothing to remember.", hint='agentmem remember "My sister lives in Porto."')
    return items


def number(text: str | None) -> float | str | None:
    """A number, or a word that stands for one."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _receipts(memory: Memory, receipts: list[Receipt], items: list[str | dict[str, Any]]) -> Any:
    from rich.text import Text

    rows = []
    for receipt, item in zip(receipts, items, strict=True):
        content = item if isinstance(item, str) else str(item.get("content", ""))
        whose: dict[str, Any] = {} if isinstance(item, str) else {name: item.get(name) for name in ("user", "agent")}
        why = [receipt.reason] if receipt.reason else []
        why += [f"closes “{memory.get(old, **whose).content}”" for old in receipt.superseded]
        kinds = sorted({link.kind for link in receipt.links})
        why += [f"{len(receipt.links)} links ({', '.join(kinds)})"] if kinds else []
        status = Text(receipt.status, style=_MARKS.get(receipt.status, ""))
        rows.append((render.short(receipt.id), status, "; ".join([*why, *receipt.warnings]), content))
    return render.table(("id", "status", "why", "note"), rows, styles={"id": "dim"})


def update(
    place: Place,
    id: Annotated[str, typer.Argument(help="A note's id, or the end of it.")],
    text: Annotated[str | None, typer.Argument(help='What it says from now on; "-" reads it from stdin.')] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Its tags from now on; may be given several times.")] = None,
    importance: Annotated[float | None, typer.Option(help="0 to 1.")] = None,
    facts: Annotated[bool, typer.Option(help="Read what the words state.")] = True,
) -> None:
    """Correct a note: new words, tags or importance. Its id and links stay, its former words are in its history, an edit of them leaves the weights.

    agentmem update 1a2b3c4d "My sister lives in Porto." --user ana
    """
    words = None if text is None else given.said(text)
    with place.memory() as memory:
        note = find(memory, id)
        receipt = memory.update(note.id, words, tags=tag or None, importance=importance, facts=facts)
        if place.json:
            render.data(values.receipt_dict(receipt))
        else:
            render.say(_receipts(memory, [receipt], [words or note.content]))


def recall(
    place: Place,
    query: Annotated[str, typer.Argument(help='What you want to know, in words; "-" reads them from stdin.')],
    k: Annotated[str, typer.Option("-k", help='How many notes; "all": every one that fits.')] = "10",
    where: WhereOption = None,
    as_of: Annotated[str | None, typer.Option(help="Only what was valid at that time (ISO 8601).")] = None,
    faded: Annotated[bool, typer.Option(help="Archived notes too.")] = False,
    min_score: Annotated[float | None, typer.Option(help="Only hits that score as much.")] = None,
    score: Annotated[str, typer.Option(help="hybrid, or cosine: by nearness in meaning alone.")] = "hybrid",
    offset: Annotated[int, typer.Option(help="Skip so many hits.")] = 0,
    context: Annotated[int | None, typer.Option(help="Print them as prompt text of at most so many tokens.")] = None,
) -> None:
    """Find the notes that fit best, and say why. Exit code 1 when there are none."""
    with place.memory() as memory:
        asked: dict[str, Any] = {"min_score": min_score, "score": score, "offset": offset}
        found = memory.recall(
            given.said(query), k=_count(k), where=given.mapping(where, "--where"), as_of=as_of, faded=faded, **asked
        )
    for warning in found.warnings:
        render.notice(warning)
    if place.json:
        render.data(_recollection(found, context))
    elif context is not None:
        sys.stdout.write(found.context(context) + "\n")
    elif found:
        render.say(_hits(found))
    else:
        render.notice("nothing found")
    if not found:
        raise typer.Exit(1)


def _count(k: str) -> Any:
    if k == "all" or re.fullmatch(r"-?\d{1,9}", k):
        return k if k == "all" else int(k)
    raise typer.BadParameter('a whole number or "all".', param_hint="-k")


def _recollection(found: Recollection, context: int | None) -> dict[str, Any]:
    made = values.recollection_dict(found)
    return made if context is None else {**made, "context": found.context(context)}


def _hits(found: Recollection) -> Any:
    rows = [
        (
            f"{hit.score:.2f}",
            render.short(hit.note.id),
            f"{hit.note.occurred_at:%Y-%m-%d}",
            reasons(hit.reasons),
            _said(hit.note, hit.passage),
        )
        for hit in found
    ]
    columns = ("score", "id", "when", "because of", "note")
    return render.table(columns, rows, styles={"id": "dim", "when": "dim", "because of": "dim"})


def reasons(parts: Any, at_most: int = 3) -> str:
    """The parts of a score that matter most, in words."""
    best = sorted(parts.items(), key=lambda item: -abs(item[1]))
    return " ".join(f"{name} {value:+.2f}" for name, value in best[:at_most] if abs(value) >= 0.005)


def _said(note: Note, passage: str | None = None) -> str:
    """What a note says, or of a long one the passage that was asked for."""
    said = note.content if passage is None else f"… {passage} …"
    over = "; ".join(str(fact) for fact in note.facts if fact.valid_to is not None)
    ended = " (no longer)" if note.valid_to is not None else f" (no longer: {over})" if over else ""
    untrusted = " (untrusted)" if note.trust < 0.5 else ""
    return f"{note.actor}: {said}{ended}{untrusted}" if note.actor else f"{said}{ended}{untrusted}"


def notes(
    place: Place,
    where: WhereOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Skip so many.")] = 0,
    active: Annotated[bool, typer.Option("--active", help="Without archived notes.")] = False,
) -> None:
    """List notes in the order of their creation."""
    with place.memory() as memory:
        found = memory.notes(where=given.mapping(where, "--where"), faded=not active, limit=limit, offset=offset)
    if place.json:
        render.data({"notes": [values.note_dict(n) for n in found], "offset": offset, "limit": limit})
    else:
        asked = place.user or (f"agent {place.agent}" if place.agent else render.SHARED)
        whose = any(render.whose(n) != asked for n in found)  # else it was said with the command
        rows = [
            (
                render.short(n.id),
                f"{n.occurred_at:%Y-%m-%d}",
                *([render.whose(n)] if whose else []),
                "archived" if n.archived_at else n.kind,
                "; ".join(str(fact) for fact in n.facts if fact.valid_to is None) or str(n.fact or ""),
                _said(n),
            )
            for n in found
        ]
        columns = ("id", "when", *(["of"] if whose else []), "kind", "fact", "note")
        render.say(render.table(columns, rows, styles={"id": "dim", "when": "dim", "of": "dim", "fact": "cyan"}))
    if not found:
        raise typer.Exit(1)


def users(place: Place) -> None:
    """List the users and agents that have notes."""
    with place.memory() as memory:
        found = memory.users()
    if place.json:
        render.data({"users": [{"user": whose.user, "agent": whose.agent} for whose in found]})
    else:
        rows = [(whose.user or "", whose.agent or "", "" if whose else "shared") for whose in found]
        render.say(render.table(("user", "agent", ""), rows))
    if not found:
        raise typer.Exit(1)


def history(place: Place, id: Annotated[str, typer.Argument(help="A note's id, or the end of it.")]) -> None:
    """What a note said before, and what it says now."""
    with place.memory() as memory:
        versions = memory.history(find(memory, id).id)
    if place.json:
        render.data({"versions": [values.version_dict(version) for version in versions]})
        return
    rows = [(v.version, f"{v.changed_at:%Y-%m-%d %H:%M}", v.reason, v.content) for v in versions]
    render.say(render.table(("version", "when", "why", "note"), rows, right=("version",), styles={"when": "dim"}))


def evidence(
    place: Place,
    id: Annotated[str | None, typer.Argument(help="A note's id, or the end of it; else whatever was asked.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 50,
) -> None:
    """What was asked and answered from notes, the latest first. Exit code 1 when nothing was."""
    with place.memory() as memory:
        found = memory.evidence(None if id is None else find(memory, id).id)[:limit]
    if place.json:
        render.data({"evidence": [values.evidence_dict(each) for each in found]})
    else:
        rows = [
            (f"{e.at:%Y-%m-%d %H:%M}", e.times, " ".join(map(render.short, e.notes)), e.question, e.answer)
            for e in found
        ]
        columns = ("when", "times", "notes", "question", "answer")
        render.say(render.table(columns, rows, right=("times",), styles={"when": "dim", "notes": "dim"}))
    if not found:
        raise typer.Exit(1)


def why_not(
    place: Place,
    query: Annotated[str, typer.Argument(help='The question; "-" reads it from stdin.')],
    id: Annotated[str, typer.Argument(help="The note that you missed: its id, or the end of it.")],
    k: Annotated[int, typer.Option("-k", help="How many hits you looked at.")] = 10,
) -> None:
    """Say why a note is not among the first hits of a query."""
    with place.memory() as memory:
        found = memory.why_not(given.said(query), find(memory, id).id, k=k)
    if place.json:
        parts = None if found.parts is None else dict(found.parts)
        render.data({
            "id": found.id, "reason": found.reason, "rank": found.rank, "score": found.score, "cutoff": found.cutoff, "parts": parts,
        })  # fmt: skip
        return
    from rich.text import Text

    render.say(Text(found.reason))


def unfade(
    place: Place, ids: Annotated[list[str], typer.Argument(help="Ids of archived notes, or the ends of them.")]
) -> None:
    """Take archived notes back among the active ones, as they were."""
    with place.memory() as memory:
        back = memory.unfade([find(memory, id).id for id in ids])
    if place.json:
        render.data({"unfaded": back})
    else:
        render.say(f"{len(back)} notes are active again")


def fade(place: Place, yes: YesOption = False, dry_run: DryOption = False) -> None:
    """Archive notes that are faint, unimportant, unlinked and unused; nothing is deleted."""
    with place.memory() as memory:
        report = memory.fade(dry_run=True)
        if report.ids and not dry_run:
            confirm(f"Archive {len(report)} notes?", yes)
            report = memory.fade()
    if place.json:
        faded = [{"id": n.id, "content": n.content, "retrievability": r} for n, r in report.faded]
        render.data({"faded": faded, "kept": report.kept, "dry_run": report.dry_run})
        return
    rows = [(render.short(n.id), f"{r:.2f}", n.content) for n, r in report.faded]
    verb = "would be archived" if report.dry_run else "archived"
    render.say(
        render.table(
            ("id", "strength", "note"), rows, title=f"{len(report)} {verb}, {report.kept} kept", right=("strength",)
        )
    )
