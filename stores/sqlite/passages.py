"""The vectors of the passages of long notes, as half-precision blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from agentmem.errors import StoreCorrupt
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.vectors import SqliteVectors, checked
from agentmem.stores.sqlite.where import json_list

if TYPE_CHECKING:
    from agentmem.storage import Vectors

__all__ = ["SqlitePassages"]

_MISSING: Final = """
    SELECT n.id FROM note n WHERE n.id > ? AND n.length > ? AND n.kind <> 'experience'
        AND EXISTS (SELECT 1 FROM vector WHERE row = n.id) AND NOT EXISTS (SELECT 1 FROM passage WHERE row = n.id)
    ORDER BY n.id LIMIT ?
"""
_LOAD: Final = "SELECT row, data FROM passage WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row"
_LOAD_OWNER: Final = "SELECT row, data FROM passage WHERE owner = ? AND row > ? ORDER BY row LIMIT ?"


class SqlitePassages:
    """:class:`agentmem.storage.PassageTable` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._vectors = SqliteVectors(database)

    def put(self, row: int, owner: int, vectors: Vectors) -> None:
        """Store the vectors of a note's passages, in their order; its own vector must be there, and takes them along when it goes.

        Raises:
            InvalidArgument: not finite, non-zero vectors.
            EmbedderMismatch: the store holds vectors of another dimension.
        """
        known = self._vectors.fingerprint()
        data = checked(range(len(vectors)), vectors, None if known is None else known[1])
        self._db.run("DELETE FROM passage WHERE row = ?", (int(row),))
        self._db.run("INSERT INTO passage (row, owner, data) VALUES (?, ?, ?)", (int(row), int(owner), data.tobytes()))

    def load(self, rows: Sequence[int]) -> Mapping[int, Vectors]:
        """The passages of those rows that have some, float32 of shape (passages, dimension) each."""
        return self._decoded(self._db.rows(_LOAD, (json_list(rows),)))

    def batch(self, owner: int, after: int, limit: int) -> Mapping[int, Vectors]:
        """The same of up to ``limit`` rows of an owner beyond ``after``, by row."""
        return self._decoded(self._db.rows(_LOAD_OWNER, (int(owner), int(after), int(limit))))

    def size_of(self, owner: int) -> int:
        """How many passages the notes of an owner have."""
        width = self._width()
        return int(self._db.answer("SELECT coalesce(sum(length(data)), 0) FROM passage WHERE owner = ?", (int(owner),))[0][0]) // width

    def missing(self, longer: int, after: int, limit: int) -> list[int]:
        """Up to ``limit`` rows beyond ``after`` of notes of more than ``longer`` characters that have a vector and no passages."""
        return [row for (row,) in self._db.rows(_MISSING, (int(after), int(longer), int(limit)))]

    def _width(self) -> int:
        known = self._vectors.fingerprint()
        return 2 if known is None else 2 * known[1]

    def _decoded(self, found: list[tuple[int, bytes]]) -> dict[int, Vectors]:
        width = self._width()
        if any(not blob or len(blob) % width for _, blob in found):
            raise StoreCorrupt("The stored passages differ in length.", hint="call rebuild('vectors').")
        return {row: np.frombuffer(blob, dtype=np.float16).reshape(-1, width // 2).astype(np.float32) for row, blob in found}
