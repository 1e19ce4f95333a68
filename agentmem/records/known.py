"""What was read of single rows and is still true: reading it again would cost more than finding something in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar, cast

from agentmem.errors import StoreCorrupt
from agentmem.notes.beside import beside_of
from agentmem.notes.engine import Tables

__all__ = ["KnownRows", "Present"]

T = TypeVar("T")

_MOST: Final = 50_000


class Present(dict[int, T]):
    """What was read of rows that are known to be there; asked for one that was not found, it says that the store is damaged."""

    def __missing__(self, row: int) -> T:
        raise StoreCorrupt(
            f"The note in row {row} is named by an index of the store, and is not there.",
            hint="check() says what else is damaged; restore the last backup.",
        )


class KnownRows(Generic[T]):
    """Values by row, kept for as long as nobody has changed them.

    Whoever writes a row calls :meth:`drop`; where transactions of a process go on beside each other, what others of them wrote is dropped
    before the next answer. Deletions (:meth:`~agentmem.notes.engine.Tables.when_invalidated`) empty it
    at once, so that what was forgotten does not stay in memory; commits of other connections and writes that failed empty it
    before the next answer. Inside a write nothing is kept and nothing is answered from here, since that write may yet fail.

    Args:
        tables: of the store whose rows these are; most: how many values are kept.
    """

    def __init__(self, tables: Tables, most: int = _MOST) -> None:
        self._tables = tables
        self._most = most
        self._values: dict[int, T] = {}
        self._state: object = None
        self._heeding = False

    def get(self, rows: Sequence[int], read: Callable[[Sequence[int]], Mapping[int, T]]) -> dict[int, T]:
        """The value of each of ``rows`` that has one; ``read`` is asked for those that are not known."""
        if self._tables.writing:
            return dict(read(rows))
        if not self._heeding:
            self._heeding = True
            self._tables.when_invalidated(self._values.clear)
            beside = beside_of(self._tables)
            if beside is not None:
                beside.when_changed(self._drop)
        state, values = self._tables.moment(), self._values
        if state != self._state:
            values.clear()
            self._state = state
        found: dict[int, T | None] = dict(zip(rows, map(values.get, rows), strict=True))
        if None in found.values():
            missing = [row for row, value in found.items() if value is None]
            more = read(missing)
            if len(values) + len(more) > self._most:
                values.clear()
            values.update(more)
            found = {row: value for row in found if (value := more.get(row, found[row])) is not None}
        return cast("dict[int, T]", found)

    def drop(self, rows: Iterable[int]) -> None:
        """These rows were changed."""
        beside = beside_of(self._tables)
        if beside is not None:
            beside.changed(rows := list(rows))
        self._drop(rows)

    def _drop(self, rows: Iterable[int]) -> None:
        for row in rows:
            self._values.pop(row, None)
