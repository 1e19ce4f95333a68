"""What is read off the words of notes: which spans of time they tell of, and how likely they only ask; and which notes are of a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agentmem.notes.engine import Tables
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.tables import INTENT, NOTE, TELLING, Among, Span
from agentmem.records.area import Area
from agentmem.records.known import KnownRows

__all__ = ["Reading", "Readings"]

Moments = tuple[int, int]


class Reading(NamedTuple):
    """What was read off a note: the spans that it tells of, and how likely it only asks, in per cent."""

    row: int
    owner: int
    spans: Sequence[Moments] = ()
    asking: int = 0


class Readings(Area):
    """Spans by note, and notes by span, half-open, in microseconds since 1970; and how likely notes only ask."""

    def __init__(self, tables: GuardedTables, everybodys: Tables) -> None:
        super().__init__(tables, everybodys)
        self._likely: KnownRows[int] = KnownRows(tables)

    def times(self, rows: Sequence[int]) -> dict[int, list[Moments]]:
        """The spans that each of ``rows`` tells of, ascending; rows that tell of none are not among them."""
        found: dict[int, list[Moments]] = {}
        for row, *span in self._tables.find(TELLING, {"row": Among(rows)}, columns=("row", "start", "until")):
            found.setdefault(row, []).append((span[0], span[1]))
        return found

    def asking(self, rows: Sequence[int], *, anew: bool = False) -> dict[int, int]:
        """How likely each of ``rows`` only asks, in per cent; ``anew``: as it stands in the store, whatever is known of it."""
        self._tables.need_rows(rows, "readings: asking")
        return self._read_likely(rows) if anew else self._likely.get(rows, self._read_likely)

    def said(self, owners: Sequence[int], span: Moments, limit: int) -> list[int]:
        """At most ``limit`` notes of some owners that were said within a span."""
        asked = {"owner": Among(owners), "occurred_at": Span(least=span[0], below=span[1])}
        return [row for (row,) in self._tables.find(NOTE, asked, columns=("id",), order=(), limit=limit)]

    def told(self, owners: Sequence[int], span: Moments, limit: int) -> list[int]:
        """At most ``limit`` notes of some owners that tell of a time of which at least half lies within a span.

        Such a time begins no earlier than the span is long before it: that much of the index is read, however much else there is.
        """
        start, end = span
        asked = {
            "owner": Among(owners), "start": Span(least=start - (end - start), below=end), "until": Span(above=start),
        }  # fmt: skip
        found = self._tables.find(TELLING, asked, columns=("row", "start", "until"), order=(), limit=limit)
        return [row for row, least, most in found if 2 * (min(most, end) - max(least, start)) >= most - least]

    def count_said(self, owners: Sequence[int], span: Moments) -> int:
        """How many notes of some owners were said within a span."""
        return self._tables.count(NOTE, {"owner": Among(owners), "occurred_at": Span(least=span[0], below=span[1])})

    def put(self, read: Iterable[Reading]) -> None:
        """Keep what was read of notes of which nothing is kept yet."""
        read = list(read)
        self._likely.drop(each.row for each in read)
        self._tables.put(TELLING, [(row, *span, owner) for row, owner, spans, _ in read for span in spans])
        self._tables.put(INTENT, [(row, likely, owner) for row, owner, _, likely in read if likely])

    def replace(self, read: Sequence[Reading]) -> None:
        """The same in place of what is kept."""
        self.delete([each.row for each in read])
        self.put(read)

    def kept(self, rows: Sequence[int]) -> bool:
        """Whether anything is kept of any of these notes."""
        return bool(self.times(rows) or any(self.asking(rows).values()))

    def delete(self, rows: Sequence[int]) -> int:
        """Take out what was read of notes; returns how many spans there were, and notes that may have asked."""
        self._likely.drop(rows)
        return sum(self._tables.delete(table, {"row": Among(rows)}) for table in (TELLING, INTENT))

    def _read_likely(self, rows: Sequence[int]) -> dict[int, int]:
        found: dict[int, int] = dict(
            self._everybodys.find(INTENT, {"row": Among(rows)}, columns=("row", "likely"), order=())
        )
        return {row: found.get(row, 0) for row in rows}
