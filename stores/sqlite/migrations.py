"""Brings a database to the newest schema, one transaction per step."""

from __future__ import annotations

import secrets
from typing import Final

from agentmem.errors import StoreCorrupt
from agentmem.files.sqlite_files import APPLICATION_ID
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.schema import MIGRATIONS

__all__ = ["SCHEMA_VERSION", "TOMBSTONE_KEY", "StoreSecret", "adopt", "is_current", "migrate"]

SCHEMA_VERSION: Final = len(MIGRATIONS)
TOMBSTONE_KEY: Final = "tombstone_key"
"""The store's secret. Its seal stands beside it: with another secret no name, no forgotten word and no state would be known again."""

_DRAWN: Final = """
    SELECT k.value FROM meta k JOIN meta s ON s.key = k.key || '_seal' WHERE k.key = ? AND s.value = hex(seal_of(CAST(k.value AS BLOB)))
"""


def migrate(database: Database) -> None:
    """Apply what is missing; a database of a newer version is left untouched.

    Raises:
        StoreCorrupt: the database was written by a newer version of this package.
    """
    while True:
        with database.transaction(write=False):
            found = _version(database)
        if found == SCHEMA_VERSION:
            return
        with database.transaction(write=True):
            # another process may have been faster
            if _version(database) == found:
                _apply(database, found)


def is_current(database: Database) -> bool:
    """Whether a database has the newest schema; raises as :func:`migrate` does when it has a newer one."""
    with database.transaction(write=False):
        return _version(database) == SCHEMA_VERSION


def adopt(database: Database, secret: bytes) -> None:
    """Put the secret of another store in the place of the one that was drawn, with a seal of its own."""
    drawn = secret.hex()
    database.run("UPDATE meta SET value = ? WHERE key = ?", (drawn, TOMBSTONE_KEY))
    database.run(
        "INSERT INTO meta (key, value) VALUES (?, hex(seal_of(CAST(? AS BLOB)))) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (f"{TOMBSTONE_KEY}_seal", drawn),
    )


class StoreSecret:
    """The store's secret, drawn once, when it was made, and read when it is first asked for.

    Raises:
        StoreCorrupt: it is not what was drawn.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._drawn = b""

    def __call__(self) -> bytes:
        if not self._drawn:
            found = self._db.value(_DRAWN, (TOMBSTONE_KEY,))
            if found is None:
                raise StoreCorrupt(
                    f"The secret of {self._db.place} is damaged: nobody's name, and nothing that was forgotten, would be known again.",
                    hint="restore the last backup.",
                )
            self._drawn = bytes.fromhex(found)
        return self._drawn


def _version(database: Database) -> int:
    found = int(database.value("PRAGMA user_version"))
    if found > SCHEMA_VERSION:
        raise StoreCorrupt(
            f"{database.place} has schema version {found}; this version knows up to {SCHEMA_VERSION}.",
            hint="upgrade with: pip install --upgrade agentmem-toolkit.",
        )
    return found


def _apply(database: Database, found: int) -> None:
    if found == 0:
        database.run(f"PRAGMA application_id={APPLICATION_ID}")
        database.run(
            "CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
        )
    name, statements = MIGRATIONS[found]
    for statement in statements:
        database.run(statement)
    if found == 0:
        database.run("INSERT INTO meta (key, value) VALUES (?, ?)", (TOMBSTONE_KEY, secrets.token_hex(32)))
    database.run("INSERT INTO migration (number, name) VALUES (?, ?)", (found + 1, name))
    database.run(f"PRAGMA user_version={found + 1}")
