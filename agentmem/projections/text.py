"""The words of the notes as full text has them: written where they lack, or all of them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from agentmem.core import EVERYBODY, Core
from agentmem.errors import StoreError
from agentmem.extract import found_by
from agentmem.projections.links import GRAPH_DUE, WordLinks
from agentmem.records.transaction import Transaction

__all__ = ["FullText"]

STATE: Final = "words"
"""Under which the store keeps whose words it has: a version, or one that is being written."""
CHUNK: Final = 1_000
Progress = Callable[[int, int], None]
Item = tuple[int, int, str, str]


class FullText:
    """Writes the words of the notes of everybody."""

    def __init__(self, core: Core, fail: Callable[[str], None] = lambda step: None) -> None:
        self._core = core
        self._fail = fail

    def complete(self) -> None:
        """Write the words of every note that has none: all of a store from before there were any, or with another version of them.

        Each batch is a transaction: a process that is killed goes on at the next open. What the former full text left in free pages
        and the log is scrubbed at the end. A store that is only read gets them in a copy.
        """
        store = self._core.store
        with self._core.reading(EVERYBODY) as tx:
            if tx.meta_get(STATE) == tx.text.version:
                return
        with store.completing() as tx:
            state, begun = tx.meta_get(STATE), f"{tx.text.version} begun"
            if state not in (tx.text.version, begun):
                tx.text.clear()
                tx.meta_set(STATE, begun)
        last = 0
        while rows := self._add(last):
            last = rows[-1]
            self._fail("words:after-batch")
        try:
            if not store.read_only:
                store.erase()
        except StoreError:
            return  # somebody reads, or the disk is full: the next open scrubs
        with store.completing() as tx:
            tx.meta_set(STATE, tx.text.version)

    def rebuild(self, report: Progress) -> int:
        """Write the words of every note anew; returns how many notes there are."""
        with self._core.writing(EVERYBODY) as tx:
            rows = tx.notes.select_all()
            tx.text.clear()
            for done, part in self._parts(rows):
                tx.text.put_many(self._items(tx, part))
                report(done, len(rows))
            tx.meta_set(STATE, tx.text.version)
            return tx.text.count()

    def _add(self, after: int) -> list[int]:
        with self._core.store.completing() as tx:
            rows = tx.text.missing(after, CHUNK)
            tx.text.put_many(self._items(tx, rows))
            if not self._core.store.read_only and self._other_terms(tx, rows):
                tx.meta_set(GRAPH_DUE, "1")
        return rows

    def _other_terms(self, tx: Transaction, rows: Sequence[int]) -> bool:
        """Whether notes are linked by other terms than their words have by now, as those in other scripts than Latin may be."""
        notes = tx.notes.load(rows)
        wanted, held = WordLinks(self._core, tx).terms([row for row in notes if not notes[row].content.isascii()])
        return any(wanted[row] != held[row] for row in wanted)

    @staticmethod
    def _parts(rows: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
        for start in range(0, len(rows), CHUNK):
            yield min(start + CHUNK, len(rows)), rows[start : start + CHUNK]

    @staticmethod
    def _items(tx: Transaction, rows: Sequence[int]) -> list[Item]:
        """In order of the rows, so that they are appended."""
        notes, spaces = tx.notes.load(rows), tx.spaces(rows)
        return [(row, spaces[row], *found_by(notes[row])) for row in sorted(notes)]
