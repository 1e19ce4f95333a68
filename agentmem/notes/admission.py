"""Whose notes a transaction may touch: the guard between the verbs and the tables, below every query.

A request names its owners once, when its transaction begins, and the transaction holds them (:meth:`Admission.admit`). From then on
every operation on a table goes through one rule (:mod:`agentmem.notes.guarded_tables`): what it is about to change, and
what it hands out, must belong to those owners, however the query was worded. A row of anybody else raises
:class:`~agentmem.errors.ScopeBreach`: it is never returned, and what was written is rolled back. What a caller may name freely (ids), or
what may lead to others (links), is narrowed instead, so that somebody else's note looks like none at all.

A transaction that nobody was admitted to is a job's: it works on everybody's notes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from agentmem.errors import ScopeBreach
from agentmem.notes.spaces import whose

__all__ = ["Admission", "Held"]

_MOST: Final = 200_000
_AT_ONCE: Final = 20_000
_HINT: Final = "this is a fault in agentmem, and nothing of another scope was handed out or changed: please report it with the call that led here."


class Held(Protocol):
    """What the guard asks of a store: whose rows these are, and whether rows that it saw may never have been."""

    @property
    def rollbacks(self) -> int: ...
    def owners_of(self, rows: Sequence[int]) -> Mapping[int, int]: ...
    def of_owner(self, owner: int, limit: int) -> Sequence[int]: ...
    def rows_of(self, ids: Sequence[str]) -> Mapping[str, int]: ...


class Admission:
    """The owners to which a transaction is bound, and what of other owners it comes across.

    Args:
        held: tells whose a row is; what it said is kept, since nobody changes that, and no row number is used twice.
    """

    def __init__(self, held: Held) -> None:
        self._held = held
        self._undone = held.rollbacks
        self._known: dict[int, set[int]] = {}  # rows by owner
        self._mine: list[set[int]] = []  # those of the owners that are admitted, most rows first
        self._size = 0
        self.owners: frozenset[int] | None = None
        """Those that are admitted; ``None`` in a job, which may touch everybody's notes."""

    def admit(self, owners: Iterable[int]) -> None:
        """Bind the transaction to some owners until it ends, or narrow it further.

        Raises:
            ScopeBreach: it is bound to others already.
        """
        wanted = frozenset(map(int, owners))
        if wanted == self.owners:
            return
        if self.owners is not None and not wanted <= self.owners:
            raise ScopeBreach("A request asked for more owners than its transaction was admitted to.", hint=_HINT)
        self._bind(wanted)

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """What is admitted inside ends with the block: with the transaction, or with a part of it."""
        outer = self.owners
        try:
            yield
        finally:
            self._bind(outer)

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """A job within a request: what keeps something of everybody's up to date, and hands nothing of it to the request."""
        with self.lasting():
            self._bind(None)
            yield

    def need(self, owners: Iterable[int], what: str) -> None:
        """Raise unless all of these owners, or the owners of these spaces, are admitted."""
        if self.owners is not None and not self.owners.issuperset(map(whose, owners)):
            raise ScopeBreach(
                f"{what} was about to touch notes of an owner outside the scope of its request.", hint=_HINT
            )

    def need_rows(self, rows: Collection[int], what: str) -> None:
        """Raise unless all of these rows that exist belong to admitted owners."""
        if self.owners is not None and self.foreign(rows):
            raise ScopeBreach(f"{what} came across notes of an owner outside the scope of its request.", hint=_HINT)

    def refuse(self, what: str) -> None:
        """Raise in a request: what works on everybody's notes, or what no rule is known of, belongs into a job."""
        if self.owners is not None:
            raise ScopeBreach(
                f"{what} works on everybody's notes, and was called in a request of one scope.", hint=_HINT
            )

    def foreign(self, rows: Collection[int]) -> set[int]:
        """Those of ``rows`` that belong to somebody who is not admitted; none in a job. What is gone is nobody's."""
        if self.owners is None or not rows:
            return set()
        if self._undone != self._held.rollbacks or self._size > _MOST:
            self._forget()
        left = rows
        for mine in self._mine:  # mostly all are in the first
            if mine.issuperset(left):
                return set()
            left = [row for row in left if row not in mine]
        return self._others(left)

    def rows_of(self, ids: Collection[str]) -> Mapping[str, int]:
        """The rows of those ids that exist, whosever they are."""
        return self._held.rows_of(list(ids)) if ids else {}

    def learn(self, row: int, owner: int) -> None:
        """A row was made just now."""
        if owner in self._known:
            self._learn(owner, (row,))

    def _others(self, rows: Collection[int]) -> set[int]:
        """Whose these are is asked of the store, and of an owner that is new here, which rows there are."""
        assert self.owners is not None
        for owner in self.owners - self._known.keys():
            self._learn(owner, self._held.of_owner(owner, _AT_ONCE))
        strange = set()
        for row, owner in self._held.owners_of(list(rows)).items():
            if owner in self.owners:
                self._learn(owner, (row,))
            else:
                strange.add(row)
        self._bind(self.owners)
        return strange

    def _learn(self, owner: int, rows: Collection[int]) -> None:
        self._known.setdefault(owner, set()).update(rows)
        self._size += len(rows)

    def _bind(self, owners: frozenset[int] | None) -> None:
        self.owners = owners
        known = [self._known[owner] for owner in owners or () if owner in self._known]
        self._mine = sorted(known, key=len, reverse=True)

    def _forget(self) -> None:
        """Rows that were read inside a write that failed may never have been; and not everything is kept for ever."""
        self._undone = self._held.rollbacks
        self._known.clear()
        self._size = 0
        self._bind(self.owners)
