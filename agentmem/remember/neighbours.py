"""The nearest notes of each item of a batch on its way in: what is stored already, and what the batch itself stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agentmem.core import Core
from agentmem.notes.cosines import ROUGH, as_stored, cosines, may_be_best
from agentmem.projections.links import NEIGHBOURS
from agentmem.records.transaction import Transaction

if TYPE_CHECKING:
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["Neighbourhood"]

TOGETHER = 256
"""Items that are compared with those before them in one matrix product."""
Near = tuple[int, float]


class Neighbourhood:
    """Cosines of one batch: with the stored vectors in one matrix product per owner, and among its own items.

    Whoever is near by these products gets the cosine of :mod:`agentmem.notes.cosines`, so that a batch makes the links that single writes make.

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
        self._stored_as = None if vectors is None else as_stored(vectors)
        self._vectors = None if self._stored_as is None else self._stored_as.astype(np.float32)
        self._limit = core.settings.remember.neighbour_limit
        self._floor = min(core.settings.remember.similar, core.settings.remember.near_duplicate)
        self._most = max(NEIGHBOURS, core.settings.remember.max_similar)
        self._sizes: dict[int, int] = {}
        self._stored: dict[int, dict[int, list[Near]]] = {}
        self._beside: dict[int, _Beside] = {}
        self._rows: dict[int, int] = {}

    def of(self, place: int) -> list[Near]:
        """(row, cosine) of the notes near an item that a link or a merge could want, best first.

        None in a scope too large to look through. Must be asked before the item is added.
        """
        owner = self._owners[place]
        if owner not in self._sizes:
            self._sizes[owner] = self._core.exact.count(self._tx, (owner,), self._limit)
        if self._sizes[owner] > self._limit:
            return []
        near = [*self._before(owner, place), *self._within(owner, place)]
        return sorted(near, key=_nearest_first)[: self._most]

    def add(self, row: int, place: int) -> None:
        """An item has been stored."""
        self._rows[place] = row

    def _among(self, owner: int) -> _Beside:
        if owner not in self._beside:
            assert self._vectors is not None
            mine = [place for place, other in enumerate(self._owners) if other == owner]
            self._beside[owner] = _Beside(mine, self._vectors, self._floor)
        return self._beside[owner]

    def _within(self, owner: int, place: int) -> list[Near]:
        """Among the items of the batch that were stored."""
        beside = [each for each in self._among(owner).near(place) if each[0] in self._rows]
        if not beside:
            return []
        assert self._stored_as is not None
        places, rough = zip(*beside, strict=True)
        kept = np.array(places)[may_be_best(np.array(rough), self._most)]
        exact = cosines(self._stored_as[place], self._stored_as[kept])
        return [
            (self._rows[other], cosine)
            for other, cosine in zip(kept.tolist(), exact.tolist(), strict=True)
            if cosine >= self._floor
        ]

    def _before(self, owner: int, place: int) -> list[Near]:
        """Among the notes that were stored before the batch."""
        size = self._sizes[owner]
        if not size:
            return []
        if owner not in self._stored:
            mine = [i for i in range(place, len(self._owners)) if self._owners[i] == owner]
            assert self._vectors is not None
            near = self._core.exact.nearest(self._tx, owner, self._vectors[mine], self._most, self._floor)
            self._stored[owner] = dict(zip(mine, near, strict=True))
        return self._stored[owner].get(place, [])


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
        """(place, rough cosine) of the items before this one."""
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
        products = np.tril(self._units[start:end] @ self._units[:end].T, start - 1)
        for here, before in np.argwhere(products >= self._floor - ROUGH).tolist():
            if before < start + here:  # a floor of zero takes what lies above the diagonal for near, too
                near = self._near.setdefault(self._places[start + here], [])
                near.append((self._places[before], float(products[here, before])))


def _nearest_first(each: Near) -> tuple[float, int]:
    row, cosine = each
    return -cosine, row
