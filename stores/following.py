"""What is held in memory of a store, kept in step with it by a log of changes."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import takewhile
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from agentmem.errors import EmbedderMismatch
from agentmem.notes.rows import Change
from agentmem.records.transaction import Transaction
from agentmem.runtime.forks import at_fork
from agentmem.stores.course import Course
from agentmem.stores.holding import Holding

__all__ = ["ChangeLog", "Following", "Holdings", "Store"]

T = TypeVar("T")

_RECENT: Final = 4_096
"""Changes that are remembered, to tell what a transaction cannot see that began before them."""


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


class Holdings:
    """What is held of each owner, of one or several kinds, as the store was when its log had come to a number.

    Args:
        kinds: what is held, by owner; counter: how far the log had come.
    """

    def __init__(self, kinds: Sequence[Holding[Any]], counter: int = 0) -> None:
        self.kinds = tuple(kinds)
        self.counter = counter

    def __bool__(self) -> bool:
        return any(self.kinds)

    def all(self, kind: int) -> list[Any]:
        """What is held of everybody."""
        return list(self.kinds[kind].values())

    def get(self, kind: int, owner: int) -> Any:
        """What is held of an owner, ``None`` where nothing is."""
        return self.kinds[kind].get(owner)

    def drop(self, owner: int | None = None) -> None:
        """Let go of what there is of an owner, or of everything."""
        for kind in self.kinds:
            if owner is None:
                kind.clear()
            else:
                kind.pop(owner, None)

    def ask(self, kind: int, owner: int, load: Callable[[], Any]) -> Any:
        """What there is of an owner, loaded where nothing is."""
        return self.kinds[kind].ask(owner, load)


class _Own(Holdings):
    """What one transaction sees otherwise than what all share: a write its own changes, an old view what was changed behind it.

    Args:
        kinds: empty ones; shared: what all share; course: whose this is.
    """

    def __init__(self, kinds: Sequence[Holding[Any]], shared: Holdings, course: Course) -> None:
        super().__init__(kinds, shared.counter)
        self._shared = shared
        self.base = shared.counter
        self.undone = course.undone
        self.changes: list[Change] = []
        self.other: set[int] = set()
        """Whose rows are otherwise."""
        self.alone = False
        """Whether nothing of what all share is known to be right for it."""
        self.looked = shared.counter
        """How far what all share had come when it was last looked through for what this does not see."""

    def all(self, kind: int) -> list[Any]:
        """What is held of everybody: copies, and what is shared with all."""
        shared = () if self.alone else self._shared.kinds[kind].items()
        return [*self.kinds[kind].values(), *(held for owner, held in shared if owner not in self.other)]

    def get(self, kind: int, owner: int) -> Any:
        """What is held of an owner, ``None`` where nothing is."""
        return super().get(kind, owner) if self._differs(owner) else self._shared.get(kind, owner)

    def part(self, owners: Iterable[int]) -> None:
        """Have copies of what is held of these owners."""
        for owner in set(owners) - self.other:
            self.other.add(owner)
            for own, shared in zip(self.kinds, self._shared.kinds, strict=True):
                if owner in shared:
                    own[owner] = deepcopy(shared[owner])

    def ask(self, kind: int, owner: int, load: Callable[[], Any]) -> Any:
        """What it sees of an owner; of most owners that is what all see, and is shared with them."""
        return super().ask(kind, owner, load) if self._differs(owner) else self._shared.ask(kind, owner, load)

    def _differs(self, owner: int) -> bool:
        return self.alone or owner in self.other

    def hand_over(self) -> None:
        """What this write saw is what everybody sees from now on."""
        for owner in self.other:
            self._shared.drop(owner)
            for own, shared in zip(self.kinds, self._shared.kinds, strict=True):
                if owner in own:
                    shared.ask(owner, lambda own=own, owner=owner: own[owner])  # type: ignore[misc]
        self._shared.counter = self.counter


class Following(ABC):
    """What an owner has is loaded when it is first asked for; after that the store's change log keeps it fresh, whichever process wrote.

    What is added inside a write is seen by searches inside it, and leaves again when the write fails. Where transactions of a process come one
    after another, one thing is held for all of them. Where they go on beside each other (the tables of a transaction tell its
    :class:`~agentmem.stores.course.Course`), what is held for all is what was committed, and moves forward only: a write has copies of what it
    changed, which are everybody's behind its commit, and a view that is older than what is held has copies of what was changed behind it. Of
    the other owners, which are most, both use what all use.

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
        self._shared = self._held_now = Holdings(self._kinds())
        self._owns: WeakKeyDictionary[Course, _Own] = WeakKeyDictionary()
        self._recent: deque[Change] = deque()
        self._since = 0  # from here on the recent changes are known
        self._reached = 0.0
        self._rollbacks = 0
        self._tentative = False

    def refresh(self, tx: Transaction) -> None:
        """Take over what was added and removed since the last call; one look-up when nothing was."""
        course: Course | None = getattr(tx.tables, "course", None)
        if course is None:
            self._refresh_in_turn(tx)
            return
        counter = self._log(tx).counter()
        with self._lock:
            self._held_now = self._shared
            self._held_now = self._seen(tx, course, counter)

    @contextmanager
    def _looking(self, tx: Transaction) -> Iterator[None]:
        """One search at a time."""
        if getattr(tx.tables, "course", None) is not None:
            self._log(tx).counter()  # kept by its transaction: so nobody waits for the server's answer to another
        with self._lock:
            yield

    def clear(self) -> None:
        """Let go of everything; it is loaded again when needed."""
        with self._lock:
            self._drop()

    @abstractmethod
    def _kinds(self) -> Sequence[Holding[Any]]:
        """What is held, by owner, and nothing of it yet."""

    @abstractmethod
    def _follow(self, tx: Transaction, changes: Sequence[Change]) -> None:
        """Take over these changes."""

    def _drop(self) -> None:
        """Let go of everything."""
        self._shared.drop()
        self._held_now = self._shared
        self._owns.clear()

    # -- transactions beside each other ----------------------------------------------------------------------

    def _seen(self, tx: Transaction, course: Course, counter: int) -> Holdings:
        """What a transaction that has come so far in the log may see."""
        shared = self._shared
        if counter < shared.counter and (course.writing or course.began > self._reached):
            self._drop()  # it began behind what we know, and does not see it: another database was put in place
            shared.counter, self._since = counter, counter
            self._recent.clear()
        if counter == shared.counter and course not in self._owns:
            return shared
        if course.writing:
            return self._written(tx, course, counter)
        if counter > shared.counter:
            self._go_on(tx, counter)
            return shared
        return self._older(tx, course, counter)

    def _go_on(self, tx: Transaction, counter: int) -> None:
        """What all share moves on to what this view sees: all of it is committed."""
        shared = self._shared
        changes = self._changes(tx, shared.counter) if shared else None
        if changes is not None:
            try:
                self._take_over(tx, shared, changes)
            except EmbedderMismatch:  # all was embedded anew meanwhile: it is loaded as it is now
                shared.drop()
        self._move(counter, changes)

    def _move(self, counter: int, changes: Iterable[Change] | None) -> None:
        self._shared.counter, self._reached = counter, time.monotonic()
        if changes is None:
            self._recent.clear()
            self._since = counter
            return
        self._recent.extend(changes)
        while len(self._recent) > _RECENT:
            self._since = self._recent.popleft().seq

    def _written(self, tx: Transaction, course: Course, counter: int) -> Holdings:
        """What a write sees: what it changed itself, and what is committed."""
        own = self._owns.get(course)
        if own is None or own.undone != course.undone or own.counter > counter:
            own = self._made(course)
        if own.counter < counter:
            changes = self._changes(tx, own.counter)
            own.part(change.owner for change in changes)
            own.changes += changes
            self._take_over(tx, own, changes)
            own.counter = counter
        return own

    def _settle(self, course: Course) -> None:
        """A transaction has ended: what a write saw is what all see, or nobody."""
        with self._lock:
            own, self._held_now = self._owns.pop(course, None), self._shared
            if own is None or not course.writing or not course.committed or own.undone != course.undone:
                return
            if own.base <= self._shared.counter <= own.counter:
                after = self._shared.counter
                own.hand_over()
                self._move(own.counter, [change for change in own.changes if change.seq > after])

    def _older(self, tx: Transaction, course: Course, counter: int) -> Holdings:
        """What a view sees that began before the last changes."""
        own = self._owns.get(course)
        if own is None:
            own = self._made(course)
            own.looked = counter
        if counter < self._since and not own.alone:
            own.drop()
            own.alone = True
        if not own.alone and own.looked < self._shared.counter:
            own.looked = self._shared.counter
            newest_first = takewhile(lambda change: change.seq > counter, reversed(self._recent))
            later = [change for change in newest_first if change.owner not in own.other]
            own.part(change.owner for change in later)
            # as if they were changed back: out with what is held of these rows, and in with what this view sees of them
            rows = {change.row: change for change in later}.values()
            self._take_over(
                tx, own, [Change(each.seq, each.owner, each.row, gone) for gone in (True, False) for each in rows]
            )
        return own

    def _made(self, course: Course) -> _Own:
        if course not in self._owns:
            course.behind(lambda: self._settle(course))
        own = self._owns[course] = _Own(self._kinds(), self._shared, course)
        return own

    def _changes(self, tx: Transaction, after: int) -> list[Change]:
        with tx.as_job():  # what is held is everybody's; a search reads what is its owners'
            return self._log(tx).changes(after)

    def _take_over(self, tx: Transaction, held: Holdings, changes: Sequence[Change]) -> None:
        self._held_now = held
        if changes:
            with tx.as_job():
                self._follow(tx, changes)

    # -- transactions one after another ----------------------------------------------------------------------

    def _refresh_in_turn(self, tx: Transaction) -> None:
        with self._lock:
            self._forget_undone()
            log, shared = self._log(tx), self._shared
            counter = log.counter()
            if counter == shared.counter:
                return
            if counter < shared.counter:
                self._drop()  # another database was put in place of the one we knew
            if shared:
                with tx.as_job():
                    self._follow(tx, log.changes(shared.counter))
            shared.counter = counter
            self._read()

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
            self._shared.counter = 0
        if undone or not self._store.writing:
            self._tentative = False
