"""Finding the nearest of many keys: roughly for all of them, then exactly for those that rounding leaves in question.

A matrix product in single precision says how far every key lies, but for a known error; what comes within that error of the
nearest is measured again in double precision. So an answer is that of an exact search, at the price of a rough one. Beyond some
ten thousand keys even that is much to read for every request, most of which no edit answers: a :class:`KeySieve` of the keys, a
quarter as large, then rules out nearly all that lie too far away to answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from agentmem.editors.packs import Array
from agentmem.runtime.lazily import cached_property

__all__ = ["Bools", "Doubles", "Integers", "KeySearch", "KeySieve"]

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_UNIT = 2.0**-24  # the largest relative error of one rounding in single precision
_BLOCK = 1 << 22  # distances held at once
_COLUMNS = 64  # of a shadow


class KeySearch:
    """Keys that are asked which of them lie nearest; every answer is exact.

    Args:
        rows: [K, r].
    """

    def __init__(self, rows: Array) -> None:
        self.rows = np.ascontiguousarray(rows, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """The bytes of the keys and of their lengths."""
        return self.rows.nbytes + self._squares.nbytes

    def rough(self, queries: Array) -> Array:
        """[n, K] squared distances less the query's own squared length, of which :meth:`doubt` says how wrong they may be."""
        products: Array = queries.astype(np.float32, copy=False) @ self.rows.T
        products *= -2
        products += self._squares
        return products

    def doubt(self, queries: Array) -> list[float]:
        """[n] how far apart :meth:`rough` may put two equally distant keys: twice its error bound (Higham 2002, *Accuracy and
        Stability of Numerical Algorithms*, section 3.1).
        """
        # One more for the rounding of the queries' own lengths. Plain numbers: for a query or two, arrays take longer.
        rounding, longest = 4 * _UNIT * (self.rows.shape[1] + 9), self._longest
        return [rounding * (math.sqrt(query @ query) + longest) ** 2 for query in queries]

    def exact(self, query: Array, at: Integers) -> Doubles:
        """[m] the distances from one query [r] to the keys with these numbers, in double precision."""
        gaps: Doubles = np.linalg.norm(self.rows[at].astype(np.float64) - query, axis=1)
        return gaps

    def nearest(self, queries: Array, rough: Array | None = None) -> tuple[Integers, Doubles]:
        """[n] the nearest key of each query (the first of equals, -1 for none), and [n] how far it is.

        Args:
            queries: [n, r].
            rough: [n, K] what :meth:`rough` says of them; infinite where a key does not count.
        """
        if not len(self) or not len(queries):
            return np.full(len(queries), -1, dtype=np.int64), np.full(len(queries), np.inf)
        if rough is None:
            parts = [self.nearest(queries[block], self.rough(queries[block])) for block in self.blocks(len(queries))]
            return np.concatenate([at for at, _ in parts]), np.concatenate([gap for _, gap in parts])
        found = [self.first(*each) for each in zip(queries, rough, self.doubt(queries), strict=True)]
        return np.array([at for at, _ in found]), np.array([gap for _, gap in found])

    def first(self, query: Array, row: Array, doubt: float = 0.0) -> tuple[int, float]:
        """The nearest key of one query [r] by its row [K] of :meth:`rough`, and how far it is; -1 when none counts.

        Without its :meth:`doubt` it is one of those that rounding cannot tell apart.
        """
        at = int(row.argmin())
        least = row[at]
        if least == np.inf:
            return -1, np.inf
        if doubt and np.count_nonzero(close := row <= least + doubt) > 1:
            among = np.flatnonzero(close)
            gaps = self.exact(query, among)
            return int(among[gaps.argmin()]), float(gaps.min())
        apart = self.rows[at].astype(np.float64) - query
        return at, math.sqrt(apart @ apart)

    def maybe_within(self, queries: Array, radius: float) -> Bools:
        """[n, K] False only where a key is farther than ``radius``."""
        own = (queries.astype(np.float64) ** 2).sum(axis=1)
        bound = radius**2 - own + np.array(self.doubt(queries))
        near: Bools = self.rough(queries) <= bound[:, None]
        return near

    def measured(self, query: Array, among: Integers, radius: float) -> tuple[Integers, Doubles]:
        """Those of some keys that are at most ``radius`` from one query [r], and their distances."""
        gaps = self.exact(query, among)
        inside = gaps <= radius
        return among[inside], gaps[inside]

    def blocks(self, count: int) -> Iterator[slice]:
        """Cut ``count`` queries so that their distances to all keys take little room."""
        size = max(1, _BLOCK // max(1, len(self)))
        return (slice(start, start + size) for start in range(0, count, size))

    @cached_property
    def _squares(self) -> Array:
        squares: Array = np.einsum("kr,kr->k", self.rows, self.rows)
        return squares

    @cached_property
    def _longest(self) -> float:
        rounding: float = 1 + 2 * _UNIT * self.rows.shape[1]
        return float(np.sqrt(self._squares.max(initial=0.0))) * rounding


class KeySieve:
    """Keys seen through the few columns in which they differ most, and the length of the rest.

    By the triangle inequality nothing is farther apart here than it is: ``|q - k|^2 >= |q' - k'|^2 + (|q''| - |k''|)^2`` for any
    parting of the columns. So what lies within a radius of a query does so here as well, and only that has to be measured. The
    discriminant's columns come in the order of what they tell apart: the first 64 of 256 leave some ten keys in a hundred
    thousand, for the radii at which edits answer.
    """

    def __init__(self, keys: KeySearch) -> None:
        self._keys = keys
        spread = keys.rows.var(axis=0) if len(keys) else np.zeros(keys.rows.shape[1])
        self._leading = np.sort(np.argsort(-spread, kind="stable")[:_COLUMNS])
        self._cast = KeySearch(self._seen(keys.rows))

    @property
    def nbytes(self) -> int:
        """The bytes that it takes beside the keys."""
        return self._cast.nbytes

    def within(self, queries: Array, radius: float) -> list[tuple[Integers, Doubles]]:
        """For each query the keys at most ``radius`` away, ascending, and their distances."""
        return [
            self._keys.measured(query, np.flatnonzero(row), radius)
            for block in self._cast.blocks(len(queries))
            for query, row in zip(queries[block], self._likely(queries[block], radius), strict=True)
        ]

    def leaves(self, queries: Array, radius: float) -> float:
        """The share of the keys that have to be measured for queries like these; 0 without any."""
        blocks = self._cast.blocks(len(queries))
        left = sum(int(np.count_nonzero(self._likely(queries[block], radius))) for block in blocks)
        return left / max(1, len(queries) * len(self._keys))

    def _likely(self, queries: Array, radius: float) -> Bools:
        """[n, K] False only where a key is farther than ``radius``; the length of the rest is rounded as well."""
        return self._cast.maybe_within(self._seen(queries), radius * (1 + 1e-5) + 1e-6)

    def _seen(self, rows: Array) -> Array:
        """[n, r] -> [n, columns + 1]."""
        leading = rows[:, self._leading]
        rest = np.einsum("nr,nr->n", rows, rows, dtype=np.float64) - np.einsum(
            "nr,nr->n", leading, leading, dtype=np.float64
        )
        seen: Array = np.column_stack([leading, np.sqrt(np.maximum(rest, 0))]).astype(np.float32)
        return seen
