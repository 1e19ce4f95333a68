"""Selections as statements: each owner is read along its own index, and the streams are merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from agentmem.notes.rows import Selection
from agentmem.stores.sqlite.where import Condition, admitted, asked, json_list

__all__ = ["counted", "selected", "selected_among", "selected_by_row"]

_ORDERS: Final[Mapping[str, tuple[str, str]]] = {
    "created": ("created_at", "ASC"),
    "-created": ("created_at", "DESC"),
    "occurred": ("occurred_at", "ASC"),
    "-occurred": ("occurred_at", "DESC"),
}
_AMONG: Final = "json_each(?) j CROSS JOIN note n ON n.id = j.value"


def selected(selection: Selection, order: str, limit: int | None, offset: int) -> Condition:
    """The rows in an order of time, each with its moment."""
    column, direction = _ORDERS[order]
    parts, values = [], list[object]()
    for owner in dict.fromkeys(selection.owners):
        # the column comes from _ORDERS
        sql, bound = _admitted(f"SELECT n.id AS row, n.{column} AS moment", selection, owners=(owner,))
        parts.append(sql)
        values += bound
    sql = f"{' UNION ALL '.join(parts)} ORDER BY moment {direction}, row {direction} LIMIT ? OFFSET ?"
    return sql, [*values, -1 if limit is None else limit, offset]


def selected_by_row(selection: Selection, after: int | None, limit: int | None) -> Condition:
    """The rows beyond one, by row."""
    sql, values = _admitted("SELECT n.id", selection, among="(SELECT n.* FROM note n WHERE n.id > ?) n")
    return f"{sql} ORDER BY n.id LIMIT ?", [after or 0, *values, -1 if limit is None else limit]


def selected_among(selection: Selection, rows: Sequence[int]) -> Condition:
    """Those of some rows, in their order."""
    sql, values = _admitted("SELECT n.id", selection, among=_AMONG)
    return sql, [json_list(rows), *values]


def counted(selection: Selection, most: int | None) -> Condition:
    """How many there are; no further than ``most``."""
    if most is None:
        return _admitted("SELECT count(*)", selection)
    sql, values = _admitted("SELECT 1", selection)
    return f"SELECT count(*) FROM ({sql} LIMIT ?)", [*values, most]  # noqa: S608 - made here


def _admitted(
    columns: str, selection: Selection, *, owners: Sequence[int] | None = None, among: str = "note n"
) -> Condition:
    """A statement over what a selection admits: its filter is asked of the relation of admitted rows, and of nothing else."""
    relation, values = admitted(selection, owners=owners, among=among)
    text, bound = asked(selection.where)
    return f"{columns} FROM {relation}{text}", [*values, *bound]
