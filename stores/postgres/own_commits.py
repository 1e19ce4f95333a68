"""Which rows the last commits of this process have changed: so what a connection beside the writer's remembers of all others is still true."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Final

from agentmem.runtime.forks import at_fork

__all__ = ["OwnCommits"]

_COMMITS: Final = 1_000
_ROWS: Final = 10_000  # of one commit; after more, everything is read again


class OwnCommits:
    """The rows by the number that each commit of this process has among those of all."""

    def __init__(self) -> None:
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child."""
        self._lock = threading.Lock()
        self._rows: dict[int, frozenset[int]] = {}

    def add(self, number: int, rows: Collection[int]) -> None:
        """A commit of this process, and which rows it changed that others may remember."""
        if len(rows) > _ROWS:
            return
        with self._lock:
            self._rows[number] = frozenset(rows)
            while len(self._rows) > _COMMITS:
                del self._rows[next(iter(self._rows))]

    def between(self, seen: int | None, times: int) -> set[int] | None:
        """What was changed by the commits after ``seen``, up to ``times``; ``None`` where others made some of them, or it is not known."""
        if seen is None or not 0 < times - seen <= _COMMITS:
            return None
        with self._lock:
            found = [self._rows.get(number) for number in range(seen + 1, times + 1)]
        return None if None in found else {row for rows in found if rows for row in rows}
