"""The nearest notes of each item of a batch on its way in: what is stored already, and what the batch itself stored."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from agentmem.core import Core
from agentmem.planning import choose
from agentmem.storage import Transaction

if TYPE_CHECKING:
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["Neighbourhood"]

NEIGHBOURS = 8
Near = tuple[int, float]


class Neighbourhood:
    """Cosines of one batch: with the stored vectors in one matrix product per owner, and among its own items.

    Args:
        core: the settings, and the vectors in memory.
        tx: the write that stores the batch.
        owners: of each item.
        vectors: of each item, shape (items, dimension).
    """

    def __init__(self, core: Core, tx: Transaction, owners: Sequence[int], vectors: Vectors | None) -> None:
        self._core, self._tx = core, tx
        self._owners = owners
        self._vectors = vectors
        self._last: tuple[int, Vectors] | None = None
        self._limit = core.settings.remember.neighbour_limit
        self._floor = min(core.settings.remember.similar, core.settings.remember.near_duplicate)
        self._sizes: dict[int, int] = {}
        self._stored: dict[int, dict[int, list[Near]]] = {}
        self._new: dict[int, _New] = {}
        self._hidden: set[int] = set()

    def of(self, place: int) -> list[Near]:
        """(row, cosine) of the notes near an item that a link or a merge could want, best first.

        None in a scope too large to look through. Must be asked before the item is added.
        """
        owner = self._owners[place]
        if owner not in self._sizes:
            self._sizes[owner] = self._core.exact.count(self._tx, (owner,), self._limit)
        if self._sizes[owner] > self._limit:
            return []
        new = self._new.get(owner)
        beside = [] if new is None else new.near(self._unit(place), self._floor)
        near = dict([*self._before(owner, place), *beside])
        return heapq.nlargest(NEIGHBOURS, near.items(), key=itemgetter(1))

    def add(self, row: int, place: int) -> None:
        """An item has been stored."""
        unit = self._unit(place)
        self._new.setdefault(self._owners[place], _New(len(unit))).add(row, unit)

    def _unit(self, place: int) -> Vectors:
        if self._last is None or self._last[0] != place:
            assert self._vectors is not None
            vector = self._vectors[place]
            self._last = place, vector / (np.linalg.norm(vector) or np.float32(1.0))
        return self._last[1]

    def _before(self, owner: int, place: int) -> list[Near]:
        """Among the notes that were stored before the batch."""
        size = self._sizes[owner]
        if not size:
            return []
        if owner not in self._stored:
            assert self._vectors is not None
            mine = [i for i in range(place, len(self._owners)) if self._owners[i] == owner]
            if len(mine) == 1:
                plan = choose(size, NEIGHBOURS, self._core.settings.index)
                found = self._core.exact.search(
                    self._tx, (owner,), self._vectors[place], NEIGHBOURS, shortlist=plan.shortlist
                )
                near = [list(zip(*(values.tolist() for values in found), strict=True))]
            else:
                near = self._core.exact.nearest(self._tx, owner, self._vectors[mine], NEIGHBOURS, self._floor)
            self._stored[owner] = dict(zip(mine, near, strict=True))
            self._hidden |= self._tx.experiences.among([row for found in near for row, _ in found])
        return self._without_experiences(owner, place, self._stored[owner][place])

    def _without_experiences(self, owner: int, place: int, near: list[Near]) -> list[Near]:
        """Experiences are no notes to link or merge with; where some stand in the way, those behind them are fetched."""
        if not any(row in self._hidden for row, _ in near):
            return near
        assert self._vectors is not None
        return self._core.nearest(self._tx, owner, self._vectors[place], NEIGHBOURS)


class _New:
    """What a batch has stored for one owner so far."""

    def __init__(self, dimension: int) -> None:
        self._rows: list[int] = []
        self._units = np.zeros((16, dimension), np.float32)

    def add(self, row: int, unit: Vectors) -> None:
        count = len(self._rows)
        if count == len(self._units):
            self._units = np.concatenate([self._units, np.zeros_like(self._units)])
        self._units[count] = unit
        self._rows.append(row)

    def near(self, unit: Vectors, floor: float) -> list[Near]:
        cosines = self._units[: len(self._rows)] @ unit
        return [(self._rows[at], float(cosines[at])) for at in np.flatnonzero(cosines >= floor).tolist()]
