"""Selections as statements: each owner is read along its own index, and the streams are merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from agentmem.notes.rows import Selection
from agentmem.stores.postgres.statements import Binding
from agentmem.stores.postgres.where import JudgedFilter, admitted, condition, in_json

__all__ = ["count", "select"]

_ORDERS: Final[Mapping[str, tuple[str, str]]] = {
    "created": ("created_at", "ASC"),
    "-created": ("created_at", "DESC"),
    "occurred": ("occurred_at", "ASC"),
    "-occurred": ("occurred_at", "DESC"),
}


class _Rows(Protocol):
    def __call__(self, sql: str, parameters: Sequence[object]) -> list[Any]: ...


def select(
    rows: _Rows,
    selection: Selection,
    *,
    among: Sequence[int] | None,
    order: str,
    after: int | None,
    limit: int | None,
    offset: int,
) -> list[int]:
    """The rows of the notes that a selection admits, in an order."""
    bind = Binding()
    judged = JudgedFilter(selection.where, bind) if selection.where is not None and in_json(selection.where) else None
    further = "" if judged is None else "".join(f", {column}" for column in judged.columns)
    if among is not None:
        listed = bind([int(row) for row in among], int, many=True)
        sql = f"SELECT n.id{further} FROM unnest({listed}) WITH ORDINALITY j(id, place) JOIN note n USING (id) WHERE {_asked(selection, bind)} ORDER BY j.place"  # noqa: S608 - made here
    elif order == "row":
        sql = f"SELECT n.id{further} FROM note n WHERE n.id > {bind(int(after or 0), int)} AND {_asked(selection, bind)} ORDER BY n.id"  # noqa: S608 - made here
    else:
        sql = _by_moment(selection, bind, order, further)
    if among is not None:
        limit, offset = None, 0
    if judged is not None:
        found = (row[0] for row in rows(sql, bind.values) if judged(row[1:]))
        return list(islice(found, offset, None if limit is None else offset + limit))
    if limit is not None:
        sql += f" LIMIT {bind(int(limit), int)}"
    if offset:
        sql += f" OFFSET {bind(int(offset), int)}"
    return [row[0] for row in rows(sql, bind.values)]


def count(rows: _Rows, selection: Selection, most: int | None) -> int:
    """How many there are; no further than ``most``."""
    if in_json(selection.where):
        return len(select(rows, selection, among=None, order="row", after=None, limit=most, offset=0))
    bind = Binding()
    inner = f"SELECT 1 FROM note n WHERE {_asked(selection, bind)}"  # noqa: S608 - made here
    limited = "" if most is None else f" LIMIT {bind(int(most), int)}"
    return int(rows(f"SELECT count(*) FROM ({inner}{limited}) x", bind.values)[0][0])  # noqa: S608 - made here


def _by_moment(selection: Selection, bind: Binding, order: str, further: str) -> str:
    column, direction = _ORDERS[order]
    owners = tuple(dict.fromkeys(selection.owners))
    if len(owners) == 1 or further:
        sql = f"SELECT n.id{further} FROM note n WHERE {_asked(selection, bind)}"  # noqa: S608 - made here
        return f"{sql} ORDER BY n.{column} {direction}, n.id {direction}"
    parts = [
        f"(SELECT n.id, n.{column} AS moment FROM note n WHERE {_asked(selection, bind, (owner,))} ORDER BY 2 {direction}, 1 {direction})"  # noqa: S608 - made here
        for owner in owners
    ]
    return f"SELECT id FROM ({' UNION ALL '.join(parts)}) x ORDER BY moment {direction}, id {direction}"  # noqa: S608 - made here


def _asked(selection: Selection, bind: Binding, owners: Sequence[int] | None = None) -> str:
    """What a selection admits, and of that, in brackets of its own, what its filter asks for."""
    seen = admitted(selection, bind, owners=owners)
    return seen if selection.where is None else f"{seen} AND ({condition(selection.where, bind)})"
