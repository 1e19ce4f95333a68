"""The nearest notes of each item of a batch on its way in: what is stored already, and what the batch itself stored."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from agentmem.core import Core
from agentmem.relating import NEIGHBOURS
from agentmem.storage import Transaction

if TYPE_CHECKING:
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["Neighbourhood"]

TOGETHER = 256
"""Items that are compared with those before them in one matrix product."""
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
        # As they will be stored: what is compared now must be what is compared when links are made anew.
        self._vectors = None if vectors is None else vectors.astype(np.float16).astype(np.float32)
        self._limit = core.settings.remember.neighbour_limit
        self._floor = min(core.settings.remember.similar, core.settings.remember.near_duplicate)
        self._most = max(NEIGHBOURS, core.settings.remember.max_similar)
        self._sizes: dict[int, int] = {}
        self._stored: dict[int, dict[int, list[Near]]] = {}
        self._beside: dict[int, _Beside] = {}
        self._rows: dict[int, int] = {}
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
        near = self._before(owner, place)
        beside = self._among(owner).near(place)
        if beside:
            near = [*near, *((self._rows[other], cosine) for other, cosine in beside if other in self._rows)]
        return heapq.nlargest(self._most, dict(near).items(), key=itemgetter(1))

    def add(self, row: int, place: int) -> None:
        """An item has been stored."""
        self._rows[place] = row

    def _among(self, owner: int) -> _Beside:
        if owner not in self._beside:
            assert self._vectors is not None
            mine = [place for place, other in enumerate(self._owners) if other == owner]
            self._beside[owner] = _Beside(mine, self._vectors, self._floor)
        return self._beside[owner]

    def _before(self, owner: int, place: int) -> list[Near]:
        """Among the notes that were stored before the batch."""
        size = self._sizes[owner]
        if not size:
            return []
        if owner not in self._stored:
            assert self._vectors is not None
            mine = [i for i in range(place, len(self._owners)) if self._owners[i] == owner]
            if len(mine) == 1:
                found = self._core.exact.search(self._tx, (owner,), self._vectors[place], self._most)
                near = [list(zip(*(values.tolist() for values in found), strict=True))]
            else:
                near = self._core.exact.nearest(self._tx, owner, self._vectors[mine], self._most, self._floor)
            self._stored[owner] = dict(zip(mine, near, strict=True))
            self._hidden |= self._tx.experiences.among([row for found in near for row, _ in found])
        return self._without_experiences(owner, place, self._stored[owner].get(place, []))

    def _without_experiences(self, owner: int, place: int, near: list[Near]) -> list[Near]:
        """Experiences are no notes to link or merge with; where some stand in the way, those behind them are fetched."""
        if not any(row in self._hidden for row, _ in near):
            return near
        assert self._vectors is not None
        return self._core.nearest(self._tx, owner, self._vectors[place], self._most)


class _Beside:
    """Which items of a batch lie near each other: their cosines, so many rows of the matrix at a time.

    Args:
        places: the items; vectors: of all items, shape (items, dimension); floor: the least cosine.
    """

    def __init__(self, places: Sequence[int], vectors: Vectors, floor: float) -> None:
        self._places = places
        self._index = {place: i for i, place in enumerate(places)}
        self._vectors = vectors
        self._units: Vectors | None = None
        self._floor = floor
        self._near: dict[int, list[Near]] = {}
        self._done = 0

    def near(self, place: int) -> list[Near]:
        """(place, cosine) of the items before this one."""
        while self._done <= self._index[place]:
            self._compare()
        return self._near.get(place, [])

    def _compare(self) -> None:
        start, end = self._done, min(self._done + TOGETHER, len(self._places))
        self._done = end
        if end < 2:
            return
        if self._units is None:
            mine = self._vectors[self._places]
            self._units = mine / np.maximum(np.linalg.norm(mine, axis=1, keepdims=True), np.float32(1e-30))
        cosines = np.tril(self._units[start:end] @ self._units[:end].T, start - 1)
        for here, before in np.argwhere(cosines >= self._floor).tolist():
            if before < start + here:  # a floor of zero takes what lies above the diagonal for near, too
                near = self._near.setdefault(self._places[start + here], [])
                near.append((self._places[before], float(cosines[here, before])))
