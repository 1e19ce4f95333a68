"""The next version of a note whose words stay: other things said about them."""

from __future__ import annotations

from dataclasses import replace

from agentmem.extract import found_by
from agentmem.notes.note import Note
from agentmem.records.transaction import Transaction
from agentmem.remember.duplicates import content_hash

__all__ = ["carry_edits", "rewrite"]


def rewrite(tx: Transaction, row: int, before: Note, after: Note, reason: str) -> Note:
    """Write ``after`` as the next version of ``before``: the same words, other things said about them.

    An edit in the weights says what the note's fact says; while that stays, the edit goes along with the new version.
    """
    assert before.content == after.content
    changed = replace(after, version=before.version + 1)
    tx.notes.replace(row, changed, content_hash(changed.content), reason)
    if before.keywords != changed.keywords:
        tx.text.put(row, tx.spaces([row])[row], *found_by(changed))
    if before.fact == changed.fact:
        carry_edits(tx, before, changed)
    return changed


def carry_edits(tx: Transaction, before: Note, now: Note) -> None:
    """Edits that said what a note did before say what it does now: they are those of its present version."""
    for edit in tx.ledger.edits(note_ids=[before.id]):
        if edit.note_version == before.version:
            tx.ledger.put_edit(replace(edit, note_version=now.version))
