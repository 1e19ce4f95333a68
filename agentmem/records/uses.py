"""How notes were used, summed by day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentmem.notes.rows import UseDay, UseSummary
from agentmem.notes.tables import NOTE, USE, Among, Span
from agentmem.records.area import Area

__all__ = ["Uses"]

_DAY: Final = 86_400_000_000


class Uses(Area):
    """Events, prompt tokens and the last use of each note on each day; ``since`` counts from the beginning of its day."""

    def record(self, uses: Sequence[tuple[int, int, int]]) -> None:
        """(row, at, prompt tokens) each; notes that are gone by now are passed over."""
        days = [int(at) // _DAY for _, at, _ in uses]
        known = self._tables.find(USE, {"row": Among([row for row, _, _ in uses]), "day": Among(days)})
        summed = {(row, day): tuple(rest) for row, day, _, *rest in known}
        for (row, at, tokens), day in zip(uses, days, strict=True):
            events, cost, last = summed.get((row, day), (0, 0, int(at)))
            summed[row, day] = (events + 1, cost + int(tokens), max(last, int(at)))
        owners = self._owners([row for row, _, _ in uses])
        changed = dict.fromkeys(zip((row for row, _, _ in uses), days, strict=True))
        self._tables.put(USE, [(*key, owners[key[0]], *summed[key]) for key in changed if key[0] in owners])

    def summary(self, rows: Sequence[int], since: int = 0) -> dict[int, UseSummary]:
        """The uses of those rows that have any."""
        found: dict[int, UseSummary] = {}
        asked = {"row": Among(rows), "day": Span(least=int(since) // _DAY)}
        for row, events, tokens, last in self._tables.find(USE, asked, columns=("row", "events", "tokens", "last")):
            before = found.get(row, UseSummary(0, 0, 0, last))
            found[row] = UseSummary(
                before.events + events, before.days + 1, before.tokens + tokens, max(before.last, last)
            )
        return found

    def days(self, rows: Sequence[int]) -> dict[int, list[UseDay]]:
        """The uses of those rows that have any, day by day, oldest first."""
        found: dict[int, list[UseDay]] = {}
        for row, *columns in self._tables.find(
            USE, {"row": Among(rows)}, columns=("row", "events", "tokens", "last"), order=("row", "day")
        ):
            found.setdefault(row, []).append(UseDay(*columns))
        return found

    def restore(self, row: int, days: Sequence[UseDay]) -> None:
        """Write down the uses of a note that has none yet."""
        owners = self._owners([row])
        self._tables.put(USE, [(row, day.last // _DAY, owners[row], *day) for day in days if row in owners])

    def delete(self, rows: Sequence[int]) -> int:
        """Forget the uses of some rows; returns how many days were dropped."""
        return self._tables.delete(USE, {"row": Among(rows)})

    def _owners(self, rows: Sequence[int]) -> dict[int, int]:
        return dict(self._tables.find(NOTE, {"id": Among(rows)}, columns=("id", "owner")))
