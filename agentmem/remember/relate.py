"""What new notes do to older ones that are near, read by a learned model: a mark, or, where it is sure, an end.

The rules of :mod:`agentmem.remember.supersede` close facts whose subject and relation they can read. What people say in other words is read here,
after the notes are stored and outside of their transaction, since a model takes milliseconds for each pair and no other writer should wait for it. So what is
cut short leaves notes that are stored and lack a mark. What is written is said in :mod:`agentmem.remember.judged`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from agentmem.core import Core
from agentmem.errors import EmbedderError, StoreError
from agentmem.extract import said_apart
from agentmem.notes.note import Fact, Note, Receipt
from agentmem.projections.linking import SUPERSEDES, UPDATES
from agentmem.records.transaction import Transaction
from agentmem.remember.judged import ASKED, READ, Consequences, Judgement, carry_out, told_of
from agentmem.remember.older_notes import older_notes
from agentmem.weights.registry import WeightRegistry

__all__ = ["Relater"]


class _Pair(NamedTuple):
    later: int
    before: int
    chance: float


class Relater:
    """Reads notes that were just stored against older ones of the same owner and teller.

    Args:
        weights: a note that is closed leaves the weights in the same transaction.
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(self, core: Core, weights: WeightRegistry, fail: Callable[[str], None] = lambda step: None) -> None:
        self._core = core
        self._weights = weights
        self._fail = fail

    def relate(self, ids: Sequence[str], owners: Sequence[int]) -> tuple[Mapping[str, Consequences], tuple[str, ...]]:
        """By the id of each note that updates something what it does; and warnings of the weights. Ids that are gone are passed over.

        Args:
            owners: of the notes; nobody else's are looked at.
        """
        if self._core.relations is None or not ids:
            return {}, ()
        with self._core.reading_of(owners) as tx:
            notes, near = older_notes(self._core, tx, ids)
        pairs = [(later, before) for later, befores in near.items() for before in befores]
        if not pairs:
            return {}, ()
        found = self._core.relations.replaced(
            [(notes[before].content, notes[later].content) for later, before in pairs]
        )
        marks = self._core.relations.marks
        updates = [_Pair(*pair, chance) for pair, chance in zip(pairs, found, strict=True) if chance >= marks]
        judged = self._judged(updates, notes)
        if not judged:
            return {}, ()
        with self._core.writing_within(owners) as tx:
            done, retired = carry_out(tx, self._core.extractor, judged, notes, self._weights.retire)
            self._fail("relate:before-commit")
        return done, self._weights.follow() if retired else ()

    def follow(self, receipts: Sequence[Receipt], told: Sequence[str], owners: Sequence[int]) -> list[Receipt]:
        """The receipts, with what the notes do that were ``told`` just now."""
        ids: Mapping[int, str] = {}
        try:
            found, warnings = self.relate(told, owners)
            if found:
                ends = {row for related in found.values() for link in related.links for row in link[:2]}
                with self._core.reading_of(owners) as tx:
                    ids = tx.notes.ids_of(sorted(ends))
        except (EmbedderError, StoreError) as error:  # the notes are stored: their receipts must not be lost for this
            found, warnings = {}, (f"not read against older notes: {error}",)
        if not found and not warnings:
            return list(receipts)
        done = [told_of(r, found.get(r.id or "", Consequences()), ids) for r in receipts]
        return [*done[:-1], replace(done[-1], warnings=(*done[-1].warnings, *warnings))]

    def again(self, tx: Transaction, row: int) -> list[str]:
        """Before a note says something else: its marks go, and who made them is asked anew; returns the ids of the notes to be read, itself first."""
        links = [k for k in tx.links.touching([row]) if k.kind == UPDATES or k.reason.startswith(ASKED)]
        for link in links:
            if link.kind != SUPERSEDES:  # what ended is seen to with the words that ended it
                tx.links.delete(*link[:3])
        newer = [link for link in links if link.source != row]
        tx.enrichment.ask_again([link.source for link in newer if link.reason.startswith(ASKED)])
        return list(tx.notes.ids_of([row, *(link.source for link in newer if link.kind == UPDATES)]).values())

    def _judged(self, updates: Sequence[_Pair], notes: Mapping[int, Note]) -> list[Judgement]:
        """A mark each; and an end, where that is asked for and sure."""
        assert self._core.relations is not None
        closes = self._core.relations.closes if self._core.settings.remember.updates == "closed" else None
        apart = {} if closes is None else self._facts_over(updates, notes, closes)
        return [
            Judgement(
                pair.later, pair.before, pair.chance, f"{READ}with a probability of {pair.chance:.2f}",
                ends=closes is not None and (pair.chance >= closes or pair in apart), facts=tuple(apart.get(pair, ())),
            )
            for pair in updates
        ]  # fmt: skip

    def _facts_over(
        self, updates: Iterable[_Pair], notes: Mapping[int, Note], closes: float
    ) -> dict[_Pair, list[Fact]]:
        """Of older notes that state several facts those that are surely replaced: each is read as it would be said alone."""
        assert self._core.relations is not None
        told = [
            (pair, fact, (words, notes[pair.later].content))
            for pair in updates
            for words, fact in said_apart(notes[pair.before])
        ]
        over: dict[_Pair, list[Fact]] = {}
        chances = self._core.relations.replaced([texts for _, _, texts in told]) if told else ()
        for (pair, fact, _), chance in zip(told, chances, strict=True):
            if chance >= closes:
                over.setdefault(pair, []).append(fact)
        return over
