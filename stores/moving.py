"""A whole store copied into another, of whichever kind: table by table, until both hold the same.

An export carries what may be told to others; a move carries everything, tombstones and marks included. These are keyed with the secret of the store and
with the number of the owner, so rows are copied as they are, and the secret goes before them.

Each pass reads one snapshot of the source and makes the target equal to it, batch by batch: what lacks is put, what differs is replaced, what has gone
is removed. So a move that was killed goes on by beginning again, which writes nothing that is there already; and the pass that finds nothing to do is
the proof that both are the same. Until then the target bears a mark, and nobody can open it as a memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from agentmem.errors import InvalidArgument, StoreCorrupt, StoreError, StoreReadOnly, StoreUnfinished
from agentmem.files.sqlite_files import BOUND_TO
from agentmem.notes.engine import Row, Tables
from agentmem.notes.tables import (
    EDIT,
    ERASING,
    EVIDENCE,
    KEY,
    LEASE,
    LEDGER,
    META,
    NOTE,
    OUTBOX,
    PACK,
    TABLES,
    TOMBSTONE,
    VECTOR_CHANGE,
    WORDS_CHANGE,
    Span,
    Table,
    Where,
)
from agentmem.records.pack_place import PLACE, place_of
from agentmem.records.transaction import NoteStore
from agentmem.stores.chroma.indexer import STATE as CHROMA

__all__ = ["Adopting", "Moved", "Packed", "PacksOfStore", "Progress", "TableMoved", "move", "refuse_unfinished"]

Progress = Callable[[str, int, int], None]
"""Told the name of a table, how many of its rows were looked at, and of how many."""

MARK: Final = "moving"
"""Under this key the target says from which store it is being filled."""
_SECRET: Final = "tombstone_key"  # noqa: S105 - its name
_OF_THE_PLACE: Final = frozenset(
    (
        MARK,
        _SECRET,
        f"{_SECRET}_seal",
        BOUND_TO,
        "directory_left",
        CHROMA,
        "index_purge_wanted",
        "near_index",
        PLACE,
    )
)
"""What a store keeps of the directory or the server that it lies in."""
_STAYS: Final = frozenset((OUTBOX, LEASE, ERASING, VECTOR_CHANGE, WORDS_CHANGE))
"""What is going on in one place, and is made anew in another: the logs are written while rows are."""
_MOVED: Final = tuple(table for table in TABLES if table not in _STAYS)
_TRUTH: Final = (NOTE, LEDGER, TOMBSTONE, EDIT, KEY, EVIDENCE)
_ALONG: Final[Mapping[Table, str]] = {META: "key", PACK: "method", TOMBSTONE: "mac", KEY: "key", EDIT: "id"}
"""The column by which a table is read in pieces; others by the first note that a row names, or by their number."""
_BATCH: Final = 2_000
_PASSES: Final = 6


class Adopting(NoteStore, Protocol):
    """A store that can be filled from another."""

    def adopt(self, secret: bytes) -> None:
        """Take over the secret of another store, before anything was keyed with one's own."""
        ...


class PacksOfStore(Protocol):
    """Packs of edits under the hash of their bytes."""

    @property
    def place(self) -> str | None: ...
    def put(self, data: bytes) -> str: ...
    def get(self, sha: str) -> bytes: ...


@dataclass(frozen=True)
class Packed:
    """A store, the packs of its edits, and how both are called where a password must not be read."""

    store: Adopting
    packs: PacksOfStore
    place: str


@dataclass(frozen=True, slots=True)
class TableMoved:
    """One table when both stores held the same.

    Attributes:
        digest: of all its rows, whatever their order: 32 hex digits.
    """

    name: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did, and the proof that nothing is missing.

    Attributes:
        written: rows that were put or replaced; removed: rows of the target that the source had no more.
        passes: how often the source was read; the last one found no difference.
        packs: packs of edits that are served from the target now.
        problems: what the target's own check found; empty when it is sound.
    """

    tables: tuple[TableMoved, ...]
    written: int
    removed: int
    passes: int
    packs: int
    problems: tuple[str, ...] = ()

    @property
    def notes(self) -> int:
        """How many notes the target has."""
        return next(table.rows for table in self.tables if table.name == NOTE.name)


@dataclass
class _Counts:
    written: int = 0
    removed: int = 0
    digests: dict[Table, _Digest] = field(default_factory=dict)


@dataclass
class _Digest:
    """A sum of the digests of rows: the same in whatever order they come."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        for row in rows:
            made = hashlib.blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            self.total = (self.total + int.from_bytes(made, "big")) % (1 << 128)


def move(
    source: Packed,
    target: Packed,
    *,
    progress: Progress = lambda table, done, total: None,
    fail: Callable[[str], None] = lambda step: None,
) -> Moved:
    """Make ``target`` what ``source`` is; the source is read, and not changed.

    Args:
        fail: called with the name of each durable step; tests stop the process there.

    Raises:
        StoreCorrupt: the source is damaged: copied rows would be sealed as if they had been written so.
        InvalidArgument: there are notes in the target that did not come from the source.
        StoreError: the source is written all the time, or a store cannot be read or written; called again, it goes on.
    """
    if trouble := source.store.check():
        raise StoreCorrupt(
            f"{source.place} is damaged, and a copy would hide it: {'; '.join(trouble[:3])}.",
            hint="agentmem check says all of it; mend it, or restore the last backup, and move that.",
        )
    if target.store.read_only:
        raise StoreReadOnly(f"{target.place} cannot be written.", hint="name another place, or check its rights.")
    _need_packs(source)
    _begin(source, target)
    fail("move:begun")
    counts, passes = _Counts(), 0
    while True:
        passes += 1
        before = counts.written + counts.removed
        counts.digests = {}
        for table in _MOVED:
            _copy(table, source.store, target.store, counts, progress, fail)
        packs = _copy_packs(source, target)
        fail("move:pass")
        if counts.written + counts.removed == before:
            break
        if passes == _PASSES:
            raise StoreError(
                f"{source.place} is being written all the time: after {passes} passes it still is not what was copied.",
                hint="stop whoever writes there, and move again: it goes on where it is.",
            )
    with target.store.write() as tx:
        tx.meta_set(MARK, None)
    fail("move:done")
    tables = tuple(TableMoved(table.name, found.rows, f"{found.total:032x}") for table, found in counts.digests.items())
    return Moved(tables, counts.written, counts.removed, passes, packs, tuple(target.store.check()))


def refuse_unfinished(store: NoteStore, place: str) -> None:
    """Nobody opens what is half of a memory.

    Raises:
        StoreUnfinished: a move into this store has begun, and has not come to its end.
    """
    with store.read() as tx:
        if tx.meta_get(MARK) is None:
            return
    raise StoreUnfinished(
        f"{place} is being filled from another memory, and does not hold all of it yet.",
        hint="agentmem --path SOURCE move TARGET goes on where it was, with the same source; or remove what is there and begin anew.",
    )


def _need_packs(source: Packed) -> None:
    with source.store.read() as tx:
        elsewhere = place_of(tx)
    if elsewhere is not None and elsewhere.at is not None and source.packs.place is None:
        raise InvalidArgument(
            f"The packs of {source.place} are not with its notes, but at {elsewhere.at}.",
            hint="name that place: move(…, packs=…), on the command line --packs.",
        )


def _begin(source: Packed, target: Packed) -> None:
    """Mark the target, and give it the secret; after a kill, find both there."""
    with source.store.read() as tx:
        secret = tx.tables.secret()
    whose = hashlib.blake2b(secret, digest_size=16, person=b"agentmem move").hexdigest()
    with target.store.write() as tx:
        found = tx.meta_get(MARK)
        if found == whose:
            return
        if found is not None:
            raise InvalidArgument(
                f"{target.place} is being filled from another memory than {source.place}.",
                hint="finish that move with its own source, or name an empty place.",
            )
        held = sorted(table.name for table in _TRUTH if tx.tables.count(table, {}, most=1))
        if held:
            raise InvalidArgument(
                f"{target.place} is no empty place: it has rows of {', '.join(held)}.",
                hint="name a new directory or an empty database; into a memory with notes of its own goes an export: agentmem export, agentmem import.",
            )
        tx.meta_set(MARK, whose)
        target.store.adopt(secret)


def _copy(
    table: Table, source: NoteStore, target: NoteStore, counts: _Counts, progress: Progress, fail: Callable[[str], None]
) -> None:
    """One table, from one snapshot."""
    digest = counts.digests.setdefault(table, _Digest())
    with source.snapshot() as tx:
        total, last = tx.tables.count(table, {}), None
        for span, rows in _pieces(tx.tables, table):
            wanted = _of_everybody(table, rows)
            written, removed = _make_equal(target, table, span, wanted)
            counts.written += written
            counts.removed += removed
            digest.add(wanted)
            last = span.most
            progress(table.name, digest.rows, total)
            fail(f"move:{table.name}")
    counts.removed += _make_equal(target, table, Span(above=last), [])[1]


def _pieces(tables: Tables, table: Table) -> Iterator[tuple[Span, list[Row]]]:
    """The rows of a table along one column, each piece with the span of its values; rows of one value stay together."""
    along = _along(table)
    place, last = table.places[along], None
    while True:
        where: Where = {} if last is None else {along: Span(above=last)}
        rows = tables.find(table, where, order=(along,), limit=_BATCH)
        if not rows:
            return
        if len(rows) == _BATCH:
            end = rows[-1][place]
            whole = [row for row in rows if row[place] != end]
            rows = whole or tables.find(table, {along: end}, order=())
        yield Span(above=last, most=rows[-1][place]), rows
        last = rows[-1][place]


def _along(table: Table) -> str:
    return _ALONG.get(table) or (table.notes[0] if table.notes else table.key[0])


def _make_equal(store: NoteStore, table: Table, span: Span, wanted: Sequence[Row]) -> tuple[int, int]:
    """How many rows were written, and how many removed, so that a span of the target holds just these."""
    where = {_along(table): span}
    with store.read() as tx:
        here = _of_everybody(table, tx.tables.find(table, where, order=()))
    known, wished = set(here), set(wanted)
    if known == wished:
        return 0, 0
    keys = {_key(table, row) for row in wanted}
    gone = [row for row in here if _key(table, row) not in keys]
    lacking = [row for row in wanted if row not in known]
    with store.write() as tx:
        _remove(tx.tables, table, gone)
        if lacking:
            tx.tables.put(table, lacking)
    return len(lacking), len(gone)


def _remove(tables: Tables, table: Table, rows: Sequence[Row]) -> None:
    for row in rows:
        tables.delete(table, dict(zip(table.key, _key(table, row), strict=True)))


def _key(table: Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[table.places[name]] for name in table.key)


def _of_everybody(table: Table, rows: Sequence[Row]) -> list[Row]:
    """The rows that go along: of a store's own sheet not those that tell where it lies."""
    return [row for row in rows if row[0] not in _OF_THE_PLACE] if table is META else list(rows)


def _copy_packs(source: Packed, target: Packed) -> int:
    """The packs that serve; the rows that name them are there."""
    with source.store.read() as tx:
        rows = tx.tables.find(PACK, {}, columns=("method", "version", "sha"))
    serving = {method: sha for method, _, sha in sorted(rows, key=lambda row: row[:2])}
    named = {sha for sha in serving.values() if sha is not None}
    for sha in sorted(named):
        target.packs.put(source.packs.get(sha))
    return len(named)
