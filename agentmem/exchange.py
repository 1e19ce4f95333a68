"""The file that memories are exchanged in: JSON lines, a header first, a footer with counts and a checksum last.

Lines in between are notes (each with its fact, history, uses, books and, on request, its vector), then links, then lines
of the ledger whose notes are gone. Times are ISO 8601 in UTC. Tombstones are not in it: they are made with a secret of
their store, and whoever had both could test guesses at what was forgotten. What was forgotten leaves an id in the ledger.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from agentmem.clock import as_utc, from_micros
from agentmem.dedup import clean_text
from agentmem.errors import InvalidImport
from agentmem.notes import Fact, Kind, Link, MemoryState, Note, NoteVersion, Scope
from agentmem.storage import EditRow, LedgerEntry, UseDay

__all__ = [
    "FORMAT", "VERSION", "EditRecord", "Footer", "Header", "LedgerRecord", "LinkRecord", "NoteRecord", "Record", "Tally",
    "line_of", "link_values", "loose_values", "note_values", "parse", "said",
]  # fmt: skip

FORMAT: Final = "agentmem-export"
VERSION: Final = 1
MAX_NAME: Final = 4096
_COUNT: Final = 2**53


def _moment(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a time is a text in ISO 8601")  # noqa: TRY004 - pydantic turns ValueErrors into its own
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone, e.g. +00:00")
    return as_utc(moment)


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("a text cannot hold NUL")
    return value


Moment = Annotated[datetime, BeforeValidator(_moment)]
Content = Annotated[str, AfterValidator(clean_text)]
Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_text), Field(min_length=1, max_length=MAX_NAME)]
Natural = Annotated[int, Field(ge=0, le=_COUNT)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Header(_Strict):
    """The first line: what this is, who wrote it, whose notes it holds, and whose vectors (if any)."""

    format: Literal["agentmem-export"]
    version: Annotated[int, Field(ge=1)]
    written_by: str
    created_at: Moment
    scope: dict[str, str] | None
    fingerprint: str | None
    dimension: int | None
    vectors: bool

    @model_validator(mode="after")
    def _vectors_are_somebodys(self) -> Header:
        if self.vectors and not (self.fingerprint and self.dimension):
            raise ValueError("it says that there are vectors, but not whose")
        return self


class FactRecord(_Strict):
    """The fact of a note."""

    subject: Content
    relation: Content
    object: Content
    functional: bool
    question: Text | None
    paraphrases: list[Text]


class StateRecord(_Strict):
    """Where a note stands on its curve: stability in days."""

    stability: Annotated[float, Field(ge=0)]
    difficulty: float
    last_review: Moment
    recalls: Natural


class VersionRecord(_Strict):
    """What a note said before."""

    version: Annotated[int, Field(ge=1, le=_COUNT)]
    content: Content
    changed_at: Moment
    reason: Text


class UseRecord(_Strict):
    """The uses of one day."""

    events: Natural
    tokens: Natural
    last: Moment


class KeyRecord(_Strict):
    """An idempotency key and the receipt that a retry gets."""

    key: Name
    receipt: dict[str, Any]

    @model_validator(mode="after")
    def _can_be_replayed(self) -> KeyRecord:
        status, superseded = self.receipt.get("status"), self.receipt.get("superseded", [])
        if status not in ("stored", "merged", "superseded", "rejected") or not isinstance(superseded, list):
            raise ValueError("it is not a receipt")
        return self


class EditRecord(_Strict):
    """An edit of the books."""

    id: Name
    method: Name
    state: Literal["active", "retired"]
    note_version: Annotated[int, Field(ge=1, le=_COUNT)]
    request: dict[str, Any]
    reason: Text
    changed_at: Moment


class EntryRecord(_Strict):
    """A line of the ledger about the note it stands with."""

    at: Moment
    event: Name
    edit_id: Name | None
    details: dict[str, Any]


class NoteRecord(_Strict):
    """A note with everything that is its own."""

    type: Literal["note"]
    id: Name
    content: Content
    kind: Kind
    user: Name | None
    agent: Name | None
    session: Name | None
    actor: Name | None
    thread: Name | None
    position: Annotated[int, Field(ge=-_COUNT, le=_COUNT)] | None
    occurred_at: Moment
    created_at: Moment
    valid_from: Moment | None
    valid_to: Moment | None
    keywords: list[Text]
    tags: list[Text]
    context: Text
    importance: Share
    source: Name | None
    trust: Share
    metadata: dict[str, Any]
    fact: FactRecord | None
    version: Annotated[int, Field(ge=1, le=_COUNT)]
    changed_at: Moment
    reason: Text
    history: list[VersionRecord]
    state: StateRecord
    archived_at: Moment | None
    uses: list[UseRecord]
    keys: list[KeyRecord]
    edits: list[EditRecord]
    ledger: list[EntryRecord]
    vector: str | None

    @model_validator(mode="after")
    def _whole(self) -> NoteRecord:
        versions = [v.version for v in self.history] + [self.version]
        if versions != sorted(set(versions)):
            raise ValueError("its versions are not in order")
        days = [use.last.date() for use in self.uses]
        if days != sorted(set(days)):
            raise ValueError("its uses are not one a day, in order")
        whose = (self.user, self.agent if self.user is None else None)
        for edit in self.edits:
            asked = (edit.request.get("user"), edit.request.get("agent") if self.user is None else None)
            if asked != whose or not isinstance(edit.request.get("prompt"), str) or not isinstance(edit.request.get("target"), str):
                raise ValueError(f"edit {edit.id} is not a question and an answer of the note's own scope")
        return self

    @property
    def scope(self) -> Scope:
        return Scope(self.user, self.agent, self.session)

    def note(self) -> Note:
        fact, state = self.fact, self.state
        return Note(
            id=self.id, content=self.content, kind=self.kind, scope=self.scope, actor=self.actor, thread=self.thread,
            position=self.position, occurred_at=self.occurred_at, created_at=self.created_at,
            valid_from=self.valid_from, valid_to=self.valid_to, keywords=tuple(self.keywords), tags=tuple(self.tags),
            context=self.context, importance=self.importance, source=self.source, trust=self.trust,
            state=MemoryState(state.stability, state.difficulty, state.last_review, state.recalls),
            archived_at=self.archived_at, metadata=self.metadata, version=self.version,
            fact=None if fact is None else Fact(
                fact.subject, fact.relation, fact.object, fact.functional, fact.question, tuple(fact.paraphrases)
            ),
        )  # fmt: skip

    def versions(self) -> list[NoteVersion]:
        """The history, the present version last."""
        former = [NoteVersion(v.version, v.content, v.changed_at, v.reason) for v in self.history]
        return [*former, NoteVersion(self.version, self.content, self.changed_at, self.reason)]

    def halves(self, dimension: int) -> bytes | None:
        """The vector as little-endian float16 numbers, or ``None`` when it is absent."""
        if self.vector is None:
            return None
        try:
            data = base64.b64decode(self.vector, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidImport(f"The vector of note {self.id} is not base64.", hint="export the memory again.") from error
        if len(data) != 2 * dimension:
            raise InvalidImport(
                f"The vector of note {self.id} has {len(data) // 2} numbers, not {dimension}.", hint="export the memory again."
            )
        return data


class LinkRecord(_Strict):
    """A link between two notes of the file."""

    type: Literal["link"]
    source: Name
    target: Name
    kind: Name
    weight: Annotated[float, Field(ge=0.0)]
    reason: Text

    @model_validator(mode="after")
    def _two_notes(self) -> LinkRecord:
        if self.source == self.target:
            raise ValueError("a note cannot be linked to itself")
        return self


class LedgerRecord(_Strict):
    """A line of the ledger whose note, if it had one, is gone."""

    type: Literal["ledger"]
    at: Moment
    event: Name
    note_id: Name | None
    edit_id: Name | None
    details: dict[str, Any]


class Footer(_Strict):
    """The last line. ``sha256`` is taken over the lines between header and footer, line ends included."""

    type: Literal["end"]
    notes: Natural
    links: Natural
    ledger: Natural
    sha256: str


Record = NoteRecord | LinkRecord | LedgerRecord | Footer
_LINE: Final = TypeAdapter[Record](Annotated[Record, Field(discriminator="type")])


class Tally:
    """Counts lines and takes their checksum, the same way for the writer and the reader."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._sha = hashlib.sha256()

    def add(self, kind: str, line: bytes) -> None:
        self.counts[kind] += 1
        self._sha.update(line)

    def footer(self) -> dict[str, Any]:
        """The footer that goes with what was added."""
        counts = {"notes": self.counts["note"], "links": self.counts["link"], "ledger": self.counts["ledger"]}
        return {"type": "end", **counts, "sha256": self._sha.hexdigest()}


def line_of(values: Mapping[str, Any]) -> bytes:
    """One line; keys in their order, so that equal values are equal bytes."""
    return _ENCODER.encode(values).encode("utf-8") + b"\n"


def parse(line: bytes, number: int) -> tuple[Record | Header, dict[str, Any]]:
    """The checked record of a line, and its plain values.

    Raises:
        InvalidImport: with the number of the line and what is wrong with it.
    """
    cure = "the file was changed or cut after it was written; export the memory again."
    try:
        if not line.endswith(b"\n"):
            raise InvalidImport(f"Line {number} ends in the middle.", hint=cure)
        values = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
        if not isinstance(values, dict):
            raise InvalidImport(f"Line {number} is not a JSON object.", hint="an export holds one JSON object per line.")
        line_of(values)  # half a surrogate pair can be escaped in JSON, but is no text
        record: Record | Header = Header.model_validate(values) if number == 1 else _LINE.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidImport(f"Line {number}, {where or 'as a whole'}: {first['msg']}.", hint=cure) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidImport):
            raise
        raise InvalidImport(f"Line {number} is not JSON: {error}.", hint=cure) from error
    return record, values


def said(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a note says, without what its use changes: two notes with one id must agree in this."""
    return {name: value for name, value in values.items() if name not in _LIVING}


# -- values as they are written --------------------------------------------------------------------------------


def note_values(
    note: Note,
    history: Sequence[NoteVersion],
    *,
    uses: Sequence[UseDay] = (),
    keys: Sequence[tuple[str, Mapping[str, object]]] = (),
    edits: Sequence[EditRow] = (),
    ledger: Sequence[LedgerEntry] = (),
    vector: bytes | None = None,
) -> dict[str, Any]:
    """The line of a note; ``history`` ends with the present version, ``vector`` is float16 in little-endian."""
    fact, state, last = note.fact, note.state, history[-1]
    return {
        "type": "note", "id": note.id, "content": note.content, "kind": note.kind,
        "user": note.scope.user, "agent": note.scope.agent, "session": note.scope.session,
        "actor": note.actor, "thread": note.thread, "position": note.position,
        "occurred_at": note.occurred_at.isoformat(), "created_at": note.created_at.isoformat(),
        "valid_from": _iso(note.valid_from), "valid_to": _iso(note.valid_to),
        "keywords": list(note.keywords), "tags": list(note.tags), "context": note.context,
        "importance": note.importance, "source": note.source, "trust": note.trust, "metadata": note.metadata,
        "fact": None if fact is None else {
            "subject": fact.subject, "relation": fact.relation, "object": fact.object, "functional": fact.functional,
            "question": fact.question, "paraphrases": list(fact.paraphrases),
        },
        "version": note.version, "changed_at": last.changed_at.isoformat(), "reason": last.reason,
        "history": [
            {"version": v.version, "content": v.content, "changed_at": v.changed_at.isoformat(), "reason": v.reason}
            for v in history[:-1]
        ],
        "state": {
            "stability": state.stability, "difficulty": state.difficulty,
            "last_review": state.last_review.isoformat(), "recalls": state.recalls,
        },
        "archived_at": _iso(note.archived_at),
        "uses": [{"events": u.events, "tokens": u.tokens, "last": _at(u.last)} for u in uses],
        "keys": [{"key": key, "receipt": receipt} for key, receipt in keys],
        "edits": [
            {
                "id": e.id, "method": e.method, "state": e.state, "note_version": e.note_version, "request": e.request,
                "reason": e.reason, "changed_at": _at(e.changed_at),
            }
            for e in edits
        ],
        "ledger": [{"at": _at(e.at), "event": e.event, "edit_id": e.edit_id, "details": e.details} for e in ledger],
        "vector": None if vector is None else base64.b64encode(vector).decode("ascii"),
    }  # fmt: skip


def link_values(link: Link) -> dict[str, Any]:
    """The line of a link."""
    return {
        "type": "link", "source": link.source, "target": link.target, "kind": link.kind, "weight": link.weight,
        "reason": link.reason,
    }  # fmt: skip


def loose_values(entry: LedgerEntry) -> dict[str, Any]:
    """The line of a ledger entry whose note is gone."""
    return {
        "type": "ledger", "at": _at(entry.at), "event": entry.event, "note_id": entry.note_id, "edit_id": entry.edit_id,
        "details": entry.details,
    }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _at(stored: int) -> str:
    return from_micros(stored).isoformat()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_LIVING: Final = frozenset("state archived_at uses keys edits ledger vector".split())
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
