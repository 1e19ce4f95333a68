"""The vectors of another embedder, kept beside those that serve until every note has one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agentmem.errors import EmbedderMismatch, InvalidArgument
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.vectors import checked, set_embedder

if TYPE_CHECKING:
    from agentmem.notes.storage import Vectors

__all__ = ["SqliteNextVectors"]

_FINGERPRINT: Final = "next_embedder_fingerprint"
_DIMENSION: Final = "next_embedder_dimension"
_PUT: Final = (
    "INSERT INTO vector_next (row, owner, data) VALUES (?, ?, ?) "
    "ON CONFLICT (row) DO UPDATE SET owner = excluded.owner, data = excluded.data"
)
_MISSING: Final = "SELECT id FROM note WHERE id > ? AND NOT EXISTS (SELECT 1 FROM vector_next WHERE row = note.id) ORDER BY id LIMIT ?"


class SqliteNextVectors:
    """:class:`agentmem.notes.storage.NextVectorTable` on SQLite.

    A trigger takes out the vector of a note that gets new words, and a note that goes takes its vector along; so what
    is here always speaks of the notes as they are.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def begin(self, fingerprint: str, dimension: int) -> None:
        """Aim at an embedder; vectors of the same one stay, those of any other are dropped."""
        if dimension < 1:
            raise InvalidArgument(f"An embedder cannot have dimension {dimension}.", hint="it is at least 1.")
        if self.target() == (fingerprint, dimension):
            return
        self.drop()
        self._db.many(
            "INSERT INTO meta (key, value) VALUES (?, ?)",
            [(_FINGERPRINT, fingerprint), (_DIMENSION, str(dimension))],
        )

    def target(self) -> tuple[str, int] | None:
        """The fingerprint and dimension aimed at; ``None`` when no re-embedding is under way."""
        found = dict(self._db.rows("SELECT key, value FROM meta WHERE key IN (?, ?)", (_FINGERPRINT, _DIMENSION)))
        return (found[_FINGERPRINT], int(found[_DIMENSION])) if len(found) == 2 else None

    def put(self, rows: Sequence[int], owner: int, vectors: Vectors) -> None:
        """Store one vector per row.

        Raises:
            InvalidArgument: not one finite, non-zero vector per row.
            EmbedderMismatch: another dimension than was aimed at, or no re-embedding is under way.
        """
        if not len(rows):
            return
        target = self.target()
        if target is None:
            raise EmbedderMismatch("No re-embedding is under way.", hint="call memory.reembed(embedder).")
        data = checked(rows, vectors, target[1])
        self._db.many(_PUT, [(int(row), int(owner), vector.tobytes()) for row, vector in zip(rows, data, strict=True)])

    def missing(self, limit: int, after: int = 0) -> list[int]:
        """Up to ``limit`` rows beyond ``after`` of notes without a vector here, oldest first."""
        return [row for (row,) in self._db.rows(_MISSING, (int(after), int(limit)))]

    def count(self) -> int:
        """How many vectors wait here."""
        return int(self._db.value("SELECT count(*) FROM vector_next"))

    def switch(self) -> int:
        """Put these vectors in the place of those that served; returns how many there are now.

        Raises:
            EmbedderMismatch: a note has no vector here yet, or no re-embedding is under way.
        """
        target = self.target()
        if target is None or self.missing(1):
            raise EmbedderMismatch("The new vectors are not complete.", hint="call memory.reembed(embedder) to go on.")
        self._db.run("DELETE FROM vector")
        count = self._db.run("INSERT INTO vector (row, owner, data) SELECT row, owner, data FROM vector_next")
        self.drop()
        set_embedder(self._db, *target)
        return count

    def drop(self) -> None:
        """Give up: the vectors that serve are left as they are."""
        self._db.run("DELETE FROM vector_next")
        self._db.run("DELETE FROM meta WHERE key IN (?, ?)", (_FINGERPRINT, _DIMENSION))
