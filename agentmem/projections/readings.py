"""What is read off a note: the times that it tells of, besides when it was said ("Yesterday I went bowling", said on a Sunday, tells of the
Saturday), and how likely it only asks.

A function of a note's words and of the moment at which they were said; written with every note by :mod:`agentmem.projections.project`,
and anew where what reads them has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from agentmem.core import EVERYBODY, Core
from agentmem.extract import dates
from agentmem.extract.asking import ONLY_ASKS
from agentmem.notes.clock import micros
from agentmem.notes.note import Note
from agentmem.notes.passages import SENTENCE_END
from agentmem.notes.rows import ASKING
from agentmem.notes.spaces import is_lived, whose
from agentmem.records.readings import Reading
from agentmem.records.transaction import Transaction

__all__ = ["NoteReadings", "read"]

STATE: Final = "readings"
"""Under which the store keeps by what the notes in it were read."""
RULES: Final = "3"
"""Another one whenever :func:`agentmem.extract.english.dates` or :mod:`agentmem.extract.asking` reads otherwise, so that stores are read anew."""
MOST: Final = 32
"""Spans that are kept of one note: a log of a year is of no day."""
UNLIKELY: Final = 5
"""Per cent below which it is not kept how likely a note only asks."""
CHUNK: Final = 1_000
Progress = Callable[[int, int], None]


def read(row: int, space: int, note: Note) -> Reading:
    """What is read off a note of a space; of experiences nothing, which are met by acting."""
    if is_lived(space):
        return Reading(row, whose(space))
    likely = round(100 * ONLY_ASKS.likely(note.content))
    return Reading(row, whose(space), _told_in(note), likely if likely >= UNLIKELY else 0)


def _told_in(note: Note) -> list[tuple[int, int]]:
    """The spans that a note tells of, half-open in microseconds, each once and ascending; what asks tells of none."""
    told = " ".join(part for part in SENTENCE_END.split(note.content) if not part.rstrip().endswith(ASKING))
    spans = dict.fromkeys((micros(start), micros(end)) for start, end, _ in dates(told, note.occurred_at, way=None))
    return sorted(list(spans)[:MOST])


class NoteReadings:
    """Writes, renews and compares what is read off the notes of everybody."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def complete(self) -> None:
        """Read every note of a store from before this was kept, or that was read otherwise.

        A process that is killed meanwhile begins anew at the next open. A store that is only read gets it in a copy.
        """
        with self._core.reading(EVERYBODY) as tx:
            if tx.meta_get(STATE) == RULES:
                return
            rows = tx.notes.select_all()
        for _, part in _parts(rows):
            with self._core.store.completing() as tx:
                tx.readings.replace(self._wanted(tx, part))
        with self._core.store.completing() as tx:
            tx.meta_set(STATE, RULES)

    def rebuild(self, report: Progress) -> int:
        """Read every note anew; returns how many there are."""
        with self._core.writing(EVERYBODY) as tx:
            rows = tx.notes.select_all()
            for done, part in _parts(rows):
                tx.readings.replace(self._wanted(tx, part))
                report(done, len(rows))
            tx.meta_set(STATE, RULES)
            return len(rows)

    def differing(self, tx: Transaction, rows: Sequence[int]) -> list[int]:
        """Those of ``rows`` of which something else is kept than is read off them."""
        times, asking = tx.readings.times(rows), tx.readings.asking(rows, anew=True)
        return [
            row
            for row, _, spans, likely in self._wanted(tx, rows)
            if list(spans) != times.get(row, []) or likely != asking[row]
        ]

    @staticmethod
    def _wanted(tx: Transaction, rows: Sequence[int]) -> list[Reading]:
        notes, spaces = tx.notes.load(rows), tx.spaces(rows)
        return [read(row, spaces[row], note) for row, note in sorted(notes.items())]


def _parts(rows: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    for start in range(0, len(rows), CHUNK):
        yield min(start + CHUNK, len(rows)), rows[start : start + CHUNK]
