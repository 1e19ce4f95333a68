"""Packs of weight edits in the database: whoever opens the memory, wherever, is served the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from agentmem.errors import PackMismatch
from agentmem.stores.postgres.connection import PostgresDatabase

__all__ = ["PackTable"]


class PackTable:
    """Bytes under their sha256, in a table: :class:`agentmem.weights.shared_packs.PackCopies`.

    Args:
        database: where the table is; reading: a connection to read it by.
    """

    place: str | None = None

    def __init__(
        self, database: PostgresDatabase, reading: Callable[[], AbstractContextManager[PostgresDatabase]]
    ) -> None:
        self._db = database
        self._reading = reading

    def put(self, sha: str, data: bytes, *, anew: bool = False) -> None:
        """Store bytes durably."""
        del anew  # the table is this memory's
        with self._db.transaction(write=True):
            self._db.run(
                "INSERT INTO pack_file (sha, data) VALUES ($1, $2) ON CONFLICT (sha) DO UPDATE SET data = excluded.data",
                (sha, data),
            )

    def get(self, sha: str) -> bytes:
        """The bytes.

        Raises:
            PackMismatch: they are not there, or not what their name says.
        """
        with self._reading() as database:
            data = database.value("SELECT data FROM pack_file WHERE sha = $1", (sha,))
        if data is None or hashlib.sha256(data).hexdigest() != sha:
            raise PackMismatch(
                f"The pack {sha[:12]}… is {'missing' if data is None else 'damaged'}.",
                hint='memory.rebuild("weights") writes the edits anew from their notes.',
            )
        return bytes(data)

    def keep(self, shas: Iterable[str]) -> set[str]:
        """Remove all others; which of these are there."""
        with self._db.transaction(write=True):
            self._db.run("DELETE FROM pack_file WHERE sha <> ALL ($1::text[])", (list(shas),))
            return {str(sha) for (sha,) in self._db.rows("SELECT sha FROM pack_file")}

    def ready(self) -> None:
        """Where notes are written, packs are, too."""
