"""Selections as relations of admitted rows, filters as SQL conditions on ``note n``; every value is bound, every name looked up.

What a request may see is one thing, what it asks for another: a filter stands outside the relation of the rows that are admitted, so
that it can only narrow, whatever its text is. A condition is 0 or 1, never NULL, so that NOT means what it means in Python.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from agentmem.notes.filters import OF_FACTS, And, Compare, Filter, Not, affirmed, compare, kind_of
from agentmem.notes.rows import Selection
from agentmem.stores.sqlite.seals import teach

__all__ = ["Condition", "admitted", "asked", "condition", "json_list", "prepare"]

Condition = tuple[str, list[object]]

_COLUMNS: Final[Mapping[str, str]] = {
    "id": "n.uid",
    "user": "(SELECT user FROM owner WHERE owner.id = n.owner)",
    "context": "nullif(n.context, '')",
    "archived": "(n.archived_at IS NOT NULL)",
} | {
    name: f"n.{name}"
    for name in (
        "content kind actor agent session thread source occurred_at created_at valid_from valid_to importance trust "
        "version tags keywords"
    ).split()
}
_SIGNS: Final[Mapping[str, str]] = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


def prepare(connection: sqlite3.Connection) -> None:
    """Teach a connection the tests of JSON values that SQL cannot express exactly."""
    connection.create_function("json_test", 4, _json_test, deterministic=True)
    teach(connection)


def json_list(rows: Sequence[int]) -> str:
    """``rows`` as one bound parameter for ``json_each``: the statement stays the same for any number of rows."""
    return json.dumps([int(row) for row in rows])


def admitted(selection: Selection, *, owners: Sequence[int] | None = None, among: str = "note n") -> Condition:
    """The relation ``n`` of the notes that a selection admits, its filter aside; ``owners`` replaces its owners.

    SQLite takes such a relation apart again and reads the note table along its indexes, as if the conditions stood beside the filter.

    Args:
        among: where the notes come from, with the alias ``n``.
    """
    of = tuple(selection.owners if owners is None else owners)
    sql = [f"n.owner IN ({_marks(of)})" if len(of) != 1 else "n.owner = ?"]
    values: list[object] = [int(owner) for owner in of]
    for name in ("agent", "session"):
        if (wanted := getattr(selection, name)) is not None:
            sql.append(f"(n.{name} IS NULL OR n.{name} = ?)")
            values.append(wanted)
    if not selection.archived:
        sql.append("n.archived_at IS NULL")
    if selection.without:
        sql.append("n.id NOT IN (SELECT value FROM json_each(?))")
        values.append(json_list(selection.without))
    if not selection.closed:
        if selection.as_of is None:
            sql.append("n.valid_to IS NULL")
        else:
            sql.append("(n.valid_from IS NULL OR n.valid_from <= ?) AND (n.valid_to IS NULL OR n.valid_to > ?)")
            values += [selection.as_of, selection.as_of]
    return f"(SELECT n.* FROM {among} WHERE {' AND '.join(sql)}) n", values  # noqa: S608 - marks, and columns named here


def asked(where: Filter | None) -> Condition:
    """What follows a relation of admitted notes: the filter, in brackets of its own; nothing without one."""
    if where is None:
        return "", []
    text, values = condition(where)
    return f" WHERE ({text})", values


def condition(where: Filter) -> Condition:
    """The condition of a filter."""
    if isinstance(where, Compare):
        return _json(where) if kind_of(where.field) in ("any", "list") else _column(where)
    if isinstance(where, Not):
        sql, values = condition(where.part)
        return f"NOT ({sql})", values
    return _joined(" AND " if isinstance(where, And) else " OR ", where.parts)


def _joined(word: str, parts: Sequence[Filter]) -> Condition:
    """Halves within halves: SQLite reads a flat row of conditions as one nested as deep as it is long, and allows 1,000."""
    if len(parts) == 1:
        return condition(parts[0])
    half = len(parts) // 2
    (left, before), (right, after) = _joined(word, parts[:half]), _joined(word, parts[half:])
    return f"({left}){word}({right})", [*before, *after]


def _column(test: Compare) -> Condition:
    if test.field in OF_FACTS:
        denied, test = affirmed(test)
        sql, values = _compared(f"f.{test.field}", test)
        told = f"EXISTS (SELECT 1 FROM fact f WHERE f.row = n.id AND {sql})"  # noqa: S608 - a field of facts
        return f"NOT {told}" if denied else told, values
    return _compared(_COLUMNS[test.field], test)


def _compared(column: str, test: Compare) -> Condition:
    op, value = test.op, test.value
    if op == "$exists":
        return f"{column} IS NOT NULL" if value else f"{column} IS NULL", []
    if op == "$eq":
        return f"{column} IS ?", [value]
    if op == "$ne":
        return f"{column} IS NOT ?", [value]
    if op in _SIGNS:
        return f"({column} IS NOT NULL AND {column} {_SIGNS[op]} ?)", [value]
    if op == "$contains":
        return f"({column} IS NOT NULL AND instr({column}, ?) > 0)", [value]
    assert isinstance(value, tuple)
    inside = f"({column} IS NOT NULL AND {column} IN ({_marks(value)}))"
    return inside if op == "$in" else f"NOT {inside}", list(value)


def _json(test: Compare) -> Condition:
    """A test of a JSON column: searched as text where that can rule a note out, then judged by Python.

    SQLite's own JSON functions read some numbers and characters differently from Python.
    """
    if test.field.startswith("metadata."):
        column, key = "n.metadata", test.field.removeprefix("metadata.")
        hint = f'"{key}":'
    else:
        column, key, hint = f"n.{test.field}", "", ""
    if test.op == "$eq" or (test.op == "$contains" and not key):
        hint += _dumps(test.value) if isinstance(test.value, str) else ""
    sql, values = f"json_test({column}, ?, ?, ?)", [key, test.op, _dumps(test.value)]
    if test.op in ("$ne", "$nin") or (test.op == "$exists" and not test.value):
        return f"(instr({column}, ?) = 0 OR {sql})", [hint or '"', *values]
    return f"(instr({column}, ?) > 0 AND {sql})", [hint or '"', *values]


def _json_test(stored: str, key: str, op: str, wanted: str) -> bool:
    value = json.loads(stored)
    return compare(op, value.get(key) if key else value or None, json.loads(wanted))


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
