"""Brings a schema to the newest version, and gives the role that owns nothing what it needs; one transaction per step."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from agentmem.errors import StoreCorrupt, StoreError, StoreReadOnly
from agentmem.stores.postgres.connection import TENANT, PostgresDatabase
from agentmem.stores.postgres.names import quoted
from agentmem.stores.postgres.parameters import SCHEMA, parameters
from agentmem.stores.postgres.schema import MIGRATIONS

__all__ = ["SCHEMA_VERSION", "DrawnSecret", "adopt", "begun", "migrate"]

SCHEMA_VERSION: Final = len(MIGRATIONS)
_SECRET: Final = "tombstone_key"  # noqa: S105 - its name
_OLDEST: Final = 160_000
_GRANTED: Final = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    "REVOKE INSERT, UPDATE, DELETE ON {schema}.migration FROM {role}",
)


def begun(url: str) -> bool:
    """Whether there are the tables of a store; nothing is made.

    Raises:
        MissingExtra: the driver is not installed. StoreError: the server does not answer. StoreCorrupt: they are of a newer version.
        InvalidArgument: a parameter of the address is not known.
    """
    said = parameters(url)
    database = PostgresDatabase(said.url, schema=SCHEMA if said.schema is None else said.schema, read_only=True)
    try:
        with database.administration(write=False):
            return _version(database) > 0
    finally:
        database.close()


def migrate(database: PostgresDatabase) -> None:
    """Apply what is missing; a schema of a newer version is left untouched.

    Raises:
        StoreCorrupt: it was written by a newer version of this package.
        StoreReadOnly: it is older, or not there, and may only be read.
        StoreError: the server is too old, or holds no Unicode.
    """
    with database.administration(write=False):
        _fit(database)
        found = _version(database)
    if found == SCHEMA_VERSION:
        return
    if database.read_only:
        raise StoreReadOnly(
            f"{database.place} has {'no notes yet' if not found else 'an older schema'}, and is opened for reading only.",
            hint="open it once without read_only.",
        )
    with database.administration(write=True):
        for number in range(_version(database), SCHEMA_VERSION):  # another process may have been faster
            _apply(database, number)


def adopt(database: PostgresDatabase, secret: bytes) -> None:
    """Put the secret of another store in the place of the one that was drawn, with a seal of its own."""
    drawn = secret.hex()
    for key, value in ((_SECRET, drawn), (f"{_SECRET}_seal", _seal(drawn))):
        database.run("UPDATE meta SET value = $1 WHERE key = $2", (value, key))


class DrawnSecret:
    """The store's secret, drawn once, when it was made, and read when it is first asked for.

    Raises:
        StoreCorrupt: it is not what was drawn.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._db = database
        self._drawn = b""

    def __call__(self) -> bytes:
        if not self._drawn:
            found = dict(
                self._db.rows("SELECT key, value FROM meta WHERE key IN ($1, $2)", (_SECRET, f"{_SECRET}_seal"))
            )
            drawn = found.get(_SECRET, "")
            if found.get(f"{_SECRET}_seal") != _seal(drawn):
                raise StoreCorrupt(
                    f"The secret of {self._db.place} is damaged: nobody's name, and nothing that was forgotten, would be known again.",
                    hint="restore the last backup.",
                )
            self._drawn = bytes.fromhex(drawn)
        return self._drawn


def _seal(drawn: str) -> str:
    return hashlib.blake2b(drawn.encode(), digest_size=16).hexdigest()


def _fit(database: PostgresDatabase) -> None:
    version, encoding = database.rows(
        "SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding')"
    )[0]
    if version < _OLDEST:
        raise StoreError(
            f"{database.place} runs version {version // 10_000}.",
            hint="use PostgreSQL 16 or newer; 18 is what is tested.",
        )
    if encoding != "UTF8":
        raise StoreError(
            f"{database.place} holds texts as {encoding}.", hint="make a database with: createdb --encoding UTF8 NAME."
        )


def _version(database: PostgresDatabase) -> int:
    if database.value("SELECT to_regclass($1 || '.migration')", (quoted(database.schema),)) is None:
        return 0
    found = int(database.value("SELECT coalesce(max(number), 0) FROM migration") or 0)
    if found > SCHEMA_VERSION:
        raise StoreCorrupt(
            f"{database.place} has schema version {found}; this version knows up to {SCHEMA_VERSION}.",
            hint="upgrade with: pip install --upgrade agentmem-toolkit.",
        )
    return found


def _apply(database: PostgresDatabase, found: int) -> None:
    name, statements = MIGRATIONS[found]
    if found == 0:
        database.run(f"CREATE SCHEMA IF NOT EXISTS {quoted(database.schema)}")
        database.run("CREATE TABLE migration (number bigint PRIMARY KEY, name text NOT NULL)")
    for statement in statements:
        database.run(statement)
    if found == 0:
        drawn = secrets.token_hex(32)
        database.run(
            "INSERT INTO meta (key, value) VALUES ($1, $2), ($3, $4)", (_SECRET, drawn, f"{_SECRET}_seal", _seal(drawn))
        )
    database.run("INSERT INTO migration (number, name) VALUES ($1, $2)", (found + 1, name))
    if database.tenant:
        for statement in _GRANTED:
            database.run(statement.format(schema=quoted(database.schema), role=TENANT))
