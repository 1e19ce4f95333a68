"""What ranking reads of notes and links, column by column: one array operation instead of a loop over rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agentmem.notes.rows import HALF_LIFE, Facets, LinkRow
from agentmem.runtime.lazily import cached_property

__all__ = ["FacetColumns", "Flags", "LinkColumns", "Rows", "Values", "aligned", "firsts", "places", "together"]

Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


class FacetColumns:
    """The facets of n notes as arrays of shape (n,); times are in microseconds since 1970, NaN where there is none."""

    def __init__(self, facets: Sequence[Facets]) -> None:
        self.facets = facets
        self._columns = _columns(Facets, facets)
        self._numbers: dict[str, Values] = {}
        self._codes: dict[str, tuple[Rows, dict[str | None, int]]] = {}
        self.rows: Rows = np.array(self._columns.row, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.facets)

    def column(self, name: str) -> tuple[Any, ...]:
        """A column as it is stored."""
        column: tuple[Any, ...] = getattr(self._columns, name)
        return column

    def numbers(self, name: str) -> Values:
        """A column of numbers, NaN where there is none."""
        if name not in self._numbers:
            column = self.column(name)
            none = column.count(None) == len(column)
            self._numbers[name] = np.full(len(column), np.nan) if none else np.array(column, dtype=float)
        return self._numbers[name]

    def codes(self, name: str) -> Rows:
        """A column of texts as numbers, equal ones for equal texts, -1 where there is none."""
        return self._coded(name)[0]

    def having(self, name: str, wanted: Callable[[str | None], bool]) -> Flags:
        """Which notes have a text in this column that is ``wanted``; each text is asked about once."""
        codes, known = self._coded(name)
        found = np.zeros(len(known), dtype=bool)
        found[list(known.values())] = [wanted(text) for text in known]
        return found[codes]

    def _coded(self, name: str) -> tuple[Rows, dict[str | None, int]]:
        """The texts of a column as numbers, and the number of each: the last one stands for none."""
        if name not in self._codes:
            column = self.column(name)
            known = {
                text: number for number, text in enumerate(text for text in dict.fromkeys(column) if text is not None)
            }
            known[None] = -1
            self._codes[name] = np.fromiter(map(known.__getitem__, column), np.int64, len(column)), known
        return self._codes[name]

    def places(self, rows: Rows) -> Rows:
        """Where each of ``rows`` stands among these notes; -1 where it does not."""
        ascending, order = self._ascending
        at = places(rows, ascending)
        return np.where(at < 0, -1, order[at]) if len(order) else at

    @cached_property
    def _ascending(self) -> tuple[Rows, Rows]:
        """The rows in ascending order, and where each stands."""
        order = np.argsort(self.rows)
        return self.rows[order], order

    @cached_property
    def asks(self) -> Flags:
        """Which notes end as a question."""
        return np.array(self.column("asks"), dtype=bool)

    @property
    def only_asks(self) -> Flags:
        """Those of them that tell nothing before it."""
        only: Flags = np.array(self.column("asks"), dtype=np.int64) == 1
        return only

    def within(self, spans: Sequence[tuple[int, int]]) -> Flags:
        """Which notes are from one of these half-open spans of time."""
        moments = self.numbers("occurred_at")
        found: Flags = np.zeros(len(self), dtype=bool)
        for start, end in spans:
            found |= (moments >= start) & (moments < end)
        return found

    def ended(self, moment: int) -> Flags:
        """Which notes do not hold at a time: their validity is the half-open span [from, to)."""
        ended: Flags = self.numbers("valid_to") <= moment
        ended |= self.numbers("valid_from") > moment
        return ended


class LinkColumns:
    """n links as arrays of shape (n,), with the weights that they have by now: only those that uses made fade.

    Args:
        links: as they are stored; now: microseconds since 1970. A clock that went back ages none.
    """

    def __init__(self, links: Sequence[LinkRow], now: int) -> None:
        columns = _columns(LinkRow, links)
        self.sources: Rows = np.array(columns.source, dtype=np.int64)
        self.targets: Rows = np.array(columns.target, dtype=np.int64)
        self.kinds: Sequence[str] = columns.kind
        self.weights: Values = np.array(columns.weight, dtype=float)
        if columns.used_at.count(None) < len(links):
            used = np.array(columns.used_at, dtype=float)
            age = np.where(np.isnan(used), 0.0, np.maximum(0.0, now - used))
            self.weights *= 0.5 ** (age / HALF_LIFE)

    def beyond(self, known: Rows) -> Rows:
        """The ends of links that are not among ``known``, each once, ascending."""
        ends = together(self.sources, self.targets)
        return ends[places(ends, known) < 0]

    def onto(self, known: Rows, stands: Rows) -> LinkColumns:
        """The same links between the notes that stand for their ends, each two linked once in a kind, none with itself.

        Args:
            known: [m] ascending; stands: [m] the row that stands for each, itself mostly; a row that is not known stands for itself.
        """
        ends = [
            np.where(at < 0, rows, stands[at]) for rows in (self.sources, self.targets) for at in [places(rows, known)]
        ]
        first: dict[tuple[int, int, str], int] = {}
        for number, link in enumerate(zip(ends[0].tolist(), ends[1].tolist(), self.kinds, strict=True)):
            if link[0] != link[1]:
                first.setdefault(link, number)
        kept, links = np.array(list(first.values()), dtype=np.int64), LinkColumns([], 0)
        links.sources, links.targets, links.weights = ends[0][kept], ends[1][kept], self.weights[kept]
        links.kinds = [kind for _, _, kind in first]
        return links


def _columns(kind: type[Facets | LinkRow], rows: Sequence[Facets] | Sequence[LinkRow]) -> Any:
    """Rows of a kind as one such row of columns."""
    return kind._make(zip(*rows, strict=True) if rows else [()] * len(kind._fields))


def together(some: Rows, others: Rows) -> Rows:
    """The rows of both, each once, ascending; a sixth of what ``np.union1d`` takes for a few hundred."""
    rows = np.concatenate((some, others))
    rows.sort()
    found: Rows = rows[firsts(rows)]
    return found


def firsts(rows: Rows) -> Flags:
    """[n] which of ``rows``, where equal ones lie side by side, are the first of their kind."""
    first = np.ones(len(rows), dtype=bool)
    np.not_equal(rows[1:], rows[:-1], out=first[1:])
    return first


def places(rows: Rows, known: Rows) -> Rows:
    """[n] where each of ``rows`` stands in ``known``, which ascends; -1 where it does not."""
    if not len(known):
        return np.full(len(rows), -1)
    at = np.minimum(np.searchsorted(known, rows), len(known) - 1)
    return np.where(known[at] == rows, at, -1)


def aligned(rows: Rows, known: Rows, values: Values) -> Values:
    """[n] the value of each of ``rows``, 0 for a row that is not in ``known``, which ascends."""
    at = places(rows, known)
    return np.where(at < 0, 0.0, values[at]) if len(known) else np.zeros(len(rows))
