"""One transaction as the verbs use it: the areas of a store, each behind the guard, and the store itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

from agentmem.notes.admission import Admission
from agentmem.notes.engine import Tables
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.protocols import Clock
from agentmem.notes.spaces import lived
from agentmem.notes.tables import (
    EDIT,
    EVIDENCE,
    EXPERIENCE,
    FACT,
    LEDGER,
    LINK,
    META,
    NOTE,
    OUTBOX,
    OWNER,
    PASSAGE,
    RECORD,
    TOMBSTONE,
    VECTOR,
    VERSION,
    WORDS,
    Among,
    Span,
    Table,
)
from agentmem.records.enrichment import Enrichment
from agentmem.records.erasing import Erasing
from agentmem.records.evidence import EvidenceRows
from agentmem.records.experiences import Experiences
from agentmem.records.keyed import Keyed
from agentmem.records.ledger import Ledger
from agentmem.records.links import Links
from agentmem.records.notes import Notes
from agentmem.records.outbox import Outbox
from agentmem.records.owners import Owners
from agentmem.records.readings import Readings
from agentmem.records.repeats import Keys, Tombstones
from agentmem.records.terms import Terms
from agentmem.records.threads import Threads
from agentmem.records.uses import Uses
from agentmem.records.vectors import NextVectors, VectorsOfNotes, VectorsOfPassages
from agentmem.records.words import Words

__all__ = ["NoteStore", "Transaction"]


_COUNTED: Final[Mapping[str, Table]] = {
    "notes": NOTE,
    "versions": VERSION,
    "facts": FACT,
    "text": WORDS,
    "vectors": VECTOR,
    "passages": PASSAGE,
    "links": LINK,
    "outbox": OUTBOX,
    "edits": EDIT,
    "ledger": LEDGER,
    "tombstones": TOMBSTONE,
    "experiences": EXPERIENCE,
    "records": RECORD,
    "evidence": EVIDENCE,
}


class _Held(NamedTuple):
    """What the guard asks: whose a row is, whosever it is."""

    tables: Tables

    @property
    def rollbacks(self) -> int:
        return self.tables.rollbacks

    def owners_of(self, rows: Sequence[int]) -> Mapping[int, int]:
        return dict(self.tables.find(NOTE, {"id": Among(rows)}, columns=("id", "owner"), order=()))

    def rows_of(self, ids: Sequence[str]) -> Mapping[str, int]:
        return dict(self.tables.find(NOTE, {"uid": Among(ids)}, columns=("uid", "id"), order=()))

    def of_owner(self, owner: int, limit: int) -> Sequence[int]:
        return [row for (row,) in self.tables.find(NOTE, {"owner": owner}, columns=("id",), order=(), limit=limit)]


class Transaction:
    """What happens between ``with store.write() as tx:`` and its end happens completely or not at all.

    Args:
        tables: the store's own.
        clock: dates the versions of notes.

    Attributes:
        tables: the store's own, whosever rows they are: for jobs that compare and mend.
    """

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self.tables = tables
        self.admission = Admission(_Held(tables))
        mine, secret = GuardedTables(tables, self.admission), tables.secret
        self.notes = Notes(mine, tables, Owners(mine, tables, secret), clock)
        self.threads = Threads(mine, tables)
        self.text = Words(mine, tables, secret)
        self.vectors = VectorsOfNotes(mine, tables)
        self.next_vectors = NextVectors(mine, tables)
        self.passages = VectorsOfPassages(mine, tables)
        self.links = Links(mine, tables)
        self.terms = Terms(mine, tables)
        self.readings = Readings(mine, tables)
        self.keys = Keys(mine, tables, secret)
        self.tombstones = Tombstones(mine, tables, secret)
        self.outbox = Outbox(mine, tables)
        self.uses = Uses(mine, tables)
        self.evidence = EvidenceRows(mine, tables)
        self.ledger = Ledger(mine, tables)
        self.enrichment = Enrichment(mine, tables)
        self.experiences = Experiences(mine, tables, secret)
        self.keyed = Keyed(mine, tables)
        self.erasing = Erasing(mine, tables)

    def admit(self, owners: Iterable[int]) -> None:
        """Bind what is left of this transaction, or of the part of it that is going on, to a request that may touch the notes of
        these owners alone. Nothing of anybody else is handed out or changed from here on.

        Raises:
            ScopeBreach: it is bound already, and not to all of these.
        """
        self.admission.admit(owners)

    def as_job(self) -> AbstractContextManager[None]:
        """Not bound inside the block: for what keeps something of everybody's up to date on the way, and hands out nothing."""
        return self.admission.lifted()

    def need(self, owners: Iterable[int]) -> None:
        """Raise unless ``owners`` are admitted: for what was read before and is kept outside of the store, such as vectors in memory."""
        self.admission.need(owners, "a search in memory")

    def spaces(self, rows: Sequence[int]) -> dict[int, int]:
        """In which space the vector and the words of each of those rows lie that exist."""
        owners, acted = self.notes.owners_of(rows), self.experiences.among(rows)
        return {row: lived(owners[row]) if row in acted else owners[row] for row in rows if row in owners}

    def by_space(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """Those of ``rows`` that exist, by their space."""
        found: dict[int, list[int]] = {}
        for row, space in self.spaces(rows).items():
            found.setdefault(space, []).append(row)
        return found

    def counts(self) -> Mapping[str, int]:
        """How much there is of everything; a job's question."""
        self.admission.refuse("counting everybody's notes")
        shared = self.tables.count(OWNER, {"mac": None})
        named = sum(self.tables.count(OWNER, {name: Span()}) for name in ("user", "agent"))
        return {name: self.tables.count(table, {}) for name, table in _COUNTED.items()} | {"owners": shared + named}

    def meta_get(self, key: str) -> str | None:
        """A value kept with the store, or ``None``."""
        found = self.tables.find(META, {"key": key}, columns=("value",))
        return str(found[0][0]) if found else None

    def meta_set(self, key: str, value: str | None) -> None:
        """Keep a value with the store; ``None`` removes it."""
        if value is None:
            self.tables.delete(META, {"key": key})
        else:
            self.tables.put(META, [(key, value)])


class NoteStore(Protocol):
    """The truth. ``write`` commits when its block ends and rolls everything back when it raises."""

    @property
    def read_only(self) -> bool:
        """Whether every write is refused."""
        ...

    @property
    def rollbacks(self) -> int:
        """How many writes were taken back."""
        ...

    @property
    def writing(self) -> bool:
        """Whether a write of this thread is going on."""
        ...

    def write(self) -> AbstractContextManager[Transaction]: ...
    def read(self) -> AbstractContextManager[Transaction]: ...
    def completing(self) -> AbstractContextManager[Transaction]:
        """A write of what lacks and follows from the notes: in the file, or in a copy of one that is only read, which is read from then on."""
        ...

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """A read for long work: it sees the store as it is now, and holds up nobody else in this process."""
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

    def size(self) -> int:
        """Bytes on disk."""
        ...

    def close(self) -> None: ...
