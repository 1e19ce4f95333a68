"""Statements over plain tables, from their declarations: every value is bound, every name is a declared one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentmem.notes.rows import ASKING, TOLD
from agentmem.notes.tables import LEDGER, Among, Each, Span, Table, Value, Where, Without
from agentmem.stores.postgres.names import quoted

__all__ = ["Binding", "bound", "change", "conditions", "find", "find_of_each", "lacking", "put", "values"]

_BOUNDS: Final[Mapping[str, str]] = {"above": ">", "below": "<", "least": ">=", "most": "<="}
_TYPES: Final[Mapping[type, str]] = {int: "bigint", float: "float8", str: "text", bytes: "bytea"}
_WORDS: Final = "rtrim(content, E'\\t\\n\\r ')"
_TELLS: Final = " OR ".join(
    f"strpos(substr({_WORDS}, {TOLD}), {end}) > 0" for end in ("'. '", "'! '", "'。'", "'！'", "E'\\n'")
)
_ASKING: Final = ", ".join(f"'{each}'" for each in ASKING)
_COMPUTED: Final[Mapping[str, str]] = {
    "asks": f"(CASE WHEN right({_WORDS}, 1) NOT IN ({_ASKING}) THEN 0 WHEN {_TELLS} THEN 2 ELSE 1 END)::bigint"
}
_MAY_BE_NULL: Final = frozenset(
    "actor agent session thread position valid_from valid_to archived_at source user mac note_id edit_id context question ended_by sha ttl "
    "expires_at used_at".split()
)


class Binding:
    """The values of one statement, and their marks."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def __call__(self, value: Any, kind: type | None = None, *, many: bool = False) -> str:
        """The mark of a value that is bound from now on."""
        self.values.append(value)
        cast = "" if kind is None else f"::{_TYPES[kind]}{'[]' if many else ''}"
        return f"${len(self.values)}{cast}"


def typed(kind: type, value: Any) -> Any:
    """A value, or each of several, as its column holds it."""
    if value is None:
        return None
    if isinstance(value, Each):
        return Each([typed(kind, each) for each in value.values])
    if kind is float:
        return float(value) + 0.0  # no negative zero
    return int(value) if kind is int else value


def bound(table: Table, row: Sequence[Value]) -> tuple[Value, ...]:
    """A row as it is bound: the numbers in it may come from arrays, or be of the other type."""
    return tuple(
        value if kind in (str, bytes) else typed(kind, value)
        for kind, value in zip(table.columns.values(), row, strict=True)
    )


def conditions(table: Table, where: Where, bind: Binding) -> str:
    """The tests as SQL, with ``WHERE`` before them; nothing without any."""
    sql = list[str]()
    for name, test in where.items():
        kind, column = table.columns[name], quoted(name)
        if isinstance(test, Among | Without):
            listed = [typed(kind, value) for value in dict.fromkeys(test.values)]
            sign = "= ANY" if isinstance(test, Among) else "<> ALL"
            sql.append(f"{column} {sign} ({bind(listed, kind, many=True)})")
        elif isinstance(test, Span):
            sql.append(f"{column} IS NOT NULL")
            for bound_name, sign in _BOUNDS.items():
                if (limit := getattr(test, bound_name)) is not None:
                    sql.append(f"{column} {sign} {bind(typed(kind, limit), kind)}")
        elif test is None:
            sql.append(f"{column} IS NULL")
        else:
            sql.append(f"{column} = {bind(typed(kind, test), kind)}")
    return f" WHERE {' AND '.join(sql)}" if sql else ""


def find(table: Table, columns: Sequence[str], tests: str, order: Sequence[str], *, newest: bool, limit: str) -> str:
    """Rows in an order; nothing comes before something."""
    wanted = ", ".join(_COMPUTED.get(name) or quoted(name) for name in columns)
    by = ", ".join(_sorted(table, name, newest=newest) for name in order)
    return f"SELECT {wanted} FROM {quoted(table.name)}{tests}{f' ORDER BY {by}' if by else ''}{limit}"  # noqa: S608 - declared names


def _sorted(table: Table, name: str, *, newest: bool) -> str:
    """Only where there may be nothing: an index is not read for an order that says what it has no need to say."""
    nulls = name in _MAY_BE_NULL or (table is LEDGER and name == "owner")
    return f"{quoted(name)}{' DESC' if newest else ''}{(' NULLS LAST' if newest else ' NULLS FIRST') if nulls else ''}"


def find_of_each(
    table: Table,
    each: str,
    columns: Sequence[str],
    order: str,
    where: Where,
    *,
    newest: bool,
    values: Sequence[Any],
    limit: int,
) -> tuple[str, list[Any]]:
    """Up to the last row that is wanted of each value, along an index."""
    bind = Binding()
    listed, most = bind(list(values), table.columns[each], many=True), bind(limit, int)
    tests = conditions(table, where, bind)
    first = f"{tests}{' AND' if tests else ' WHERE'} {quoted(each)} = j.value"
    inner = ", ".join(f"t.{quoted(name)} AS c{place}" for place, name in enumerate(columns))
    by = quoted(order)
    few = f"SELECT {inner}, t.{by} AS placed FROM {quoted(table.name)} t{first} ORDER BY t.{by}{' DESC' if newest else ''} LIMIT {most}"  # noqa: S608 - declared names
    wanted = ", ".join(f"x.c{place}" for place in range(len(columns)))
    sql = f"SELECT {wanted} FROM unnest({listed}) WITH ORDINALITY j(value, place) CROSS JOIN LATERAL ({few}) x ORDER BY j.place, x.placed"  # noqa: S608 - made here
    return sql, bind.values


def put(table: Table, *, keep: bool) -> str:
    """A row in the place of the one with its key, or with ``keep`` only where there is none."""
    names = list(table.columns)
    marks = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    rest = [name for name in names if name not in table.key]
    sets = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in rest)
    also = "DO NOTHING" if keep or not rest else f"DO UPDATE SET {sets}"
    return f"INSERT INTO {quoted(table.name)} ({_listed(names)}) VALUES ({marks}) ON CONFLICT ({_listed(table.key)}) {also}"  # noqa: S608 - declared names


def put_new(table: Table) -> str:
    """A new row of a numbered table, which returns its number."""
    names = list(table.columns)[1:]
    marks = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    return f"INSERT INTO {quoted(table.name)} ({_listed(names)}) VALUES ({marks}) RETURNING {quoted(table.key[0])}"  # noqa: S608 - declared names


def numbers(table: Table) -> str:
    """So many new numbers of a table."""
    return f"SELECT nextval('{_sequence(table)}') FROM generate_series(1, $1)"  # noqa: S608 - declared names


def number_given(table: Table) -> str:
    """That a number came from elsewhere, so that it is given to nobody else."""
    sequence = _sequence(table)
    return f"SELECT setval('{sequence}', $1) FROM {sequence} WHERE last_value < $1 OR NOT is_called AND last_value = $1"  # noqa: S608 - declared names


def _sequence(table: Table) -> str:
    return f"{table.name}_{table.key[0]}_seq"


def change(table: Table, names: Sequence[str], tests: str, marks: Sequence[str]) -> str:
    """Some columns written anew."""
    sets = ", ".join(f"{quoted(name)} = {mark}" for name, mark in zip(names, marks, strict=True))
    return f"UPDATE {quoted(table.name)} SET {sets}{tests}"  # noqa: S608 - declared names


def values(table: Table, column: str, tests: str) -> str:
    """Each value once."""
    name = quoted(column)
    return f"SELECT DISTINCT {name} FROM {quoted(table.name)}{tests}{' AND' if tests else ' WHERE'} {name} IS NOT NULL ORDER BY {name}"  # noqa: S608 - declared names


def lacking(table: Table) -> str:
    """Notes beyond a row that have none in a table."""
    (key,) = table.key
    none = f"NOT EXISTS (SELECT 1 FROM {quoted(table.name)} t WHERE t.{quoted(key)} = n.id)"  # noqa: S608 - declared names
    return f"SELECT n.id FROM note n WHERE n.id > $1 AND n.length > $2 AND {none} ORDER BY n.id LIMIT $3"  # noqa: S608 - declared names


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))
