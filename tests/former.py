"""Stores as former versions left them: what a migration did is undone, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agentmem.stores.sqlite import schema
from agentmem.stores.sqlite.seals import FIRST_SEAL, FIRST_SEAL_OF_VERSION

__all__ = ["NAMES", "before_names_could_go"]

NAMES: Final = [name for name, _ in schema.MIGRATIONS]
_SEALED: Final = ("link", "experience", "experience_step", "idempotency", "tombstone", "edit", "ledger", "enrichment")
_STATEMENTS: Final = (
    f"UPDATE seal AS s SET digest = (SELECT {FIRST_SEAL} FROM note n LEFT JOIN fact f ON f.row = n.id WHERE n.id = s.row)",
    f"UPDATE note_version AS v SET seal = {FIRST_SEAL_OF_VERSION}",
    "ALTER TABLE seal DROP COLUMN whose",
    *(f"ALTER TABLE {table} DROP COLUMN seal" for table in (*_SEALED, "owner")),
    "DROP INDEX owner_mac",
    "ALTER TABLE owner DROP COLUMN mac",
    "CREATE UNIQUE INDEX owner_user ON owner (user) WHERE user IS NOT NULL",
    "CREATE UNIQUE INDEX owner_agent ON owner (agent) WHERE agent IS NOT NULL",
    "DELETE FROM meta WHERE key = 'tombstone_key_seal'",
)


def before_names_could_go(run: Callable[[str], object]) -> None:
    """The schema before every row was sealed; ``run`` executes a statement on a connection that knows how seals are made."""
    for statement in _STATEMENTS:
        run(statement)
    number = next(n for n, name in enumerate(NAMES) if name.startswith("seals of every row"))
    run(f"DELETE FROM migration WHERE number > {number}")
    run(f"PRAGMA user_version={number}")
