"""One flipped bit in one value of one row, through SQL with every constraint off: what no statement would write, and SQLite does not see."""

from __future__ import annotations

import random
import sqlite3
import struct

__all__ = ["flip", "tables"]

Row = tuple[object, ...]


def tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The tables that have rows, each with its columns."""
    names = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
    ]
    held = [name for name in names if connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()]
    return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in held}


def flip(connection: sqlite3.Connection, table: str, column: str, rng: random.Random) -> str | None:
    """Flip a bit of a random value of a column; what was done, in words, or ``None`` where there is nothing to flip."""
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
    triggers = list(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"))
    with connection:
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        done = _flipped(connection, table, column, keys, rng)
        for _, sql in triggers:
            connection.execute(sql)
    return done


def _flipped(
    connection: sqlite3.Connection, table: str, column: str, keys: list[str], rng: random.Random
) -> str | None:
    sql = f"SELECT {', '.join(keys)}, typeof({column}), CAST({column} AS BLOB), {column} FROM {table} WHERE {column} IS NOT NULL"
    rows: list[Row] = list(connection.execute(sql))
    for row in rng.sample(rows, min(4, len(rows))):
        where, (kind, data, value) = row[: len(keys)], row[len(keys) :]
        other = _other(str(kind), data, value, rng)
        if other is None:
            continue
        among = " AND ".join(f"{key} IS ?" for key in keys)
        try:
            connection.execute(
                f"UPDATE {table} SET {column} = {'CAST(? AS TEXT)' if kind == 'text' else '?'} WHERE {among}",
                (other, *where),
            )
        except sqlite3.IntegrityError:  # another row has that value, and only one may
            continue
        return f"{table}.{column} of {where}: {value!r:.60} is {other!r:.60}"
    return None


def _other(kind: str, data: object, value: object, rng: random.Random) -> object:
    if kind == "integer":
        return struct.unpack(">q", _bit(struct.pack(">q", value), rng))[0]
    if kind == "real":
        number = struct.unpack(">d", _bit(struct.pack(">d", value), rng))[0]
        return number if number == number and number != value else None  # SQLite keeps no NaN and no negative zero
    return _bit(data, rng) if isinstance(data, bytes) and data else None


def _bit(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
