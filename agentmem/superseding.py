"""Newer facts close older ones; what cannot be decided stays visible as a contradiction."""

from __future__ import annotations

from agentmem.clock import micros
from agentmem.linking import SUPERSEDES, conflicting, link_contradicts, link_supersedes
from agentmem.notes import Fact, Note
from agentmem.storage import LinkRow, Transaction

__all__ = ["Superseder"]

TRUSTED = 0.5


class Superseder:
    """Compares a new note's fact with the open facts of the same subject and relation, in the same owner."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def apply(self, note: Note, row: int, owner: int) -> tuple[tuple[str, ...], list[LinkRow], str]:
        """Returns the ids of the notes closed, the links to write, and the reason in words."""
        if note.fact is None:
            return (), [], ""
        known = {r: fact for r, fact in self._tx.notes.facts(owner, note.fact.subject, note.fact.relation) if r != row}
        rivals = dict(conflicting(note.fact, known.items()))
        links = [LinkRow(row, r, "supports", 1.0, "says the same") for r in known if _same_object(known[r], note.fact)]
        closed: list[str] = []
        for rival_row, rival in self._tx.notes.load([r for r, fact in rivals.items() if fact.functional]).items():
            made = self._settle(note, note.fact, row, rival, rival_row)
            links += made
            closed += [rival.id for link in made if link.kind == SUPERSEDES and link.source == row]
        words = f"newer {note.fact.relation} of {note.fact.subject}" if closed else ""
        return tuple(closed), links, words

    def _settle(self, note: Note, fact: Fact, row: int, rival: Note, rival_row: int) -> list[LinkRow]:
        """Which of two values holds: the one valid later, unless it comes from a source that is not trusted."""
        assert note.valid_from is not None
        assert rival.fact is not None
        began = rival.valid_from or rival.occurred_at
        doubted = note.trust < TRUSTED <= rival.trust or (rival.trust < TRUSTED <= note.trust and note.valid_from <= began)
        if doubted or began == note.valid_from:
            return link_contradicts(row, fact, [(rival_row, rival.fact)])
        if note.valid_from > began:
            self._tx.notes.close_validity(rival_row, micros(note.valid_from), f"superseded by {note.id}")
            return link_supersedes(row, fact, [(rival_row, rival.fact)])
        self._tx.notes.close_validity(row, micros(began), f"was superseded by {rival.id}")
        return link_supersedes(rival_row, rival.fact, [(row, fact)])


def _same_object(one: Fact, other: Fact) -> bool:
    return one.object.casefold().strip(" .") == other.object.casefold().strip(" .")
