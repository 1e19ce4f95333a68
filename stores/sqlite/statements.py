"""Statements over plain tables, from their declarations: every value is bound, every name is a declared one."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentmem.notes.rows import ASKING, TOLD
from agentmem.notes.tables import LINK, NOTE, OWNER, Among, Each, Span, Table, Value, Where, Without
from agentmem.stores.sqlite.where import json_list

__all__ = [
    "TOGETHER", "bound", "change", "change_of_rows", "conditions", "count", "delete", "find", "find_of_each", "lacking", "put", "replace", "seal_anew", "split",
    "typed",
    "values",
]  # fmt: skip

TOGETHER: Final = 512
"""How many byte strings one statement is asked for; more go into several."""
_BOUNDS: Final[Mapping[str, str]] = {"above": ">", "below": "<", "least": ">=", "most": "<="}
_WORDS: Final = "rtrim(content, char(9, 10, 13, 32))"
_TELLS: Final = " OR ".join(
    f"instr(substr({_WORDS}, {TOLD}), {end})" for end in ("'. '", "'! '", "'。'", "'！'", "char(10)")
)
_COMPUTED: Final[Mapping[str, str]] = {
    "asks": f"CASE WHEN substr({_WORDS}, -1) NOT IN {ASKING} THEN 0 WHEN {_TELLS} THEN 2 ELSE 1 END"
}
_WHOSE: Final = (
    "(SELECT s.whose = (SELECT o.seal FROM owner o WHERE o.id = note.owner) FROM seal s WHERE s.row = note.id)"
)
"""Whether a note stands under the owner it was written for."""


def typed(kind: type, value: Any) -> Any:
    """A value, or each of several, as its column holds it."""
    if value is None:
        return None
    if isinstance(value, Each):
        return Each([typed(kind, each) for each in value.values])
    if kind is float:
        return float(value) + 0.0  # SQLite knows no negative zero
    return int(value) if kind is int else value


@functools.cache
def numbers(table: Table) -> tuple[tuple[int, type], ...]:
    """Which columns of a table hold numbers, and of which type."""
    return tuple((place, kind) for place, kind in enumerate(table.columns.values()) if kind in (int, float))


def bound(row: Sequence[Value], numbers: Sequence[tuple[int, type]]) -> tuple[Value, ...]:
    """A row as it is bound: the numbers in it may come from arrays, or be of the other type."""
    values = list(row)
    for place, kind in numbers:
        value = values[place]
        if kind is float or type(value) is not int:
            values[place] = typed(kind, value)
    return tuple(values)


def conditions(table: Table, where: Where, *, first: int = 0) -> tuple[tuple[str, ...], list[Value]]:
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
                bound.append(typed(kind, value))
        elif isinstance(test, Span):
            sql.append(f"{name} IS NOT NULL")
            for bound_name, sign in _BOUNDS.items():
                if (limit := getattr(test, bound_name)) is not None:
                    sql.append(f"{name} {sign} {mark()}")
                    bound.append(typed(kind, limit))
        elif test is None:
            sql.append(f"{name} IS NULL")
        else:
            sql.append(f"{name} = {mark()}")
            bound.append(typed(kind, test))
    return tuple(sql), bound


def split(where: Where) -> str | None:
    """The column that is asked for more byte strings than one statement can bind."""
    for name, test in where.items():
        if isinstance(test, Among) and len(test.values) > TOGETHER and isinstance(next(iter(test.values)), bytes):
            return name
    return None


def _where(tests: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(tests)}" if tests else ""


def looked_at(columns: Sequence[str]) -> bool:
    """Whether a note that is asked for these is checked: its words with whose they are, or whose it is alone."""
    return "owner" in columns and ("content" in columns or set(columns) == {"id", "owner"})


def find(
    table: Table, columns: Sequence[str], tests: Sequence[str], order: Sequence[str], *, newest: bool, whole: bool
) -> str:
    """Rows in an order; a checked table tells of each, in one more column, whether it is what was written."""
    wanted = [_COMPUTED.get(name, name) for name in columns]
    if table is OWNER:
        wanted.append(f"seal IS {_seal(table, {})}")
    elif table is NOTE and looked_at(columns):
        wanted.append(_WHOSE)
    down = " DESC" if newest else ""
    sorted_by = f" ORDER BY {', '.join(name + down for name in order)}" if order else ""
    return f"SELECT {', '.join(wanted)} FROM {_among(table, tests)}{sorted_by}{'' if whole else ' LIMIT ?'}"  # noqa: S608 - declared names


def _among(table: Table, tests: Sequence[str]) -> str:
    """Where rows come from. Links that end somewhere are told apart by their index alone, and only those wanted are read."""
    of_key = [test for test in tests if test.startswith(("source ", "target ", "kind "))] if table is LINK else []
    first = tests[: len(of_key)]
    if not of_key or list(first) != of_key or not first[0].startswith("target "):
        return f"{table.name}{_where(tests)}"
    ends = f"(SELECT source, target, kind FROM link{_where(first)})"  # noqa: S608 - declared names
    return f"{ends} CROSS JOIN link USING (source, target, kind){_where(tests[len(first) :])}"


def find_of_each(
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
    # value by value, and within one along the key: only another order has to be sorted for
    sorted_by = "" if table.key[-2:] == (each, order) else f" ORDER BY j.key, {order}"
    return f"SELECT {wanted} FROM json_each(?1) j CROSS JOIN {table.name} WHERE {each} = j.value{asked} AND {within}{sorted_by}"  # noqa: S608 - declared names


def count(table: Table, tests: Sequence[str], *, whole: bool) -> str:
    """How many rows; with ``whole`` all of them, else as many as a limit allows."""
    if whole:
        return f"SELECT count(*) FROM {table.name}{_where(tests)}"  # noqa: S608 - declared names
    return f"SELECT count(*) FROM (SELECT 1 FROM {table.name}{_where(tests)} LIMIT ?)"  # noqa: S608 - declared names


def put(table: Table, *, keep: bool) -> str:
    """A new row, in a table that is not numbered in the place of the one with its key, or with ``keep`` beside it."""
    names = list(table.columns)
    marks = [f"?{place}" for place in range(1, len(names) + 1)]
    if table.sealed and not table.numbered:
        given = dict(zip(names, marks, strict=True))
        seal = _seal(table, given)
        if table.unsealed:
            seal = f"CASE WHEN {given[table.unsealed]} THEN NULL ELSE {seal} END"
        names, marks = [*names, "seal"], [*marks, seal]
    sql = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(marks)})"  # noqa: S608 - declared names
    if table.numbered:  # numbered anew
        return sql
    rest = [name for name in names if name not in table.key]
    if keep or not rest:
        return f"{sql} ON CONFLICT ({', '.join(table.key)}) DO NOTHING"
    return f"{sql} ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in rest)}"


def change(table: Table, names: Sequence[str], tests: Sequence[str]) -> str:
    """Some columns written anew; a seal that was true is true of the new row, one that was not stays so."""
    changed = {name: f"?{place}" for place, name in enumerate(names, 1)}
    sets = [f"{name} = {mark}" for name, mark in changed.items()]
    if table.sealed and not set(names) <= set(table.loose):
        kept = f"WHEN seal = {_seal(table, {})} THEN {_seal(table, changed)} ELSE seal END"
        if table.unsealed:
            now = changed.get(table.unsealed, table.unsealed)
            kept = f"WHEN {now} THEN NULL WHEN {table.unsealed} THEN {_seal(table, changed)} {kept}"
        sets.append(f"seal = CASE {kept}")
    return f"UPDATE {table.name} SET {', '.join(sets)}{_where(tests)}"  # noqa: S608 - declared names


def change_of_rows(table: Table, names: Sequence[str]) -> str:
    """Some columns of the rows with these keys."""
    sets = ", ".join(f"{name} = ?" for name in names)
    return f"UPDATE {table.name} SET {sets} WHERE {table.key[0]} IN (SELECT value FROM json_each(?))"  # noqa: S608 - declared names


def seal_anew(table: Table) -> str:
    """The seal of one row as it is now."""
    return f"UPDATE {table.name} SET seal = {_seal(table, {})} WHERE {table.key[0]} = ?"  # noqa: S608 - declared names


def _seal(table: Table, given: Mapping[str, str]) -> str:
    """The seal of a row: over all declared columns, texts as bytes, since what is damaged may be no text any more."""
    columns = {name: given.get(name, name) for name in table.columns}
    parts = [f"CAST({text} AS BLOB)" if table.columns[name] is str else text for name, text in columns.items()]
    return f"seal_of({', '.join(parts)})"


def replace(table: Table) -> str:
    """A row of a numbered table in the place of the one with its number."""
    names = list(table.columns)
    marks = ", ".join(f"?{place}" for place in range(1, len(names) + 1))
    sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in table.key)
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {sets}"  # noqa: S608 - declared names


def values(table: Table, column: str, tests: Sequence[str]) -> str:
    """Each value once: a hop along the index per value, not a look at each row. The tests are numbered, being used twice."""
    least = f"SELECT min({column}) FROM {table.name}{_where([*tests, f'{column} IS NOT NULL'])}"  # noqa: S608 - declared names
    return f"WITH RECURSIVE known (value) AS ({least} UNION ALL SELECT ({least} AND {column} > known.value) FROM known WHERE known.value IS NOT NULL) SELECT value FROM known WHERE value IS NOT NULL"  # noqa: S608 - declared names


def delete(table: Table, tests: Sequence[str]) -> str:
    """Rows removed."""
    return f"DELETE FROM {table.name}{_where(tests)}"  # noqa: S608 - declared names


def lacking(table: Table) -> str:
    """Notes beyond a row that have none in a table."""
    (key,) = table.key
    return f"SELECT id FROM note WHERE id > ? AND length > ? AND NOT EXISTS (SELECT 1 FROM {table.name} WHERE {key} = note.id) ORDER BY id LIMIT ?"  # noqa: S608 - declared names
