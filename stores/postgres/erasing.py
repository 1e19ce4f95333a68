"""What deletion left behind: dead rows, which VACUUM takes out, and bytes in free room, which only writing anew does."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from agentmem.errors import StoreError, StoreLocked
from agentmem.stores.postgres.connection import PostgresDatabase
from agentmem.stores.postgres.names import quoted

__all__ = ["FILE", "rewrite", "vacuum"]

FILE: Final = "file"
_TABLES: Final = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = $1::regnamespace ORDER BY 1"


def vacuum(database: PostgresDatabase, patience: float) -> None:
    """Take the dead rows out of all tables and their indexes."""
    with database.transaction(write=False):
        names = [name for (name,) in database.rows(_TABLES, (quoted(database.schema),))]
    listed = ", ".join(f"{quoted(database.schema)}.{quoted(name)}" for name in names)
    _patiently(database, f"VACUUM (INDEX_CLEANUP ON, TRUNCATE ON) {listed}", patience)


def rewrite(database: PostgresDatabase, patience: float) -> list[str]:
    """Write all tables anew; what this role may not do to the log, in words."""
    with database.transaction(write=False):
        names = [name for (name,) in database.rows(_TABLES, (quoted(database.schema),))]
    for name in names:
        _patiently(database, f"VACUUM (FULL) {quoted(database.schema)}.{quoted(name)}", patience)
    left = []
    for sql, what in (
        ("SELECT pg_switch_wal()", "a new segment of the log was not begun"),
        ("CHECKPOINT", "no checkpoint was made"),
    ):
        try:
            database.outside(sql)
        except StoreError as error:
            left.append(f"{what}: {error.message}")
    return left


def _patiently(database: PostgresDatabase, sql: str, patience: float) -> None:
    database.outside(f"SET lock_timeout = '{max(1, int(patience * 1000))}ms'")
    try:
        database.outside(sql)
    except StoreLocked as error:
        raise StoreLocked(
            "Others held a table for too long to clean it.", hint="call erase() again when they have finished."
        ) from error
    finally:
        with suppress(StoreError):  # a connection that is gone has no limit either
            database.outside("RESET lock_timeout")
