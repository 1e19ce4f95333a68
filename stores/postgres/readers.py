"""Reading beside each other: a few connections, each with a view, a guard and a memory of its own, handed from thread to thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from agentmem.errors import InvalidArgument, StoreError, StoreLocked
from agentmem.records.transaction import Transaction
from agentmem.runtime.forks import at_fork
from agentmem.stores.postgres.connection import PostgresDatabase

__all__ = ["MOST", "PATIENCE", "READERS", "Reader", "Readers"]

READERS: Final = 4
"""How many read at the same moment where nobody says how many."""
MOST: Final = 1_000
PATIENCE: Final = 30.0
"""Seconds that a read waits for one of them."""


class Reader:
    """A connection that only reads, and the transaction that is read in: whom it admits and what it knows is of its own.

    Args:
        database: the connection, which is made when it is first needed, and anew when it was lost; transaction: on it.
    """

    def __init__(self, database: PostgresDatabase, transaction: Transaction) -> None:
        self.database = database
        self.transaction = transaction
        self.deletions = 0


class _Turn:
    """A thread that waits for a reader."""

    def __init__(self) -> None:
        self.come = threading.Event()
        self.reader: Reader | None = None


class Readers:
    """Readers of one store, as many as there may be; who asks while all are taken waits for the next that is free, first come first served.

    A thread has one at most: a read inside a read is a part of it. The one that was used last is taken first, so that who reads alone finds what
    it knows. Whatever notes are deleted here, none of them is remembered by a reader behind that.

    Args:
        make: one more; most: how many there may be; patience: seconds to wait for one; place: names the store in errors.
    """

    def __init__(
        self, make: Callable[[], Reader], *, most: int = READERS, patience: float = PATIENCE, place: str = "the store"
    ) -> None:
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST:
            raise InvalidArgument(f"{most!r:.80} is no number of readers.", hint=f"1 to {MOST}; {READERS} by default.")
        self._make, self._most, self._patience, self._place = make, most, patience, place
        self._closed = False
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child, whose parent has the readers."""
        self._lock = threading.Lock()
        self._all: list[Reader] = []
        self._free: list[Reader] = []
        self._waiting: deque[_Turn] = deque()
        self._mine: dict[int, Reader] = {}
        self._deletions = 0

    @property
    def mine(self) -> Reader | None:
        """The one that this thread is reading with."""
        return self._mine.get(threading.get_ident())

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """A reader, inside of a transaction.

        Raises:
            StoreLocked: all were taken for too long. StoreError: the store is closed, or the server is gone.
        """
        mine = self.mine
        if mine is not None:
            with mine.database.transaction(write=False):
                yield mine
            return
        reader, all_, thread = self._take(), self._all, threading.get_ident()
        self._mine[thread] = reader
        try:
            with reader.database.transaction(write=False):
                yield reader
        finally:
            if all_ is self._all:  # else this is the child of a fork
                del self._mine[thread]
                self._give(reader)

    def forget(self) -> None:
        """Notes were deleted: what readers remember goes, of those that are in use as soon as they are free."""
        with self._lock:
            self._deletions += 1
            for reader in self._free:
                self._clear(reader)

    def anew(self) -> None:
        """Let go of those that are free, which may know what is so no longer."""
        with self._lock:
            free, self._free = self._free, []
            self._all = [reader for reader in self._all if reader not in free]
        for reader in free:
            reader.database.close()

    def close(self) -> None:
        """Close all of them, behind the reads that are going on.

        Raises:
            StoreError: this thread is reading.
        """
        if self.mine is not None:
            raise StoreError("The store was closed inside a transaction.", hint="leave the with block first.")
        with self._lock:
            self._closed = True
            readers = list(self._all)
        for reader in readers:
            reader.database.close()

    def _take(self) -> Reader:
        with self._lock:
            if self._closed:
                raise StoreError("The store is closed.", hint="open it again.")
            if self._free:
                return self._free.pop()
            if len(self._all) < self._most:
                self._all.append(self._make())  # it connects later
                self._all[-1].deletions = self._deletions
                return self._all[-1]
            turn = _Turn()
            self._waiting.append(turn)
        turn.come.wait(self._patience)
        with self._lock:
            if turn.reader is not None:
                return turn.reader
            self._waiting.remove(turn)
        raise StoreLocked(
            f"All {self._most} readers of {self._place} were in use for {self._patience:g} seconds.",
            hint="end reads that are held open, or allow more: PostgresStore(url, readers=16), or agentmem_readers=16 in the address.",
        )

    def _give(self, reader: Reader) -> None:
        with self._lock:
            if reader.deletions != self._deletions:
                self._clear(reader)
            if self._waiting:
                turn = self._waiting.popleft()
                turn.reader = reader
                turn.come.set()
            else:
                self._free.append(reader)

    def _clear(self, reader: Reader) -> None:
        reader.deletions = self._deletions
        reader.database.invalidate()
