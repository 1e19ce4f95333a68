"""What the lines of an export may hold: each kind of line as a model that refuses whatever it does not know."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from agentmem.errors import InvalidImport
from agentmem.extract import MOST_FACTS
from agentmem.keyed.record import checked_key, checked_namespace, checked_value
from agentmem.keyed.text import checked_index
from agentmem.notes.evidence import MOST_ANSWER, MOST_QUESTION
from agentmem.notes.note import Fact, Kind, MemoryState, Note, NoteVersion, Scope
from agentmem.notes.quoting import one_line
from agentmem.transfer.limits import (
    COUNT,
    MAX_EDITS,
    MAX_ROWS,
    Content,
    Id,
    Json,
    Moment,
    Name,
    Natural,
    Share,
    Text,
    Words,
    WordsOrNone,
)

__all__ = [
    "LINE", "EditRecord", "EnrichmentRecord", "EntryRecord", "EvidenceRecord", "ExperienceRecord", "Footer", "Header", "LedgerRecord", "LinkRecord", "MadeFromRecord",
    "NoteRecord", "Record", "SignatureRecord",
]  # fmt: skip


def _line(value: str) -> str:
    if one_line(value) != value:
        raise ValueError("it is not on one line, or has characters that are none of a text")
    return value


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
    """A fact of a note; one that is not its only one may hold for a time of its own, and name the note that ended it."""

    subject: Content
    relation: Content
    object: Content
    functional: bool
    question: Text | None
    paraphrases: Words
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    ended_by: Id | None = None

    @model_validator(mode="after")
    def _ends(self) -> FactRecord:
        if self.valid_to is None and self.ended_by is not None:
            raise ValueError("it was ended, but at no time")
        return self

    def fact(self) -> Fact:
        return Fact(
            self.subject, self.relation, self.object, self.functional, self.question, tuple(self.paraphrases), self.valid_from,
            self.valid_to, self.ended_by,
        )  # fmt: skip


class StateRecord(_Strict):
    """Where a note stands on its curve: stability in days."""

    stability: Annotated[float, Field(ge=0, le=1e9)]
    difficulty: Annotated[float, Field(ge=-1e9, le=1e9)]
    last_review: Moment
    recalls: Natural


class VersionRecord(_Strict):
    """What a note said before."""

    version: Annotated[int, Field(ge=1, le=COUNT)]
    content: WordsOrNone
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
    receipt: Json

    @model_validator(mode="after")
    def _can_be_replayed(self) -> KeyRecord:
        status, superseded = self.receipt.get("status"), self.receipt.get("superseded", [])
        if status not in ("stored", "merged", "superseded", "rejected") or not isinstance(superseded, list):
            raise ValueError("it is not a receipt")
        return self


_MARK: Final = re.compile(r"[0-9a-f]{32}")
"""By what a store knows a question."""


class EditRecord(_Strict):
    """An edit of the registry."""

    id: Name
    method: Name
    state: Literal["active", "retired", "candidate"]
    note_version: Annotated[int, Field(ge=1, le=COUNT)]
    request: Json
    reason: Text
    changed_at: Moment


class EntryRecord(_Strict):
    """A line of the ledger about the note it stands with."""

    at: Moment
    event: Name
    edit_id: Name | None
    details: Json


class ExperienceRecord(_Strict):
    """The value of an experience; its situation and its action are in the note's metadata."""

    q: float
    visits: Natural


class EnrichmentRecord(_Strict):
    """What a language model added to a note; ``version`` is the last one with the words it was asked about, if there still is one."""

    state: Literal["done", "failed", "kept"]
    attempts: Natural
    at: Moment
    version: Annotated[int, Field(ge=1, le=COUNT)] | None
    context: Text | None
    tags: Words
    keywords: Words


class ValueRecord(_Strict):
    """The value whose text a note is; ``ttl`` in microseconds."""

    namespace: Annotated[list[str], AfterValidator(lambda given: list(checked_namespace(given)))]
    key: Annotated[str, AfterValidator(checked_key)]
    value: dict[str, Any]
    index: Annotated[Literal[False] | list[str] | None, AfterValidator(checked_index)]
    ttl: Annotated[int, Field(ge=1, le=COUNT * 8)] | None
    created_at: Moment

    @model_validator(mode="after")
    def _can_be_put(self) -> ValueRecord:
        checked_value(self.value)
        return self


class TimesRecord(_Strict):
    """When a value was put last, and when it is gone by itself."""

    updated_at: Moment
    expires_at: Moment | None


class NoteRecord(_Strict):
    """A note with everything that is its own."""

    type: Literal["note"]
    id: Id
    content: WordsOrNone
    kind: Kind
    user: Name | None
    agent: Name | None
    session: Name | None
    actor: Name | None
    thread: Name | None
    position: Annotated[int, Field(ge=-COUNT, le=COUNT)] | None
    occurred_at: Moment
    created_at: Moment
    valid_from: Moment | None
    valid_to: Moment | None
    keywords: Words
    tags: Words
    context: Text
    importance: Share
    source: Name | None
    trust: Share
    metadata: Json
    fact: FactRecord | None
    facts: Annotated[list[FactRecord], Field(min_length=1, max_length=MOST_FACTS)] | None = None
    version: Annotated[int, Field(ge=1, le=COUNT)]
    changed_at: Moment
    reason: Text
    history: Annotated[list[VersionRecord], Field(max_length=MAX_ROWS)]
    state: StateRecord
    archived_at: Moment | None
    uses: Annotated[list[UseRecord], Field(max_length=MAX_ROWS)]
    keys: Annotated[list[KeyRecord], Field(max_length=MAX_ROWS)]
    edits: Annotated[list[EditRecord], Field(max_length=MAX_EDITS)]
    ledger: Annotated[list[EntryRecord], Field(max_length=MAX_ROWS)]
    vector: str | None
    experience: ExperienceRecord | None = None
    enrichment: EnrichmentRecord | None = None
    record: ValueRecord | None = None
    record_times: TimesRecord | None = None

    @model_validator(mode="after")
    def _whole(self) -> NoteRecord:
        versions = [v.version for v in self.history] + [self.version]
        if versions != sorted(set(versions)):
            raise ValueError("its versions are not in order")
        told = [(fact.subject, fact.relation, fact.object) for fact in self.facts or ()]
        if len(set(told)) < len(told) or (told and self.fact is not None):
            raise ValueError("it tells a fact twice")
        if self.enrichment is not None and self.enrichment.version not in (None, *versions):
            raise ValueError("its enrichment is about a version that it never had")
        valued = {self.kind == "record", self.record is not None, self.record_times is not None}
        if len(valued) > 1:
            raise ValueError("it is half a record")
        if self.record is None and not all((self.content, *(each.content for each in self.history))):
            raise ValueError("it has no words")
        if self.experience is not None and (self.kind != "experience" or self.acted is None):
            raise ValueError("its metadata does not say what was done in which situation")
        days = [use.last.date() for use in self.uses]
        if days != sorted(set(days)):
            raise ValueError("its uses are not one a day, in order")
        for edit in self.edits:
            asked = Scope(edit.request.get("user"), edit.request.get("agent"))
            if (
                asked.owner != self.scope.owner
                or not isinstance(edit.request.get("prompt"), str)
                or not isinstance(edit.request.get("target"), str)
            ):
                raise ValueError(f"edit {edit.id} is not a question and an answer of the note's own scope")
            marks = edit.request.get("taught", [])
            if not isinstance(marks, list) or not all(isinstance(m, str) and _MARK.fullmatch(m) for m in marks):
                raise ValueError(f"edit {edit.id} does not say which questions taught it")
        return self

    @property
    def scope(self) -> Scope:
        return Scope(self.user, self.agent, self.session)

    @property
    def acted(self) -> tuple[str, str, str] | None:
        """Task, observation and action of an experience; ``None`` where one of them is missing."""
        said = [self.metadata.get(name) for name in ("task", "observation", "action")]
        task, observation, action = (text if isinstance(text, str) and text.strip() else None for text in said)
        return (task, observation, action) if task and observation and action else None

    def note(self) -> Note:
        facts, state = self.facts or filter(None, (self.fact,)), self.state
        return Note(
            id=self.id, content=self.content, kind=self.kind, scope=self.scope, actor=self.actor, thread=self.thread,
            position=self.position, occurred_at=self.occurred_at, created_at=self.created_at,
            valid_from=self.valid_from, valid_to=self.valid_to, keywords=tuple(self.keywords), tags=tuple(self.tags),
            context=self.context, importance=self.importance, source=self.source, trust=self.trust,
            state=MemoryState(state.stability, state.difficulty, state.last_review, state.recalls),
            archived_at=self.archived_at, metadata=self.metadata, version=self.version,
            facts=tuple(fact.fact() for fact in facts),
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
            raise InvalidImport(
                f"The vector of note {self.id} is not base64.", hint="export the memory again."
            ) from error
        if len(data) != 2 * dimension:
            raise InvalidImport(
                f"The vector of note {self.id} has {len(data) // 2} numbers, not {dimension}.",
                hint="export the memory again.",
            )
        return data


class LinkRecord(_Strict):
    """A link between two notes of the file."""

    type: Literal["link"]
    source: Id
    target: Id
    kind: Name
    weight: Annotated[float, Field(ge=0.0, le=1e9)]
    reason: Text
    used_at: Moment | None = None

    @model_validator(mode="after")
    def _two_notes(self) -> LinkRecord:
        if self.source == self.target:
            raise ValueError("a note cannot be linked to itself")
        return self


class MadeFromRecord(_Strict):
    """Which other notes of the file a model's words about a note were made from."""

    type: Literal["made_from"]
    note: Id
    sources: Annotated[list[Id], Field(min_length=1, max_length=MAX_ROWS)]

    @model_validator(mode="after")
    def _of_others(self) -> MadeFromRecord:
        if self.note in self.sources or len(set(self.sources)) < len(self.sources):
            raise ValueError("it names its own note, or a source twice")
        return self


class EvidenceRecord(_Strict):
    """A question that was answered from notes of the file, of whom it names."""

    type: Literal["evidence"]
    notes: Annotated[list[Id], Field(min_length=1, max_length=MAX_ROWS)]
    user: Name | None
    agent: Name | None
    session: Name | None
    question: Annotated[str, AfterValidator(_line), Field(min_length=1, max_length=MOST_QUESTION)]
    answer: Annotated[str, AfterValidator(_line), Field(min_length=1, max_length=MOST_ANSWER + 2)]
    times: Annotated[int, Field(ge=1, le=COUNT)]
    at: Moment

    @model_validator(mode="after")
    def _once(self) -> EvidenceRecord:
        if len(set(self.notes)) < len(self.notes):
            raise ValueError("it names a note twice")
        return self

    @property
    def scope(self) -> Scope:
        return Scope(self.user, self.agent, self.session)


class LedgerRecord(_Strict):
    """A line of the ledger whose note, if it had one, is gone."""

    type: Literal["ledger"]
    at: Moment
    event: Name
    note_id: Id | None
    edit_id: Name | None
    details: Json


class Footer(_Strict):
    """The last line. ``sha256`` is taken over the lines between header and footer, line ends included."""

    type: Literal["end"]
    notes: Natural
    links: Natural
    ledger: Natural
    sha256: str


class SignatureRecord(_Strict):
    """After the end: HMAC-SHA256, with the owner's key, over every byte that stands before this line."""

    type: Literal["signature"]
    hmac_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Record = NoteRecord | LinkRecord | MadeFromRecord | EvidenceRecord | LedgerRecord | Footer | SignatureRecord
LINE: Final = TypeAdapter[Record](Annotated[Record, Field(discriminator="type")])
"""Checks any line but the first."""
