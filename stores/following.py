"""What is held in memory of a store, kept in step with it by a log of changes."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from agentmem.notes.rows import Change
from agentmem.records.transaction import Transaction
from agentmem.runtime.forks import at_fork

__all__ = ["ChangeLog", "Following", "Store"]

T = TypeVar("T")


class Store(Protocol):
    """Tells when a write was rolled back."""

    @property
    def rollbacks(self) -> int: ...
    @property
    def writing(self) -> bool: ...


class ChangeLog(Protocol):
    """The newest change of each row, numbered in the order of the changes."""

    def changes(self, after: int) -> list[Change]: ...
    def counter(self) -> int: ...


class Following(ABC):
    """What an owner has is loaded when it is first asked for; after that the store's change log keeps it fresh, whichever process wrote.

    What is added inside a write is seen by searches inside it, and leaves again when the write fails.

    Args:
        store: tells when a write was rolled back.
        log: the log to follow, in the transaction that is read.
    """

    def __init__(self, store: Store, log: Callable[[Transaction], ChangeLog]) -> None:
        self._store = store
        self._log = log
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child: what another thread was changing may be half changed."""
        self._lock = threading.RLock()
        self._counter = 0
        self._rollbacks = 0
        self._tentative = False

    def refresh(self, tx: Transaction) -> None:
        """Take over what was added and removed since the last call; one look-up when nothing was."""
        with self._lock:
            self._forget_undone()
            log = self._log(tx)
            counter = log.counter()
            if counter == self._counter:
                return
            if counter < self._counter:
                self._drop()  # another database was put in place of the one we knew
            if self._holding():
                with tx.as_job():  # what is held is everybody's; a search reads what is its owners'
                    self._follow(tx, log.changes(self._counter))
            self._counter = counter
            self._read()

    def clear(self) -> None:
        """Let go of everything; it is loaded again when needed."""
        with self._lock:
            self._drop()

    @abstractmethod
    def _holding(self) -> bool:
        """Whether anything is held that could be out of date."""

    @abstractmethod
    def _drop(self) -> None:
        """Let go of everything."""

    @abstractmethod
    def _follow(self, tx: Transaction, changes: Sequence[Change]) -> None:
        """Take over these changes."""

    def _read(self) -> None:
        """Something was read just now: inside a write it is as uncertain as that write."""
        self._tentative = self._tentative or self._store.writing

    def _as_read(self, block: T) -> T:
        """What was loaded just now."""
        self._read()
        return block

    def _forget_undone(self) -> None:
        """Drop what was read inside a write that failed: its change numbers will be used again."""
        undone = self._rollbacks != self._store.rollbacks
        self._rollbacks = self._store.rollbacks
        if self._tentative and undone:
            self._drop()
            self._counter = 0
        if undone or not self._store.writing:
            self._tentative = False
