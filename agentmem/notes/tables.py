"""The tables of a store as values: their columns, what a row is known by, and what the guard has to know of them.

What is kept beside the notes lies in plain tables that any store can hold: rows of numbers, texts and bytes under a key. How they are
indexed, sealed and scrubbed is the store's own business; what is asked of them stands in :class:`agentmem.notes.engine.Tables`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agentmem.errors import InvalidArgument

__all__ = [
    "EDIT",
    "ENRICHMENT",
    "ENRICHMENT_SOURCE",
    "ERASING",
    "EVIDENCE",
    "EXPERIENCE",
    "EXPERIENCE_STEP",
    "FACT",
    "INTENT",
    "KEY",
    "LEASE",
    "LEDGER",
    "LINK",
    "META",
    "NEXT_VECTOR",
    "NOTE",
    "OUTBOX",
    "OWNER",
    "PACK",
    "PASSAGE",
    "RECORD",
    "TABLES",
    "TELLING",
    "TERM",
    "TOMBSTONE",
    "USE",
    "VECTOR",
    "VECTOR_CHANGE",
    "VERSION",
    "WORDS",
    "WORDS_CHANGE",
    "Among",
    "Each",
    "Span",
    "Table",
    "Value",
    "Where",
    "Without",
    "line_by_line",
    "lines",
]

Value = int | float | str | bytes | None
"""What stands in a column."""


@dataclass(frozen=True, slots=True)
class Among:
    """A test: the column holds one of these values."""

    values: Collection[Any]


@dataclass(frozen=True, slots=True)
class Without:
    """A test: the column holds none of these values."""

    values: Collection[Any]


@dataclass(frozen=True, slots=True)
class Span:
    """A test: the column holds a value, and it lies within these bounds; without any, that it holds one at all. Texts are ordered by character."""

    above: Value = None
    below: Value = None
    least: Value = None
    most: Value = None


@dataclass(frozen=True, slots=True)
class Each:
    """In a change, one value after another: all that are given go together, line by line, like so many changes; as a test, none is ``None``."""

    values: Sequence[Any]


Where = Mapping[str, Any]
"""By column what has to hold: a value, :class:`Among`, :class:`Without` or :class:`Span`; all of it has to."""


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of rows.

    Attributes:
        columns: the name of each with the type of its values, in the order in which rows are given and taken.
        key: the columns that a row is known by: no two rows agree in all of them.
        notes: the columns that name notes by row: none can be named that is not there, and a row goes when one of its notes goes, unless it
            ``stays``.
        ids: the columns that name notes by id.
        leads: its rows may lead from a note to somebody else's; such a row is hidden from a request instead of being a breach. Where its rows
            are owned besides, they are their owner's, whosever notes they name.
        numbered: the store numbers new rows itself, upwards, in the first column, and gives no number twice.
        sealed: rows are nowhere else, so a store tells when one of them is not what was written.
        checked: the store looks at each row that it hands out, and refuses one that is not what was written.
        loose: columns that change with every use, and are not under the seal.
        computed: further columns that a store finds out by itself: ``asks``, as in :class:`~agentmem.notes.rows.Facets`.
        unsealed: a column; rows that are true in it can be made again, and are not sealed.
        free: it says nothing of anybody's notes.
        job: it is for what keeps things up to date; a request has no business here.
        log: the table in which the store itself writes down whose row was put or removed last.
    """

    name: str
    columns: Mapping[str, type]
    key: tuple[str, ...]
    notes: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    stays: bool = False
    leads: bool = False
    numbered: bool = False
    sealed: bool = False
    checked: bool = False
    loose: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    unsealed: str | None = None
    free: bool = False
    job: bool = False
    log: Table | None = None
    owned: bool = field(init=False)
    """Whether each row says whose it is, in the column ``owner``."""
    places: Mapping[str, int] = field(init=False, repr=False)
    """Where each column stands in a row."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "owned", "owner" in self.columns)
        object.__setattr__(self, "places", {name: place for place, name in enumerate(self.columns)})

    def __hash__(self) -> int:
        return hash(self.name)


META: Final = Table("meta", {"key": str, "value": str}, ("key",), free=True)
"""What is to be known of a store as a whole."""

OWNER: Final = Table(
    "owner",
    {"id": int, "user": str, "agent": str, "mac": bytes},
    ("id",),
    numbered=True,
    sealed=True,
    checked=True,
    free=True,
)
"""Whose notes there are: by a name that goes with the last note, and a keyed digest of it that stays."""

NOTE: Final = Table(
    "note",
    {
        "id": int, "owner": int, "actor": str, "agent": str, "session": str, "thread": str, "position": int, "occurred_at": int,
        "created_at": int, "valid_from": int, "valid_to": int, "archived_at": int, "length": int, "importance": float, "trust": float,
        "stability": float, "difficulty": float, "last_review": int, "recalls": int, "uid": str, "kind": str, "version": int,
        "hash": bytes, "changed_at": int, "reason": str, "source": str, "tags": str, "keywords": str, "metadata": str, "context": str,
        "content": str,
    },
    ("id",),
    notes=("id",),
    numbered=True,
    sealed=True,
    checked=True,
    loose=("stability", "difficulty", "last_review", "recalls"),
    computed=("asks",),
)  # fmt: skip
"""The notes. Words that are asked for with their owner, and owners that are asked for alone, are handed out only if the note stands under the
owner whom it was written for.
"""

VERSION: Final = Table(
    "note_version",
    {"row": int, "version": int, "changed_at": int, "content": str, "reason": str},
    ("row", "version"),
    notes=("row",),
    sealed=True,
)
"""What notes said before."""

FACT: Final = Table(
    "fact",
    {
        "row": int, "place": int, "owner": int, "subject_key": str, "relation_key": str, "subject": str, "relation": str, "object": str,
        "functional": int, "question": str, "paraphrases": str, "valid_from": int, "valid_to": int, "ended_by": str,
    },
    ("row", "place"),
    notes=("row",),
    sealed=True,
)  # fmt: skip
"""The facts of each note that tells some, in their places from 0 on; a note's own seal is over the first and over how many there are."""

TERM: Final = Table("term", {"owner": int, "term": str, "row": int}, ("owner", "term", "row"), notes=("row",))
"""Which entities and rare keywords a note mentions."""

TELLING: Final = Table(
    "telling", {"row": int, "start": int, "until": int, "owner": int}, ("row", "start", "until"), notes=("row",)
)
"""Which spans of time a note tells of: half-open, in microseconds."""

INTENT: Final = Table("intent", {"row": int, "likely": int, "owner": int}, ("row",), notes=("row",))
"""How likely a note only asks, in per cent, where that is likely at all."""

TOMBSTONE: Final = Table("tombstone", {"owner": int, "mac": bytes, "at": int}, ("owner", "mac"), sealed=True)
"""That something was forgotten, as a keyed digest of it."""

KEY: Final = Table(
    "idempotency",
    {"owner": int, "key": str, "row": int, "receipt": str},
    ("owner", "key"),
    notes=("row",),
    stays=True,
    sealed=True,
)
"""The receipts of calls that may be repeated."""

OUTBOX: Final = Table(
    "outbox", {"seq": int, "op": str, "owner": int, "row": int}, ("seq",), notes=("row",), stays=True, numbered=True
)
"""What the vector index has not seen yet."""

USE: Final = Table(
    "use",
    {"row": int, "day": int, "owner": int, "events": int, "tokens": int, "last": int},
    ("row", "day"),
    notes=("row",),
)
"""The uses of a note on a day."""

EDIT: Final = Table(
    "edit",
    {
        "id": str, "note_id": str, "owner": int, "method": str, "state": str, "note_version": int, "request": str, "reason": str,
        "changed_at": int,
    },
    ("id",),
    ids=("note_id",),
    sealed=True,
)  # fmt: skip
"""The edits in the weights."""

LEDGER: Final = Table(
    "ledger",
    {"seq": int, "at": int, "event": str, "note_id": str, "edit_id": str, "details": str, "owner": int},
    ("seq",),
    ids=("note_id",),
    numbered=True,
    sealed=True,
)
"""What happened to notes and edits, line by line."""

PACK: Final = Table("pack", {"method": str, "version": int, "sha": str, "at": int}, ("method", "version"), free=True)
"""The packs that served, the newest of each method serving now."""

LEASE: Final = Table("lease", {"name": str, "holder": str, "until": int}, ("name",), free=True)
"""Who works on what, and until when at most."""

ENRICHMENT: Final = Table(
    "enrichment",
    {"row": int, "hash": bytes, "state": str, "attempts": int, "at": int, "context": str, "tags": str, "keywords": str},
    ("row",),
    notes=("row",),
    sealed=True,
)
"""What a language model added to a note."""

ENRICHMENT_SOURCE: Final = Table(
    "enrichment_source", {"row": int, "source": int}, ("row", "source"), notes=("row", "source"), leads=True
)
"""Which notes that was made from, besides its own."""

EXPERIENCE: Final = Table(
    "experience",
    {"row": int, "owner": int, "state": bytes, "action": bytes, "q": float, "visits": int},
    ("row",),
    notes=("row",),
    sealed=True,
)
"""The values of experiences."""

EXPERIENCE_STEP: Final = Table(
    "experience_step",
    {"owner": int, "episode": bytes, "step": int, "row": int, "reward": float, "next": bytes},
    ("owner", "episode", "step"),
    notes=("row",),
    sealed=True,
)
"""The steps of episodes whose return is not known yet."""

RECORD: Final = Table(
    "record",
    {
        "row": int, "owner": int, "whose": str, "namespace": str, "key": str, "value": str, "fields": str, "ttl": int, "expires_at": int,
        "created_at": int, "put_at": int,
    },
    ("row",),
    notes=("row",),
    sealed=True,
)  # fmt: skip
"""The values of records under their namespaces and keys; one for each, of an owner and within it of ``whose``."""

EVIDENCE: Final = Table(
    "evidence",
    {
        "row": int, "owner": int, "mark": bytes, "agent": str, "session": str, "question": str, "answer": str, "notes": int, "times": int,
        "at": int,
    },
    ("row", "owner", "mark"),
    notes=("row",),
    leads=True,
    sealed=True,
)  # fmt: skip
"""What was asked and answered from notes: one row under each of the ``notes`` that an answer was drawn from. They are of who asked."""

ERASING: Final = Table("erasing", {"seq": int, "at": int, "place": str}, ("seq",), numbered=True, free=True)
"""What a forgetting has still to do after its commit, by place."""

VECTOR_CHANGE: Final = Table(
    "vector_change", {"seq": int, "owner": int, "row": int, "removed": int}, ("seq",), numbered=True, job=True
)
"""Which vectors were put or removed since: the newest change of each, in order."""

VECTOR: Final = Table("vector", {"row": int, "owner": int, "data": bytes}, ("row",), notes=("row",), log=VECTOR_CHANGE)
"""The vector of each note, in half precision; ``owner`` is its space (:mod:`agentmem.notes.spaces`), here and in all tables of vectors and words."""

PASSAGE: Final = Table(
    "passage", {"row": int, "owner": int, "data": bytes}, ("row",), notes=("row",), log=VECTOR_CHANGE
)
"""Those of the passages of a long note, one after another."""

NEXT_VECTOR: Final = Table("vector_next", {"row": int, "owner": int, "data": bytes}, ("row",), notes=("row",), job=True)
"""Those of an embedder to come."""

WORDS_CHANGE: Final = Table(
    "words_change", {"seq": int, "owner": int, "row": int, "removed": int}, ("seq",), numbered=True, job=True
)
"""The same for words."""

WORDS: Final = Table(
    "words", {"row": int, "owner": int, "content": bytes, "context": bytes}, ("row",), notes=("row",), log=WORDS_CHANGE
)
"""The words of each note, as keyed digests in their order."""

LINK: Final = Table(
    "link",
    {"source": int, "target": int, "kind": str, "weight": float, "reason": str, "used_at": int, "derived": int},
    ("source", "target", "kind"),
    notes=("source", "target"),
    leads=True,
    sealed=True,
    unsealed="derived",
)
"""The graph."""

TABLES: Final[tuple[Table, ...]] = (
    META, OWNER, NOTE, VERSION, FACT, TERM, TELLING, INTENT, TOMBSTONE, KEY, OUTBOX, USE, EDIT, LEDGER, PACK, LEASE, ENRICHMENT, ENRICHMENT_SOURCE, EXPERIENCE,
    EXPERIENCE_STEP, RECORD, EVIDENCE, ERASING, VECTOR, VECTOR_CHANGE, PASSAGE, NEXT_VECTOR, WORDS, WORDS_CHANGE, LINK,
)  # fmt: skip
"""All of them."""


def lines(where: Where, values: Mapping[str, Any]) -> int | None:
    """How many changes one with :class:`Each` stands for; ``None`` of a change that is one itself.

    Raises:
        InvalidArgument: it gives more of one column than of another.
    """
    given = {len(each.values) for each in (*where.values(), *values.values()) if isinstance(each, Each)}
    if len(given) > 1:
        raise InvalidArgument(
            "The columns of a change are not of one length.", hint="give each line a value in each column."
        )
    return given.pop() if given else None


def line_by_line(where: Where, values: Mapping[str, Any]) -> Iterator[tuple[Where, Mapping[str, Any]]]:
    """The single changes that one with :class:`Each` stands for."""
    many = lines(where, values)
    for line in range(1 if many is None else many):
        yield _line(where, line), _line(values, line)


def _line(columns: Mapping[str, Any], line: int) -> dict[str, Any]:
    return {name: each.values[line] if isinstance(each, Each) else each for name, each in columns.items()}
