"""One field of an owner's notes: its words in their order, and where each of them stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from agentmem.notes.arrays import Digests, Rows

    Slots = npt.NDArray[np.int32]

__all__ = ["Field", "Found", "grown"]

T = TypeVar("T", bound=np.generic)

_NEW: Final = 4_096
"""Words at the end of the text that are looked through one by one, at least."""
_SHARE: Final = 64
"""Of the text: the part of it that may be looked through one by one."""


class Found(NamedTuple):
    """n pairs of a phrase and a note in which it stands: which phrase, the note's slot, how often; each pair once."""

    which: Rows
    slots: Slots
    counts: Rows

    def of(self, true: npt.NDArray[np.bool_]) -> Found:
        """Those of the pairs for which something is true."""
        return Found(self.which[true], self.slots[true], self.counts[true])


class Field:
    """The digests of all words side by side, note after note, and the places of equal ones together.

    A place is where a word stands in this text. ``keys``, in ascending order, have the upper bits of a digest and below them a place; so
    the places of a word are found by bisection, and one sorting makes all of it. Two words may have those upper bits in common:
    what is found is compared with the text. That also leaves out the words of notes that were taken out, which are zero in the text.
    """

    def __init__(self) -> None:
        self.lengths: Slots = np.zeros(0, np.int32)
        self._starts: Rows = np.zeros(0, np.int64)
        self._text: Digests = np.zeros(0, np.uint64)
        self._whose: Slots = np.zeros(0, np.int32)
        self._size = 0
        self._gone = 0
        self._keys: Digests = np.zeros(0, np.uint64)
        self._low = _lower(0)

    @property
    def nbytes(self) -> int:
        return self._text.nbytes + self._whose.nbytes + self._keys.nbytes + self.lengths.nbytes + self._starts.nbytes

    @property
    def worn(self) -> bool:
        """Whether most of the text is gone."""
        return self._gone > max(_NEW, self._size // 2)

    def put(self, slots: Slots, sizes: Rows, digests: Digests) -> None:
        """Add the words of notes that have none so far, so many of each."""
        start, self._size = self._size, self._size + len(digests)
        most = int(slots.max(initial=-1)) + 1
        self.lengths, self._starts = grown(self.lengths, most), grown(self._starts, most)
        self._text, self._whose = grown(self._text, self._size), grown(self._whose, self._size)
        self._text[start : self._size] = digests
        self._whose[start : self._size] = np.repeat(slots, sizes)
        self.lengths[slots] = sizes
        self._starts[slots] = start + np.cumsum(sizes) - sizes

    def remove(self, slot: int) -> None:
        """Take the words of a note out."""
        length = int(self.lengths[slot])
        if length:
            start = int(self._starts[slot])
            self._text[start : start + length] = 0
            self.lengths[slot] = 0
            self._gone += length

    def find(self, phrases: Sequence[Digests]) -> Found:
        """Where the phrases stand, each of one digest or several."""
        if not self._size:
            return Found(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))
        self._sort_if_due()
        numbers = list(range(len(phrases)))
        parts = [self._whole(phrase, *bounds) for phrase, bounds in zip(phrases, self._bounds(phrases), strict=True)]
        if len(self._keys) < self._size:
            numbers += numbers
            parts += [self._among_new(phrase) for phrase in phrases]
        at = (np.concatenate(parts) & self._low).view(np.int64)
        which = np.repeat(np.array(numbers), np.array([len(part) for part in parts]))
        true = self._text[at] == np.array([phrase[0] for phrase in phrases], np.uint64)[which]
        if not true.all():
            which, at = which[true], at[true]
        return _counted(which, self._whose[at])

    def _bounds(self, phrases: Sequence[Digests]) -> list[tuple[int, int, int]]:
        """Of each phrase its rarest word, and where that one's keys begin and end."""
        upper = np.concatenate(phrases) & ~self._low
        starts = np.searchsorted(self._keys, upper).tolist()
        ends = np.searchsorted(self._keys, upper | self._low, side="right").tolist()
        bounds, first = [], 0
        for phrase in phrases:
            rarest = min(range(first, first + len(phrase)), key=lambda i: int(ends[i] - starts[i]))
            bounds.append((rarest - first, starts[rarest], ends[rarest]))
            first += len(phrase)
        return bounds

    def _whole(self, phrase: Digests, offset: int, start: int, end: int) -> Digests:
        """Where a phrase stands, of whose word at ``offset`` these are the keys; the lower bits are the places."""
        found = self._keys[start:end]
        return found if len(phrase) == 1 else self._going_on(phrase, (found & self._low).view(np.int64) - offset)

    def _among_new(self, phrase: Digests) -> Digests:
        """The places of a phrase among the words that are not sorted yet."""
        start = len(self._keys)
        found = (self._text[start : self._size] == phrase[0]).nonzero()[0] + start
        return found.view(np.uint64) if len(phrase) == 1 else self._going_on(phrase, found)

    def _going_on(self, phrase: Digests, at: Rows) -> Digests:
        """Those places where a phrase begins and goes on to its end, within one note."""
        at = at[(at >= 0) & (at + len(phrase) <= self._size)]
        true = self._whose[at] == self._whose[at + len(phrase) - 1]
        for i, digest in enumerate(phrase):
            true &= self._text[at + i] == digest
        found: Digests = at[true].view(np.uint64)
        return found

    def _sort_if_due(self) -> None:
        """Sort anew once the words that came since are too many to be looked through for each word of a query."""
        if self._size - len(self._keys) <= max(_NEW, self._size // _SHARE):
            return
        self._low = _lower(self._size)
        self._keys = self._text[: self._size] & ~self._low
        self._keys |= np.arange(self._size, dtype=np.uint64)
        self._keys.sort()


def _lower(size: int) -> np.uint64:
    """The bits for places in a text of this size, and in one that has grown as far as it may before it is sorted anew."""
    return np.uint64((1 << (2 * (size + _NEW)).bit_length()) - 1)


def _counted(which: Rows, whose: Slots) -> Found:
    """Each pair once, with how often it is there; equal ones stand side by side, since the words of a note do."""
    last = np.ones(len(which), dtype=bool)
    np.not_equal(whose[1:], whose[:-1], out=last[:-1])
    last[:-1] |= which[1:] != which[:-1]
    ends = last.nonzero()[0]
    counts = ends.copy()
    counts[1:] -= ends[:-1]
    counts[:1] += 1
    return Found(which[ends], whose[ends], counts)


def grown(array: npt.NDArray[T], needed: int) -> npt.NDArray[T]:
    """An array of at least ``needed`` items with the same beginning, and zeros behind; it doubles when it is full."""
    if needed <= len(array):
        return array
    larger = np.zeros(max(needed, 2 * len(array), 16) if len(array) else needed, array.dtype)
    larger[: len(array)] = array
    return larger
