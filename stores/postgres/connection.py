"""One guarded connection to one schema of a PostgreSQL database: roles, transactions, typed errors.

Writers of all processes take turns, by an advisory lock that the server frees when a client dies: so the numbers in the logs of changes grow in the
order of the commits, and what a write has looked up is still true when it commits. Readers wait for nobody.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from agentmem.errors import InvalidArgument, StoreError, StoreReadOnly
from agentmem.notes.address import shown
from agentmem.runtime.forks import at_fork, leave, torn
from agentmem.stores.course import Course
from agentmem.stores.postgres.driver import connect
from agentmem.stores.postgres.failures import driver_errors, lost, translate
from agentmem.stores.postgres.names import quoted
from agentmem.stores.postgres.own_commits import OwnCommits
from agentmem.stores.postgres.parameters import SCHEMA
from agentmem.stores.postgres.schema import CHANGED

if TYPE_CHECKING:
    from agentmem.stores.postgres.driver import Connection

__all__ = ["EVERYBODY", "TENANT", "Durability", "PostgresDatabase", "begun_inside_a_read"]

Durability = Literal["full", "normal"]

TENANT: Final = "agentmem_tenant"
"""The role that owns nothing: under it the server shows a transaction the rows of its owners, and no others."""
EVERYBODY: Final = "*"
"""In place of owners, in a job."""
_ANSWERS: Final = 1_000
_PATIENCE: Final = 30  # seconds that a writer waits for its turn
_LONGEST_NAME: Final = 63
_WAITING: Final = {
    True: "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    False: "SET synchronous_commit TO off",
}
_KNOWN: Final = "SELECT 1 FROM pg_roles WHERE rolname = $1"
_MAY: Final = "SELECT pg_has_role(current_user, oid, 'SET') FROM pg_roles WHERE rolname = $1"


class PostgresDatabase:
    """A connection, one transaction at a time; threads that share it take turns.

    Statements run only inside :meth:`transaction`, on the thread that opened it; whatever the driver raises arrives as an error of
    :mod:`agentmem.errors`. A connection that was lost is made anew by the next transaction.

    Args:
        url: the address of the database.
        schema: where the tables lie.
        durability: ``normal`` does not wait for the server's disk.
        read_only: every write is refused.
        beside: another one of the same store, from which is known what would be asked of the server; then it connects with its first transaction.
    """

    _fresh: bool
    _changed: set[int]
    _own_commits: OwnCommits

    def __init__(
        self,
        url: str,
        *,
        schema: str = SCHEMA,
        durability: Durability = "full",
        read_only: bool = False,
        beside: PostgresDatabase | None = None,
    ) -> None:
        if not 0 < len(schema.encode()) <= _LONGEST_NAME or "\0" in schema:
            raise InvalidArgument(
                f"{schema!r:.80} is no name of a schema.",
                hint="schema='agentmem', or agentmem_schema=agentmem in the address.",
            )
        if durability not in ("full", "normal"):
            raise InvalidArgument(f"Unknown durability {durability!r}.", hint="it is 'full' or 'normal'.")
        self.url, self.schema, self.read_only = url, schema, read_only
        self._waits = durability == "full"
        self.place = f"{shown(url)} ({schema})"
        self.channel = f"agentmem_{hashlib.blake2b(schema.encode(), digest_size=8).hexdigest()}"
        self.tenant = False
        self._key = int.from_bytes(
            hashlib.blake2b(schema.encode(), digest_size=8, person=b"agentmem").digest(), signed=True
        )
        self._writer = beside or self
        self._undone = self._others = self._invalidated = self._changes = 0
        self._seen: int | None = None
        self._answers: dict[tuple[str, str, tuple[object, ...]], list[Any]] = {}
        self._answered: object = None
        self._invalidating: list[Callable[[], None]] = [self._answers.clear]
        self._own_commits = OwnCommits() if beside is None else beside._own_commits
        self._dropping: list[Callable[[Collection[int]], None]] = []
        self._connection: Connection | None = None
        self._closed = False
        self._reset()
        at_fork(self._in_child, rest=self._rest, parent=self._go_on)
        if beside is not None:
            self.tenant = beside.tenant
            return
        with self._lock:
            self._ensure_open()
            self.tenant = self._has_tenant()

    def another(self) -> PostgresDatabase:
        """A connection beside this one, which only reads."""
        return PostgresDatabase(self.url, schema=self.schema, read_only=True, beside=self)

    @property
    def quoted_schema(self) -> str:
        return quoted(self.schema)

    # -- transactions ----------------------------------------------------------------------------------------

    @property
    def rollbacks(self) -> int:
        """How many writes of this store were taken back."""
        return self._writer._undone

    @property
    def inside(self) -> bool:
        """True inside a transaction of this thread."""
        return self._depth > 0 and self._thread == threading.get_ident()

    @property
    def writing(self) -> bool:
        """True inside a write transaction of this thread."""
        return self._writing and self._thread == threading.get_ident()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[None]:
        """A transaction; inside another one of the same thread, a part of it.

        Raises:
            StoreError: a write was begun inside a read, whose snapshot cannot be written to; or the server is gone.
            StoreLocked: others have been writing for half a minute.
        """
        if self._depth and self._thread == threading.get_ident():
            with self._inner(write=write):
                yield
            return
        if write and self.read_only:
            raise _read_only(self.place)
        with self._lock, self._outermost(self._beginning(write=write), write=write):
            yield

    @contextmanager
    def administration(self, *, write: bool) -> Iterator[None]:
        """A transaction of the role that connected: what makes and mends tables."""
        with self._lock, self._outermost(self._beginning(write=write, tenant=False), write=write, count=False):
            yield

    def _beginning(self, *, write: bool, tenant: bool | None = None) -> str:
        said = ["BEGIN ISOLATION LEVEL READ COMMITTED" if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]
        if self.tenant if tenant is None else tenant:
            said.append(f"SET LOCAL ROLE {TENANT}")
        said.append(f"SET LOCAL agentmem.owners = '{EVERYBODY}'")
        if write:  # what is read behind the lock is what the writer before has committed
            said += [f"SET LOCAL lock_timeout = '{_PATIENCE}s'", f"SELECT pg_advisory_xact_lock({self._key})"]
        return "; ".join(said)

    @contextmanager
    def _inner(self, *, write: bool) -> Iterator[None]:
        if not write:
            yield
        elif self._writing:
            with self._nested():
                yield
        else:
            raise begun_inside_a_read()

    @contextmanager
    def _outermost(self, begin: str, *, write: bool, count: bool = True) -> Iterator[None]:
        course = Course(writing=write)
        self._begin(begin)
        self.course, fork = course, self._fork
        self._depth, self._writing, self._thread, self._owners = 1, write, threading.get_ident(), EVERYBODY
        self._looked, before = False, self._changes
        self._changed = set()
        try:
            yield
            self._same_process(fork)
            self._commit(counted=write and count and self._changes != before)
            course.committed = True
        except BaseException:
            if fork is self._fork:
                self._undone += write
                self._abandon()
            raise
        finally:
            if fork is self._fork:
                self._depth, self._writing, self._thread = 0, False, 0
                course.end()

    def _begin(self, begin: str) -> None:
        """Once more on a new connection, if the server ended the one that was there; nothing has been done yet."""
        for again in (True, False):
            self._ensure_open()
            fresh, self._fresh = self._fresh, False
            try:
                self._open().execute(begin)
            except driver_errors() as error:
                self._abandon()
                if again and not fresh and lost(error):
                    continue
                raise translate(error, self.place) from error
            return

    def _commit(self, *, counted: bool) -> None:
        connection = self._open()
        if connection.info.transaction_status.name != "INTRANS":
            raise StoreError("The transaction had been rolled back.", hint="see the error raised before.")
        try:
            if not counted:
                connection.execute("COMMIT")
                return
            said = connection.execute(
                f"UPDATE {CHANGED} SET times = times + 1 RETURNING times; NOTIFY {self.channel}; COMMIT"  # noqa: S608 - names of ours
            )
            self._see(said.fetchall()[0][0] - 1)
            assert self._seen is not None
            self._seen += 1
            self._own_commits.add(self._seen, self._changed)
        except driver_errors() as error:
            if lost(error):
                raise StoreError(
                    f"The connection to {self.place} was lost at the commit: whether it was written is not known.",
                    hint="look, or repeat the call with the same idempotency_key.",
                ) from error
            raise translate(error, self.place) from error

    def _abandon(self) -> None:
        """Take back what is going on; a connection that cannot is let go of."""
        connection = self._connection
        if connection is None:
            return
        try:
            if not connection.closed and connection.info.transaction_status.name != "IDLE":
                connection.execute("ROLLBACK")
        except driver_errors():
            self._let_go()
            return
        if connection.closed:
            self._let_go()

    @contextmanager
    def _nested(self) -> Iterator[None]:
        name, fork = f"level_{self._depth}", self._fork
        self._execute(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
            self._same_process(fork)
            self._execute(f"RELEASE {name}")
        except BaseException:
            if fork is self._fork:
                self._undone += 1
                self.course.undone += 1
                self._owners = ""  # who was named inside the part is taken back with it
                if not self._open().closed:
                    self._execute(f"ROLLBACK TO {name}")
                    self._execute(f"RELEASE {name}")
            raise
        finally:
            if fork is self._fork:
                self._depth -= 1

    # -- statements ------------------------------------------------------------------------------------------

    def rows(self, sql: str, parameters: Sequence[object] = (), *, owners: str = EVERYBODY) -> list[Any]:
        """All result rows of a statement, as tuples, of what these owners may see."""
        return self._told(sql, parameters, owners)

    def value(self, sql: str, parameters: Sequence[object] = (), *, owners: str = EVERYBODY) -> Any:
        """The first column of the first row, or ``None``."""
        found = self._told(sql, parameters, owners)
        return found[0][0] if found else None

    def cached_rows(self, sql: str, parameters: Sequence[object], *, owners: str = EVERYBODY) -> list[Any]:
        """:meth:`rows` of a question that every request asks; asked again only when something has changed."""
        moment = self.state(), self.rollbacks, self._changes, self._seen
        if moment != self._answered or len(self._answers) > _ANSWERS:
            self._answers.clear()
            self._answered = moment
        asked = (owners, sql, tuple(tuple(each) if isinstance(each, list) else each for each in parameters))
        known = self._answers.get(asked)
        if known is None:
            known = self._answers[asked] = self.rows(sql, parameters, owners=owners)
        return known

    def run(self, sql: str, parameters: Sequence[object] = (), *, owners: str = EVERYBODY) -> int:
        """Execute a change; returns how many rows it touched."""
        connection = self._changing(owners)
        try:
            return connection.execute(sql, parameters or None).rowcount
        except driver_errors() as error:
            raise translate(error, self.place) from error

    def many(self, sql: str, batch: Iterable[Sequence[object]], *, owners: str = EVERYBODY) -> int:
        """Execute a change once per item; returns how many rows were touched in all."""
        connection = self._changing(owners)
        try:
            with connection.cursor() as cursor:
                cursor.executemany(sql, batch)
                return max(cursor.rowcount, 0)
        except driver_errors() as error:
            raise translate(error, self.place) from error

    def insert(self, sql: str, parameters: Sequence[object], *, owners: str = EVERYBODY) -> int:
        """Execute an insert that returns a number."""
        self._changing(owners)
        return int(self._told(sql, parameters, owners)[0][0])

    def outside(self, sql: str) -> None:
        """Run a statement that must not be in a transaction, as the role that connected."""
        if self._depth and self._thread == threading.get_ident():
            raise StoreError("This cannot run inside a transaction.", hint="leave the with block first.")
        with self._lock:
            self._ensure_open()
            try:
                self._open().execute(sql)
            except driver_errors() as error:
                raise translate(error, self.place) from error

    @property
    def deletions(self) -> int:
        """How often rows were deleted, and others perhaps with them."""
        return self._invalidated

    def state(self) -> object:
        """Equal in two transactions if in between nobody else committed, and no write failed or called :meth:`invalidate`."""
        if not self._looked:
            self._looked = True
            self._see(int(self.value(f"SELECT times FROM {CHANGED}")))  # noqa: S608 - a name of ours
        return self._others, self._invalidated

    def invalidate(self) -> None:
        """Rows were deleted, and others perhaps with them: nothing read before is certain."""
        self._invalidated += 1
        for clear in self._invalidating:
            clear()

    def changed(self, rows: Collection[int]) -> None:
        """These rows were changed in this write."""
        self._changed.update(rows)

    def when_changed(self, drop: Callable[[Collection[int]], None]) -> None:
        """Have ``drop`` called with rows that a write of this store has changed, in a connection beside that one's."""
        self._dropping.append(drop)

    def when_invalidated(self, clear: Callable[[], None]) -> None:
        """Have ``clear`` called as soon as rows are deleted."""
        self._invalidating.append(clear)

    def _see(self, times: int) -> None:
        """So many commits there were; of more than our own, others made some, and of our own it is known what they changed."""
        if times != self._seen:
            rows = self._own_commits.between(self._seen, times)
            if rows is None:
                self._others += 1
            for drop in self._dropping if rows else ():
                drop(rows or ())
        self._seen = times

    def _told(self, sql: str, parameters: Sequence[object], owners: str) -> list[Any]:
        connection = self._ready(owners)
        try:
            return connection.execute(sql, parameters, binary=True).fetchall()
        except driver_errors() as error:
            raise translate(error, self.place) from error

    def _changing(self, owners: str) -> Connection:
        connection = self._ready(owners)
        if not self._writing:
            raise StoreReadOnly("This is a read.", hint="use store.write().")
        self._changes += 1
        return connection

    def _ready(self, owners: str) -> Connection:
        if not self._depth or self._thread != threading.get_ident():
            raise StoreError(
                "A transaction was used outside of its with block.", hint="use store.read() or store.write()."
            )
        connection = self._open()
        if owners != self._owners:
            try:
                connection.execute("SELECT set_config('agentmem.owners', $1, true)", (owners,))
            except driver_errors() as error:
                raise translate(error, self.place) from error
            self._owners = owners
        return connection

    def _execute(self, sql: str) -> None:
        try:
            self._open().execute(sql)
        except driver_errors() as error:
            raise translate(error, self.place) from error

    # -- the connection --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection; closing twice does no harm."""
        with self._lock:
            if self._depth:
                raise StoreError("The store was closed inside a transaction.", hint="leave the with block first.")
            self._closed = True
            self._let_go()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._rested = False
        self._fork = object()  # another one in every process
        self.course = Course(writing=False)
        self._depth = 0
        self._writing = False
        self._looked = False
        self._fresh = False
        self._thread = 0
        self._owners = ""
        self._changed = set()

    def _rest(self, deadline: float) -> bool:
        """Before a fork: wait for the transactions of other threads, and close the connection, which two processes cannot share."""
        self._rested = self._lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
        if self._rested and not self._depth:
            self._let_go()
        elif self._connection is not None:
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
        self._seen = None
        self.invalidate()

    def _same_process(self, fork: object) -> None:
        if fork is not self._fork:
            raise StoreError(
                "The process was forked inside this transaction: it belongs to the parent, and nothing was written here.",
                hint="fork outside of read() and write().",
            )

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*driver_errors()):  # it is gone either way
                connection.close()

    def _ensure_open(self) -> None:
        """Connect, unless it is connected; for who holds the lock."""
        if self._closed or (self._connection is not None and not self._connection.closed):
            return
        if torn():
            raise StoreError(
                "This process was forked while a transaction was going on, so its connections cannot be used.",
                hint="fork when no thread reads or writes, or start the process with multiprocessing's 'spawn' or 'forkserver'.",
            )
        try:
            self._connection = connect(self.url)
            self._connection.execute(
                f"SET search_path TO {quoted(self.schema)}, public, extensions; SET client_min_messages TO warning; {_WAITING[self._waits]}"
            )
        except driver_errors() as error:
            self._let_go()
            raise translate(error, self.place) from error
        self._fresh = True

    def _open(self) -> Connection:
        if self._connection is None:
            raise StoreError("The store is closed.", hint="open it again.")
        return self._connection

    def _has_tenant(self) -> bool:
        """Whether there is the role that owns nothing, and this one may act as it; made where that is allowed.

        Where it is not, the tables force their rules on their owner as well (:mod:`agentmem.stores.postgres.schema`).
        """
        connection = self._open()
        try:
            if not connection.execute(_KNOWN, (TENANT,)).fetchone() and not self.read_only:
                with suppress(*driver_errors()):  # not allowed, or another process was faster
                    connection.execute(f"CREATE ROLE {TENANT} NOLOGIN; GRANT {TENANT} TO CURRENT_USER")
            found = connection.execute(_MAY, (TENANT,)).fetchone()
        except driver_errors() as error:
            raise translate(error, self.place) from error
        return found is not None and bool(found[0])


def begun_inside_a_read() -> StoreError:
    """What is raised there: the snapshot of a read cannot be written to."""
    return StoreError("A write was begun inside a read.", hint="finish the read first, or open write() around both.")


def _read_only(place: str) -> StoreReadOnly:
    return StoreReadOnly(
        f"{place} is open for reading only.", hint="open it without read_only, with a role that may write."
    )
