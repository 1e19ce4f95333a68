"""The passages of one owner's long notes side by side in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from agentmem.errors import EmbedderMismatch

if TYPE_CHECKING:
    from agentmem.notes.arrays import Rows, Vectors

__all__ = ["Passages"]

_GAPS: Final = 0.5
"""Share of the array that may be gaps before it is packed."""


class Passages:
    """Unit vectors in an array that doubles when it is full; those of one note lie next to each other.

    What is removed leaves a gap of zeros, until gaps are half of the array.
    """

    def __init__(self) -> None:
        self._vectors: Vectors = np.zeros((0, 0), np.float32)
        self._rows: list[int] = []  # by group, -1 for a gap
        self._starts: list[int] = []
        self._group: dict[int, int] = {}
        self._size = 0
        self._gaps = 0
        self._bounds: tuple[Rows, Rows] | None = None
        self._asked: tuple[Vectors, Vectors] | None = None

    def __len__(self) -> int:
        return self._size - self._gaps

    @property
    def nbytes(self) -> int:
        return self._vectors.nbytes

    def put(self, row: int, vectors: Vectors) -> None:
        """The passages of a note, in the place of former ones; shape (passages, dimension)."""
        self.remove(row)
        if not len(vectors):
            return
        if self._size and vectors.shape[1] != self._vectors.shape[1]:
            raise EmbedderMismatch(
                f"The store holds passages of {self._vectors.shape[1]} and of {vectors.shape[1]} dimensions.",
                hint="call rebuild('vectors').",
            )
        self._reserve(len(vectors), int(vectors.shape[1]))
        start, self._size = self._size, self._size + len(vectors)
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
        np.divide(vectors, norms, out=self._vectors[start : self._size])
        self._group[row] = len(self._rows)
        self._rows.append(row)
        self._starts.append(start)
        self._changed()

    def remove(self, row: int) -> None:
        """Take a note's passages out; what was forgotten does not stay in memory either."""
        group = self._group.pop(row, None)
        if group is None:
            return
        start, end = self._span(group)
        self._vectors[start:end] = 0.0
        self._rows[group] = -1
        self._gaps += end - start
        self._changed()
        if self._gaps > _GAPS * self._size:
            self._pack()

    def best(self, query: Vectors) -> tuple[Rows, Vectors]:
        """The notes, and the cosine of the nearest passage of each."""
        rows, _ = self._arrays()
        nearest = self._nearest(query)
        here = rows >= 0
        return rows[here], nearest[here]

    def of(self, rows: Sequence[int] | Rows, query: Vectors) -> Vectors:
        """The cosine of the nearest passage of each of ``rows``; NaN where there is none."""
        found = np.full(len(rows), np.nan, np.float32)
        if self._group:
            nearest = self._nearest(query)
            for place, row in enumerate(np.asarray(rows).tolist()):
                group = self._group.get(row)
                if group is not None:
                    found[place] = nearest[group]
        return found

    def nearest_in(self, row: int, query: Vectors) -> int | None:
        """Which passage of a note is the nearest, counted from 0; ``None`` when it has none."""
        group = self._group.get(row)
        if group is None:
            return None
        start, end = self._span(group)
        return int(np.argmax(self._vectors[start:end] @ query))

    def _nearest(self, query: Vectors) -> Vectors:
        """[groups] the largest cosine of each; the last answer is kept for the questions that follow in the same request."""
        if self._asked is None or not np.array_equal(self._asked[0], query):
            _, starts = self._arrays()
            cosines = self._vectors[: self._size] @ query if self._size else np.zeros(0, np.float32)
            self._asked = query, np.maximum.reduceat(cosines, starts) if len(starts) else cosines
        return self._asked[1]

    def _arrays(self) -> tuple[Rows, Rows]:
        if self._bounds is None:
            self._bounds = np.array(self._rows, np.int64), np.array(self._starts, np.int64)
        return self._bounds

    def _span(self, group: int) -> tuple[int, int]:
        return self._starts[group], self._starts[group + 1] if group + 1 < len(self._starts) else self._size

    def _changed(self) -> None:
        self._bounds = self._asked = None

    def _reserve(self, more: int, dimension: int) -> None:
        needed = self._size + more
        if needed > len(self._vectors):
            grown = np.zeros((max(needed, 2 * self._size, 64), dimension), np.float32)
            if self._size:
                grown[: self._size] = self._vectors[: self._size]
            self._vectors = grown

    def _pack(self) -> None:
        kept = [(row, *self._span(group)) for row, group in self._group.items()]
        vectors, before = np.zeros((len(self), self._vectors.shape[1]), np.float32), self._vectors
        self._rows, self._starts, self._group, self._size, self._gaps = [], [], {}, 0, 0
        for row, start, end in kept:
            vectors[self._size : self._size + end - start] = before[start:end]
            self._group[row] = len(self._rows)
            self._rows.append(row)
            self._starts.append(self._size)
            self._size += end - start
        self._vectors = vectors
        self._changed()
