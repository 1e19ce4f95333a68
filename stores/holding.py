"""What is held in memory of each owner, as much as there is room for; whoever was asked for longest ago is let go first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

__all__ = ["LEAST_ROOM", "ROOM", "Holding", "Sized"]

ROOM: Final = 2_000_000
"""As many things as there is room for where nobody says how many: 3 GB of vectors."""
LEAST_ROOM: Final = 100_000
"""Whoever lets an index do the comparing still has the words of the notes in memory, and asks for several owners at once."""


class Sized(Protocol):
    """Knows how many things are in it."""

    def __len__(self) -> int: ...


T = TypeVar("T", bound=Sized)


class Holding(dict[int, T]):
    """Blocks by owner, whoever was asked for longest ago first, of ``room`` things in all.

    A server of many users meets each of them now and then: without a bound its memory would grow until everybody had been there once. What is
    let go of is loaded again when it is asked for; what was asked for last stays, however large it is.

    Args:
        room: how many things are held at most, counted by the length of each block.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def ask(self, owner: int, load: Callable[[], T]) -> T:
        """What is held of an owner, loaded where nothing is."""
        known = self.pop(owner, None)
        self[owner] = block = load() if known is None else known
        if known is None:
            self._make_room()
        return block

    def _make_room(self) -> None:
        held = sum(map(len, self.values()))
        while held > self._room and len(self) > 1:
            held -= len(self.pop(next(iter(self))))
