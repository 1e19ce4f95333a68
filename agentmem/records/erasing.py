"""What a forgetting has still to do after its commit, by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentmem.notes.tables import ERASING, Span
from agentmem.records.area import Area

__all__ = ["Erasing"]


class Erasing(Area):
    """Places that are to be scrubbed, whoever forgot."""

    def add(self, places: Sequence[str], at: int) -> None:
        """From the commit on, these places have to be scrubbed, whoever does it."""
        self._tables.put(ERASING, [(None, at, place) for place in places])

    def due(self) -> Mapping[str, int]:
        """The places that have to be scrubbed, each with the number of its newest entry."""
        newest: dict[str, int] = dict(self._tables.find(ERASING, {}, columns=("place", "seq"), order=("seq",)))
        return {place: newest[place] for place in sorted(newest)}

    def done(self, place: str, up_to: int) -> None:
        """A scrubbing that began when ``up_to`` was the newest entry is finished."""
        self._tables.delete(ERASING, {"place": place, "seq": Span(most=up_to)})
