"""What a model added to a note is taken back: when a source of it is forgotten, and for a note as it was before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentmem.notes.note import Note
from agentmem.notes.rows import EnrichmentRow
from agentmem.records.transaction import Transaction
from agentmem.remember.next_version import rewrite

__all__ = ["bare", "plain_again", "take_back"]


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
