"""Routes on notes: remember, list, look at one, change, forget."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from agentmem.errors import InvalidArgument
from agentmem.integrations import values
from agentmem.integrations.extras import needs
from agentmem.integrations.server.bodies import Body, StrictRoute
from agentmem.integrations.server.described import FORGOTTEN, NOTE, RECEIPT, answers
from agentmem.integrations.server.pages import after, next_cursor
from agentmem.integrations.server.problems import Json, WriteRejected
from agentmem.integrations.server.scoped import Forgetting, Reading, ScopedRequest, Writing
from agentmem.notes.note import Receipt

needs("server", "fastapi")

from fastapi import APIRouter, Header, Query
from pydantic import Field

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["notes"], route_class=StrictRoute)
_WHERE = 'Conditions on fields, e.g. {"tags": {"$contains": "work"}}; they narrow what is seen, and never widen it.'
Once = Annotated[
    str | None,
    Header(description="However often the request is sent with the same key, it is carried out once.", max_length=256),
]


class FactTold(Body):
    """What a text states: a subject, a relation, and its value."""

    subject: str
    relation: str
    object: str
    functional: bool = True
    question: str | None = None
    paraphrases: Annotated[list[str], Field(default_factory=list)]
    valid_from: str | None = None
    valid_to: str | None = None


class ChatMessage(Body):
    """One message of a conversation."""

    role: Literal["user", "assistant", "system", "tool"]
    content: str
    name: str | None = None
    occurred_at: str | None = None


class NewNote(Body):
    """One text to remember; names and meanings are those of ``Memory.remember``."""

    content: Annotated[str, Field(examples=["Ana lives in Porto."])]
    kind: Literal["episodic", "semantic", "experience"] = "episodic"
    actor: Annotated[str | None, Field(description="Who said it.")] = None
    occurred_at: Annotated[str | None, Field(description="ISO 8601; as all moments here.")] = None
    valid_from: str | None = None
    valid_to: str | None = None
    importance: Annotated[float | None, Field(ge=0, le=1)] = None
    tags: Annotated[list[str], Field(default_factory=list)]
    source: Annotated[str | None, Field(description="Where it comes from, e.g. web, email, assistant.")] = None
    trust: Annotated[float | Literal["untrusted", "low", "medium", "high", "trusted"] | None, Field()] = None
    facts: Annotated[
        bool | list[FactTold], Field(description="Whether facts are read off its words, or which it states.")
    ] = True
    merge: Annotated[bool, Field(description="Whether it may turn out to be a note that is there already.")] = True
    metadata: dict[str, Any] | None = None
    derived_from: Annotated[
        list[str],
        Field(description="Ids of notes it was made from: it is forgotten with any of them.", default_factory=list),
    ]
    idempotency_key: Annotated[str | None, Field(description="As the header Idempotency-Key.")] = None

    def keywords(self) -> dict[str, Any]:
        """As keywords of ``remember``."""
        given = self.said()
        if isinstance(self.facts, list):
            given["facts"] = [fact.said() for fact in self.facts]
        return given


class NewNotes(Body):
    """Several texts to remember: all are checked before the first is stored."""

    items: Annotated[list[NewNote], Field(min_length=1)]


class NewConversation(Body):
    """Messages of a conversation, each a note, linked in their order."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    tags: Annotated[list[str], Field(default_factory=list)]
    source: str | None = None


class NoteChanges(Body):
    """What is to be otherwise; what is left out stays."""

    content: str | None = None
    tags: list[str] | None = None
    importance: Annotated[float | None, Field(ge=0, le=1)] = None
    metadata: dict[str, Any] | None = None
    facts: Annotated[bool, Field(description="Whether new words are read for what they state.")] = True


class ToForget(Body):
    """Notes by ids, or by a filter: one of the two. Only what belongs to the scope itself goes, never what is shared with everybody."""

    ids: Annotated[list[str] | None, Field(min_length=1)] = None
    where: dict[str, Any] | None = None
    dry_run: Annotated[bool, Field(description="Only say what would be removed, and from where.")] = False


class NewLink(Body):
    """A connection of two notes."""

    source: str
    target: str
    kind: str = "user"
    reason: str = ""
    weight: Annotated[float, Field(gt=0, le=1)] = 1.0


@router.post(
    "/notes",
    status_code=201,
    summary="Remember a text",
    responses=answers(RECEIPT, 400, 404, 409, 413, 415, 422, status=201),
)
async def remember(asked: Writing, body: NewNote, idempotency_key: Once = None) -> Json:
    """Durable when this is answered. ``status`` says what became of it: stored, merged, or superseded (it closes older notes). What was
    rejected, such as other words under a key that was used, is a problem of status 409.
    """
    given = body.keywords()
    key = _one_key(given.pop("idempotency_key", None), idempotency_key)
    await asked.seen(body.derived_from)
    receipt = await asked.memory.remember(**given, **asked.whose, idempotency_key=key)
    (told,) = await asked.told([receipt])
    if not receipt.ok:
        raise WriteRejected(f"Nothing was stored: {receipt.reason}.", hint="what the reason says; nothing was changed.")
    return Json(told, 201)


@router.post(
    "/notes/batch",
    status_code=201,
    summary="Remember several texts",
    responses=answers({"receipts": [RECEIPT]}, 400, 413, 415, 422, status=201),
)
async def remember_many(asked: Writing, body: NewNotes) -> Json:
    """All are checked before the first is stored. Each may have an ``idempotency_key`` of its own. One that is rejected says so in its
    receipt; where all are, the answer is a problem of status 409.
    """
    _few(asked, len(body.items), "items")
    await asked.seen([id for item in body.items for id in item.derived_from])
    items = [item.keywords() for item in body.items]
    return await _told(asked, await asked.memory.remember_many(items, progress=False, **asked.whose))


@router.post(
    "/conversations",
    status_code=201,
    summary="Remember messages",
    responses=answers({"receipts": [RECEIPT]}, 400, 413, 415, 422, status=201),
)
async def converse(asked: Writing, body: NewConversation, idempotency_key: Once = None) -> Json:
    """Each message is a note; one that cannot be is rejected in its place, and the others are stored."""
    _few(asked, len(body.messages), "messages")
    messages = [message.said() for message in body.messages]
    receipt = await asked.memory.remember(
        messages, tags=body.tags, source=body.source, idempotency_key=idempotency_key, **asked.whose
    )
    return await _told(asked, receipt.items or (receipt,))


@router.get("/notes", summary="List notes", responses=answers({"notes": [NOTE], "next": None}, 400, 422))
async def listed(
    asked: Reading,
    where: Annotated[str | None, Query(description=f"JSON. {_WHERE}")] = None,
    as_of: Annotated[str | None, Query(description="Only what was valid at that moment.")] = None,
    faded: Annotated[bool, Query(description="Archived ones too.")] = True,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[
        int, Query(ge=0, le=10_000_000, description="Skip so many; shifts when notes are forgotten meanwhile.")
    ] = 0,
    cursor: Annotated[
        str | None, Query(description="``next`` of the page before: later pages do not shift.", max_length=64)
    ] = None,
) -> Json:
    """In the order in which they were made. ``next`` is the cursor of the next page, or null."""
    _few(asked, limit, "notes")
    if cursor is not None and offset:
        raise InvalidArgument("A cursor and an offset contradict each other.", hint="leave out offset.")
    conditions, skip = after(cursor, _json(where))
    found = await asked.memory.notes(
        where=conditions, as_of=as_of, faded=faded, limit=limit + 1, offset=skip or offset, **asked.whose
    )
    page = found[:limit]
    return Json({
        "notes": [values.note_dict(note) for note in page], "next": next_cursor(cursor, page) if len(found) > limit else None,
    })  # fmt: skip


@router.get("/notes/{id}", summary="One note", responses=answers(NOTE, 400, 404, 422))
async def one(asked: Reading, id: str) -> Json:
    """A note of the scope."""
    (note,) = await asked.seen([id])
    return Json(values.note_dict(note))


@router.patch("/notes/{id}", summary="Change a note", responses=answers(RECEIPT, 400, 404, 413, 415, 422))
async def change(asked: Writing, id: str, body: NoteChanges) -> Json:
    """A new version: what follows from the words follows, id and links stay, the former words are in its history."""
    await asked.seen([id], own=True)
    receipt = await asked.memory.update(id, **body.said(), **asked.owner)
    (told,) = await asked.told([receipt])
    return Json(told)


@router.delete("/notes/{id}", summary="Forget a note", responses=answers(FORGOTTEN, 400, 404, 422))
async def forget_one(asked: Forgetting, id: str, dry_run: bool = False) -> Json:
    """Removed from everywhere, the model's weights included; the receipt names every place, and whether it was found gone."""
    await asked.seen([id], own=True)
    return Json(values.forgotten_dict(await asked.memory.forget([id], dry_run=dry_run, **asked.owner)))


@router.post("/forget", summary="Forget several notes", responses=answers(FORGOTTEN, 400, 404, 413, 415, 422))
async def forget(asked: Forgetting, body: ToForget) -> Json:
    """By ids or by a filter. An id that is unknown refuses the whole; an empty filter is refused. A filter finds by what notes say, and needs
    the right to read as well.
    """
    if (body.ids is None) == (body.where is None):
        raise InvalidArgument("Forget by ids or by a filter, one of the two.", hint='{"ids": ["…"]}.')
    what: Any = body.ids
    if body.where is not None:
        asked.access.need("read")  # else a dry run would spell a note, letter by letter
        if not body.where:
            raise InvalidArgument("An empty filter would forget everything.", hint='{"where": {"session": "monday"}}.')
        what = asked.own(body.where)
    else:
        await asked.seen(what, own=True)
    return Json(values.forgotten_dict(await asked.memory.forget(what, dry_run=body.dry_run, **asked.owner)))


@router.get(
    "/notes/{id}/history", summary="What a note said before", responses=answers({"versions": []}, 400, 404, 422)
)
async def history(asked: Reading, id: str) -> Json:
    """Its versions, the oldest first, the present one last."""
    await asked.seen([id])
    return Json({"versions": [values.version_dict(each) for each in await asked.memory.history(id, **asked.owner)]})


@router.get(
    "/notes/{id}/evidence", summary="What was answered from a note", responses=answers({"evidence": []}, 400, 404, 422)
)
async def evidence(asked: Reading, id: str) -> Json:
    """Questions and answers that drew on it, the latest first."""
    return Json({"evidence": [values.evidence_dict(each) for each in await asked.memory.evidence(id, **asked.whose)]})


@router.post(
    "/links",
    status_code=201,
    summary="Connect two notes",
    responses=answers({"kind": "user"}, 400, 404, 413, 415, 422, status=201),
)
async def link(asked: Writing, body: NewLink) -> Json:
    """A link of your own, which recall follows."""
    await asked.seen([body.source, body.target], own=True)
    made = await asked.memory.link(
        body.source, body.target, body.kind, reason=body.reason, weight=body.weight, **asked.owner
    )
    return Json(values.link_dict(made), 201)


async def _told(asked: ScopedRequest, receipts: Sequence[Receipt]) -> Json:
    """Several receipts, as long as anything was stored."""
    if not any(receipt.ok for receipt in receipts):
        raise WriteRejected(
            f"Nothing was stored: {receipts[0].reason}.", hint="what the reason says; nothing was changed."
        )
    return Json({"receipts": await asked.told(receipts)}, 201)


def _one_key(of_body: str | None, of_header: str | None) -> str | None:
    if of_body is not None and of_header is not None and of_body != of_header:
        raise InvalidArgument("Two idempotency keys were given.", hint="send the header alone.")
    return of_body if of_header is None else of_header


def _few(asked: ScopedRequest, count: int, what: str) -> None:
    most = asked.serving.limits.items
    if count > most:
        raise InvalidArgument(f"{count:,} {what} in one request; at most {most:,}.", hint="send several requests.")


def _json(text: str | None) -> dict[str, Any] | None:
    """A filter in a query."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("where is not JSON.", hint='where={"kind": "semantic"}, percent-encoded.') from error
    if not isinstance(found, dict):
        raise InvalidArgument("where is not a JSON object.", hint='where={"kind": "semantic"}, percent-encoded.')
    return found
