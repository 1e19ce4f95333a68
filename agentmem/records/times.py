"""Which spans of time notes tell of, and which notes are of a time: said in it, or telling of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agentmem.notes.tables import NOTE, TELLING, Among, Span
from agentmem.records.area import Area

__all__ = ["Times"]

Moments = tuple[int, int]


class Times(Area):
    """Spans by note, and notes by span; half-open, in microseconds since 1970."""

    def of(self, rows: Sequence[int]) -> dict[int, list[Moments]]:
        """The spans that each of ``rows`` tells of, ascending; rows that tell of none are not among them."""
        found: dict[int, list[Moments]] = {}
        for row, *span in self._tables.find(TELLING, {"row": Among(rows)}, columns=("row", "start", "until")):
            found.setdefault(row, []).append((span[0], span[1]))
        return found

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

    def put(self, tellings: Iterable[tuple[int, int, Sequence[Moments]]]) -> None:
        """Keep which spans notes tell of, where nothing is kept of them yet: (row, owner, spans) each."""
        self._tables.put(TELLING, [(row, *span, owner) for row, owner, spans in tellings for span in spans])

    def replace(self, tellings: Sequence[tuple[int, int, Sequence[Moments]]]) -> None:
        """The same in place of what is kept."""
        self.delete([row for row, *_ in tellings])
        self.put(tellings)

    def delete(self, rows: Sequence[int]) -> int:
        """Take out what notes tell of; returns how many spans there were."""
        return self._tables.delete(TELLING, {"row": Among(rows)})

    def count(self) -> int:
        """How many spans there are, of everybody."""
        return self._tables.count(TELLING, {})
