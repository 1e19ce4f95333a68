"""The store: one schema of a PostgreSQL database, transactions over all its areas, and its own upkeep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agentmem.errors import AgentMemError
from agentmem.notes.clock import SystemClock, micros
from agentmem.notes.protocols import Clock
from agentmem.records.transaction import Transaction
from agentmem.stores.postgres.commits import Commits
from agentmem.stores.postgres.connection import Durability, PostgresDatabase, begun_inside_a_read
from agentmem.stores.postgres.erasing import FILE, rewrite, vacuum
from agentmem.stores.postgres.migrations import adopt, migrate
from agentmem.stores.postgres.misfits import misfits, unguarded
from agentmem.stores.postgres.near import NearIndex
from agentmem.stores.postgres.packs import PackTable
from agentmem.stores.postgres.parameters import SCHEMA, parameters
from agentmem.stores.postgres.readers import READERS, Reader, Readers
from agentmem.stores.postgres.tables import PostgresTables

__all__ = ["PostgresStore"]


class PostgresStore:
    """:class:`agentmem.records.transaction.NoteStore` in a schema of a PostgreSQL database, which is made where it is missing.

    Args:
        url: the address, ``postgresql://user:password@host:port/database``, with any parameter of libpq, and ``agentmem_schema`` and
            ``agentmem_readers`` for what follows.
        schema: where the tables lie, ``agentmem`` by default; each schema is a store of its own.
        durability: ``full`` survives a power failure; ``normal`` is faster and may lose the last commits to a crash of the server.
        clock: dates the versions of notes.
        readers: how many read at the same moment, each with a connection, beside the one that writes; 4 by default, made when they are needed.
        read_only: nothing is written, and `write` raises.

    Raises:
        MissingExtra: the driver is not installed.
        StoreError: the server does not answer, is too old, or does not let this role in.
        StoreReadOnly: this role may not make the tables.
        StoreCorrupt: the tables are from a newer version.
        InvalidArgument: no name of a schema, no number of readers, or a parameter of the address that is not known.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str | None = None,
        durability: Durability = "full",
        clock: Clock | None = None,
        readers: int | None = None,
        read_only: bool = False,
    ) -> None:
        url, said_schema, said_readers = parameters(url)
        schema = said_schema if schema is None else schema
        readers = said_readers if readers is None else readers
        self._db = PostgresDatabase(
            url, schema=SCHEMA if schema is None else schema, durability=durability, read_only=read_only
        )
        self._clock = clock or SystemClock()
        try:
            self._readers = Readers(self._reader, most=READERS if readers is None else readers, place=self._db.place)
            migrate(self._db)
        except BaseException:
            self._db.close()
            raise
        self._transaction = Transaction(PostgresTables(self._db), self._clock)
        self.packs = PackTable(self._db, self.reading)
        self.near = NearIndex(self, self._db, self.reading)

    def _reader(self) -> Reader:
        database = self._db.another()
        return Reader(database, Transaction(PostgresTables(database), self._clock))

    @property
    def place(self) -> str:
        """The address without its password, and the schema."""
        return self._db.place

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading; every write is refused then."""
        return self._db.read_only

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

        Inside another write of the same thread it is a part of that one, which can fail on its own. Writers of all processes take turns.
        """
        with self._writing(), self._transaction.admission.lasting():
            yield self._transaction

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view of the store that cannot write; inside a write, that write's own view."""
        if self._db.inside:
            with self._db.transaction(write=False), self._transaction.admission.lasting():
                yield self._transaction
            return
        with self._readers.reading() as reader, reader.transaction.admission.lasting():
            yield reader.transaction

    @contextmanager
    def reading(self) -> Iterator[PostgresDatabase]:
        """:meth:`read`, for statements of one's own: the connection that it is on."""
        if self._db.inside:
            yield self._db
            return
        with self._readers.reading() as reader:
            yield reader.database

    @contextmanager
    def completing(self) -> Iterator[Transaction]:
        """A write of what lacks and follows from the notes; a store that is only read cannot be completed."""
        with self._writing():
            yield self._transaction

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._readers.mine is not None:
            raise begun_inside_a_read()
        deletions = self._db.deletions
        try:
            with self._db.transaction(write=True):
                yield
        finally:
            if self._db.deletions != deletions and not self._db.inside:
                self._readers.forget()

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """A read for long work, on a connection of its own: nobody waits for its end."""
        database = PostgresDatabase(self._db.url, schema=self._db.schema, read_only=True)
        try:
            with database.transaction(write=False):
                yield Transaction(PostgresTables(database), self._clock)
        finally:
            database.close()

    def adopt(self, secret: bytes) -> None:
        """Take over the secret of another store, before anything was keyed with one's own."""
        with self.write():
            adopt(self._db, secret)
            self._transaction = Transaction(PostgresTables(self._db), self._clock)
        self._readers.anew()

    def changes(self) -> Commits:
        """What tells, as soon as it happens, that anybody has committed to this store: a connection that listens."""
        return Commits(self._db.url, self._db.channel, self._db.place)

    def check(self) -> list[str]:
        """Integrity problems of the store; empty when sound."""
        found: list[str] = []
        for look in (unguarded, misfits):
            try:
                with self.reading() as database:
                    found += look(database)
            except AgentMemError as error:  # damage that keeps one look from its end must not hide what others find
                found.append(error.message)
        return found

    def erase(self, patience: float = 2.0) -> None:
        """Take rows that were deleted out of tables and indexes, as far as nobody reads them any more.

        Their bytes may stay in free room of pages, in the write-ahead log and in backups, where no statement reads them: see :meth:`scrub`.

        Args:
            patience: seconds to wait for others that hold a table.

        Raises:
            StoreLocked: others held a table for longer.
        """
        last = self._due()
        vacuum(self._db, patience)
        self._done(last)

    def scrub(self, patience: float = 30.0) -> list[str]:
        """Write every table anew and begin a new segment of the log, so that no file of the tables holds what was deleted.

        Others wait for each table while it is written. Returns what could not be done by this role, in words: the log keeps former pages until
        the server removes its segments.
        """
        last = self._due()
        left = rewrite(self._db, patience)
        self._done(last)
        return left

    def _due(self) -> int:
        with self._db.transaction(write=True):
            due = self._transaction.erasing.due().get(FILE, 0)
            if not due:
                self._transaction.erasing.add((FILE,), micros(self._clock.now()))
                due = self._transaction.erasing.due()[FILE]
            return due

    def _done(self, last: int) -> None:
        with self._db.transaction(write=True):
            self._transaction.erasing.done(FILE, last)

    def own_pages(self) -> tuple[int, ...]:
        """The files are the server's."""
        return ()

    def size(self) -> int:
        """Bytes of tables and indexes."""
        sql = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = $1::regnamespace"
        with self.reading() as database:
            return int(database.value(sql, (database.quoted_schema,)))

    def close(self) -> None:
        """Close the connections, behind what is going on; closing twice does no harm."""
        self._readers.close()
        self._db.close()
