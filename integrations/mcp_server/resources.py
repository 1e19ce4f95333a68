"""What a client may read and show: the state of the memory, its newest notes, and any note by its id."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import mcp_types as types

from agentmem.errors import InvalidArgument
from agentmem.integrations import values
from agentmem.integrations.inspection_tools import inspection_tools
from agentmem.integrations.mcp_server.desk import Desk, Request
from agentmem.notes.quoting import NOTES_HEADER, note_line, note_order, one_line

if TYPE_CHECKING:
    from agentmem.notes.note import Note

__all__ = ["TEMPLATES", "listed", "newest", "newest_block", "read"]

NEWEST: Final = 20
PAGE: Final = 50
_STATUS, _RECENT, _NOTES = "memory://status", "memory://recent", "memory://notes/"
_WORDED: Final = {"kind": {"$ne": "record"}}
"""Records are read by their keys; a list of notes is of what was said."""

TEMPLATES: Final = (
    types.ResourceTemplate(
        name="note",
        title="A note",
        uri_template=_NOTES + "{id}",
        description="A note with all that is kept of it, what it said before, and what was answered from it.",
        mime_type="application/json",
    ),
)

_FIXED: Final = (
    types.Resource(
        uri=_RECENT, name="recent", title="Newest notes", description=f"The {NEWEST} newest notes.", mime_type="text/plain"
    ),
    types.Resource(
        uri=_STATUS, name="status", title="State of the memory", description="How much it holds.", mime_type="text/plain"
    ),
)  # fmt: skip


async def newest(desk: Desk, request: Request, *, limit: int, offset: int = 0) -> list[Note]:
    """The newest notes that the request may see, the last one first."""
    memory, scope = await desk.memory(), desk.scope(request)
    return await memory.notes(
        user=scope.user, agent=scope.agent, where=_WORDED, newest=True, limit=limit, offset=offset
    )


async def newest_block(desk: Desk, request: Request) -> str:
    """The newest notes as they enter a prompt: quoted, the oldest of them first."""
    found = sorted(await newest(desk, request, limit=NEWEST), key=note_order)
    lines = [f"{note_line(note)} (id {note.id})" for note in found]
    return "\n".join([NOTES_HEADER, *lines]) if lines else "Nothing is in memory yet."


async def listed(desk: Desk, request: Request, cursor: str | None) -> types.ListResourcesResult:
    """The fixed ones, and behind them the notes, the newest first, page by page; none for whoever may not read."""
    if not desk.may(request, "read"):
        return types.ListResourcesResult(resources=[])
    start = _start(cursor)
    found = await newest(desk, request, limit=PAGE + 1, offset=start)
    here = [_as_resource(note) for note in found[:PAGE]]
    following = str(start + PAGE) if len(found) > PAGE else None
    return types.ListResourcesResult(resources=[*(() if start else _FIXED), *here], next_cursor=following)


def _start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 12):
        raise InvalidArgument(f"{cursor!r:.40} is no cursor of this list.", hint="begin without one.")
    return int(cursor)


def _as_resource(note: Note) -> types.Resource:
    text = one_line(note.content)
    return types.Resource(
        uri=_NOTES + note.id,
        name=text[:60] + ("…" if len(text) > 60 else ""),
        description=f"{note.occurred_at:%Y-%m-%d}",
        mime_type="application/json",
    )


async def read(desk: Desk, request: Request, uri: str) -> types.ReadResourceResult:
    """One resource.

    Raises:
        InvalidArgument: there is none with this address.
        UnknownNote: there is no such note in the scope of the request.
        RightMissing: its sender may not read.
    """
    desk.need(request, "read")
    if uri == _RECENT:
        return _text(uri, await newest_block(desk, request))
    if uri == _STATUS:
        return _text(uri, await _status(desk, request))
    if uri.startswith(_NOTES) and len(uri) > len(_NOTES):
        told = await _note(desk, request, uri.removeprefix(_NOTES))
        return _text(uri, json.dumps(told, ensure_ascii=False, default=values.plain), "application/json")
    raise InvalidArgument(
        f"There is no resource {uri!r:.80}.", hint=f"{_STATUS}, {_RECENT}, or {_NOTES}ID with the id of a note."
    )


async def _status(desk: Desk, request: Request) -> str:
    tool = next(tool for tool in inspection_tools() if tool.name == "status")
    memory = await desk.memory()
    return tool.told([await getattr(memory, verb)(**words) for verb, words in tool.calls({}, **desk.owner(request))])


async def _note(desk: Desk, request: Request, id: str) -> dict[str, Any]:
    memory, owner = await desk.memory(), desk.owner(request)
    note = await memory.get(id, **owner)
    history = [values.version_dict(version) for version in await memory.history(id, **owner)]
    evidence = [values.evidence_dict(one) for one in await memory.evidence(id, **owner)]
    return {"notice": NOTES_HEADER, "note": values.note_dict(note), "history": history, "evidence": evidence}


def _text(uri: str, text: str, kind: str = "text/plain") -> types.ReadResourceResult:
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, text=text, mime_type=kind)])
