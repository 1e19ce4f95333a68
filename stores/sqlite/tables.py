"""Plain tables in SQL: a statement for each shape of a question, made once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import repeat
from typing import Any, Final

from agentmem.errors import InvalidArgument, StoreCorrupt
from agentmem.notes.engine import Row
from agentmem.notes.rows import Selection
from agentmem.notes.tables import FACT, NOTE, OWNER, Among, Each, Table, Value, Where, line_by_line, lines
from agentmem.stores.sqlite import selecting, statements
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.migrations import StoreSecret
from agentmem.stores.sqlite.seals import keep_version, kept, seal, whole
from agentmem.stores.sqlite.where import json_list

__all__ = ["SqliteTables"]

_MOST: Final = 4_000
"""Statements that are remembered; far more than there are shapes of questions."""
_RESTORE: Final = "check() says what else is damaged; restore the last backup."


class SqliteTables:
    """:class:`agentmem.notes.engine.Tables` on SQLite.

    A sealed table has a column ``seal`` over all the others; the seal of a note, which is over its fact and its owner, too, lies in a
    table of its own.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._secret = StoreSecret(database)
        self._statements: dict[object, str] = {}

    def admitting(self, owners: frozenset[int]) -> SqliteTables:  # noqa: ARG002 - SQLite has no rules for rows
        """The guard is all there is."""
        return self

    def put(self, table: Table, rows: Iterable[Sequence[Value]], *, keep: bool = False) -> int:
        """Write rows, each in the place of the one with its key, or with ``keep`` only where there is none."""
        numbers = statements.numbers(table)
        batch = [statements.bound(row, numbers) for row in rows]
        if table.numbered:
            return self._put_numbered(table, batch)
        sql = self._statement(("put", table.name, keep), lambda: statements.put(table, keep=keep))
        if batch:
            with kept(self._db, [row[0] for row in batch]) if table is FACT else nullcontext():  # type: ignore[misc]
                self._db.many(sql, batch)
        return 0

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
        """The rows for which every test holds."""
        split = statements.split(where)
        if split is not None:
            return self._in_parts(table, where, split, columns=columns, order=order, newest=newest, limit=limit)
        wanted = tuple(table.columns if columns is None else columns)
        sorted_by = tuple(table.key if order is None else order)
        tests, values = statements.conditions(table, where)
        shape = ("find", table.name, wanted, tests, sorted_by, newest, limit is None)
        sql = self._statement(
            shape, lambda: statements.find(table, wanted, tests, sorted_by, newest=newest, whole=limit is None)
        )
        bound = tuple(values) if limit is None else (*values, int(limit))
        found = self._db.cached_rows(sql, bound) if often else self._db.rows(sql, bound)
        return _looked_at(table, wanted, found) if table.checked else found

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
        """At most ``limit`` rows for each value of one column, of which the condition names some; those that come first by ``order``."""
        asked = where[each]
        if not isinstance(asked, Among) or table.columns[each] is not str:
            raise InvalidArgument(f"{each} is not asked for as one of several texts.", hint="use Among of texts.")
        if limit < 1 or not asked.values:
            return []
        tests, values = statements.conditions(
            table, {name: test for name, test in where.items() if name != each}, first=3
        )
        shape = ("each", table.name, each, tuple(columns), order, newest, tests)
        sql = self._statement(shape, lambda: statements.find_of_each(table, each, columns, order, tests, newest=newest))
        return self._db.rows(sql, (json.dumps(list(dict.fromkeys(asked.values))), limit - 1, *values))

    def values(self, table: Table, where: Where, column: str) -> list[Any]:
        """The values of one column in the rows for which every test holds, each once, ascending."""
        tests, values = statements.conditions(table, where, first=1)
        sql = self._statement(("values", table.name, column, tests), lambda: statements.values(table, column, tests))
        return [value for (value,) in self._db.cached_rows(sql, tuple(values))]

    def lacking(self, table: Table, *, after: int = 0, longer: int = -1, limit: int | None = None) -> list[int]:
        """The notes beyond row ``after``, of more than ``longer`` characters, that have no row in a table; ascending, at most ``limit``."""
        sql = self._statement(("lacking", table.name), lambda: statements.lacking(table))
        return [row for (row,) in self._db.rows(sql, (int(after), int(longer), -1 if limit is None else int(limit)))]

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
        """Rows of the notes that a selection admits."""
        if not selection.owners:
            return []
        if among is not None:
            sql, values = selecting.selected_among(selection, among)
        elif order == "row":
            sql, values = selecting.selected_by_row(selection, after, limit)
        else:
            sql, values = selecting.selected(selection, order, limit, offset)
        return [row for row, *_ in self._db.rows(sql, values)]

    def count_selected(self, selection: Selection, *, most: int | None = None) -> int:
        """How many notes a selection admits; with ``most`` no further than that."""
        sql, values = selecting.counted(selection, most)
        return int(self._db.cached_rows(sql, tuple(values))[0][0] if most is not None else self._db.value(sql, values))

    def keep_version(self, row: int) -> bool:
        """Let a note as it is now join its history, and tell whether it is what was written."""
        sound = bool(whole(self._db, [row]))
        keep_version(self._db, row, sound=sound)
        return sound

    def count(self, table: Table, where: Where, *, most: int | None = None) -> int:
        """How many rows there are for which every test holds; with ``most`` no further than that."""
        if statements.split(where) is not None:
            return len(self.find(table, where, columns=table.key, order=()))
        tests, values = statements.conditions(table, where)
        shape = ("count", table.name, tests, most is None)
        sql = self._statement(shape, lambda: statements.count(table, tests, whole=most is None))
        return int(self._db.value(sql, values if most is None else (*values, int(most))))

    def change(self, table: Table, where: Where, values: Mapping[str, Value | Each]) -> int:
        """Write values into some columns of the rows for which every test holds; returns how many rows there were."""
        if table is NOTE and not set(values) <= set(table.loose):
            return sum(self._change_notes(*line) for line in line_by_line(where, values))
        names, many = tuple(values), lines(where, values)
        if many == 0:
            return 0
        tests, bound = statements.conditions(table, where)
        sql = self._statement(("change", table.name, names, tests), lambda: statements.change(table, names, tests))
        if table is OWNER:
            self._db.invalidate()  # a name may have gone
        given = [statements.typed(table.columns[name], values[name]) for name in names]
        if many is None:
            return self._db.run(sql, (*given, *bound))
        columns: Any = (*given, *bound)
        listed = (each.values if isinstance(each, Each) else repeat(each, many) for each in columns)
        return self._db.many(sql, zip(*listed, strict=True))

    def delete(self, table: Table, where: Where) -> int:
        """Remove the rows for which every test holds; returns how many there were."""
        tests, values = statements.conditions(table, where)
        sql = self._statement(("delete", table.name, tests), lambda: statements.delete(table, tests))
        if table is FACT:
            with kept(self._db, [row for (row,) in self.find(FACT, where, columns=("row",))]):
                return self._db.run(sql, values)
        if table is NOTE:
            self._db.invalidate()
        return self._db.run(sql, values)

    def secret(self) -> bytes:
        """What keyed digests are made with, drawn when the store was made."""
        return self._secret()

    @property
    def writing(self) -> bool:
        """Whether this is a write."""
        return self._db.writing

    @property
    def rollbacks(self) -> int:
        """How many writes were taken back."""
        return self._db.rollbacks

    def moment(self) -> object:
        """Equal as long as others commit nothing, no write fails and nothing is deleted, inside writes or outside."""
        return self._db.state(), self._db.rollbacks, self._db.writing

    def when_invalidated(self, clear: Callable[[], None]) -> None:
        """Have ``clear`` called as soon as notes are deleted."""
        self._db.when_invalidated(clear)

    def _put_numbered(self, table: Table, batch: Sequence[Row]) -> int:
        new = self._statement(("put", table.name), lambda: statements.put(table, keep=False))
        if len(batch) > 1 and not table.sealed and all(row[0] is None for row in batch):
            self._db.many(new, batch)
            return int(self._db.value("SELECT last_insert_rowid()"))
        number = 0
        for row in batch:
            if row[0] is None:
                number = self._db.insert(new, row)
            else:
                number = int(row[0])
                self._db.run(self._statement(("replace", table.name), lambda: statements.replace(table)), row)
            if table is NOTE:
                seal(self._db, number)
            elif table.sealed:
                anew = self._statement(("seal", table.name), lambda: statements.seal_anew(table))
                self._db.run(anew, (number,))
        return number

    def _change_notes(self, where: Where, values: Mapping[str, Value]) -> int:
        rows = [row for (row,) in self.find(NOTE, where, columns=("id",))]
        names = tuple(values)
        sql = self._statement(("change", "note", names), lambda: statements.change_of_rows(NOTE, names))
        given = [statements.typed(NOTE.columns[name], values[name]) for name in names]
        with kept(self._db, rows):
            return self._db.run(sql, (*given, json_list(rows)))

    def _in_parts(self, table: Table, where: Where, split: str, **rest: Any) -> list[Row]:
        """Many values that JSON cannot hold, so many at a time: the order holds for each part."""
        if rest["limit"] is not None:
            raise InvalidArgument(
                f"Too many values of {split} at once.", hint=f"ask for at most {statements.TOGETHER} of them."
            )
        values, found = list(dict.fromkeys(where[split].values)), list[Row]()
        for start in range(0, len(values), statements.TOGETHER):
            part = Among(values[start : start + statements.TOGETHER])
            found += self.find(table, {**where, split: part}, **rest)
        return found

    def _statement(self, shape: object, make: Callable[[], str]) -> str:
        known = self._statements.get(shape)
        if known is None:
            if len(self._statements) > _MOST:
                self._statements.clear()
            known = self._statements[shape] = make()
        return known


def _looked_at(table: Table, columns: Sequence[str], found: list[Row]) -> list[Row]:
    """Rows that bear, in one more column, whether they are what was written."""
    if not found or len(found[0]) == len(columns):
        return found
    for row in found:
        if not row[-1]:
            _refuse(table, columns, row)
    return [row[:-1] for row in found]


def _refuse(table: Table, columns: Sequence[str], row: Row) -> None:
    number = row[list(columns).index("id")] if "id" in columns else "?"
    if table is OWNER:
        message = f"Owner {number} of notes is not who was written, so none of its notes is handed out."
    else:
        message = (
            f"The note in row {number} does not stand under the owner it was written for, so it is not handed out."
        )
    raise StoreCorrupt(message, hint=_RESTORE)
