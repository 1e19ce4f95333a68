"""How an outermost transaction goes, for what follows a store beside it: of one store several may go on at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Course"]


class Course:
    """One outermost transaction, from its beginning to its end.

    Args:
        writing: whether it is a write.

    Attributes:
        began: before it saw anything, in seconds of ``time.monotonic``; what was committed by then it sees.
        undone: how many parts of it were taken back.
        committed: whether what it wrote is there for everybody.
    """

    __slots__ = ("__weakref__", "_behind", "began", "committed", "undone", "writing")

    def __init__(self, *, writing: bool) -> None:
        self.began = time.monotonic()
        self.writing = writing
        self.undone = 0
        self.committed = False
        self._behind: list[Callable[[], None]] = []

    def behind(self, work: Callable[[], None]) -> None:
        """Have ``work`` called in its thread as soon as it has ended, either way."""
        self._behind.append(work)

    def end(self) -> None:
        """It has ended."""
        while self._behind:
            self._behind.pop()()
