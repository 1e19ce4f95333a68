"""The vectors of the passages of long notes, as half-precision blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from agentmem.errors import InvalidArgument, StoreCorrupt
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.vectors import checked
from agentmem.stores.sqlite.where import json_list

if TYPE_CHECKING:
    from agentmem.notes.storage import Vectors

__all__ = ["SqlitePassages"]

_MISSING: Final = """
    SELECT n.id FROM note n WHERE n.length > ? AND n.kind <> 'experience'
        AND EXISTS (SELECT 1 FROM vector WHERE row = n.id) AND NOT EXISTS (SELECT 1 FROM passage WHERE row = n.id)
    ORDER BY n.id
"""
# A passage has as many numbers as the vector of its note.
_LOAD: Final = """
    SELECT p.row, p.data, length(v.data) FROM passage p JOIN vector v ON v.row = p.row
    WHERE p.row IN (SELECT value FROM json_each(?)) ORDER BY p.row
"""
_LOAD_OWNER: Final = """
    SELECT p.row, p.data, length(v.data) FROM passage p JOIN vector v ON v.row = p.row
    WHERE p.owner = ? AND p.row > ? ORDER BY p.row LIMIT ?
"""
_COUNT: Final = """
    SELECT coalesce(sum(length(p.data) / length(v.data)), 0) FROM passage p JOIN vector v ON v.row = p.row WHERE p.owner = ?
"""


class SqlitePassages:
    """:class:`agentmem.notes.storage.PassageTable` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, row: int, owner: int, vectors: Vectors) -> None:
        """Store the vectors of a note's passages, in their order; its own vector must be there, and takes them along when it goes.

        Raises:
            InvalidArgument: not finite, non-zero vectors, or the note has none of its own.
            EmbedderMismatch: the note's own vector is of another dimension.
        """
        size = self._db.value("SELECT length(data) FROM vector WHERE row = ?", (int(row),))
        if size is None:
            raise InvalidArgument(f"The note in row {row} has no vector of its own.", hint="store that first.")
        data = checked(range(len(vectors)), vectors, size // 2)
        self._db.run("DELETE FROM passage WHERE row = ?", (int(row),))
        self._db.run("INSERT INTO passage (row, owner, data) VALUES (?, ?, ?)", (int(row), int(owner), data.tobytes()))

    def load(self, rows: Sequence[int]) -> Mapping[int, Vectors]:
        """The passages of those rows that have some, float32 of shape (passages, dimension) each."""
        return _decoded(self._db.rows(_LOAD, (json_list(rows),)))

    def batch(self, owner: int, after: int, limit: int) -> Mapping[int, Vectors]:
        """The same of up to ``limit`` rows of an owner beyond ``after``, by row."""
        return _decoded(self._db.rows(_LOAD_OWNER, (int(owner), int(after), int(limit))))

    def size_of(self, owner: int) -> int:
        """How many passages the notes of an owner have."""
        return int(self._db.value(_COUNT, (int(owner),)))

    def missing(self, longer: int) -> list[int]:
        """Rows of notes of more than ``longer`` characters that have a vector and no passages."""
        return [row for (row,) in self._db.rows(_MISSING, (int(longer),))]


def _decoded(found: list[tuple[int, bytes, int]]) -> dict[int, Vectors]:
    if any(not blob or len(blob) % width for _, blob, width in found):
        raise StoreCorrupt("The stored passages differ in length.", hint="call rebuild('vectors').")
    return {
        row: np.frombuffer(blob, dtype=np.float16).reshape(-1, width // 2).astype(np.float32)
        for row, blob, width in found
    }
