"""What the vector index has still to see, written with the note and taken out once applied."""

from __future__ import annotations

from collections.abc import Sequence

from agentmem.errors import InvalidArgument
from agentmem.notes.rows import OutboxItem
from agentmem.notes.tables import OUTBOX, Span
from agentmem.records.area import Area

__all__ = ["Outbox"]


class Outbox(Area):
    """Changes of vectors, oldest first."""

    def put(self, op: str, owner: int, rows: Sequence[int]) -> None:
        """Queue ``upsert`` or ``remove`` for some rows."""
        if op not in ("upsert", "remove"):
            raise InvalidArgument(f"Unknown outbox operation {op!r}.", hint="it is 'upsert' or 'remove'.")
        self._tables.put(OUTBOX, [(None, op, owner, row) for row in rows])

    def take(self, limit: int) -> list[OutboxItem]:
        """The oldest items; they stay until :meth:`done`."""
        return [OutboxItem(*row) for row in self._tables.find(OUTBOX, {}, limit=limit)]

    def done(self, up_to: int) -> None:
        """Drop the items up to and including a sequence number."""
        self._tables.delete(OUTBOX, {"seq": Span(most=up_to)})

    def count(self) -> int:
        """How many items wait: how far the index is behind decides how to search, and is told to nobody."""
        return self._everybodys.count(OUTBOX, {})

    def clear(self) -> None:
        """Drop everything: the index is about to be built anew."""
        self._tables.delete(OUTBOX, {})
