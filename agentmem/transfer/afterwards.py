"""What a restored backup brings back, though it was forgotten: told by the memory in which it was."""

from __future__ import annotations

from agentmem.notes.clock import micros
from agentmem.notes.note import Note, Scope
from agentmem.notes.rows import Selection
from agentmem.records.transaction import Transaction
from agentmem.remember.duplicates import content_hash

__all__ = ["forgotten_there"]

_PAGE = 500


def forgotten_there(here: Transaction, there: Transaction, scope: Scope) -> list[str]:
    """Ids of the notes that a scope owns here, and that were forgotten there: the very note, or the words of any of its versions since they were said.

    What is there now, whatever was forgotten before, is there with its owner's will, and stays here as well.

    Args:
        here, there: transactions of jobs: of the memory that is looked through, and of the one that remembers what was forgotten.
    """
    mine, theirs = here.notes.owner(scope), there.notes.owner(scope)
    if mine is None:
        return []
    found: list[str] = []
    after = 0
    while rows := here.notes.page(Selection((mine,), archived=True), after, _PAGE):
        notes = here.notes.load(rows)
        ids = [note.id for note in notes.values()]
        held = there.notes.rows_of(ids)
        gone = there.ledger.forgotten(ids)
        for row, note in notes.items():
            if note.id in held:
                continue
            if theirs in gone.get(note.id, ()) or (theirs is not None and _said(here, there, row, note, theirs)):
                found.append(note.id)
        after = rows[-1]
    return found


def _said(here: Transaction, there: Transaction, row: int, note: Note, owner: int) -> bool:
    """Whether anything that the note says, or said, was forgotten after it was said."""
    if not there.tombstones.any(owner):
        return False
    versions = here.notes.history(row)
    moments = [note.occurred_at, *(version.changed_at for version in versions[1:])]
    for version, moment in zip(versions, moments, strict=True):
        at = there.tombstones.find(owner, content_hash(version.content)) if version.content else None
        if at is not None and micros(moment) <= at:
            return True
    return False
