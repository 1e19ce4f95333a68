"""What new notes do to older ones that are near, read by a learned model: a mark, or, where it is sure, an end.

The rules of :mod:`agentmem.remember.supersede` close facts whose subject and relation they can read. What people say in other words is read here,
after the notes are stored and outside of their transaction, since a model takes milliseconds for each pair and no other writer should wait for it. So what is
cut short leaves notes that are stored and lack a mark. A mark is a link of kind ``updates`` from the newer note to the older one, with the probability
as its weight; nothing ends by it. A closed note ends as by a rule: its validity, its history, the edits made from it, and all of that is taken back when the
newer one is forgotten or says something else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from agentmem.core import Core
from agentmem.errors import EmbedderError, StoreError
from agentmem.extract import by_agent
from agentmem.notes.clock import micros
from agentmem.notes.note import Link, Note, Receipt, Status
from agentmem.notes.rows import LinkRow
from agentmem.projections.linking import SUPERSEDES, UPDATES
from agentmem.records.transaction import Transaction
from agentmem.remember.supersede import TRUSTED
from agentmem.weights.registry import WeightRegistry

__all__ = ["Related", "Relater"]

NEAR: Final = 0.25
"""The least cosine: of sentences that strangers wrote, one in ten lies further from what it replaces."""
LOOKED_AT: Final = 24
MOST: Final = 8
"""Older notes that one new note is read against."""
LONGEST: Final = 800
"""Characters of both notes together; a page is no statement that another one replaces."""
TOLD: Final = ("episodic", "semantic")


class Related(NamedTuple):
    """What became of the notes near a new one: the ids of those that are closed, and the links to them by rows."""

    closed: tuple[str, ...]
    links: tuple[LinkRow, ...]


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

    def relate(self, ids: Sequence[str], owners: Sequence[int]) -> tuple[Mapping[str, Related], tuple[str, ...]]:
        """By the id of each note that updates something what it does; and warnings of the weights. Ids that are gone are passed over.

        Args:
            owners: of the notes; nobody else's are looked at.
        """
        if self._core.relations is None or not ids:
            return {}, ()
        with self._core.reading_of(owners) as tx:
            texts, near = self._near(tx, ids)
        pairs = [(later, before) for later, befores in near.items() for before in befores]
        if not pairs:
            return {}, ()
        found = self._core.relations.replaced([(texts[before], texts[later]) for later, before in pairs])
        marks = self._core.relations.marks
        updates = [_Pair(*pair, chance) for pair, chance in zip(pairs, found, strict=True) if chance >= marks]
        return self._written(updates, texts, owners) if updates else ({}, ())

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
        done = [_with(r, found.get(r.id or "", Related((), ())), ids) for r in receipts]
        return [*done[:-1], replace(done[-1], warnings=(*done[-1].warnings, *warnings))]

    def again(self, tx: Transaction, row: int) -> list[str]:
        """Before a note says something else: its marks go; returns the ids of the notes to be read anew, itself first."""
        links = tx.links.touching([row], (UPDATES,))
        for link in links:
            tx.links.delete(link.source, link.target, UPDATES)
        named = tx.notes.ids_of([row, *(link.source for link in links)])
        return list(named.values())

    def _near(self, tx: Transaction, ids: Sequence[str]) -> tuple[dict[int, str], dict[int, list[int]]]:
        """The words of the notes concerned, and for each new note the older ones that it may update, nearest first."""
        texts: dict[int, str] = {}
        near: dict[int, list[int]] = {}
        rows = list(tx.notes.rows_of(ids).values())
        for owner, mine in tx.by_space(rows).items():
            known, vectors = tx.vectors.load(mine)
            limit = self._core.settings.remember.neighbour_limit
            if owner < 0 or not len(known) or self._core.exact.count(tx, (owner,), limit) > limit:
                continue
            later = tx.notes.load(known.tolist())
            found = self._core.exact.nearest(tx, owner, vectors, LOOKED_AT, NEAR, before=known.tolist())
            for row, others in zip(known.tolist(), found, strict=True):
                note = later[row]
                before = tx.notes.load([other for other, _ in others]) if _tells(note) else {}
                befores = [other for other, _ in others if other in before and _may_update(note, before[other])][:MOST]
                near |= {row: befores} if befores else {}
                texts |= {each: before[each].content for each in befores} | {row: note.content}
        return texts, near

    def _written(
        self, updates: Sequence[_Pair], texts: Mapping[int, str], owners: Sequence[int]
    ) -> tuple[Mapping[str, Related], tuple[str, ...]]:
        done: dict[str, Related] = {}
        with self._core.writing_within(owners) as tx:
            notes = tx.notes.load(sorted({row for pair in updates for row in pair[:2]}))
            ruled = {link[:2] for link in tx.links.touching([pair.later for pair in updates], (SUPERSEDES,))}
            for pair in updates:
                note, older = notes.get(pair.later), notes.get(pair.before)
                said = (texts[pair.later], texts[pair.before])
                if note is None or older is None or (note.content, older.content) != said or pair[:2] in ruled:
                    continue  # forgotten or reworded meanwhile; or a rule has closed it
                link = self._link(pair, older, {id for each in done.values() for id in each.closed})
                closed, links = done.get(note.id, Related((), ()))
                if link.kind == SUPERSEDES:
                    assert note.valid_from is not None
                    tx.notes.close_validity(pair.before, micros(note.valid_from), f"superseded by {note.id}")
                    closed = (*closed, older.id)
                done[note.id] = Related(closed, (*links, link))
            tx.links.put([link for each in done.values() for link in each.links])
            retired = self._weights.retire(tx, [id for each in done.values() for id in each.closed], "superseded")
            self._fail("relate:before-commit")
        return done, self._weights.follow() if retired else ()

    def _link(self, pair: _Pair, older: Note, closed: Collection[str]) -> LinkRow:
        """An end where it is asked for, sure, and the first; otherwise a mark."""
        assert self._core.relations is not None
        closes, said = self._core.relations.closes, f"read as replaced, with a probability of {pair.chance:.2f}"
        sure = self._core.settings.remember.updates == "closed" and closes is not None and pair.chance >= closes
        if not sure or older.valid_to is not None or older.id in closed:
            return LinkRow(pair.later, pair.before, UPDATES, pair.chance, said)
        return LinkRow(pair.later, pair.before, SUPERSEDES, 1.0, said)


def _with(receipt: Receipt, related: Related, ids: Mapping[int, str]) -> Receipt:
    links = [Link(ids[k.source], ids[k.target], k.kind, k.weight, k.reason) for k in related.links if k.target in ids]
    if not links:
        return receipt
    closed = (*receipt.superseded, *related.closed)
    status: Status = "superseded" if closed else receipt.status
    reason = receipt.reason or (f"replaces what note {related.closed[0]} says" if related.closed else "")
    return replace(receipt, status=status, reason=reason, superseded=closed, links=(*receipt.links, *links))


def _tells(note: Note) -> bool:
    """Whether a person's statement is in the note, not what an agent said or what was made of other notes."""
    return note.kind in TOLD and not by_agent(note) and note.valid_from is not None


def _may_update(note: Note, older: Note) -> bool:
    """By the same teller, about an earlier time, holding until then; and what is not trusted says nothing about what is."""
    assert note.valid_from is not None
    return (
        _tells(older)
        and _teller(note) == _teller(older)
        and _after(note, older)
        and older.valid_at(note.valid_from)
        and not note.trust < TRUSTED <= older.trust
        and len(note.content) + len(older.content) <= LONGEST
    )


def _after(note: Note, older: Note) -> bool:
    """Whether the note holds from a later time; of one moment, the turns of a conversation tell."""
    assert note.valid_from is not None
    assert older.valid_from is not None
    if note.valid_from != older.valid_from:
        return note.valid_from > older.valid_from
    return note.thread is not None and note.thread == older.thread and (note.position or 0) > (older.position or 0)


def _teller(note: Note) -> str | None:
    return None if note.actor == "user" else note.actor
