"""The vectors, as half-precision blobs, and the log of their changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agentmem.errors import EmbedderMismatch, InvalidArgument, StoreCorrupt
from agentmem.notes.storage import Change
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.where import json_list

if TYPE_CHECKING:
    from agentmem.notes.storage import Rows, Vectors

__all__ = ["SqliteVectors", "checked", "set_embedder"]

_LIMIT: Final = 1e4  # beyond it, float16 overflows and a cosine means nothing
_FINGERPRINT: Final = "embedder_fingerprint"
_DIMENSION: Final = "embedder_dimension"
_PUT: Final = (
    "INSERT INTO vector (row, owner, data) VALUES (?, ?, ?) "
    "ON CONFLICT (row) DO UPDATE SET owner = excluded.owner, data = excluded.data"
)


class SqliteVectors:
    """:class:`agentmem.notes.storage.VectorTable` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, rows: Sequence[int], owner: int, vectors: Vectors) -> None:
        """Store one vector per row, replacing earlier ones.

        Raises:
            InvalidArgument: not one finite, non-zero vector per row.
            EmbedderMismatch: the store holds vectors of another dimension.
        """
        if not len(rows):
            return
        known = self.fingerprint()
        data = checked(rows, vectors, None if known is None else known[1])
        self._db.many(_PUT, [(int(row), int(owner), vector.tobytes()) for row, vector in zip(rows, data, strict=True)])

    def delete(self, rows: Sequence[int]) -> int:
        """Remove vectors; returns how many there were."""
        return self._db.run("DELETE FROM vector WHERE row IN (SELECT value FROM json_each(?))", (json_list(rows),))

    def drop_unsound(self, rows: Sequence[int]) -> int:
        """Remove what cannot be vectors of this store: of another length than the others, or passages of another than their note's."""
        known = self.fingerprint()
        size = 2 * known[1] if known is not None else 0
        among = json_list(rows)
        self._db.run(
            "DELETE FROM passage WHERE row IN (SELECT value FROM json_each(?)) AND (length(data) = 0 OR length(data) % ?)",
            (among, size or 1),
        )
        return self._db.run(
            "DELETE FROM vector WHERE row IN (SELECT value FROM json_each(?)) AND length(data) <> ?", (among, size)
        )

    def load(self, rows: Sequence[int]) -> tuple[Rows, Vectors]:
        """The vectors of those rows that have one, by row."""
        return _arrays(
            self._db.rows(
                "SELECT row, data FROM vector WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row",
                (json_list(rows),),
            )
        )

    def load_owner(self, owner: int) -> tuple[Rows, Vectors]:
        """All vectors of an owner, by row."""
        return _arrays(self._db.rows("SELECT row, data FROM vector WHERE owner = ? ORDER BY row", (int(owner),)))

    def batches(self, owner: int, size: int) -> Iterator[tuple[Rows, Vectors]]:
        """All vectors of an owner, by row, so many at a time."""
        last = -1
        while True:
            rows, vectors = _arrays(
                self._db.rows(
                    "SELECT row, data FROM vector WHERE owner = ? AND row > ? ORDER BY row LIMIT ?",
                    (int(owner), last, int(size)),
                )
            )
            if not len(rows):
                return
            yield rows, vectors
            last = int(rows[-1])

    def size_of(self, owner: int) -> int:
        """How many vectors an owner has."""
        return int(self._db.value("SELECT count(*) FROM vector WHERE owner = ?", (int(owner),)))

    def changes(self, after: int) -> list[Change]:
        """The newest change of each row that changed after the counter, oldest first."""
        found = self._db.rows(
            "SELECT seq, owner, row, removed FROM vector_change WHERE seq > ? ORDER BY seq", (int(after),)
        )
        return [Change(seq, owner, row, bool(removed)) for seq, owner, row, removed in found]

    def counter(self) -> int:
        """Grows with every change of a vector."""
        return int(self._db.answer("SELECT coalesce(max(seq), 0) FROM vector_change")[0][0])

    def count(self) -> int:
        """How many vectors there are."""
        return int(self._db.value("SELECT count(*) FROM vector"))

    def more_than(self, owner: int, number: int) -> bool:
        """Whether an owner has more vectors than ``number``; counts no further."""
        beyond = "SELECT EXISTS (SELECT 1 FROM vector WHERE owner = ? LIMIT 1 OFFSET ?)"
        return bool(self._db.value(beyond, (int(owner), int(number))))

    def missing(self) -> list[int]:
        """Rows of notes without a vector."""
        found = self._db.rows(
            "SELECT id FROM note WHERE NOT EXISTS (SELECT 1 FROM vector WHERE row = note.id) ORDER BY id"
        )
        return [row for (row,) in found]

    def fingerprint(self) -> tuple[str, int] | None:
        """The embedder's fingerprint and dimension, once fixed."""
        found = dict(self._db.answer("SELECT key, value FROM meta WHERE key IN (?, ?)", (_FINGERPRINT, _DIMENSION)))
        return (found[_FINGERPRINT], int(found[_DIMENSION])) if len(found) == 2 else None

    def set_fingerprint(self, fingerprint: str, dimension: int) -> None:
        """Fix the embedder of this store.

        Raises:
            EmbedderMismatch: vectors of another embedder are stored.
        """
        if dimension < 1:
            raise InvalidArgument(f"An embedder cannot have dimension {dimension}.", hint="it is at least 1.")
        known = self.fingerprint()
        if known not in (None, (fingerprint, dimension)) and self._db.value("SELECT EXISTS (SELECT 1 FROM vector)"):
            raise EmbedderMismatch(
                f"The store holds vectors of another embedder than {fingerprint!r}.",
                hint="open it with the embedder it was built with, or call rebuild('vectors').",
            )
        set_embedder(self._db, fingerprint, dimension)

    def clear(self) -> None:
        """Remove every vector and the embedder's fingerprint, so that another embedder can begin."""
        self._db.run("DELETE FROM vector")
        self._db.run("DELETE FROM meta WHERE key IN (?, ?)", (_FINGERPRINT, _DIMENSION))


def set_embedder(database: Database, fingerprint: str, dimension: int) -> None:
    """Write down whose vectors the store holds."""
    database.many(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [(_FINGERPRINT, fingerprint), (_DIMENSION, str(dimension))],
    )


def checked(rows: Sequence[int], vectors: Vectors, dimension: int | None) -> Any:
    """``vectors`` in half precision: one finite, non-zero row of ``dimension`` (if known) for each of ``rows``."""
    try:
        array = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"The vectors are not numbers: {error}.", hint="pass a float32 array.") from error
    if array.ndim != 2 or array.shape[0] != len(rows) or array.shape[1] == 0:
        raise InvalidArgument(
            f"Expected {len(rows)} vectors, got an array of shape {array.shape}.",
            hint="pass an array of shape (rows, dimension).",
        )
    if dimension is not None and dimension != array.shape[1]:
        raise EmbedderMismatch(
            f"The store holds vectors of {dimension} dimensions, not of {array.shape[1]}.",
            hint="open it with the embedder it was built with, or call rebuild('vectors').",
        )
    largest = np.abs(array).max(axis=1)
    if not np.isfinite(largest).all() or (largest > _LIMIT).any():
        raise InvalidArgument("A vector is not finite or too long.", hint="normalise vectors to length 1.")
    halves = array.astype(np.float16)
    if not halves.any(axis=1).all():
        raise InvalidArgument("A vector is zero.", hint="normalise vectors to length 1.")
    return halves


def _arrays(found: list[tuple[int, bytes]]) -> tuple[Rows, Vectors]:
    if not found:
        return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32)
    rows, blobs = zip(*found, strict=True)
    sizes = set(map(len, blobs))
    size = sizes.pop()
    if sizes or size == 0 or size % 2:
        raise StoreCorrupt("The stored vectors differ in length.", hint="call rebuild('vectors').")
    joined = np.frombuffer(b"".join(blobs), dtype=np.float16)
    return np.array(rows, dtype=np.int64), joined.reshape(len(found), size // 2).astype(np.float32)
