"""What the memory layer asks of a store: one transaction, a few small areas of it.

Rows, ids and owners are those of :mod:`agentmem.notes.rows`. Reads take owners, never a scope, so that what may be seen is
decided in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agentmem.notes.episode import ExperienceTable
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
    "Change",
    "EditRow",
    "EnrichmentRow",
    "EnrichmentTable",
    "ErasingTable",
    "Facets",
    "LedgerEntry",
    "LedgerTable",
    "LinkRow",
    "LinkTable",
    "NextVectorTable",
    "NoteStore",
    "NoteTable",
    "OutboxItem",
    "OutboxTable",
    "PassageTable",
    "SavedEnrichment",
    "Selection",
    "TextRows",
    "TextTable",
    "Transaction",
    "UseDay",
    "UseSummary",
    "UseTable",
    "VectorTable",
]


class EnrichmentTable(Protocol):
    """Which notes a language model has seen, what it added, and which other notes that was made from."""

    def outstanding(self, owners: Sequence[int], attempts: int | None) -> list[int]:
        """Rows still to be enriched, those that failed last; ``attempts``: a note that failed as often is given up."""
        ...

    def load(self, rows: Sequence[int]) -> dict[int, EnrichmentRow]: ...
    def put(self, row: int, record: EnrichmentRow, at: int) -> None:
        """Record that a note is ``done`` or ``kept``, with the words it has now."""
        ...

    def failed(self, row: int, at: int) -> int:
        """Count a failed run on the words that the note has now; returns how many there were."""
        ...

    def add_sources(self, row: int, sources: Sequence[int]) -> None: ...
    def sources(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """What the enrichment of each of ``rows`` was made from besides itself, where it was."""
        ...

    def saved(self, rows: Sequence[int]) -> dict[int, SavedEnrichment]: ...
    def restore(self, row: int, saved: SavedEnrichment) -> None:
        """Write down the record of a note that has none yet."""
        ...

    def made_from(self, sources: Sequence[int]) -> list[int]:
        """Rows whose enrichment was made from any of ``sources``."""
        ...

    def clear(self, rows: Sequence[int]) -> int:
        """Forget the records of these rows and the reasons of their evolutions; returns how many records."""
        ...

    def counts(self, attempts: int) -> Mapping[str, int]:
        """How many notes are done, kept, failed (given up) and outstanding."""
        ...


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

    def terms_of(self, rows: Sequence[int]) -> dict[int, list[str]]:
        """The terms that each of ``rows`` mentions, in alphabetical order."""
        ...

    def terms_before(self, owner: int, row: int, terms: Sequence[str], limit: int) -> dict[str, list[int]]:
        """For each known term the last rows before ``row`` that mention it, at most ``limit``."""
        ...

    def terms_first(self, owner: int, terms: Sequence[str], limit: int) -> list[int]:
        """The rows among the first ``limit`` that mention one of these terms."""
        ...

    def terms_replace(self, owner: int, row: int, terms: Iterable[str]) -> None:
        """Remember what a note mentions now, in place of what it mentioned before."""
        ...

    def terms_add(self, owner: int, row: int, terms: Iterable[str]) -> None:
        """Remember which entities and rare keywords a note mentions."""
        ...

    def terms_add_many(self, mentions: Iterable[tuple[int, int, Iterable[str]]]) -> None:
        """The same for (owner, row, terms) each."""
        ...

    def terms_find(self, owner: int, terms: Sequence[str], limit: int = 32) -> dict[str, list[int]]:
        """For each term the most recent rows that mention it (all of them when fewer than ``limit``)."""
        ...

    def tombstone_add(self, owner: int, content_hash: bytes, at: int) -> None: ...
    def tombstone_find(self, owner: int, content_hash: bytes) -> int | None:
        """When content with this hash was last forgotten, or ``None``."""
        ...

    def has_tombstones(self, owner: int) -> bool: ...
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

    def idempotency_keys(self, rows: Sequence[int]) -> list[tuple[int, str]]:
        """(owner, key) of the idempotency records that led to these rows."""
        ...

    def idempotent_get(self, owner: int, key: str) -> Mapping[str, object] | None: ...
    def idempotent_put(self, owner: int, key: str, row: int | None, receipt: Mapping[str, object]) -> None: ...


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


class OutboxTable(Protocol):
    """What the vector index has still to see."""

    def put(self, op: str, owner: int, rows: Sequence[int]) -> None: ...
    def take(self, limit: int) -> list[OutboxItem]: ...
    def done(self, up_to: int) -> None: ...
    def count(self) -> int: ...
    def clear(self) -> None: ...


class UseTable(Protocol):
    """How notes were used, by day: what consolidation decides from."""

    def record(self, uses: Sequence[tuple[int, int, int]]) -> None:
        """(row, at, prompt tokens) each."""
        ...

    def summary(self, rows: Sequence[int], since: int = 0) -> dict[int, UseSummary]: ...
    def used(self, owners: Sequence[int], since: int = 0, limit: int = 1000) -> list[int]:
        """Rows with uses, most used first."""
        ...

    def days(self, rows: Sequence[int]) -> dict[int, list[UseDay]]:
        """The uses of those rows that have any, day by day, oldest first."""
        ...

    def restore(self, row: int, days: Sequence[UseDay]) -> None:
        """Write down the uses of a note that has none yet."""
        ...

    def delete(self, rows: Sequence[int]) -> int: ...


class LedgerTable(Protocol):
    """The books of consolidation: edits, their packs, leases, and an append-only ledger."""

    def append(
        self,
        at: int,
        event: str,
        *,
        note_id: str | None = None,
        edit_id: str | None = None,
        details: Mapping[str, object] | None = None,
        owner: int | None = None,
    ) -> None:
        """Write one line; it is of the owner of its note, who must be named once the note is gone."""
        ...

    def entries(
        self,
        *,
        after: int = 0,
        note_ids: Sequence[str] | None = None,
        event: str | None = None,
        limit: int | None = 1000,
    ) -> list[LedgerEntry]:
        """Lines after a sequence number, oldest first; of some notes or one event when those are given; all without a limit."""
        ...

    def put_edit(self, edit: EditRow) -> None: ...
    def edits(
        self,
        *,
        state: str | None = "active",
        note_ids: Sequence[str] | None = None,
        owners: Sequence[int] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[EditRow]: ...
    def delete_edits(self, ids: Sequence[str]) -> int: ...
    def held(self) -> int:
        """How many edits are active, whosever they are: the side memory is one for all."""
        ...

    def taken(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that name somebody's edit."""
        ...

    def forgotten(self, note_ids: Sequence[str]) -> Mapping[str, set[int | None]]:
        """Whose those of ``note_ids`` were that name a note which was forgotten; ``None`` where a line does not know."""
        ...

    def edited(self, ids: Sequence[str]) -> Mapping[str, set[int | None]]:
        """Whose those of ``ids`` are, or were, that name an edit, by the books; ``None`` where a line does not know."""
        ...

    def active_pack(self, method: str) -> tuple[str, int] | None:
        """(sha256 of the pack file, version) that every process should serve."""
        ...

    def set_active_pack(self, method: str, sha: str | None, at: int) -> int: ...
    def lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take or renew a lease; False when another holder's lease still runs."""
        ...

    def lease_holder(self, name: str) -> str | None: ...
    def release(self, name: str, holder: str) -> None: ...


class ErasingTable(Protocol):
    """What a forgetting has still to do after its commit: places whose bytes have to be scrubbed, and no word of what was forgotten."""

    def add(self, places: Sequence[str], at: int) -> None: ...
    def due(self) -> Mapping[str, int]:
        """The places that have to be scrubbed, each with the number of its newest entry."""
        ...

    def done(self, place: str, up_to: int) -> None:
        """A scrubbing that began when ``up_to`` was the newest entry is finished."""
        ...


class Transaction(Protocol):
    """All areas, in one transaction."""

    notes: NoteTable
    text: TextTable
    vectors: VectorTable
    next_vectors: NextVectorTable
    passages: PassageTable
    links: LinkTable
    outbox: OutboxTable
    uses: UseTable
    ledger: LedgerTable
    enrichment: EnrichmentTable
    experiences: ExperienceTable
    erasing: ErasingTable

    def admit(self, owners: Iterable[int]) -> None:
        """Bind what is left of this transaction to a request that may touch the notes of ``owners`` alone; it can only be narrowed.

        Whatever an area is asked for then, it hands out and changes nothing of anybody else (:mod:`agentmem.notes.admission`).
        """
        ...

    def as_job(self) -> AbstractContextManager[None]:
        """Not bound inside the block, for what keeps a store's own memory up to date and hands nothing of it to the request."""
        ...

    def need(self, owners: Iterable[int]) -> None:
        """Raise ScopeBreach unless ``owners`` are admitted: for what reads of them beside the areas, from memory."""
        ...

    def meta_get(self, key: str) -> str | None: ...
    def meta_set(self, key: str, value: str | None) -> None: ...


class NoteStore(Protocol):
    """The truth. ``write`` commits when its block ends and rolls everything back when it raises."""

    @property
    def read_only(self) -> bool:
        """Whether every write is refused."""
        ...

    def write(self) -> AbstractContextManager[Transaction]: ...
    def read(self) -> AbstractContextManager[Transaction]: ...
    def completing(self) -> AbstractContextManager[Transaction]:
        """A write of what lacks and follows from the notes: in the file, or in a copy of one that is only read, which is read from then on."""
        ...

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """A read for long work: it sees the store as it is now, and holds up nobody else in this process."""
        ...

    def data_version(self) -> int:
        """Changes whenever another connection or process has committed."""
        ...

    def check(self) -> list[str]:
        """Integrity problems of the store itself; empty when sound."""
        ...

    def erase(self, patience: float = 2.0) -> None:
        """Scrub what deletion left in free pages, index shadows and the write-ahead log, waiting for others so many seconds at a time."""
        ...

    def own_pages(self) -> Sequence[int]:
        """Pages of the file that hold numbers only, whatever lies in their unused room."""
        ...

    def stats(self) -> Mapping[str, int]: ...
    def close(self) -> None: ...
    def iterate(self, batch: int = 1000) -> Iterator[list[tuple[int, Note]]]:
        """Every note, by row, in batches."""
        ...
