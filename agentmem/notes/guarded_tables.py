"""The guard before the plain tables: what a request asks of them, and what it is given, is its own.

Where a condition names an owner or notes, they must be admitted; where it names neither, it is narrowed to the admitted owners. One rule
for every table, read off its declaration, so that no table can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from agentmem.notes.admission import Admission
from agentmem.notes.beside import Beside, beside_of
from agentmem.notes.engine import Row, Tables
from agentmem.notes.rows import Selection
from agentmem.notes.spaces import both
from agentmem.notes.tables import Among, Each, Span, Table, Value, Where, Without

__all__ = ["GuardedTables"]


class GuardedTables:
    """:class:`~agentmem.notes.engine.Tables` as a request may use them.

    Args:
        tables: the store's own.
        admission: whose notes the transaction may touch; nothing is asked of a job.
    """

    def __init__(self, tables: Tables, admission: Admission) -> None:
        self._tables = tables
        self._admission = admission

    @property
    def _mine(self) -> Tables:
        """The tables as far as the store itself lets this transaction see."""
        owners = self._admission.owners
        return self._tables if owners is None else self._tables.admitting(owners)

    def admitting(self, owners: frozenset[int]) -> Tables:
        """The store's own."""
        return self._tables.admitting(owners)

    def put(self, table: Table, rows: Iterable[Sequence[Value]], *, keep: bool = False) -> int:
        """Write rows of admitted owners about admitted notes, and none in the place of somebody else's."""
        if self._admission.owners is None or table.free:
            return self._tables.put(table, rows, keep=keep)
        given, what = list[Sequence[Any]](rows), f"{table.name}: put"
        if table.job:
            self._admission.refuse(what)
        places = table.places
        if table.owned:
            self._admission.need(_column(given, places["owner"]) - {None}, what)
        for name in table.notes:
            self._need_rows(_column(given, places[name]), what)
        for name in table.ids:
            self._need_ids(_column(given, places[name]), what)
        if table.owned and not table.numbered and not {"owner", *table.notes} & set(table.key):
            self._need_standing(table, given, what)
        last = self._mine.put(table, given, keep=keep)
        if given and table.numbered and table.key == table.notes and given[-1][0] is None:
            self._admission.learn(last, int(given[-1][places["owner"]]))
        return last

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
        """The rows that are the request's own."""
        if self._admission.owners is None or table.free:
            return self._tables.find(
                table, where, columns=columns, order=order, newest=newest, limit=limit, often=often
            )
        asked = self._narrowed(table, where, f"{table.name}: find")
        wanted = list(table.columns) if columns is None else list(columns)
        hidden = [name for name in table.notes if name not in wanted] if table.leads else []
        found = self._mine.find(
            table,
            asked,
            columns=[*wanted, *hidden],
            order=order,
            newest=newest,
            limit=None if table.leads else limit,
            often=often,
        )
        places = [place for place, name in enumerate([*wanted, *hidden]) if name in table.notes]
        if not table.leads:
            for place in places:
                self._need_rows(_column(found, place), f"{table.name}: find")
            return found
        foreign = self._admission.foreign({row[place] for row in found for place in places})
        mine = [row[: len(wanted)] for row in found if not any(row[place] in foreign for place in places)]
        return mine if limit is None else mine[:limit]

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
        """The first rows of each value that are the request's own."""
        if self._admission.owners is not None and not table.free:
            what = f"{table.name}: find"
            if (
                table.leads or self._narrowed(table, where, what) is not where
            ):  # narrowed behind a limit, it would miss some
                self._admission.refuse(what)
        tables = self._tables if table.free else self._mine
        found = tables.find_of_each(table, where, each, columns=columns, order=order, limit=limit, newest=newest)
        for place, name in enumerate(columns):
            if name in table.notes:
                self._need_rows(_column(found, place), f"{table.name}: find")
        return found

    def values(self, table: Table, where: Where, column: str) -> list[Any]:
        """The values in rows that are the request's own."""
        if self._admission.owners is None or table.free:
            return self._tables.values(table, where, column)
        what = f"{table.name}: values"
        if table.leads or column in table.notes:
            self._admission.refuse(what)
        return self._mine.values(table, self._narrowed(table, where, what), column)

    def lacking(self, table: Table, *, after: int = 0, longer: int = -1, limit: int | None = None) -> list[int]:
        """A job's question: everybody's notes are looked at."""
        self._admission.refuse(f"{table.name}: lacking")
        return self._tables.lacking(table, after=after, longer=longer, limit=limit)

    def foreign(self, rows: Collection[int]) -> set[int]:
        """Those of ``rows`` that belong to somebody else."""
        return self._admission.foreign(rows)

    def refuse(self, what: str) -> None:
        """Raise in a request: this is a job's."""
        self._admission.refuse(what)

    def need(self, owners: Collection[int], what: str) -> None:
        """Raise unless all of these owners are admitted."""
        self._admission.need(owners, what)

    def need_rows(self, rows: Collection[int], what: str) -> None:
        """Raise unless all of these rows that exist are the request's own."""
        self._admission.need_rows(rows, what)

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
        """The rows of a selection of admitted owners."""
        self._admission.need(selection.owners, "notes: select")
        found = self._mine.select(selection, among=among, order=order, after=after, limit=limit, offset=offset)
        self._admission.need_rows(found, "notes: select")
        return found

    def count_selected(self, selection: Selection, *, most: int | None = None) -> int:
        """How many notes a selection of admitted owners admits."""
        self._admission.need(selection.owners, "notes: count")
        return self._mine.count_selected(selection, most=most)

    def keep_version(self, row: int) -> bool:
        """Let one of the request's own notes join its history."""
        self._need_rows((row,), "notes: keep a version")
        return self._mine.keep_version(row)

    def secret(self) -> bytes:
        """The store's own."""
        return self._tables.secret()

    @property
    def writing(self) -> bool:
        """Whether this is a write."""
        return self._tables.writing

    @property
    def rollbacks(self) -> int:
        """How many writes were taken back."""
        return self._tables.rollbacks

    def moment(self) -> object:
        """The store's own."""
        return self._tables.moment()

    def when_invalidated(self, clear: Callable[[], None]) -> None:
        """The store's own."""
        self._tables.when_invalidated(clear)

    @property
    def beside(self) -> Beside | None:
        """The store's own, of one that has it."""
        return beside_of(self._tables)

    def count(self, table: Table, where: Where, *, most: int | None = None) -> int:
        """How many rows are the request's own."""
        if self._admission.owners is None or table.free:
            return self._tables.count(table, where, most=most)
        if table.leads:
            return len(self.find(table, where, columns=table.key, limit=most))
        return self._mine.count(table, self._narrowed(table, where, f"{table.name}: count"), most=most)

    def change(self, table: Table, where: Where, values: Mapping[str, Value | Each]) -> int:
        """Change rows that are the request's own, and give none away."""
        if self._admission.owners is None or table.free:
            return self._tables.change(table, where, values)
        what = f"{table.name}: change"
        if {"owner", *table.notes, *table.ids} & values.keys() or table.leads:
            self._admission.refuse(what)
        return self._mine.change(table, self._narrowed(table, where, what), values)

    def delete(self, table: Table, where: Where) -> int:
        """Remove rows that are the request's own."""
        if self._admission.owners is None or table.free:
            return self._tables.delete(table, where)
        if table.leads:
            mine = self.find(table, where, columns=table.key)
            if len(mine) == self._mine.count(table, where):
                return self._mine.delete(table, where)
            return sum(self._mine.delete(table, dict(zip(table.key, key, strict=True))) for key in mine)
        return self._mine.delete(table, self._narrowed(table, where, f"{table.name}: delete"))

    def _narrowed(self, table: Table, where: Where, what: str) -> Where:
        """What a condition asks for, of what is admitted."""
        if table.job:
            self._admission.refuse(what)
        pinned = False
        if table.owned and "owner" in where and not isinstance(where["owner"], Span | Without):
            self._admission.need(_values(where["owner"]), what)
            pinned = True
        for name in table.notes if not table.leads else ():
            if name in where and not isinstance(where[name], Span | Without):
                self._need_rows(_values(where[name]), what)
                pinned = True
        if pinned or (table.leads and not table.owned):
            return where
        if not table.owned:
            self._admission.refuse(what)
        return {**where, "owner": Among(both(sorted(self._admission.owners or ())))}

    def _need_rows(self, rows: Iterable[Any], what: str) -> None:
        self._admission.need_rows({row for row in rows if row is not None}, what)

    def _need_ids(self, ids: Iterable[Any], what: str) -> None:
        known = self._admission.rows_of({id for id in ids if id is not None})
        self._admission.need_rows(known.values(), what)

    def _need_standing(self, table: Table, rows: Sequence[Sequence[Value]], what: str) -> None:
        """What stands under these keys already is the request's own."""
        for row in rows:
            key: dict[str, Any] = {name: row[table.places[name]] for name in table.key}
            standing = self._tables.find(table, key, columns=("owner",))
            self._admission.need({owner for (owner,) in standing if owner is not None}, what)


def _column(rows: Iterable[Sequence[Any]], place: int) -> set[Any]:
    return {row[place] for row in rows}


def _values(test: Any) -> Collection[Any]:
    return test.values if isinstance(test, Among | Each) else (test,)
