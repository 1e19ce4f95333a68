"""The smallest store: every table a dict, in memory. Nothing is fast here, and everything is as the contract says: begin yours from it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from agentmem.errors import StoreError, StoreReadOnly
from agentmem.notes.clock import SystemClock, micros
from agentmem.notes.engine import Row
from agentmem.notes.filters import matches
from agentmem.notes.protocols import Clock
from agentmem.notes.rows import SHARED_OWNER, Selection, asks
from agentmem.notes.tables import (
    FACT,
    NOTE,
    OWNER,
    PASSAGE,
    TABLES,
    VERSION,
    Among,
    Each,
    Span,
    Table,
    Value,
    Where,
    Without,
    line_by_line,
)
from agentmem.records.codec import FACT_COLUMNS, decode
from agentmem.records.transaction import Transaction
from agentmem.runtime.forks import at_fork

__all__ = ["DictStore", "DictTables"]

_UNIQUE: Final[Mapping[Table, str]] = {NOTE: "uid", OWNER: "mac"}
_ORDERS: Final[Mapping[str, str]] = {"created": "created_at", "occurred": "occurred_at"}


class DictTables:
    """:class:`agentmem.notes.engine.Tables` on dicts: rows by their keys. Each change leaves behind how it is taken back."""

    def __init__(self) -> None:
        self.rows: dict[Table, dict[Row, Row]] = {table: {} for table in TABLES}
        self.numbers: dict[Table, int] = dict.fromkeys(TABLES, 0)
        self.undo: list[Callable[[], None]] = []
        self.depth = self.rollbacks = self.deletions = 0
        self.writes = False
        self.thread = 0
        self._secret = secrets.token_bytes(32)
        self._clearing: list[Callable[[], None]] = []
        self.rows[OWNER][(SHARED_OWNER,)] = (SHARED_OWNER, None, None, None)
        self.numbers[OWNER] = SHARED_OWNER

    def admitting(self, owners: frozenset[int]) -> DictTables:  # noqa: ARG002 - nothing is hidden here
        """The guard is all there is."""
        return self

    # -- writing ---------------------------------------------------------------------------------------------

    def put(self, table: Table, rows: Iterable[Sequence[Value]], *, keep: bool = False) -> int:
        """Write rows, each in the place of the one with its key, or with ``keep`` only where there is none."""
        last = 0
        for given in rows:
            row = tuple(
                None if each is None else kind(each) for kind, each in zip(table.columns.values(), given, strict=True)
            )
            if table.numbered and row[0] is None:
                last = self.numbers[table] = (
                    self.numbers[table] + 1
                )  # a number is given once, whatever becomes of the row
                row = (last, *row[1:])
            self._write(table, row, keep=keep)
        return last

    def change(self, table: Table, where: Where, values: Mapping[str, Value | Each]) -> int:
        """Write values into some columns of the rows for which every test holds."""
        changed = 0
        for tests, given in line_by_line(where, values):
            for row in list(self._found(table, tests)):
                self._write(table, tuple({**dict(zip(table.columns, row, strict=True)), **given}.values()), keep=False)
                changed += 1
        return changed

    def delete(self, table: Table, where: Where) -> int:
        """Remove the rows for which every test holds; with a note goes what names it."""
        found = list(self._found(table, where))
        for row in found:
            self._remove(table, row)
        if table is NOTE and found:
            gone = Among({row[0] for row in found})
            for other in TABLES:
                for column in other.notes if other is not NOTE and not other.stays else ():
                    self.delete(other, {column: gone})
            self.deletions += 1
            for clear in self._clearing:
                clear()
        return len(found)

    def keep_version(self, row: int) -> bool:
        """Let a note as it is now join its history; in memory it is what was written."""
        for found in self._found(NOTE, {"id": row}):
            self._write(
                VERSION, tuple(_of(NOTE, found, name) for name in ("id", *list(VERSION.columns)[1:])), keep=False
            )
        return True

    def _write(self, table: Table, row: Row, *, keep: bool) -> None:
        self._need(write=True)
        key = _key(table, row)
        former = self.rows[table].get(key)
        if former is not None and keep:
            return
        self._check(table, row, key)
        self._set(table, key, row)
        if table.log is not None:
            self._note_change(table.log, row, removed=False)

    def _remove(self, table: Table, row: Row) -> None:
        self._need(write=True)
        self._set(table, _key(table, row), None)
        if table.log is not None and table is not PASSAGE:
            self._note_change(table.log, row, removed=True)

    def _need(self, *, write: bool) -> None:
        if not self.depth or self.thread != threading.get_ident():
            raise StoreError(
                "A transaction was used outside of its with block.", hint="use store.read() or store.write()."
            )
        if write and not self.writes:
            raise StoreReadOnly("This is a read.", hint="use store.write().")

    def _check(self, table: Table, row: Row, key: Row) -> None:
        """What a row names is there, and what only one may bear is borne by one."""
        for column in () if table is NOTE or table.stays else table.notes:
            if (_of(table, row, column),) not in self.rows[NOTE]:
                raise _contradiction(table, f"there is no note {_of(table, row, column)}")
        column = _UNIQUE.get(table, "")
        if column and _of(table, row, column) is not None:
            for other in self.rows[table].values():
                if _of(table, other, column) == _of(table, row, column) and _key(table, other) != key:
                    raise _contradiction(table, f"its {column} is taken")

    def _set(self, table: Table, key: Row, row: Row | None) -> None:
        rows = self.rows[table]
        former = rows.get(key)

        def back() -> None:
            if former is None:
                rows.pop(key, None)
            else:
                rows[key] = former

        self.undo.append(back)
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row

    def _note_change(self, log: Table, row: Row, *, removed: bool) -> None:
        for line in list(self._found(log, {"row": row[0]})):
            self._set(log, _key(log, line), None)
        self.numbers[log] += 1
        self._set(log, (self.numbers[log],), (self.numbers[log], row[1], row[0], int(removed)))

    # -- reading ---------------------------------------------------------------------------------------------

    def find(
        self,
        table: Table,
        where: Where,
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[str] | None = None,
        newest: bool = False,
        limit: int | None = None,
        often: bool = False,  # noqa: ARG002 - nothing is dear here
    ) -> list[Row]:
        """The rows for which every test holds."""
        found = list(self._found(table, where))
        by = table.key if order is None else order
        if by:
            found.sort(key=lambda row: [_sortable(_of(table, row, name)) for name in by], reverse=newest)
        wanted = table.columns if columns is None else columns
        return [tuple(_of(table, row, name) for name in wanted) for row in found[:limit]]

    def find_of_each(
        self,
        table: Table,
        where: Where,
        each: str,
        *,
        columns: Sequence[str],
        order: str,
        limit: int,
        newest: bool = False,
    ) -> list[Row]:
        """At most ``limit`` rows for each value of one column, of which the condition names some; those that come first by ``order``."""
        found: list[Row] = []
        for value in dict.fromkeys(where[each].values):
            part = self.find(table, {**where, each: value}, columns=columns, order=(order,), newest=newest, limit=limit)
            found += part[::-1] if newest else part
        return found

    def values(self, table: Table, where: Where, column: str) -> list[Any]:
        """The values of one column in the rows for which every test holds, each once, ascending."""
        return sorted({_of(table, row, column) for row in self._found(table, where)} - {None})

    def lacking(self, table: Table, *, after: int = 0, longer: int = -1, limit: int | None = None) -> list[int]:
        """The notes beyond row ``after``, of more than ``longer`` characters, that have no row in a table; ascending, at most ``limit``."""
        found = self._found(NOTE, {"id": Span(above=after), "length": Span(above=longer)})
        return sorted(row[0] for row in found if (row[0],) not in self.rows[table])[:limit]

    def count(self, table: Table, where: Where, *, most: int | None = None) -> int:
        """How many rows there are for which every test holds; with ``most`` no further than that."""
        found = sum(1 for _ in self._found(table, where))
        return found if most is None else min(found, most)

    def select(
        self,
        selection: Selection,
        *,
        among: Sequence[int] | None = None,
        order: str = "created",
        after: int | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[int]:
        """Rows of the notes that a selection admits."""
        rows = [row for row in self.rows[NOTE].values() if self._admits(selection, row)]
        if among is not None:
            admitted = {row[0] for row in rows}
            return [row for row in among if row in admitted]
        if order == "row":
            return sorted(row[0] for row in rows if row[0] > (after or 0))[:limit]
        moment = _ORDERS[order.removeprefix("-")]
        rows.sort(key=lambda row: (_of(NOTE, row, moment), row[0]), reverse=order.startswith("-"))
        return [row[0] for row in rows[offset:]][:limit]

    def count_selected(self, selection: Selection, *, most: int | None = None) -> int:
        """How many notes a selection admits; with ``most`` no further than that."""
        found = len(self.select(selection))
        return found if most is None else min(found, most)

    def _found(self, table: Table, where: Where) -> Iterator[Row]:
        self._need(write=False)
        tests = [(table.places[name], test) for name, test in where.items()]
        for row in list(self.rows[table].values()):
            if all(_holds(test, row[place]) for place, test in tests):
                yield row

    def _admits(self, selection: Selection, row: Row) -> bool:
        def of(name: str) -> Any:
            return _of(NOTE, row, name)

        if (
            of("id") in selection.without
            or of("owner") not in selection.owners
            or (of("archived_at") is not None and not selection.archived)
        ):
            return False
        for name in ("agent", "session"):
            wanted = getattr(selection, name)
            if wanted is not None and of(name) not in (None, wanted):
                return False
        if not selection.closed:
            start, end, moment = of("valid_from"), of("valid_to"), selection.as_of
            if moment is None and end is not None:
                return False
            if moment is not None and ((start or moment) > moment or (end is not None and end <= moment)):
                return False
        return selection.where is None or matches(selection.where, self._note(row))

    def _note(self, row: Row) -> Any:
        told = self.find(FACT, {"row": row[0]}, columns=FACT_COLUMNS)
        return decode(row, told, self.rows[OWNER][(row[1],)][1])

    # -- about the store -------------------------------------------------------------------------------------

    def secret(self) -> bytes:
        """What keyed digests are made with."""
        return self._secret

    @property
    def writing(self) -> bool:
        """Whether this is a write."""
        return self.writes

    def moment(self) -> object:
        """Equal as long as no write fails and nothing is deleted, inside writes or outside."""
        return self.rollbacks, self.deletions, self.writes

    def when_invalidated(self, clear: Callable[[], None]) -> None:
        """Have ``clear`` called as soon as notes are deleted."""
        self._clearing.append(clear)


class DictStore:
    """:class:`agentmem.records.transaction.NoteStore` in memory: one transaction at a time, nested ones as parts of it.

    Args:
        clock: dates the versions of notes.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._begin_anew()
        at_fork(self._begin_anew)
        self._tables = DictTables()
        self._transaction = Transaction(self._tables, self._clock)
        self._closed = False

    read_only = False

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()

    @property
    def rollbacks(self) -> int:
        """How many writes were taken back."""
        return self._tables.rollbacks

    @property
    def writing(self) -> bool:
        """Whether a write is going on."""
        return self._tables.writes

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is taken back when its block raises; inside another write, a part that can fail on its own."""
        with self._lock:
            tables = self._tables
            if self._closed:
                raise StoreError("The store is closed.", hint="open it again.")
            if tables.depth and not tables.writes:
                raise StoreError("A write was begun inside a read.", hint="finish the read first.")
            tables.thread = threading.get_ident()
            mark, outer = len(tables.undo), tables.writes
            tables.depth, tables.writes = tables.depth + 1, True
            try:
                with self._transaction.admission.lasting():
                    yield self._transaction
            except BaseException:
                while len(tables.undo) > mark:
                    tables.undo.pop()()
                tables.rollbacks += 1
                raise
            finally:
                tables.depth, tables.writes = tables.depth - 1, outer
                if not tables.depth:
                    tables.undo.clear()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """What is there now; inside a write, that write's own view."""
        with self._lock:
            if self._closed:
                raise StoreError("The store is closed.", hint="open it again.")
            self._tables.thread = threading.get_ident()
            self._tables.depth += 1
            try:
                with self._transaction.admission.lasting():
                    yield self._transaction
            finally:
                self._tables.depth -= 1

    completing = write
    snapshot = read

    def check(self) -> list[str]:
        """Nothing can be damaged here."""
        return []

    def erase(self, patience: float = 2.0) -> None:  # noqa: ARG002 - nobody is waited for
        """Nothing stays behind of what was deleted; what is noted as due is done."""
        with self.write() as tx:
            tx.erasing.add(("file",), micros(self._clock.now()))
            tx.erasing.done("file", tx.erasing.due()["file"])

    def own_pages(self) -> tuple[int, ...]:
        """There is no file."""
        return ()

    def size(self) -> int:
        """Bytes on a disk: none."""
        return 0

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            if self._tables.depth:
                raise StoreError("The store was closed inside a transaction.", hint="leave the with block first.")
            self._closed = True


def _of(table: Table, row: Row, name: str) -> Any:
    if name == "asks":
        return asks(row[-1])
    return row[table.places[name]]


def _key(table: Table, row: Row) -> Row:
    return tuple(_of(table, row, name) for name in table.key)


def _sortable(value: Any) -> tuple[bool, Any]:
    """Nothing comes before something."""
    return (value is not None, value)


def _holds(test: Any, value: Any) -> bool:
    if isinstance(test, Among):
        return value in test.values
    if isinstance(test, Without):
        return value is not None and value not in test.values
    if isinstance(test, Span):
        if value is None:
            return False
        return (
            (test.above is None or value > test.above)
            and (test.below is None or value < test.below)
            and (test.least is None or value >= test.least)
            and (test.most is None or value <= test.most)
        )
    return bool(value == test)


def _contradiction(table: Table, why: str) -> StoreError:
    return StoreError(
        f"The write contradicts what is stored: in {table.name}, {why}.",
        hint="the note, owner or link end it refers to does not exist, or the id is taken.",
    )
