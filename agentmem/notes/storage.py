"""What the memory layer asks of a store: one transaction, a few small areas of it.

Rows, ids and owners are those of :mod:`agentmem.notes.rows`. Reads take owners, never a scope, so that what may be seen is
decided in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agentmem.notes.note import Fact, Link, Note, NoteVersion, Scope
from agentmem.notes.rows import (
    SHARED_OWNER,
    Change,
    EditRow,
    EnrichmentRow,
    Facets,
    LedgerEntry,
    LinkRow,
    OutboxItem,
    SavedEnrichment,
    Selection,
    UseDay,
    UseSummary,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.int64]
    Digests = npt.NDArray[np.uint64]

__all__ = [
    "SHARED_OWNER",
    "Areas",
    "Change",
    "EditRow",
    "EnrichmentRow",
    "Facets",
    "LedgerEntry",
    "LinkRow",
    "LinkTable",
    "NextVectorTable",
    "NoteTable",
    "OutboxItem",
    "PassageTable",
    "SavedEnrichment",
    "Selection",
    "TextRows",
    "TextTable",
    "UseDay",
    "UseSummary",
    "VectorTable",
]


class NoteTable(Protocol):
    """Notes, their versions, facts, owners, and what keeps them from being stored twice."""

    def owner(self, scope: Scope, *, create: bool = False) -> int | None: ...
    def visible_owners(self, scope: Scope) -> tuple[int, ...]:
        """Owners whose notes a request in ``scope`` may see; unknown users simply have none."""
        ...

    def has_owned(self) -> bool:
        """True when the store holds notes of any user or agent."""
        ...

    def insert(self, note: Note, owner: int, content_hash: bytes) -> int:
        """Store a note with its fact; returns its row. Full text, vector and links are their own areas."""
        ...

    def restore(self, note: Note, owner: int, content_hash: bytes, history: Sequence[NoteVersion]) -> int:
        """Store a note together with its history, the present version last; returns its row."""
        ...

    def replace(self, row: int, note: Note, content_hash: bytes, reason: str) -> None:
        """Write the next version of a note; the former one joins its history."""
        ...

    def close_validity(self, row: int, valid_to: int | None, reason: str) -> None:
        """End a note's validity, or with ``None`` take its end back: a new version with the same words."""
        ...

    def set_states(self, states: Sequence[tuple[int, float, float, int, int]]) -> None:
        """(row, stability, difficulty, last_review, recalls) each."""
        ...

    def set_archived(self, rows: Sequence[int], at: int | None) -> None: ...
    def delete(self, rows: Sequence[int]) -> Mapping[str, int]:
        """Remove notes, versions, facts and idempotency records; returns what was removed by place."""
        ...

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]: ...
    def owners_of(self, rows: Sequence[int]) -> dict[int, int]:
        """Whose those rows are that exist."""
        ...

    def of_owner(self, owner: int, limit: int) -> list[int]:
        """Up to ``limit`` rows of an owner, in no order."""
        ...

    def taken(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that name somebody's note, so that no other can bear them."""
        ...

    def ids_of(self, rows: Sequence[int]) -> dict[int, str]:
        """The ids of those rows that exist."""
        ...

    def load(self, rows: Sequence[int]) -> dict[int, Note]: ...
    def facets(self, rows: Sequence[int], selection: Selection) -> list[Facets]:
        """Facets of those of ``rows`` that the selection admits."""
        ...

    def select(
        self, selection: Selection, *, order: str = "created", limit: int | None = None, offset: int = 0
    ) -> list[int]:
        """Rows the selection admits; ``order`` is ``created``, ``occurred``, or ``-created``, ``-occurred``."""
        ...

    def page(self, selection: Selection | None, after: int, limit: int) -> list[int]:
        """Up to ``limit`` rows beyond ``after`` that the selection admits, by row; every owner's without one."""
        ...

    def select_all(self) -> list[int]:
        """Every row, of every owner, in order of creation: for rebuilding projections, never for answering."""
        ...

    def count(self, selection: Selection | None = None) -> int: ...
    def any(self, selection: Selection) -> bool:
        """Whether the selection admits a note; stops at the first."""
        ...

    def resting(self, owner: int, before: int, importance: float) -> list[Facets]:
        """Active notes last reviewed up to ``before``, under ``importance`` and without a fact; longest unreviewed first."""
        ...

    def history(self, row: int) -> list[NoteVersion]: ...
    def same_content(self, owner: int, content_hash: bytes) -> list[int]: ...
    def same_contents(self, owner: int, hashes: Sequence[bytes]) -> dict[bytes, list[int]]:
        """:meth:`same_content` of those of many hashes that are known."""
        ...

    def said(
        self,
        owner: int,
        content_hash: bytes,
        scope: Scope,
        actor: str | None,
        moment: int,
        occurred_at: int | None = None,
    ) -> int | None:
        """The oldest row with this content in this very scope, by this actor, that holds at ``moment``; of a time when one is given."""
        ...

    def said_by_another(self, owner: int, content_hash: bytes, actor: str | None) -> str | None:
        """The id of the oldest note with this content that is not by this actor."""
        ...

    def facts(
        self,
        owner: int,
        subject: str,
        relation: str | None = None,
        *,
        open_only: bool = True,
        holding_from: int | None = None,
    ) -> list[tuple[int, Fact]]:
        """Facts by normalised subject and relation; ``open_only`` leaves out notes whose validity was closed.

        With ``holding_from`` only those are left out whose validity had ended by that moment.
        """
        ...

    def actors(self, owners: Sequence[int]) -> list[str]: ...
    def thread_tail(self, owner: int, thread: str) -> tuple[int, int] | None:
        """(row, position) of the last note in a thread."""
        ...

    def neighbours_in_thread(self, row: int, span: int = 1) -> list[int]: ...
    def thread_before(self, rows: Sequence[int]) -> dict[int, int]:
        """For those of ``rows`` that follow a note in their thread, which one."""
        ...

    def thread_after(self, rows: Sequence[int]) -> dict[int, int]:
        """For those of ``rows`` that a note follows in their thread, which one."""
        ...

    def all_owners(self) -> tuple[int, ...]:
        """Every owner that has a name, and the shared one; for jobs that act on each owner's notes in that owner's own scope."""
        ...

    def scope_of(self, owner: int) -> Scope:
        """The user or agent an owner stands for."""
        ...

    def empty_owners(self, owners: Sequence[int]) -> list[int]:
        """Those of ``owners`` whose name is kept, and nothing else: no note and no edit."""
        ...

    def unname(self, owners: Sequence[int]) -> None:
        """Take the names of owners out. Whoever comes back under such a name gets the same owner, and the name is kept again with the next note."""
        ...


class TextRows(NamedTuple):
    """The words of n notes. ``sizes`` has shape (2, n): how many words each has in content and in context; those lie one after another."""

    rows: Rows
    sizes: Rows
    content: Digests
    context: Digests


class TextTable(Protocol):
    """The words of each note in their order, as digests from which no word can be read: what full text is loaded from.

    A note has its own words alone, and in a second field, ``context``, others that it is to be found by. What stands beside it in a
    thread is nobody's but its own.
    """

    @property
    def version(self) -> str:
        """Of what makes terms of a text: words of two versions cannot be compared."""
        ...

    def put(self, row: int, owner: int, content: str, context: str) -> None: ...
    def put_many(self, items: Iterable[tuple[int, int, str, str]]) -> None: ...
    def delete(self, rows: Sequence[int]) -> int: ...
    def digests(self, owner: int, words: Sequence[str]) -> list[Digests]:
        """What each word of a query is called in the notes of an owner: none, one, or for a phrase several in a row."""
        ...

    def load(self, rows: Sequence[int]) -> TextRows: ...
    def batch(self, owner: int, after: int, limit: int) -> TextRows:
        """Those of up to ``limit`` rows of an owner beyond ``after``, by row."""
        ...

    def beside(self, owner: int, rows: Sequence[int] | None = None) -> list[tuple[int, int]]:
        """Notes that follow each other in a thread, as (earlier, later): all of an owner's, or those that one of ``rows`` is of."""
        ...

    def differing(self, items: Iterable[tuple[int, int, str, str]]) -> list[int]:
        """Those rows of (row, owner, content, context) whose words are not stored, or otherwise."""
        ...

    def missing(self, after: int, limit: int) -> list[int]:
        """Up to ``limit`` rows of notes beyond ``after`` whose words are not stored."""
        ...

    def changes(self, after: int) -> list[Change]:
        """What was added, changed or removed after the change counter ``after``, oldest first."""
        ...

    def counter(self) -> int: ...
    def count(self) -> int: ...
    def clear(self) -> None: ...


class VectorTable(Protocol):
    """The notes' vectors as float16 blobs: the truth that any vector index is rebuilt from."""

    def put(self, rows: Sequence[int], owner: int, vectors: Vectors) -> None: ...
    def delete(self, rows: Sequence[int]) -> int: ...
    def drop_unsound(self, rows: Sequence[int]) -> int:
        """Remove what cannot be vectors of this store, such as damage leaves; returns how many."""
        ...

    def load(self, rows: Sequence[int]) -> tuple[Rows, Vectors]: ...
    def load_owner(self, owner: int) -> tuple[Rows, Vectors]: ...
    def batches(self, owner: int, size: int) -> Iterator[tuple[Rows, Vectors]]:
        """All vectors of an owner, by row, so many at a time."""
        ...

    def size_of(self, owner: int) -> int:
        """How many vectors an owner has."""
        ...

    def changes(self, after: int) -> list[Change]:
        """What was added or removed after the change counter ``after``, oldest first."""
        ...

    def counter(self) -> int: ...
    def count(self) -> int: ...
    def more_than(self, owner: int, number: int) -> bool:
        """Whether an owner has more vectors than ``number``; counts no further."""
        ...

    def missing(self) -> list[int]:
        """Rows of notes without a vector."""
        ...

    def fingerprint(self) -> tuple[str, int] | None:
        """The embedder's fingerprint and dimension, once fixed."""
        ...

    def set_fingerprint(self, fingerprint: str, dimension: int) -> None: ...
    def clear(self) -> None: ...


class PassageTable(Protocol):
    """The vectors of the passages of long notes. They go with the note's own vector, and when that is replaced."""

    def put(self, row: int, owner: int, vectors: Vectors) -> None:
        """Store those of a note whose own vector is stored already."""
        ...

    def load(self, rows: Sequence[int]) -> Mapping[int, Vectors]: ...
    def batch(self, owner: int, after: int, limit: int) -> Mapping[int, Vectors]:
        """Those of up to ``limit`` rows of an owner beyond ``after``, by row."""
        ...

    def size_of(self, owner: int) -> int:
        """How many passages the notes of an owner have."""
        ...

    def missing(self, longer: int) -> list[int]:
        """Rows of notes of more than ``longer`` characters that have a vector and no passages."""
        ...


class NextVectorTable(Protocol):
    """The vectors of an embedder to come: gathered beside those that serve, until every note has one.

    The vector of a note that gets new words, or goes, is taken out by the store itself.
    """

    def begin(self, fingerprint: str, dimension: int) -> None:
        """Aim at an embedder; vectors of the same one stay, those of any other are dropped."""
        ...

    def target(self) -> tuple[str, int] | None: ...
    def put(self, rows: Sequence[int], owner: int, vectors: Vectors) -> None: ...
    def missing(self, limit: int, after: int = 0) -> list[int]: ...
    def count(self) -> int: ...
    def switch(self) -> int:
        """Put these vectors, complete, in the place of those that served; returns how many there are."""
        ...

    def drop(self) -> None: ...


class LinkTable(Protocol):
    """The note graph: directed, typed, weighted links."""

    def put(self, links: Sequence[LinkRow]) -> None:
        """Insert or strengthen: an existing link (same ends, same kind) keeps the larger weight.

        One that is not derived takes the place of one that is, with its own weight and reason, and never the other way round.
        """
        ...

    def touching(
        self, rows: Sequence[int], kinds: Sequence[str] | None = None, *, without: Sequence[str] = ()
    ) -> list[LinkRow]:
        """Links that start or end at any of ``rows``; those of the kinds ``without`` are not even read."""
        ...

    def delete(self, source: int, target: int, kind: str | None = None) -> int: ...
    def belonging(self, rows: Sequence[int]) -> list[LinkRow]:
        """The links of the kinds that words make, derived or not, that belong to ``rows``.

        A link belongs to the later note in a thread, else to the one that was stored later.
        """
        ...

    def weakest(self, rows: Sequence[int]) -> dict[int, tuple[int, float]]:
        """Of each of ``rows`` how many derived `similar` links it has, and the least weight among them (1 without any)."""
        ...

    def delete_rows(self, rows: Sequence[int]) -> int: ...
    def delete_kinds(self, kinds: Sequence[str]) -> int: ...
    def derived_from(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """Rows derived from any of ``rows``, each with all the rows it was derived from."""
        ...

    def count(self) -> int: ...
    def public(self, rows: Sequence[int]) -> list[Link]:
        """Links touching ``rows``, with ids instead of rows."""
        ...


class Areas(NamedTuple):
    """What a store has of its own, besides the plain tables."""

    notes: NoteTable
    text: TextTable
    vectors: VectorTable
    next_vectors: NextVectorTable
    passages: PassageTable
    links: LinkTable
