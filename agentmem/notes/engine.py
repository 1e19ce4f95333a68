"""What a store must be able to do with plain tables: few operations, each on rows that a condition names.

Whatever the verbs ask of edits, uses, terms, keys, tombstones and the like is written above this, once for all stores
(:mod:`agentmem.records`). Rows are tuples in the order of the table's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from agentmem.notes.rows import Selection
from agentmem.notes.tables import Each, Table, Value, Where

__all__ = ["Row", "Tables"]

Row = tuple[Any, ...]


class Tables(Protocol):
    """The plain tables inside one transaction."""

    def admitting(self, owners: frozenset[int]) -> Tables:
        """The tables as a transaction that is bound to these owners asks them.

        The guard stands before them either way (:mod:`agentmem.notes.guarded_tables`): a store that can hide the rows of others by itself
        does so here, one that cannot gives itself.
        """
        ...

    def put(self, table: Table, rows: Iterable[Sequence[Value]], *, keep: bool = False) -> int:
        """Write rows, each in the place of the one with its key, or with ``keep`` only where there is none.

        In a numbered table a row whose first column is ``None`` is a new one.

        Returns:
            the number of the last row, in a numbered table.

        Raises:
            StoreError: a row names a note that is not there.
        """
        ...

    def find(
        self,
        table: Table,
        where: Where,
        *,
        columns: Sequence[str] | None = None,
        order: Sequence[str] | None = None,
        newest: bool = False,
        limit: int | None = None,
        often: bool = False,
    ) -> list[Row]:
        """The rows for which every test holds.

        Args:
            columns: those wanted; all of them when left out.
            order: the columns to sort by, the key when left out; ``newest``: downwards.
            limit: how many rows at most.
            often: every request asks this, so that a store may keep the answer for as long as nothing has changed.
        """
        ...

    def find_of_each(
        self,
        table: Table,
        where: Where,
        each: str,
        *,
        columns: Sequence[str],
        order: str,
        limit: int,
        newest: bool = False,
    ) -> list[Row]:
        """At most ``limit`` rows for each value of one column, of which the condition names some; those that come first by ``order``.

        Returns:
            ``columns`` of them, value by value as they were named, sorted by ``order`` upwards.
        """
        ...

    def values(self, table: Table, where: Where, column: str) -> list[Any]:
        """The values of one column in the rows for which every test holds, each once, ascending; every request asks this."""
        ...

    def lacking(self, table: Table, *, after: int = 0, longer: int = -1, limit: int | None = None) -> list[int]:
        """The notes beyond row ``after``, of more than ``longer`` characters, that have no row in a table, which is known by the note's;
        ascending, at most ``limit``.
        """
        ...

    def select(
        self,
        selection: Selection,
        *,
        among: Sequence[int] | None = None,
        order: str = "created",
        after: int | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[int]:
        """Rows of the notes that a selection admits.

        What it asks for is one thing, what may be seen another: its filter must be asked of notes that its other parts admit, and of
        nothing else, so that it can only narrow.

        Args:
            among: no others than these; they come in the order in which they are given.
            order: ``created`` or ``occurred``, backwards with a ``-`` before it; ``row`` with
            after: only rows beyond this one.
        """
        ...

    def count_selected(self, selection: Selection, *, most: int | None = None) -> int:
        """How many notes a selection admits; with ``most`` no further than that."""
        ...

    def keep_version(self, row: int) -> bool:
        """Let a note as it is now join its history (:data:`~agentmem.notes.tables.VERSION`), and tell whether it is what was written.

        A version of a note that is not stays known as such.
        """
        ...

    def count(self, table: Table, where: Where, *, most: int | None = None) -> int:
        """How many rows there are for which every test holds; with ``most`` no further than that."""
        ...

    def change(self, table: Table, where: Where, values: Mapping[str, Value | Each]) -> int:
        """Write values into some columns of the rows for which every test holds; returns how many rows there were.

        With :class:`~agentmem.notes.tables.Each` among tests and values, line by line: many rows, each with values of its own, at once.

        A row of a sealed table that was not whole stays known as such.
        """
        ...

    def delete(self, table: Table, where: Where) -> int:
        """Remove the rows for which every test holds; returns how many there were."""
        ...

    def secret(self) -> bytes:
        """What keyed digests are made with: drawn when the store was made.

        Raises:
            StoreCorrupt: it is not what was drawn.
        """
        ...

    @property
    def writing(self) -> bool:
        """Whether this is a write: what is read in it may yet be taken back."""
        ...

    @property
    def rollbacks(self) -> int:
        """How many writes were taken back: rows that were seen in one may never have been."""
        ...

    def moment(self) -> object:
        """Equal at two times if nothing changed in between but what this store itself wrote, nothing of that was taken back or deleted,
        and both are within a write, or neither.
        """
        ...

    def when_invalidated(self, clear: Callable[[], None]) -> None:
        """Have ``clear`` called as soon as notes are deleted, so that what was kept of them in memory goes with them."""
        ...
