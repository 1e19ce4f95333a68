"""The vectors of one owner side by side in memory, with their sign bits once somebody asks by them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from agentmem.errors import EmbedderMismatch
from agentmem.notes.columns import places
from agentmem.notes.cosines import as_stored
from agentmem.stores.vectors import signs

if TYPE_CHECKING:
    from agentmem.notes.arrays import Rows, Vectors

__all__ = ["Block"]

_CHUNK: Final = 16_384


class Block:
    """The unit vectors of one owner in an array that doubles when it is full.

    Rows are found by bisection for as long as they lie in ascending order, as they are stored; from the first gap on by a
    dictionary, which takes a hundred bytes a row.

    Args:
        capacity: how many vectors will come; dimension: of how many numbers each.
    """

    def __init__(self, capacity: int = 0, dimension: int = 0) -> None:
        self._size = 0
        self._rows: Rows = np.zeros(capacity, np.int64)
        self._vectors: Vectors = np.zeros((capacity, dimension), np.float32)
        self._lengths: Vectors = np.zeros(capacity, np.float32)
        self._signs: npt.NDArray[np.uint64] | None = None
        self._slot: dict[int, int] | None = None  # only once the rows do not ascend
        self._asked: tuple[Vectors, Vectors] | None = None

    def __len__(self) -> int:
        return self._size

    @property
    def dimension(self) -> int:
        return int(self._vectors.shape[1])

    @property
    def nbytes(self) -> int:
        asked = 0 if self._asked is None else self._asked[1].nbytes
        return (
            self._vectors.nbytes
            + self._lengths.nbytes
            + self._rows.nbytes
            + asked
            + (0 if self._signs is None else self._signs.nbytes)
        )

    def put(self, rows: Rows, vectors: Vectors) -> None:
        """Add vectors, or replace those of known rows."""
        if not len(rows):
            return
        if self._size and vectors.shape[1] != self.dimension:
            raise EmbedderMismatch(
                f"The store holds vectors of {self.dimension} and of {vectors.shape[1]} dimensions.",
                hint="call rebuild('vectors').",
            )
        self._asked = None
        self._reserve(self._size + len(rows), int(vectors.shape[1]))
        first = self._size
        slots = self._places(rows)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        self._lengths[slots] = lengths
        if self._size - first == len(rows):
            # all of them are new and lie side by side, as after loading: no copy in between
            self._rows[first : self._size] = rows
            np.divide(vectors, lengths[:, None], out=self._vectors[first : self._size])
        else:
            self._rows[slots], self._vectors[slots] = rows, vectors / lengths[:, None]
        if self._signs is not None:
            self._signs[:, slots] = signs.pack(vectors)

    def _places(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Where each of these rows lies, or from now on will."""
        first = self._size
        if self._slot is None and (not first or rows[0] > self._rows[first - 1]) and (rows[1:] > rows[:-1]).all():
            self._size += len(rows)
            return np.arange(first, self._size)
        known = self._by_row()
        slots = np.empty(len(rows), np.int64)
        for place, row in enumerate(rows.tolist()):
            slot = known.setdefault(row, self._size)
            self._size += slot == self._size
            slots[place] = slot
        return slots

    def _by_row(self) -> dict[int, int]:
        """Where each row lies, for rows that do not ascend."""
        if self._slot is None:
            self._slot = dict(zip(self._rows[: self._size].tolist(), range(self._size), strict=True))
        return self._slot

    def remove(self, row: int) -> None:
        """Move the last vector into the gap; the order of a block means nothing."""
        slot = int(self.slots([row])[0])
        if slot < 0:
            return
        self._asked = None
        last = self._size - 1
        if slot != last:
            moved = int(self._rows[last])
            self._by_row()[moved] = slot
            self._rows[slot], self._vectors[slot], self._lengths[slot] = moved, self._vectors[last], self._lengths[last]
        if self._slot is not None:
            del self._slot[row]
        self._size = last
        self._vectors[last] = self._lengths[last] = 0.0  # what was forgotten does not stay in memory either
        if self._signs is not None:
            self._signs[:, slot] = self._signs[:, last]
            self._signs[:, last] = 0

    def slots(self, rows: Sequence[int] | Rows) -> npt.NDArray[np.int64]:
        """Where each row lies; -1 when it does not."""
        wanted = np.asarray(rows, np.int64)
        if self._slot is not None:
            return np.fromiter(map(self._slot.get, wanted.tolist(), repeat(-1)), np.int64, len(wanted))
        return places(wanted, self._rows[: self._size])

    def cosines(self, query: Vectors, slots: npt.NDArray[np.int64] | None) -> tuple[Rows, Vectors]:
        """Rows and cosines at some slots, or all.

        The last answer about all of them is kept: a request that asked for the nearest goes on to ask for those that it found
        in other ways.
        """
        if slots is None:
            cosines: Vectors = self._vectors[: self._size] @ query
            self._asked = query, cosines
            return self._rows[: self._size], cosines
        if self._asked is not None and np.array_equal(self._asked[0], query):
            return self._rows[slots], self._asked[1][slots]
        return self._rows[slots], self._vectors[slots] @ query

    def units(self, slots: npt.NDArray[np.int64]) -> Vectors:
        """The unit vectors at some slots: shape (slots, dimension)."""
        found: Vectors = self._vectors[slots]
        return found

    def stored(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The vectors at some slots as they were put here, in half precision, before they were brought to unit length: shape (slots, dimension).

        Dividing by the length and multiplying with it in single precision leaves an error far below half of a half's last digit.
        """
        return as_stored(self._vectors[slots] * self._lengths[slots, None])

    def products(self, queries: Vectors) -> tuple[Rows, Vectors]:
        """All rows, and their cosines with many unit queries: shape (queries, rows)."""
        return self._rows[: self._size], queries @ self._vectors[: self._size].T

    def shortlist(self, query: Vectors, count: int) -> npt.NDArray[np.int64]:
        """The slots of at least the ``count`` vectors whose signs differ least from the query's."""
        if self._signs is None:
            self._signs = np.zeros((signs.words(self.dimension), len(self._rows)), np.uint64)
            for start in range(0, self._size, _CHUNK):
                end = min(start + _CHUNK, self._size)
                self._signs[:, start:end] = signs.pack(self._vectors[start:end])
        return signs.nearest(signs.differing(self._signs[:, : self._size], signs.pack(query[None, :])), count)

    def _reserve(self, needed: int, dimension: int) -> None:
        capacity = len(self._rows)
        if self._size == 0 and self._vectors.shape[1] != dimension:
            capacity, self._signs = 0, None
        if needed <= capacity:
            return
        capacity = max(needed, 2 * self._size, 16)
        self._rows, before = np.zeros(capacity, np.int64), self._rows
        self._rows[: self._size] = before[: self._size]
        self._lengths, lengths = np.zeros(capacity, np.float32), self._lengths
        self._lengths[: self._size] = lengths[: self._size]
        self._vectors, former = np.zeros((capacity, dimension), np.float32), self._vectors
        if self._size:
            self._vectors[: self._size] = former[: self._size]
        if self._signs is not None:
            self._signs, old = np.zeros((signs.words(dimension), capacity), np.uint64), self._signs
            self._signs[:, : self._size] = old[:, : self._size]
