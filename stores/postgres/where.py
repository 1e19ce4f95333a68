"""Selections as relations of admitted rows, filters as SQL conditions on ``note n``; every value is bound, every name looked up.

A condition is true or false, never NULL, so that NOT means what it means in Python. What JSON columns are asked is judged by Python, since
PostgreSQL reads some numbers and characters differently: SQL only says which notes may be meant, and which are for certain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentmem.notes.filters import OF_FACTS, And, Compare, Filter, Not, Or, affirmed, compare, kind_of
from agentmem.notes.rows import Selection
from agentmem.stores.postgres.statements import Binding

__all__ = ["JudgedFilter", "admitted", "condition", "in_json"]

_COLUMNS: Final[Mapping[str, str]] = {
    "id": "n.uid",
    "user": '(SELECT o."user" FROM owner o WHERE o.id = n.owner)',
    "context": "nullif(n.context, '')",
    "archived": "(n.archived_at IS NOT NULL)",
} | {
    name: f"n.{name}"
    for name in "content kind actor agent session thread source occurred_at created_at valid_from valid_to importance trust version".split()
}
_SIGNS: Final[Mapping[str, str]] = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_KINDS: Final[Mapping[type, str]] = {bool: "bool", int: "bigint", float: "float8", str: "text"}
_JSON: Final = ("tags", "keywords", "metadata")


def admitted(selection: Selection, bind: Binding, *, owners: Sequence[int] | None = None) -> str:
    """The conditions of the notes that a selection admits, its filter aside; ``owners`` replaces its owners."""
    of = [int(owner) for owner in (selection.owners if owners is None else owners)]
    sql = [f"n.owner = {bind(of[0], int)}" if len(of) == 1 else f"n.owner = ANY ({bind(of, int, many=True)})"]
    asked = {name: getattr(selection, name) for name in ("agent", "session")}
    sql += [
        f"(n.{name} IS NULL OR n.{name} = {bind(wanted, str)})" for name, wanted in asked.items() if wanted is not None
    ]
    if not selection.archived:
        sql.append("n.archived_at IS NULL")
    if selection.without:
        sql.append(f"n.id <> ALL ({bind([int(row) for row in selection.without], int, many=True)})")
    if not selection.closed:
        if selection.as_of is None:
            sql.append("n.valid_to IS NULL")
        else:
            moment = bind(int(selection.as_of), int)
            sql.append(
                f"(n.valid_from IS NULL OR n.valid_from <= {moment}) AND (n.valid_to IS NULL OR n.valid_to > {moment})"
            )
    return " AND ".join(sql)


def in_json(where: Filter | None) -> bool:
    """Whether a filter asks something that only Python can judge."""
    if where is None:
        return False
    if isinstance(where, Compare):
        return kind_of(where.field) in ("any", "list")
    return in_json(where.part) if isinstance(where, Not) else any(map(in_json, where.parts))


def condition(where: Filter, bind: Binding, *, certain: bool = False) -> str:
    """The condition of a filter: exact without JSON; with it, one that holds of every note that is meant, or with ``certain`` of no other."""
    if isinstance(where, Compare):
        return _json(where, bind, certain=certain) if in_json(where) else _column(where, bind)
    if isinstance(where, Not):
        return f"NOT ({condition(where.part, bind, certain=not certain)})"
    word = " AND " if isinstance(where, And) else " OR "
    return word.join(f"({condition(part, bind, certain=certain)})" for part in where.parts)


class JudgedFilter:
    """A filter whose last word Python has: what SQL tells of a note is read off its row, the rest off its JSON.

    Args:
        where: the filter; bind: takes the values of ``columns``.
    """

    def __init__(self, where: Filter, bind: Binding) -> None:
        self._where = where
        self._told: dict[int, int] = {}
        self.columns = [f"n.{name}" for name in _JSON]
        """What a statement has to ask for, in this order."""
        self._ask(where, bind)

    def __call__(self, row: Sequence[Any]) -> bool:
        """Whether the note of a row is meant."""
        held = {name: json.loads(text) for name, text in zip(_JSON, row, strict=False)}
        return self._holds(self._where, row, held)

    def _ask(self, where: Filter, bind: Binding) -> None:
        if isinstance(where, And | Or):
            for part in where.parts:
                self._ask(part, bind)
        elif isinstance(where, Not):
            self._ask(where.part, bind)
        elif not in_json(where):
            self._told[id(where)] = len(self.columns)
            self.columns.append(_column(where, bind))

    def _holds(self, where: Filter, row: Sequence[Any], held: Mapping[str, Any]) -> bool:
        if isinstance(where, Not):
            return not self._holds(where.part, row, held)
        if isinstance(where, And):
            return all(self._holds(part, row, held) for part in where.parts)
        if isinstance(where, Or):
            return any(self._holds(part, row, held) for part in where.parts)
        if (place := self._told.get(id(where))) is not None:
            return bool(row[place])
        name, _, key = where.field.partition(".")
        return compare(where.op, held[name].get(key) if key else held[name] or None, where.value)


def _column(test: Compare, bind: Binding) -> str:
    if test.field in OF_FACTS:
        denied, test = affirmed(test)
        told = f'EXISTS (SELECT 1 FROM fact f WHERE f."row" = n.id AND {_compared(f"f.{test.field}", test, bind)})'  # noqa: S608 - a field of facts
        return f"NOT {told}" if denied else told
    return _compared(_COLUMNS[test.field], test, bind)


def _compared(column: str, test: Compare, bind: Binding) -> str:
    op, value = test.op, test.value

    def mark() -> str:
        return f"{bind(value)}::{_KINDS[type(value)]}"

    if op == "$exists":
        return f"{column} IS NOT NULL" if value else f"{column} IS NULL"
    if op in ("$eq", "$ne"):
        return f"{column} IS {'NOT ' if op == '$eq' else ''}DISTINCT FROM {mark()}"
    if op in _SIGNS:
        return f"({column} IS NOT NULL AND {column} {_SIGNS[op]} {mark()})"
    if op == "$contains":
        return f"({column} IS NOT NULL AND strpos({column}, {mark()}) > 0)"
    assert isinstance(value, tuple)
    inside = f"({column} IS NOT NULL AND ({_among(column, value, bind)}))"
    return inside if op == "$in" else f"NOT {inside}"


def _among(column: str, value: Sequence[Any], bind: Binding) -> str:
    """One list of each kind of number or text."""
    kinds = dict.fromkeys(map(type, value))
    lists = [f"{column} = ANY ({bind([v for v in value if type(v) is kind])}::{_KINDS[kind]}[])" for kind in kinds]
    return " OR ".join(lists) or "false"


def _json(test: Compare, bind: Binding, *, certain: bool) -> str:
    """What the text of a JSON column rules out, or in."""
    if test.field.startswith("metadata."):
        column, hint = "n.metadata", f'"{test.field.removeprefix("metadata.")}":'
    else:
        column, hint = f"n.{test.field}", ""
    if isinstance(test.value, str) and (test.op == "$eq" or (test.op == "$contains" and not hint)):
        hint += json.dumps(test.value, ensure_ascii=False)
    there = f"strpos({column}, {bind(hint or chr(34))}) > 0"
    denied = test.op in ("$ne", "$nin") or (test.op == "$exists" and not test.value)
    return "true" if denied and not certain else f"NOT {there}" if denied else "false" if certain else there
