"""What a forgetting has still to do after its commit, by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentmem.stores.sqlite.connection import Database

__all__ = ["SqliteErasing"]


class SqliteErasing:
    """:class:`agentmem.notes.storage.ErasingTable` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, places: Sequence[str], at: int) -> None:
        """From the commit on, these places have to be scrubbed, whoever does it."""
        self._db.many("INSERT INTO erasing (at, place) VALUES (?, ?)", [(int(at), place) for place in places])

    def due(self) -> Mapping[str, int]:
        """The places that have to be scrubbed, each with the number of its newest entry."""
        return dict(self._db.rows("SELECT place, max(seq) FROM erasing GROUP BY place ORDER BY place"))

    def done(self, place: str, up_to: int) -> None:
        """A scrubbing that began when ``up_to`` was the newest entry is finished."""
        self._db.run("DELETE FROM erasing WHERE place = ? AND seq <= ?", (place, int(up_to)))
