"""The store: one SQLite file, transactions over all its areas, and its own upkeep."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agentmem.errors import AgentMemError, StoreFull, StoreLocked
from agentmem.notes.clock import SystemClock, micros
from agentmem.notes.protocols import Clock
from agentmem.records.transaction import Transaction
from agentmem.stores.sqlite.beside import Scrub, scrub_beside
from agentmem.stores.sqlite.connection import Database, Durability, Tracer, read_only
from agentmem.stores.sqlite.marks import teach as teach_marks
from agentmem.stores.sqlite.migrations import adopt, is_current, migrate
from agentmem.stores.sqlite.misfits import misfits
from agentmem.stores.sqlite.reading import ReadOnlyFile
from agentmem.stores.sqlite.scrub import FILE
from agentmem.stores.sqlite.seals import broken
from agentmem.stores.sqlite.tables import SqliteTables
from agentmem.stores.sqlite.where import prepare as teach_filters

__all__ = ["SqliteStore"]


_PAUSES: Final = (0.005, 0.02, 0.08, 0.3, 1.0)  # seconds before a file that is being written is read again
_IN_MEMORY: Final = 256 * 2**20  # a larger store is not copied through memory when it is erased


def prepare(connection: sqlite3.Connection) -> None:
    """Teach a connection what the statements of a store ask for."""
    teach_filters(connection)
    teach_marks(connection)


class SqliteStore:
    """:class:`agentmem.records.transaction.NoteStore` in one SQLite file.

    Args:
        path: the database file; its directory must exist. ``None`` keeps everything in memory.
        durability: ``full`` survives a power failure; ``normal`` is faster and may lose the last commits to one.
        clock: dates the versions of notes.
        tracer: called with every statement and its parameters.
        read_only: open a file that is there for reading; nothing is written to it or beside it, and `write` raises.
        scrub: blanks what deleted rows left in the file.

    Raises:
        StoreReadOnly: the file or its directory cannot be written.
        StoreCorrupt: the file is damaged, not ours, or from a newer version.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        durability: Durability = "full",
        clock: Clock | None = None,
        tracer: Tracer | None = None,
        read_only: bool = False,
        scrub: Scrub = scrub_beside,
    ) -> None:
        self.path = None if path is None else Path(path)
        self._scrub = scrub
        self._read_only = read_only and path is not None
        self._reading = ReadOnlyFile(self.path) if read_only and self.path is not None else None
        self._through = self._reading
        self._db = Database(self.path, durability=durability, tracer=tracer, prepare=prepare, reading=self._through)
        try:
            self._bring_up_to_date()
        except BaseException:
            self.close()
            raise
        self._clock = clock or SystemClock()
        self._transaction = Transaction(SqliteTables(self._db), self._clock)

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading; every write is refused then."""
        return self._read_only

    @property
    def rollbacks(self) -> int:
        """How many writes were rolled back: what was read inside them may never have been."""
        return self._db.rollbacks

    @property
    def writing(self) -> bool:
        """True inside a write of this thread."""
        return self._db.writing

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that commits when its block ends and rolls everything back when it raises.

        Inside another write of the same thread it is a part of that one, which can fail on its own.
        """
        if self._read_only:
            raise read_only(self._db.place)
        with self._db.transaction(write=True), self._transaction.admission.lasting():
            yield self._transaction

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view of the store that cannot write; inside a write, that write's own view."""
        with self._db.transaction(write=False), self._transaction.admission.lasting():
            yield self._transaction

    @contextmanager
    def completing(self) -> Iterator[Transaction]:
        """A write of what lacks and follows from the notes: in the file, or in a copy of one that is only read, which is read from then on."""
        if self._through is not None:
            self._copy()
            self._transaction = Transaction(SqliteTables(self._db), self._clock)
        with self._db.transaction(write=True):
            yield self._transaction

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """A read for long work, on a connection of its own where the store is a file: nobody waits for its end."""
        if self.path is None:
            with self.read() as tx:
                yield tx
            return
        database = Database(self.path, prepare=prepare, reading=self._through)
        try:
            with database.transaction(write=False):
                yield Transaction(SqliteTables(database), self._clock)
        finally:
            database.close()

    def adopt(self, secret: bytes) -> None:
        """Take over the secret of another store, before anything was keyed with one's own."""
        with self.write():
            adopt(self._db, secret)
            self._transaction = Transaction(SqliteTables(self._db), self._clock)

    def data_version(self) -> int:
        """Changes whenever another connection or process has committed."""
        with self._db.transaction(write=False):
            return int(self._db.value("PRAGMA data_version"))

    def check(self) -> list[str]:
        """Integrity problems of the store; empty when sound."""
        found: list[str] = []
        for look in (self._turns, self._damage, self._misfits):
            try:
                found += look()
            except AgentMemError as error:  # damage that keeps one look from its end must not hide what others find
                found.append(error.message)
        return found

    def _turns(self) -> list[str]:
        trouble = self._db.turns.trouble
        cure = "keep it on a local disk, or let one process write"
        return [f"writing processes take no turns, and may starve each other: {trouble}; {cure}"] if trouble else []

    def _damage(self) -> list[str]:
        with self._db.transaction(write=False):
            found = [f"file: {text}" for (text,) in self._db.rows("PRAGMA integrity_check(20)") if text != "ok"]
            missing = self._db.rows("PRAGMA foreign_key_check")
            return found + [
                f"table {table}: row {row} refers to a missing {parent}" for table, row, parent, _ in missing
            ]

    def _misfits(self) -> list[str]:
        with self._db.transaction(write=False):
            return broken(self._db) + misfits(self._db)

    def erase(self, patience: float = 2.0) -> None:
        """Scrub what deletion left behind: in the gaps of pages, in the write-ahead log.

        ``secure_delete`` overwrites a deleted row at once, but not the copies that SQLite left in unused parts of pages
        when it moved rows about; the log keeps old pages until it is truncated. So both are scrubbed beside this process, while
        others go on writing (:mod:`agentmem.stores.sqlite.scrub`). What could not be finished stays in the table ``erasing``.

        Args:
            patience: seconds to wait for readers, and for each turn to write.

        Raises:
            StoreLocked: others read or write all the time, so it could not be finished.
            StoreFull: there is no room on the disk for the few pages that it takes.
        """
        with self._db.transaction(write=True):
            due = self._transaction.erasing.due().get(FILE, 0)
            if self.path is None:
                self._transaction.erasing.done(FILE, due)
            elif not due:
                self._transaction.erasing.add((FILE,), micros(self._clock.now()))
        if self.path is None:
            return
        report = self._scrub(self.path, patience)
        if report is None:
            self._write_anew()
        elif report.full:
            raise StoreFull(
                f"The disk of {self.path} is full.", hint="free some space on the disk; the next call goes on."
            )
        elif not report.done:
            raise StoreLocked(
                f"The file could not be scrubbed: {report.why}.",
                hint="call erase() again when the others have finished.",
            )

    def _write_anew(self) -> None:
        """Where no process can be started: every page is written anew, which others have to wait for."""
        last = self._latest_due()
        large = self._size() > _IN_MEMORY
        self._db.outside(f"PRAGMA temp_store={'FILE' if large else 'MEMORY'}")
        try:
            self._db.outside("VACUUM")
        finally:
            self._db.outside("PRAGMA temp_store=MEMORY")
        busy, _, _ = self._db.outside("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy:
            raise StoreLocked(
                "The write-ahead log could not be truncated: another process is reading.",
                hint="call erase() again when it has finished.",
            )
        with self._db.transaction(write=True):
            self._transaction.erasing.done(FILE, last)

    def own_pages(self) -> tuple[int, ...]:
        """The pages that :meth:`erase` writes itself, with numbers only, when it has blanked all others."""
        with self._db.transaction(write=False):
            return tuple(
                page
                for (page,) in self._db.rows("SELECT rootpage FROM sqlite_schema WHERE name IN ('erasing', 'scrubbed')")
            )

    def _latest_due(self) -> int:
        with self._db.transaction(write=False):
            return self._transaction.erasing.due().get(FILE, 0)

    def size(self) -> int:
        """Bytes of the file, without its log."""
        with self._db.transaction(write=False):
            return self._size()

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        self._db.close()
        if self._reading is not None:
            self._reading.close()

    def _size(self) -> int:
        with self._db.transaction(write=False):
            return int(self._db.value("PRAGMA page_count")) * int(self._db.value("PRAGMA page_size"))

    def _bring_up_to_date(self) -> None:
        """The newest schema: in the file, or in a copy of one that is only read."""
        if self._reading is not None and not self._is_current():
            self._copy()
        if self._through is None:
            migrate(self._db)

    def _is_current(self) -> bool:
        """Whether a file that is only read has the newest schema, asked again when others wrote it meanwhile."""
        for pause in _PAUSES:
            try:
                return is_current(self._db)
            except StoreLocked:
                time.sleep(pause)
        return is_current(self._db)

    def _copy(self) -> None:
        """Read from a copy of the file from now on, which can be written as well."""
        assert self._reading is not None
        self._db.close()
        self.path = self._reading.private()
        self._through = None
        self._db = Database(self.path, prepare=prepare)
