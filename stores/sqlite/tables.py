"""Plain tables in SQL: a statement for each shape of a question, made once; every value is bound, every name comes from a declaration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from agentmem.errors import InvalidArgument
from agentmem.notes.engine import Row
from agentmem.notes.tables import NOTE, Among, Span, Table, Value, Where, Without
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.seals import kept
from agentmem.stores.sqlite.where import json_list

__all__ = ["SqliteTables"]

_BOUNDS: Final[Mapping[str, str]] = {"above": ">", "below": "<", "least": ">=", "most": "<="}
_TOGETHER: Final = 512
_MOST: Final = 4_000
"""Statements that are remembered; far more than there are shapes of questions."""


class SqliteTables:
    """:class:`agentmem.notes.engine.Tables` on SQLite. A sealed table has a column ``seal`` over all the others."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._statements: dict[object, str] = {}

    def put(self, table: Table, rows: Iterable[Sequence[Value]], *, keep: bool = False) -> int:
        """Write rows, each in the place of the one with its key, or with ``keep`` only where there is none."""
        sql = self._statement(("put", table.name, keep), lambda: _put(table, keep=keep))
        types = tuple(table.columns.values())
        batch = [tuple(map(_typed, types, row)) for row in rows]
        if not table.numbered:
            if batch:
                self._db.many(sql, batch)
            return 0
        last = 0
        for row in batch:
            last = self._db.insert(sql, row)
            if table.sealed:
                self._db.run(self._statement(("seal", table.name), lambda: _sealed(table)), (last,))
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
        """The rows for which every test holds."""
        split = _split(where)
        if split is not None:
            return self._in_parts(table, where, split, columns=columns, order=order, newest=newest, limit=limit)
        wanted = tuple(table.columns if columns is None else columns)
        sorted_by = tuple(table.key if order is None else order)
        tests, values = _tests(table, where)
        shape = ("find", table.name, wanted, tests, sorted_by, newest, limit is None)
        sql = self._statement(shape, lambda: _find(table, wanted, tests, sorted_by, newest=newest, whole=limit is None))
        bound = tuple(values) if limit is None else (*values, int(limit))
        return self._db.answer(sql, bound) if often else self._db.rows(sql, bound)

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
        tests, values = _tests(table, {name: test for name, test in where.items() if name != each}, first=3)
        shape = ("each", table.name, each, tuple(columns), order, newest, tests)
        sql = self._statement(shape, lambda: _find_of_each(table, each, columns, order, tests, newest=newest))
        return self._db.rows(sql, (json.dumps(list(dict.fromkeys(asked.values))), limit - 1, *values))

    def lacking(self, table: Table, *, after: int = 0, limit: int | None = None) -> list[int]:
        """The notes beyond row ``after`` that have no row in a table; ascending, at most ``limit``."""
        (key,) = table.key
        sql = f"SELECT id FROM note WHERE id > ? AND NOT EXISTS (SELECT 1 FROM {table.name} WHERE {key} = note.id) ORDER BY id LIMIT ?"  # noqa: S608 - declared names
        return [row for (row,) in self._db.rows(sql, (int(after), -1 if limit is None else int(limit)))]

    def moment(self) -> object | None:
        """Equal as long as others commit nothing, no write fails and nothing is deleted; ``None`` inside a write."""
        return None if self._db.writing else self._db.state()

    def when_invalidated(self, clear: Callable[[], None]) -> None:
        """Have ``clear`` called as soon as notes are deleted."""
        self._db.when_invalidated(clear)

    def count(self, table: Table, where: Where, *, most: int | None = None) -> int:
        """How many rows there are for which every test holds; with ``most`` no further than that."""
        if _split(where) is not None:
            return len(self.find(table, where, columns=table.key, limit=most))
        tests, values = _tests(table, where)
        sql = self._statement(
            ("count", table.name, tests, most is None), lambda: _count(table, tests, whole=most is None)
        )
        return int(self._db.value(sql, values if most is None else (*values, int(most))))

    def change(self, table: Table, where: Where, values: Mapping[str, Value]) -> int:
        """Write values into some columns of the rows for which every test holds; returns how many rows there were."""
        if table is NOTE:
            return self._change_notes(where, values)
        tests, bound = _tests(table, where)
        names = tuple(values)
        sql = self._statement(("change", table.name, names, tests), lambda: _change(table, names, tests))
        given = [_typed(table.columns[name], values[name]) for name in names]
        return self._db.run(sql, (*given, *bound))

    def delete(self, table: Table, where: Where) -> int:
        """Remove the rows for which every test holds; returns how many there were."""
        tests, values = _tests(table, where)
        sql = self._statement(("delete", table.name, tests), lambda: f"DELETE FROM {table.name}{_where(tests)}")  # noqa: S608 - declared names
        return self._db.run(sql, values)

    def _change_notes(self, where: Where, values: Mapping[str, Value]) -> int:
        """The seal of a note is over its words, its fact and its owner, too."""
        rows = [row for (row,) in self.find(NOTE, where, columns=("id",))]
        names = tuple(values)
        sql = self._statement(
            ("change", "note", names),
            lambda: _change_of_rows(NOTE, names),
        )
        with kept(self._db, rows):
            return self._db.run(sql, (*(_typed(NOTE.columns[name], values[name]) for name in names), json_list(rows)))

    def _in_parts(self, table: Table, where: Where, split: str, **rest: Any) -> list[Row]:
        """Many values that JSON cannot hold, so many at a time."""
        asked = where[split]
        assert isinstance(asked, Among)
        values = list(asked.values)
        if rest["limit"] is not None or rest["order"] is not None:
            raise InvalidArgument(
                f"Too many values of {split} to be sorted.", hint=f"ask for at most {_TOGETHER} of them."
            )
        found: list[Row] = []
        for start in range(0, len(values), _TOGETHER):
            found += self.find(table, {**where, split: Among(values[start : start + _TOGETHER])}, **rest)
        return found

    def _statement(self, shape: object, make: Any) -> str:
        known = self._statements.get(shape)
        if known is None:
            if len(self._statements) > _MOST:
                self._statements.clear()
            known = self._statements[shape] = make()
        return known


def _typed(kind: type, value: Value) -> Value:
    if value is None:
        return None
    if kind is float:
        return float(value) + 0.0  # SQLite knows no negative zero
    return int(value) if kind is int else value


def _tests(table: Table, where: Where, *, first: int = 0) -> tuple[tuple[str, ...], list[Value]]:
    """The tests as SQL, and the values that they bind; with numbers from ``first`` on where one test is to be used twice."""
    sql, bound = list[str](), list[Value]()

    def mark() -> str:
        return f"?{first + len(bound)}" if first else "?"

    for name, test in where.items():
        kind = table.columns[name]
        if isinstance(test, Among):
            listed = list(dict.fromkeys(test.values))
            if kind is bytes:
                sql.append(f"{name} IN ({','.join('?' * len(listed))})")
                bound += listed
            else:
                sql.append(f"{name} IN (SELECT value FROM json_each({mark()}))")  # noqa: S608 - declared names
                bound.append(json_list(listed) if kind is int else json.dumps(listed))
        elif isinstance(test, Without):
            for value in test.values:  # comparing a few values is cheaper than a look-up in a list
                sql.append(f"{name} <> {mark()}")
                bound.append(_typed(kind, value))
        elif isinstance(test, Span):
            sql.append(f"{name} IS NOT NULL")
            for bound_name, sign in _BOUNDS.items():
                if (limit := getattr(test, bound_name)) is not None:
                    sql.append(f"{name} {sign} {mark()}")
                    bound.append(_typed(kind, limit))
        elif test is None:
            sql.append(f"{name} IS NULL")
        else:
            sql.append(f"{name} = {mark()}")
            bound.append(_typed(kind, test))
    return tuple(sql), bound


def _split(where: Where) -> str | None:
    """The column that is asked for more byte strings than one statement can bind."""
    for name, test in where.items():
        if isinstance(test, Among) and len(test.values) > _TOGETHER and isinstance(next(iter(test.values)), bytes):
            return name
    return None


def _where(tests: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(tests)}" if tests else ""


def _find(
    table: Table, columns: Sequence[str], tests: Sequence[str], order: Sequence[str], *, newest: bool, whole: bool
) -> str:
    down = " DESC" if newest else ""
    sorted_by = f" ORDER BY {', '.join(name + down for name in order)}" if order else ""
    return f"SELECT {', '.join(columns)} FROM {table.name}{_where(tests)}{sorted_by}{'' if whole else ' LIMIT ?'}"  # noqa: S608 - declared names


def _find_of_each(
    table: Table, each: str, columns: Sequence[str], order: str, tests: Sequence[str], *, newest: bool
) -> str:
    """Up to the last row that is wanted, along an index: a value that stands in many rows costs no more than one in few."""
    asked = "".join(f" AND {test}" for test in tests)
    last = f"(SELECT {order} FROM {table.name} WHERE {each} = j.value{asked} ORDER BY {order}{' DESC' if newest else ''} LIMIT 1 OFFSET ?2)"  # noqa: S608 - declared names
    within = (
        f"{order} >= coalesce({last}, -9223372036854775808)"
        if newest
        else f"{order} <= coalesce({last}, 9223372036854775807)"
    )
    wanted = ", ".join(columns)
    return f"SELECT {wanted} FROM json_each(?1) j CROSS JOIN {table.name} WHERE {each} = j.value{asked} AND {within} ORDER BY j.key, {order}"  # noqa: S608 - declared names


def _count(table: Table, tests: Sequence[str], *, whole: bool) -> str:
    if whole:
        return f"SELECT count(*) FROM {table.name}{_where(tests)}"  # noqa: S608 - declared names
    return f"SELECT count(*) FROM (SELECT 1 FROM {table.name}{_where(tests)} LIMIT ?)"  # noqa: S608 - declared names


def _put(table: Table, *, keep: bool) -> str:
    names = list(table.columns)
    marks = [f"?{place}" for place in range(1, len(names) + 1)]
    if table.sealed and not table.numbered:
        given = dict(zip(names, marks, strict=True))
        seal = _seal(table, given)
        if table.unsealed:
            seal = f"CASE WHEN {given[table.unsealed]} THEN NULL ELSE {seal} END"
        names, marks = [*names, "seal"], [*marks, seal]
    sql = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(marks)})"  # noqa: S608 - declared names
    if table.numbered:
        return sql
    rest = [name for name in names if name not in table.key]
    if keep or not rest:
        return f"{sql} ON CONFLICT ({', '.join(table.key)}) DO NOTHING"
    return f"{sql} ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in rest)}"


def _change(table: Table, names: Sequence[str], tests: Sequence[str]) -> str:
    changed = {name: f"?{place}" for place, name in enumerate(names, 1)}
    sets = [f"{name} = {mark}" for name, mark in changed.items()]
    if table.sealed:
        kept = f"WHEN seal = {_seal(table, {})} THEN {_seal(table, changed)} ELSE seal END"
        if table.unsealed:
            now = changed.get(table.unsealed, table.unsealed)
            kept = f"WHEN {now} THEN NULL WHEN {table.unsealed} THEN {_seal(table, changed)} {kept}"
        sets.append(f"seal = CASE {kept}")
    return f"UPDATE {table.name} SET {', '.join(sets)}{_where(tests)}"  # noqa: S608 - declared names


def _change_of_rows(table: Table, names: Sequence[str]) -> str:
    sets = ", ".join(f"{name} = ?" for name in names)
    return f"UPDATE {table.name} SET {sets} WHERE {table.key[0]} IN (SELECT value FROM json_each(?))"  # noqa: S608 - declared names


def _sealed(table: Table) -> str:
    return f"UPDATE {table.name} SET seal = {_seal(table, {})} WHERE {table.key[0]} = ?"  # noqa: S608 - declared names


def _seal(table: Table, given: Mapping[str, str]) -> str:
    """The seal of a row: over all declared columns, texts as bytes, since what is damaged may be no text any more."""
    columns = {name: given.get(name, name) for name in table.columns}
    parts = [f"CAST({text} AS BLOB)" if table.columns[name] is str else text for name, text in columns.items()]
    return f"seal_of({', '.join(parts)})"
