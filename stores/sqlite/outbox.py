"""What the vector index has still to see, written with the note and taken out once applied."""

from __future__ import annotations

from collections.abc import Sequence

from agentmem.errors import InvalidArgument
from agentmem.notes.storage import OutboxItem
from agentmem.stores.sqlite.connection import Database

__all__ = ["SqliteOutbox"]


class SqliteOutbox:
    """:class:`agentmem.notes.storage.OutboxTable` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, op: str, owner: int, rows: Sequence[int]) -> None:
        """Queue ``upsert`` or ``remove`` for some rows."""
        if op not in ("upsert", "remove"):
            raise InvalidArgument(f"Unknown outbox operation {op!r}.", hint="it is 'upsert' or 'remove'.")
        self._db.many(
            "INSERT INTO outbox (op, owner, row) VALUES (?, ?, ?)",
            [(op, int(owner), int(row)) for row in rows],
        )

    def take(self, limit: int) -> list[OutboxItem]:
        """The oldest items; they stay until :meth:`done`."""
        found = self._db.rows("SELECT seq, op, owner, row FROM outbox ORDER BY seq LIMIT ?", (limit,))
        return [OutboxItem(*row) for row in found]

    def done(self, up_to: int) -> None:
        """Drop the items up to and including a sequence number."""
        self._db.run("DELETE FROM outbox WHERE seq <= ?", (int(up_to),))

    def count(self) -> int:
        """How many items wait."""
        return int(self._db.value("SELECT count(*) FROM outbox"))

    def clear(self) -> None:
        """Drop everything: the index is about to be built anew."""
        self._db.run("DELETE FROM outbox")
