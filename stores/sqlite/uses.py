"""How notes were used, summed by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentmem.notes.storage import UseDay, UseSummary
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.where import json_list

__all__ = ["SqliteUses"]

_DAY: Final = 86_400_000_000
_RECORD: Final = """
    INSERT INTO use (row, day, owner, events, tokens, last) SELECT id, ?, owner, 1, ?, ? FROM note WHERE id = ?
    ON CONFLICT (row, day) DO UPDATE SET
        events = events + 1, tokens = tokens + excluded.tokens, last = max(last, excluded.last)
"""
_SUMMARY: Final = """
    SELECT u.row, sum(u.events), count(*), sum(u.tokens), max(u.last)
    FROM json_each(?) j CROSS JOIN use u ON u.row = j.value WHERE u.day >= ? GROUP BY u.row
"""

_DAYS: Final = """
    SELECT u.row, u.events, u.tokens, u.last
    FROM json_each(?) j CROSS JOIN use u ON u.row = j.value ORDER BY u.row, u.day
"""


class SqliteUses:
    """:class:`agentmem.notes.storage.UseTable` on SQLite; ``since`` counts from the beginning of its day."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(self, uses: Sequence[tuple[int, int, int]]) -> None:
        """(row, at, prompt tokens) each; notes that are gone by now are passed over."""
        self._db.many(_RECORD, [(int(at) // _DAY, int(tokens), int(at), int(row)) for row, at, tokens in uses])

    def summary(self, rows: Sequence[int], since: int = 0) -> dict[int, UseSummary]:
        """The uses of those rows that have any."""
        found = self._db.rows(_SUMMARY, (json_list(list(dict.fromkeys(rows))), int(since) // _DAY))
        return {row: UseSummary(*columns) for row, *columns in found}

    def used(self, owners: Sequence[int], since: int = 0, limit: int = 1000) -> list[int]:
        """Rows with uses, most used first."""
        found = self._db.rows(
            "SELECT u.row FROM use u WHERE u.owner IN (SELECT value FROM json_each(?)) AND u.day >= ? "
            "GROUP BY u.row ORDER BY sum(u.events) DESC, u.row LIMIT ?",
            (json_list(owners), int(since) // _DAY, limit),
        )
        return [row for (row,) in found]

    def days(self, rows: Sequence[int]) -> dict[int, list[UseDay]]:
        """The uses of those rows that have any, day by day, oldest first."""
        found: dict[int, list[UseDay]] = {}
        for row, *columns in self._db.rows(_DAYS, (json_list(list(dict.fromkeys(rows))),)):
            found.setdefault(row, []).append(UseDay(*columns))
        return found

    def restore(self, row: int, days: Sequence[UseDay]) -> None:
        """Write down the uses of a note that has none yet."""
        self._db.many(
            "INSERT INTO use (row, day, owner, events, tokens, last) SELECT id, ?, owner, ?, ?, ? FROM note WHERE id = ?",
            [(day.last // _DAY, day.events, day.tokens, day.last, int(row)) for day in days],
        )

    def delete(self, rows: Sequence[int]) -> int:
        """Forget the uses of some rows; returns how many days were dropped."""
        return self._db.run("DELETE FROM use WHERE row IN (SELECT value FROM json_each(?))", (json_list(rows),))
