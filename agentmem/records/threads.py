"""What was said one after another: the notes of a thread in their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from agentmem.notes.tables import NOTE, Among, Span
from agentmem.records.area import Area

__all__ = ["Threads"]

_PLACE = ("position", "id")
Place = tuple[int, int]
"""(position, row): where a note stands in its thread."""


class Threads(Area):
    """Notes of one owner and thread, by position; those of one position in the order in which they were stored."""

    def tail(self, owner: int, thread: str) -> tuple[int, int] | None:
        """(row, position) of the last note in a thread; one without a position is taken to stand at 0, behind none that has one."""
        asked = {"owner": owner, "thread": thread}
        found = self._tables.find(NOTE, asked, columns=("id", "position"), order=_PLACE, newest=True, limit=1)
        return (found[0][0], found[0][1] or 0) if found else None

    def neighbours(self, row: int, span: int = 1) -> list[int]:
        """Up to ``span`` notes before and after a note in its thread, in the thread's order."""
        found: list[int] = []
        for (owner, thread), places in self._places([row]).items():
            line = self._line(owner, thread, places, span)
            here = line.index(row)
            found = line[max(0, here - span) : here] + line[here + 1 : here + 1 + span]
        return found

    def before(self, rows: Sequence[int]) -> dict[int, int]:
        """For those of ``rows`` that follow a note in their thread, which one."""
        wanted = set(rows)
        return {later: earlier for earlier, later in self._beside(rows) if later in wanted}

    def after(self, rows: Sequence[int]) -> dict[int, int]:
        """For those of ``rows`` that a note follows in their thread, which one."""
        wanted = set(rows)
        return {earlier: later for earlier, later in self._beside(rows) if earlier in wanted}

    def pairs(self, owner: int, rows: Sequence[int] | None = None) -> list[tuple[int, int]]:
        """Notes that follow each other in a thread, as (earlier, later): all of an owner's, or those that one of ``rows`` is of."""
        if rows is not None:
            wanted = set(rows)
            return [pair for pair in self._beside(rows) if not wanted.isdisjoint(pair)]
        asked = {"owner": owner, "thread": Span(), "position": Span()}
        found = self._tables.find(NOTE, asked, columns=("thread", "id"), order=("thread", *_PLACE))
        return [(before[1], after[1]) for before, after in pairwise(found) if before[0] == after[0]]

    def _beside(self, rows: Sequence[int]) -> list[tuple[int, int]]:
        """The pairs along those parts of threads in which ``rows`` lie, with one more note at either end."""
        found: list[tuple[int, int]] = []
        for (owner, thread), places in self._places(rows).items():
            found += pairwise(self._line(owner, thread, places, 1))
        return found

    def _places(self, rows: Sequence[int]) -> dict[tuple[int, str], list[Place]]:
        asked = {"id": Among(rows), "thread": Span(), "position": Span()}
        places: dict[tuple[int, str], list[Place]] = {}
        for owner, thread, *place in self._tables.find(NOTE, asked, columns=("owner", "thread", *_PLACE), order=()):
            places.setdefault((owner, thread), []).append((place[0], place[1]))
        return places

    def _line(self, owner: int, thread: str, places: Iterable[Place], span: int) -> list[int]:
        """The rows of a thread from the first to the last of some places, and up to ``span`` notes before and behind."""
        first, last = min(places), max(places)
        asked: dict[str, Any] = {"owner": owner, "thread": thread}
        within = self._found({**asked, "position": Span(least=first[0], most=last[0])})
        early = within.index(first)
        before = within[:early][-span:]
        if len(before) < span:
            more = self._found({**asked, "position": Span(below=first[0])}, limit=span - len(before), newest=True)
            before = more[::-1] + before
        late = within.index(last)
        after = within[late + 1 :][:span]
        if len(after) < span:
            after += self._found({**asked, "position": Span(above=last[0])}, limit=span - len(after))
        return [row for _, row in (*before, *within[early : late + 1], *after)]

    def _found(self, asked: dict[str, Any], *, limit: int | None = None, newest: bool = False) -> list[Place]:
        found = self._tables.find(NOTE, asked, columns=_PLACE, order=_PLACE, newest=newest, limit=limit)
        return [(position, row) for position, row in found]
