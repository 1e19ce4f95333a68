"""What a use of notes leaves to learn from: the question, the answer drawn from the notes, and under which of them it is kept.

It is of who asked: it lies under the asker's owner, and names the notes by their rows, which may be shared. Of an asker who has no note
nothing is kept: nobody could forget it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agentmem.core import Core
from agentmem.extract import is_private
from agentmem.notes.clock import from_micros
from agentmem.notes.evidence import Drawn, Evidence
from agentmem.notes.note import Note, Scope
from agentmem.notes.rows import Selection
from agentmem.records.evidence import Asked
from agentmem.records.transaction import Transaction

__all__ = ["evidence_of", "holder", "keep_evidence", "statements"]


def statements(note: Note) -> list[str]:
    """What a note says, and what its fact does: that is what the weights would learn, whatever the note's words are."""
    fact = note.fact
    return [note.content] if fact is None else [note.content, f"{fact.relation} is {fact.object}"]


def keep_evidence(core: Core, tx: Transaction, notes: Mapping[int, Note], drawn: Drawn, scope: Scope, now: int) -> None:
    """Within the use of these notes, by row: the question and its answer are kept under each; nothing of what looks like a secret.

    Args:
        scope: in which it was asked; of an unbound call it is whose notes they are, unless they are of several.
    """
    clean = drawn.clean() if core.settings.remember.evidence and notes else None
    if clean is None or any(map(is_private, (clean.question, clean.answer))):
        return
    asker = _asker(scope, notes.values())
    owner = None if asker is None else holder(tx, asker)
    if asker is None or owner is None:
        return
    if any(is_private(said) for note in notes.values() for said in statements(note)):
        return
    rows = tuple(sorted(notes))
    tx.evidence.keep(Asked(owner, asker.agent, asker.session, clean.question, clean.answer, 1, now, rows))


def holder(tx: Transaction, asker: Scope) -> int | None:
    """Under whom a question is kept, if anybody: everybody, or who has a note to be known by and forgotten with."""
    owner = tx.notes.owner(asker)
    held = owner is not None and (not asker.owner or tx.notes.any(Selection((owner,), archived=True)))
    return owner if held else None


def _asker(scope: Scope, notes: Iterable[Note]) -> Scope | None:
    """Whose a question is: of whom the scope is, or of whom the notes are; ``None`` where these are of several."""
    if scope:
        return scope
    whose = {note.scope.owner for note in notes} - {Scope()}
    return next(iter(whose), Scope()) if len(whose) < 2 else None


def evidence_of(core: Core, tx: Transaction, scope: Scope, row: int | None) -> list[Evidence]:
    """What was asked in a scope, of one note or of all: what a request in it may see, the latest first."""
    owner = tx.notes.owner(scope)
    found = [] if owner is None else tx.evidence.of(owner, None if row is None else [row])
    rows = sorted({each for asked in found for each in asked.rows})
    seen = {facets.row for facets in tx.notes.facets(rows, core.selection(tx, scope))}
    ids = tx.notes.ids_of(sorted(seen))
    made = []
    for asked in found:
        whose = Scope(scope.user, asked.agent, asked.session)
        if asked.whole and seen.issuperset(asked.rows) and scope.admits(whose):
            named = tuple(ids[each] for each in asked.rows)
            made.append(Evidence(asked.question, asked.answer, named, from_micros(asked.at), asked.times, whose))
    return made
