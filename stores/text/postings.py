"""The full text of one owner in memory: which notes have the words of a query, and how much of each note that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agentmem.notes.columns import firsts, places
from agentmem.stores.text.field import Field, Found, grown

if TYPE_CHECKING:
    from agentmem.notes.arrays import Digests, Rows, TextRows

    Flags = npt.NDArray[np.bool_]
    Values = npt.NDArray[np.float64]

__all__ = ["Matches", "Postings"]

_BESIDE: Final = 0.5
"""What a word beside a note counts, in words of its own."""
_SHORT: Final = 80
"""Words up to which a note is found by what stands around it: a longer one says itself what it is about."""
_CELLS: Final = 300_000
"""Pairs of a phrase and a note that are held at a time."""


class Matches(NamedTuple):
    """n pairs of a phrase and a note that has it: which phrase, the note's slot, how often."""

    which: Rows
    slots: Rows
    counts: Values


class Postings:
    """The words of an owner's notes. A note is found by its own, and for half as much by those around it: of the notes before and
    after it in its thread, and of its context.

    What stands around a note is put together when somebody asks, out of the other notes' own words: it changes and goes with them.
    """

    def __init__(self) -> None:
        self._size = 0
        self._live = 0
        self._rows: Rows = np.zeros(0, np.int64)  # ascending
        self._held = np.zeros(0, bool)
        self._before = np.zeros(0, np.int32)  # the slot of the note before, one more than it is: 0 for none
        self._after = np.zeros(0, np.int32)
        self._own, self._context = Field(), Field()
        self._lengths: Values | None = None
        self._words: float | None = None

    def __len__(self) -> int:
        return self._live

    @property
    def nbytes(self) -> int:
        beside = self._rows.nbytes + self._held.nbytes + self._before.nbytes + self._after.nbytes
        return self._own.nbytes + self._context.nbytes + beside + (0 if self._lengths is None else self._lengths.nbytes)

    @property
    def worn(self) -> bool:
        """Whether most of what is held is gone: then it is better loaded anew."""
        return self._own.worn or self._context.worn or self._size > 2 * self._live + 1_000

    @property
    def rows(self) -> Rows:
        """The rows of all slots, those of notes that are gone among them."""
        return self._rows[: self._size]

    @property
    def lengths(self) -> Values:
        """By slot, how many words a note and what is around it have."""
        if self._lengths is None:
            self._words = None
            own = np.zeros(self._size + 1)
            own[1:] = self._own.lengths[: self._size]
            beside = own[self._before[: self._size]] + own[self._after[: self._size]]
            self._lengths = own[1:] + np.where(self._short[1:], beside, 0.0) + self._context.lengths[: self._size]
        return self._lengths

    @property
    def _short(self) -> Flags:
        """By slot, one more than it is, whether what stands around a note counts for it; not for slot 0, which stands for no note."""
        short = np.zeros(self._size + 1, bool)
        short[1:] = self._own.lengths[: self._size] <= _SHORT
        return short

    @property
    def words(self) -> float:
        """How many words all notes together have, each with what is around it."""
        if self._lengths is None or self._words is None:
            self._words = float(self.lengths.sum())
        return self._words

    def put(self, found: TextRows) -> bool:
        """Add notes, or give known ones other words; by row. False when one belongs between those that are held."""
        self._lengths = None
        slots = places(found.rows, self.rows)
        new = slots < 0
        count = int(new.sum())
        if count and self._size and found.rows[new][0] < self._rows[self._size - 1]:
            return False
        for slot in slots[~new].tolist():
            self._live += not self._held[slot]
            self._own.remove(slot)
            self._context.remove(slot)
        self._reserve(self._size + count)
        slots[new] = np.arange(self._size, self._size + count)
        self._rows[slots[new]] = found.rows[new]
        self._size += count
        self._live += count
        self._held[slots] = True
        self._own.put(slots.astype(np.int32), found.sizes[0], found.content)
        self._context.put(slots.astype(np.int32), found.sizes[1], found.context)
        return True

    def remove(self, row: int) -> None:
        """Take a note out; the two beside it stand beside each other then."""
        slot = int(places(np.array([row]), self.rows)[0])
        if slot < 0 or not self._held[slot]:
            return
        self._lengths = None
        self._live -= 1
        self._held[slot] = False
        self._own.remove(slot)
        self._context.remove(slot)
        before, after = int(self._before[slot]), int(self._after[slot])
        if before:
            self._after[before - 1] = after
        if after:
            self._before[after - 1] = before
        self._before[slot] = self._after[slot] = 0

    def join(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Notes that follow each other in a thread, as (earlier, later); those that are not held are left out."""
        if not pairs:
            return
        self._lengths = None
        earlier, later = places(np.array(pairs, np.int64).T, self.rows)
        known = (earlier >= 0) & (later >= 0)
        earlier, later = earlier[known], later[known]
        self._after[earlier] = later + 1
        self._before[later] = earlier + 1

    def find(self, phrases: Sequence[Digests]) -> tuple[Found, Found]:
        """Where these phrases stand, each of one digest or several: in notes themselves, and in their context."""
        return self._own.find(phrases), self._context.find(phrases)

    def matches(self, own: Found, context: Found, phrases: int) -> Matches:
        """Which notes have which of so many phrases, in themselves or around them."""
        step = max(1, _CELLS // (self._size + 1))
        if phrases <= step:
            return self._matches(own, context, 0, phrases)
        parts = []
        for start in range(0, phrases, step):
            here = [found.of((found.which >= start) & (found.which < start + step)) for found in (own, context)]
            parts.append(self._matches(here[0], here[1], start, step))
        return Matches(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _matches(self, own: Found, context: Found, first: int, phrases: int) -> Matches:
        # A cell for each pair of a phrase and a note; the first of each phrase is for a note that is not there.
        width = self._size + 1
        slots = own.slots
        before, after, short = self._before[slots], self._after[slots], self._short
        # what stands beside a long note is credited to the note that is not there
        columns = (slots + 1, before * short[before], after * short[after], context.slots + 1)
        base = (own.which - first) * width
        cells = [base + columns[0], base + columns[1], base + columns[2], (context.which - first) * width + columns[3]]
        table = np.zeros(phrases * width)
        for place, (cell, often) in enumerate(
            zip(cells, (own.counts, own.counts, own.counts, context.counts), strict=True)
        ):
            table[cell] += _BESIDE * often if place else often
        found = _each_once(np.concatenate(cells), len(table))
        found = found[found % width > 0]
        return Matches(found // width + first, found % width - 1, table[found])

    def _reserve(self, needed: int) -> None:
        self._rows, self._held = grown(self._rows, needed), grown(self._held, needed)
        self._before, self._after = grown(self._before, needed), grown(self._after, needed)


def _each_once(cells: Rows, count: int) -> Rows:
    """The cells there are, each once, ascending."""
    if len(cells) > count // 64:  # cheaper than sorting
        there = np.zeros(count, bool)
        there[cells] = True
        return there.nonzero()[0]
    cells.sort()
    return cells[firsts(cells)]
