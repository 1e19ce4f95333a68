"""Notes that a model's words were put on: the next version of one, and what is taken back when a source is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentmem.extract import found_by
from agentmem.notes.note import Note
from agentmem.notes.rows import EnrichmentRow
from agentmem.records.transaction import Transaction
from agentmem.remember.duplicates import content_hash

__all__ = ["bare", "carry_edits", "plain_again", "rewrite", "take_back"]


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


def take_back(tx: Transaction, rows: Sequence[int]) -> int:
    """Before ``rows`` are forgotten: notes whose context or tags were made from them lose what the model added.

    They are outstanding again, so that the next run describes them from what remains; returns how many there were.
    """
    return plain_again(tx, [row for row in tx.enrichment.made_from(rows) if row not in set(rows)])


def plain_again(tx: Transaction, touched: Sequence[int]) -> int:
    """Take from these notes what the model added to them; returns how many they are."""
    records = tx.enrichment.load(touched)
    for row, note in tx.notes.load(touched).items():
        plain = bare(note, records.get(row))
        if plain != note:
            rewrite(tx, row, note, plain, "what came from a forgotten note was taken back")
    tx.enrichment.clear(touched)
    return len(touched)


def bare(note: Note, record: EnrichmentRow | None) -> Note:
    """The note without what a model added to it."""
    if record is None or record.context is None:
        return note
    return replace(
        note,
        context=record.context,
        tags=tuple(t for t in note.tags if t not in record.tags),
        keywords=tuple(k for k in note.keywords if k not in record.keywords),
    )
