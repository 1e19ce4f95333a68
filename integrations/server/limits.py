"""How much a server takes on at once; what is beyond it is refused at the door, with the time after which to try again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields

from agentmem.errors import AgentMemError, InvalidArgument

__all__ = ["Limits", "Room", "TooMuchAtOnce"]


class TooMuchAtOnce(AgentMemError):
    """As much of this kind of work is under way as the server takes on; nothing was begun."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a server.

    Args:
        body: bytes of a request.
        requests: requests under way at once, of everybody.
        heavy: those of them that answer with a model, compare or export a whole memory, or lay out a graph.
        items: notes or records in one request, and hits, notes or records in one answer.
        depth: levels of the JSON of a request.
    """

    body: int = 2 * 1024 * 1024
    requests: int = 512
    heavy: int = 8
    items: int = 1000
    depth: int = 100

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidArgument(
                    f"{each.name} must be a whole number of 1 or more, not {value!r}.", hint=f"Limits({each.name}=100)."
                )


class Room:
    """Room for so many at once on one event loop: whoever finds it full is sent away, and does not wait.

    Args:
        most: how many.
        what: what there is no more room for, in words.
    """

    def __init__(self, most: int, what: str) -> None:
        self.most = most
        self.taken = 0
        self._what = what

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """A place for the length of the block.

        Raises:
            TooMuchAtOnce: all are taken.
        """
        if self.taken >= self.most:
            raise TooMuchAtOnce(f"{self.most} {self._what} are under way.", hint="try again in a moment.")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
