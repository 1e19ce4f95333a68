"""Packs of weight edits in the database: whoever opens the memory, wherever, is served the same ones. Files are copies of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from agentmem.errors import PackMismatch
from agentmem.files import owned_files
from agentmem.stores.postgres.connection import PostgresDatabase

__all__ = ["PackTable"]


class PackTable:
    """Bytes under their sha256, in a table; to be kept beside the files of :class:`agentmem.weights.pack_store.PackStore`.

    Args:
        database: where the table is.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._db = database

    def put(self, sha: str, data: bytes) -> None:
        """Store bytes durably."""
        with self._db.transaction(write=True):
            self._db.run(
                "INSERT INTO pack_file (sha, data) VALUES ($1, $2) ON CONFLICT (sha) DO UPDATE SET data = excluded.data",
                (sha, data),
            )

    def copy(self, sha: str, path: Path) -> None:
        """Write the bytes into a file.

        Raises:
            PackMismatch: they are not there, or not what their name says.
        """
        with self._db.transaction(write=False):
            data = self._db.value("SELECT data FROM pack_file WHERE sha = $1", (sha,))
        if data is None or hashlib.sha256(data).hexdigest() != sha:
            raise PackMismatch(
                f"The pack {sha[:12]}… is {'missing' if data is None else 'damaged'}.",
                hint='memory.rebuild("weights") writes the edits anew from their notes.',
            )
        owned_files.make_folder(path.parent)
        owned_files.write(path, data)

    def keep(self, shas: Iterable[str]) -> None:
        """Remove all others."""
        with self._db.transaction(write=True):
            self._db.run("DELETE FROM pack_file WHERE sha <> ALL ($1::text[])", (list(shas),))
