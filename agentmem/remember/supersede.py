"""Newer facts close older ones, and so do words that say that something holds no longer; what cannot be decided stays visible
as a contradiction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from agentmem.extract import Ending, said_in
from agentmem.extract.relations import plain, same_value
from agentmem.notes.clock import micros
from agentmem.notes.note import Fact, Note
from agentmem.notes.rows import Facets, LinkRow, Selection
from agentmem.projections.linking import (
    SUPERSEDES,
    conflicting,
    link_contradicts,
    link_ended,
    link_supersedes,
)
from agentmem.records.transaction import Transaction

__all__ = ["Superseder"]

TRUSTED = 0.5
MOST: Final = 8
"""Notes of one kind that a fact is linked with, the newest: what is said a thousand times must not become a hub."""


Mentions = Callable[[int, str], Sequence[int]]
"""The notes of an owner that mention a term."""


class Superseder:
    """Compares what a note states and ends with the facts of the same subject and relation, in the same owner, that hold when it does.

    Args:
        tx: the write that stores the note; mentions: which notes mention a term, where the store does not know all of them yet.
    """

    def __init__(self, tx: Transaction, mentions: Mentions | None = None) -> None:
        self._tx = tx
        self._mentions = mentions or (lambda owner, term: tx.terms.find(owner, [term]).get(term, []))

    def apply(
        self, note: Note, row: int, owner: int, ended: Sequence[Ending] = ()
    ) -> tuple[tuple[str, ...], list[LinkRow], str]:
        """Returns the ids of the notes closed, the links to write, and the reason in words."""
        closed, links, why = self._stated(note, row, owner)
        for ending in ended:
            rows, more = self._end(note, row, owner, ending)
            closed, links = (*closed, *self._tx.notes.ids_of(rows).values()), links + more
            why = why or (f"no longer {ending.relation} of {ending.subject}" if rows else "")
        return closed, links, why

    def _stated(self, note: Note, row: int, owner: int) -> tuple[tuple[str, ...], list[LinkRow], str]:
        if note.fact is None:
            return (), [], ""
        assert note.valid_from is not None
        found = self._tx.notes.facts(owner, note.fact.subject, note.fact.relation, holding_from=micros(note.valid_from))
        known = {r: fact for r, fact in found if r != row}
        same = [r for r in known if _same_object(known[r], note.fact)][-MOST:]
        rivals = [r for r, fact in conflicting(note.fact, known.items()) if fact.functional]
        closed, links = self._weighed(note, note.fact, row, self._in_order(rivals, owner), known)
        links += self._ended_later(note, note.fact, row, owner)
        supports = [LinkRow(row, r, "supports", 1.0, "says the same") for r in same]
        ids = self._tx.notes.ids_of(closed)
        words = f"newer {note.fact.relation} of {note.fact.subject}" if closed else ""
        return tuple(ids[r] for r in closed), supports + links, words

    def _end(self, note: Note, row: int, owner: int, ending: Ending) -> tuple[list[int], list[LinkRow]]:
        """Close the older notes that state what ended; a source that is not trusted only speaks against them."""
        assert note.valid_from is not None
        found = self._tx.notes.facts(owner, ending.subject, ending.relation, holding_from=micros(note.valid_from))
        known = {r: fact for r, fact in found if r != row and _ends(ending, fact)}
        closed: list[int] = []
        links: list[LinkRow] = []
        for rival in self._in_order(list(known), owner):
            order = _order(note, rival)
            if order < 0:
                continue
            certain = order > 0 and not _doubted(note.trust, rival.trust, order)
            if certain:
                self._tx.notes.close_validity(rival.row, micros(note.valid_from), f"ended by {note.id}")
                closed.append(rival.row)
            links.append(link_ended(row, rival.row, known[rival.row], certain=certain))
        return closed, links

    def _ended_later(self, note: Note, fact: Fact, row: int, owner: int) -> list[LinkRow]:
        """What is told late ends where words from a later time said that it ended, if they name the value."""
        assert note.valid_from is not None
        if note.valid_from >= note.created_at:
            return []
        after = self._tx.notes.facets(
            list(self._mentions(owner, plain(fact.object))), Selection((owner,), archived=True)
        )
        for other in sorted(
            (f for f in after if f.row != row and _order(note, f) < 0), key=lambda f: (_began(f), f.row)
        ):
            ending = self._tx.notes.load([other.row])[other.row]
            if not _is_over(fact, said_in(ending).ended):
                continue
            certain = not _doubted(ending.trust, note.trust, 1)
            held = self._tx.notes.load([row])[row].valid_to
            if certain and (held is None or micros(held) > _began(other)):
                self._tx.notes.close_validity(row, _began(other), f"was ended by {ending.id}")
            return [link_ended(other.row, row, fact, certain=certain)]
        return []

    def closed_by(self, rows: Sequence[int]) -> list[int]:
        """Other notes that hold no longer because of ``rows``: they end where the one that superseded them begins."""
        links = [k for k in self._tx.links.touching(rows, (SUPERSEDES,)) if k.source in rows and k.target not in rows]
        notes = self._tx.notes.load(sorted({end for link in links for end in link[:2]}))
        return [k.target for k in links if notes[k.target].valid_to == notes[k.source].valid_from]

    def reopen(self, rows: Sequence[int], why: str) -> list[str]:
        """What superseded these notes is gone: they hold again, until the next value begins. Returns the ids of notes closed."""
        closed: list[str] = []
        for row, note in sorted(self._tx.notes.load(rows).items(), key=lambda item: item[1].occurred_at):
            self._tx.notes.close_validity(row, None, why)
            owner = self._tx.notes.owner(note.scope)
            assert owner is not None
            more, links, _ = self.apply(replace(note, valid_to=None, version=note.version + 1), row, owner)
            self._tx.links.put(links)
            closed += more
        return closed

    def released(self, row: int, note: Note, fact: Fact | None, ended: Sequence[Ending] = ()) -> tuple[list[int], bool]:
        """Before a note says something else: which notes it does not supersede any more, and whether it is itself superseded no more."""
        links = self._tx.links.touching([row], (SUPERSEDES,))
        others = self._tx.notes.load([k.target if k.source == row else k.source for k in links])
        free = {
            r
            for r, other in others.items()
            if other.fact is None
            or not ((fact and conflicting(fact, [(r, other.fact)])) or _is_over(other.fact, ended))
        }
        for link in links:
            if free.intersection(link[:2]):
                self._tx.links.delete(link.source, link.target, SUPERSEDES)
        over = [k.target for k in links if k.target in free and others[k.target].valid_to == note.valid_from]
        under = any(k.source in free and others[k.source].valid_from == note.valid_to for k in links)
        return over, under

    def _in_order(self, rows: list[int], owner: int) -> list[Facets]:
        """Rivals by the time from which they hold; those of one moment by their place in a conversation."""
        facets = self._tx.notes.facets(rows, Selection((owner,), archived=True)) if rows else []
        return sorted(facets, key=lambda f: (_began(f), f.position or 0, f.row))

    def _weighed(
        self, note: Note, fact: Fact, row: int, rivals: list[Facets], known: dict[int, Fact]
    ) -> tuple[list[int], list[LinkRow]]:
        """Each value holds until the next one begins, unless that comes from a source that is not trusted.

        So the order in which statements arrive does not matter: one told late ends the one before it, and ends with the one after.
        """
        closed: list[int] = []
        links: list[LinkRow] = []
        against: list[tuple[int, Fact]] = []
        for rival in rivals:
            began, other = _began(rival), known[rival.row]
            if note.valid_to is not None and began >= micros(note.valid_to):
                break
            order = _order(note, rival)
            if order == 0 or _doubted(note.trust, rival.trust, order):
                against.append((rival.row, other))
            elif order > 0:
                assert note.valid_from is not None
                self._tx.notes.close_validity(rival.row, micros(note.valid_from), f"superseded by {note.id}")
                closed.append(rival.row)
                links += link_supersedes(row, fact, [(rival.row, other)])
            else:
                self._tx.notes.close_validity(
                    row, began, f"was superseded by {self._tx.notes.ids_of([rival.row])[rival.row]}"
                )
                links += link_supersedes(rival.row, other, [(row, fact)])
                break
        return closed, links + link_contradicts(row, fact, against[-MOST:])


def _is_over(fact: Fact, ended: Sequence[Ending]) -> bool:
    """Whether one of these endings is that of a fact."""
    said = (plain(fact.subject), plain(fact.relation))
    return any((plain(e.subject), plain(e.relation)) == said and _ends(e, fact) for e in ended)


def _ends(ending: Ending, fact: Fact) -> bool:
    return ending.object is None or same_value(fact.relation, fact.object, ending.object)


def _began(rival: Facets) -> int:
    return rival.occurred_at if rival.valid_from is None else rival.valid_from


def _order(note: Note, rival: Facets) -> int:
    """Over zero when the note is the newer one, under zero when the rival is; of one moment, the turns of a conversation tell."""
    assert note.valid_from is not None
    begins, began = micros(note.valid_from), _began(rival)
    if begins != began:
        return 1 if begins > began else -1
    if note.thread is None or note.thread != rival.thread or note.position is None or rival.position is None:
        return 0
    return note.position - rival.position


def _doubted(trust: float, rival: float, order: int) -> bool:
    """Whether the note comes from a source that is not trusted and the rival does not; or the other way round, when the rival is newer."""
    return trust < TRUSTED <= rival or (rival < TRUSTED <= trust and order < 0)


def _same_object(one: Fact, other: Fact) -> bool:
    return same_value(one.relation, one.object, other.object)
