"""The times that notes tell of, besides when they were said: "Yesterday I went bowling", said on a Sunday, tells of the Saturday.

A function of a note's words and of the moment at which they were said; written with every note by :mod:`agentmem.projections.project`,
and anew where the rules that read them have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from agentmem.core import EVERYBODY, Core
from agentmem.extract import dates
from agentmem.notes.clock import micros
from agentmem.notes.note import Note
from agentmem.notes.passages import SENTENCE_END
from agentmem.notes.rows import ASKING
from agentmem.notes.spaces import is_lived, whose
from agentmem.records.transaction import Transaction

__all__ = ["ToldTimes", "told_in"]

STATE: Final = "times"
"""Under which the store keeps by which rules the times in it were read."""
RULES: Final = "1"
"""Another one whenever :func:`agentmem.extract.english.dates` reads more or reads otherwise, so that stores get their times anew."""
MOST: Final = 32
"""Spans that are kept of one note: a log of a year is of no day."""
CHUNK: Final = 1_000
Progress = Callable[[int, int], None]
Telling = tuple[int, int, list[tuple[int, int]]]


def told_in(note: Note) -> list[tuple[int, int]]:
    """The spans that a note tells of, half-open in microseconds, each once and ascending; what asks tells of none."""
    told = " ".join(part for part in SENTENCE_END.split(note.content) if not part.rstrip().endswith(ASKING))
    spans = dict.fromkeys((micros(start), micros(end)) for start, end, _ in dates(told, note.occurred_at))
    return sorted(list(spans)[:MOST])


class ToldTimes:
    """Writes, renews and compares the times that the notes of everybody tell of."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def complete(self) -> None:
        """Read the times of every note of a store from before there were any, or from other rules.

        A process that is killed meanwhile begins anew at the next open. A store that is only read gets them in a copy.
        """
        with self._core.reading(EVERYBODY) as tx:
            if tx.meta_get(STATE) == RULES:
                return
            rows = tx.notes.select_all()
        for _, part in _parts(rows):
            with self._core.store.completing() as tx:
                tx.times.replace(self._wanted(tx, part))
        with self._core.store.completing() as tx:
            tx.meta_set(STATE, RULES)

    def rebuild(self, report: Progress) -> int:
        """Read the times of every note anew; returns how many there are."""
        with self._core.writing(EVERYBODY) as tx:
            rows = tx.notes.select_all()
            for done, part in _parts(rows):
                tx.times.replace(self._wanted(tx, part))
                report(done, len(rows))
            tx.meta_set(STATE, RULES)
            return tx.times.count()

    def differing(self, tx: Transaction, rows: Sequence[int]) -> list[int]:
        """Those of ``rows`` of which other times are kept than they tell of."""
        held = tx.times.of(rows)
        return [row for row, _, spans in self._wanted(tx, rows) if spans != held.get(row, [])]

    @staticmethod
    def _wanted(tx: Transaction, rows: Sequence[int]) -> list[Telling]:
        notes, spaces = tx.notes.load(rows), tx.spaces(rows)
        return [
            (row, whose(spaces[row]), [] if is_lived(spaces[row]) else told_in(note))
            for row, note in sorted(notes.items())
        ]


def _parts(rows: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    for start in range(0, len(rows), CHUNK):
        yield min(start + CHUNK, len(rows)), rows[start : start + CHUNK]
