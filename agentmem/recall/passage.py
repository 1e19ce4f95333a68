"""Which passage of a long note is quoted: the one that comes nearest to the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agentmem.core import Core
from agentmem.notes.note import Note
from agentmem.notes.passages import LONG, passages
from agentmem.records.transaction import Transaction

if TYPE_CHECKING:
    from agentmem.notes.arrays import Vectors

__all__ = ["nearest_passages"]


def nearest_passages(
    tx: Transaction, core: Core, notes: Mapping[int, Note], spaces: Sequence[int], vector: Vectors
) -> dict[int, str]:
    """By row, what of each long note comes nearest to the query; ``vector``: its own, shape (dimension,)."""
    long = [row for row, note in notes.items() if len(note.content) > LONG]
    if not long:
        return {}
    parts = {row: passages(notes[row].content) for row in long}
    places = core.exact.nearest_passages(tx, long, spaces, vector)
    return {row: parts[row][place] for row, place in places.items() if place < len(parts[row])}
