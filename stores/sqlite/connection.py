"""One guarded connection to one SQLite file: pragmas, transactions, typed errors."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, TypeVar

from agentmem.errors import (
    AgentMemError,
    InvalidArgument,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    StoreReadOnly,
)
from agentmem.files.sqlite_files import APPLICATION_ID
from agentmem.runtime.forks import at_fork, leave, torn
from agentmem.stores.sqlite.failures import DRIVER_ERRORS, translate
from agentmem.stores.sqlite.opening import BUSY_MS, Durability, open_file
from agentmem.stores.sqlite.reading import ReadOnlyFile
from agentmem.stores.sqlite.turns import Turns

__all__ = ["APPLICATION_ID", "Database", "Durability", "Tracer", "read_only"]

T = TypeVar("T")
Tracer = Callable[[str, Sequence[object]], None]

_OLDEST: Final = (3, 37, 0)  # STRICT tables
_ANSWERS: Final = 1_000
_ROWCOUNT: Final[Callable[[sqlite3.Cursor], int]] = attrgetter("rowcount")
_LASTROWID: Final[Callable[[sqlite3.Cursor], int | None]] = attrgetter("lastrowid")
_BROKEN_BY_DAMAGE: Final = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError)


class Database:
    """A connection that every thread of the process shares, one transaction at a time.

    Statements run only inside :meth:`transaction`, on the thread that opened it; whatever the driver raises
    arrives as an error of :mod:`agentmem.errors`.

    Args:
        path: the database file; ``None`` keeps everything in memory.
        durability: ``full`` syncs at every commit; ``normal`` may lose the last commits when power fails.
        tracer: called with every statement and its parameters.
        prepare: called with every new connection before its first use.
        reading: how to open a file that is only read; every write is refused then.
    """

    _seen: tuple[object, int, int] | None

    def __init__(
        self,
        path: Path | None,
        *,
        durability: Durability = "full",
        tracer: Tracer | None = None,
        prepare: Callable[[sqlite3.Connection], None] | None = None,
        reading: ReadOnlyFile | None = None,
    ) -> None:
        if durability not in ("full", "normal"):
            raise InvalidArgument(f"Unknown durability {durability!r}.", hint="it is 'full' or 'normal'.")
        if sqlite3.sqlite_version_info < _OLDEST:
            raise StoreError(
                f"SQLite {sqlite3.sqlite_version} is too old.",
                hint="use a Python built with SQLite 3.37 or newer.",
            )
        self.path = path
        self.rollbacks = 0
        self._invalidated = 0
        self._seen: object = None
        self._answers: dict[tuple[str, tuple[object, ...]], list[Any]] = {}
        self._answered: object = None
        self._invalidating: list[Callable[[], None]] = [self._answers.clear]
        self._durability = durability
        self._tracer = tracer
        self._prepare = prepare
        self._reading = reading
        self._connection: sqlite3.Connection | None = None
        self._closed = self._made = False
        self.turns = Turns(None if path is None or reading is not None else path.parent, BUSY_MS / 1000, self.place)
        self._reset()
        at_fork(self._in_child, rest=self._rest, parent=self._go_on)
        with self._lock:
            self._ensure_open()

    @property
    def place(self) -> str:
        return "the in-memory store" if self.path is None else str(self.path)

    @property
    def writing(self) -> bool:
        """True inside a write transaction of this thread."""
        return self._writing and self._thread == threading.get_ident()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[None]:
        """A transaction; inside another one of the same thread, a part of it.

        Raises:
            StoreError: a write was begun inside a read, whose snapshot cannot be written to.
            StoreLocked: others have been writing for half a minute.
        """
        if self._depth and self._thread == threading.get_ident():
            with self._inner(write=write):
                yield
        elif write:
            if self._reading is not None:
                raise read_only(self.place)
            with (
                self.turns.turn(),
                self._lock,
                self._outermost(write=True),
            ):  # who waits for a turn keeps no reader waiting
                yield
        else:
            with self._lock, self._outermost(write=False):
                yield

    @contextmanager
    def _inner(self, *, write: bool) -> Iterator[None]:
        if not write:
            yield
        elif self._writing:
            with self._nested():
                yield
        else:
            raise StoreError(
                "A write was begun inside a read.", hint="finish the read first, or open write() around both."
            )

    @property
    def moment(self) -> object:
        """Equal as long as nothing in the store changes: not by this connection, by no other one, and no write fails."""
        return self.state(), self.rollbacks, self._open().total_changes

    @property
    def changes(self) -> int:
        """How many rows this connection has changed so far."""
        return self._open().total_changes

    def cached_rows(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """:meth:`rows` of a question that every request asks; asked again only when something has changed."""
        moment = self.moment
        if moment != self._answered or len(self._answers) > _ANSWERS:
            self._answers.clear()
            self._answered = moment
        known = self._answers.get((sql, parameters))
        if known is None:
            known = self._answers[sql, parameters] = self.rows(sql, parameters)
        return known

    def state(self) -> object:
        """Equal in two transactions if in between nobody else committed, and no write failed or called :meth:`invalidate`."""
        if self._seen is None:
            self._seen = (self.value("PRAGMA data_version"), self.rollbacks, self._invalidated)
        return self._seen

    def invalidate(self) -> None:
        """Rows were deleted, and others perhaps with them: nothing read before is certain."""
        self._invalidated += 1
        self._seen = None
        for clear in self._invalidating:
            clear()

    def when_invalidated(self, clear: Callable[[], None]) -> None:
        """Have ``clear`` called as soon as rows are deleted."""
        self._invalidating.append(clear)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """All result rows of a statement, as tuples."""
        return self._told(sql, parameters, sqlite3.Cursor.fetchall)

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        """The first result row, or ``None``."""
        return self._told(sql, parameters, sqlite3.Cursor.fetchone)

    def value(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        """The first column of the first row, or ``None``."""
        row = self.one(sql, parameters)
        return None if row is None else row[0]

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Execute a change; returns how many rows it touched."""
        return self._told(sql, parameters, _ROWCOUNT)

    def insert(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Execute an insert; returns the new row."""
        return self._told(sql, parameters, _LASTROWID) or 0

    def many(self, sql: str, batch: Iterable[Sequence[object]]) -> int:
        """Execute a change once per item; returns how many rows were touched in all."""
        connection = self._ready(sql, ())
        try:
            return connection.executemany(sql, batch).rowcount
        except DRIVER_ERRORS as error:
            raise translate(error, self.place) from error

    def outside(self, sql: str) -> Any:
        """Run a statement that must not be in a transaction (a pragma, a checkpoint); its first row."""
        if self._depth and self._thread == threading.get_ident():
            raise StoreError("This cannot run inside a transaction.", hint="leave the with block first.")
        with self.turns.turn(), self._lock:
            self._ensure_open()
            try:
                self._only_read(wanted=False)
                return self._open().execute(sql).fetchone()
            except DRIVER_ERRORS as error:
                raise translate(error, self.place) from error

    def close(self) -> None:
        """Close the connection; closing twice does no harm."""
        with self._lock:
            if self._depth:
                raise StoreError("The store was closed inside a transaction.", hint="leave the with block first.")
            self._closed = True
            self.turns.close()
            if self._connection is not None:
                try:
                    self._connection.close()
                except DRIVER_ERRORS as error:
                    raise translate(error, self.place) from error
                self._connection = None

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._rested = False
        self._fork = object()  # another one in every process
        self._depth = 0
        self._writing = False
        self._thread = 0
        self._query_only = False
        self._seen = None

    def _rest(self, deadline: float) -> bool:
        """Before a fork: wait for the transactions of other threads, and close the file.

        SQLite's locks and mutexes do not survive a fork, and a child that inherits an open file takes the locks of its parent for
        its own: it would write into a log that the parent may remove. So a child inherits nothing, and both open the file anew.
        """
        self._rested = self._lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
        if self._rested and self.path is None:
            return True
        if self._rested and not self._depth and self._let_go():
            return True
        if self._connection is not None:
            leave(self._connection)
        return self._connection is None

    def _go_on(self) -> None:
        """After a fork, in the parent."""
        if self._rested:
            self._rested = False
            self._lock.release()

    def _in_child(self) -> None:
        """After a fork, in the child: a transaction that the parent is in has no part here."""
        self._connection = None
        self._reset()
        self.turns.begin_anew()
        self.invalidate()

    def _let_go(self) -> bool:
        """Close the file, to open it again when it is needed; for who holds the lock."""
        if self._connection is not None:
            try:
                self._connection.close()
            except DRIVER_ERRORS:
                return False
            self._connection, self._query_only = None, False
            self.invalidate()  # another connection counts the commits of others from elsewhere
        return True

    def _ensure_open(self) -> None:
        """Open the file, unless it is open; for who holds the lock."""
        if self._connection is not None or self._closed:
            return
        if torn():
            raise StoreError(
                "This process was forked while a transaction was going on, so SQLite cannot be used in it.",
                hint="fork when no thread reads or writes, or start the process with multiprocessing's 'spawn' or 'forkserver'.",
            )
        if self.path is None and self._made:
            raise StoreError(
                "An in-memory store cannot be used after fork.",
                hint="give the store a path, or open it in the child.",
            )
        if self._reading is not None and self._made:  # what was opened before a fork may be a copy of the parent's
            self._reading.renew()
        self._connection = self._connect()
        self._made = True
        self.turns.open()

    def _connect(self) -> sqlite3.Connection:
        return open_file(self.path, self.place, self._durability, self._reading, self._prepare)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("The store is closed.", hint="open it again.")
        return self._connection

    def _told(self, sql: str, parameters: Sequence[object], take: Callable[[sqlite3.Cursor], T]) -> T:
        """What ``take`` makes of the cursor of a statement; it reads rows on, which may fail as well."""
        connection = self._ready(sql, parameters)
        try:
            return take(connection.execute(sql, parameters))
        except DRIVER_ERRORS as error:
            raise translate(error, self.place) from error

    def _ready(self, sql: str, parameters: Sequence[object]) -> sqlite3.Connection:
        if not self._depth or self._thread != threading.get_ident():
            raise StoreError(
                "A transaction was used outside of its with block.", hint="use store.read() or store.write()."
            )
        if self._tracer is not None:
            self._tracer(sql, parameters)
        return self._open()

    @contextmanager
    def _outermost(self, *, write: bool) -> Iterator[None]:
        self._ensure_open()
        self._renew(write)
        self._open()
        fork = self._fork
        self._depth, self._writing, self._thread = 1, write, threading.get_ident()
        self._seen = None
        try:
            self._only_read(wanted=not write)
            self.run("BEGIN IMMEDIATE" if write else "BEGIN")
            yield
            self._same_process(fork)
            # SQLite ends a transaction by itself after a full disk or an I/O error
            if not self._open().in_transaction:
                raise StoreError("The transaction had been rolled back.", hint="see the error raised before.")  # noqa: TRY301
            self.run("COMMIT")
            self._unchanged()
        except BaseException as error:
            if fork is self._fork:
                if write:
                    self.rollbacks += 1
                if self._open().in_transaction:
                    self.run("ROLLBACK")
                self._explain(error)
            raise
        finally:
            if fork is self._fork:
                self._depth, self._writing, self._thread = 0, False, 0

    def _explain(self, error: BaseException) -> None:
        """Values that no statement could have written break whoever reads them, anywhere: then the damage is what is told.

        A file that is read as one that nobody changes looks damaged, too, when somebody did.
        """
        if isinstance(error, StoreCorrupt):
            self._unchanged()
        if isinstance(error, AgentMemError) or not isinstance(error, _BROKEN_BY_DAMAGE):
            return
        self._unchanged()
        try:
            sound = self.value("PRAGMA quick_check(1)") == "ok"
        except StoreError:
            sound = False
        if not sound:
            raise StoreCorrupt(
                f"{self.place} is damaged: {type(error).__name__}: {error}.",
                hint="check() says where; restore the last backup.",
            ) from error

    def _same_process(self, fork: object) -> None:
        if fork is not self._fork:
            raise StoreError(
                "The process was forked inside this transaction: it belongs to the parent, and nothing was written here.",
                hint="fork outside of read() and write().",
            )

    def _renew(self, write: bool) -> None:
        """Where only reading is possible: refuse to write, and see what others wrote since."""
        if self._reading is None:
            return
        if write:
            raise read_only(self.place)
        if self._connection is not None and self._reading.changed:
            former, self._connection = self._connection, None
            former.close()
            self.invalidate()
            self._reading.renew()
            self._connection = self._connect()

    def _unchanged(self) -> None:
        if self._reading is not None and self._reading.changed:
            raise StoreLocked(f"{self.place} was written while it was read.", hint="repeat the call.")

    def _only_read(self, *, wanted: bool) -> None:
        """Whether the connection refuses to write; asked of SQLite only when it changes, since reads follow reads."""
        if self._query_only != wanted:
            sql = f"PRAGMA query_only={'ON' if wanted else 'OFF'}"
            if self._tracer is not None:
                self._tracer(sql, ())
            try:
                self._open().execute(sql)
            except DRIVER_ERRORS as error:
                raise translate(error, self.place) from error
            self._query_only = wanted

    @contextmanager
    def _nested(self) -> Iterator[None]:
        name, fork = f"level_{self._depth}", self._fork
        self.run(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
            self._same_process(fork)
            self.run(f"RELEASE {name}")
        except BaseException:
            if fork is self._fork:
                self.rollbacks += 1
                if self._open().in_transaction:
                    self.run(f"ROLLBACK TO {name}")
                    self.run(f"RELEASE {name}")
            raise
        finally:
            if fork is self._fork:
                self._depth -= 1


def read_only(place: str) -> StoreReadOnly:
    """The error of every verb that would write where nothing can be."""
    return StoreReadOnly(
        f"{place} is open for reading only.",
        hint="open it without read_only, in a directory that you may write to: memory.export(path) carries the notes there.",
    )
