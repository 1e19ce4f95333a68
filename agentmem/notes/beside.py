"""What tables may tell where several transactions of a process go on beside each other, each with a memory of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

__all__ = ["Beside", "beside_of"]


class Beside(Protocol):
    """What tables have as ``beside``, if their store reads on several connections; a store without it has nothing to do with this."""

    def changed(self, rows: Collection[int]) -> None:
        """These rows were changed: with the commit, what others remember of them goes."""
        ...

    def when_changed(self, drop: Callable[[Collection[int]], None]) -> None:
        """Have ``drop`` called with rows that others of this process have changed, before anything more is read."""
        ...


def beside_of(tables: object) -> Beside | None:
    """The ``beside`` of tables that have one."""
    found: Beside | None = getattr(tables, "beside", None)
    return found
