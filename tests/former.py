"""Stores as former versions left them: what a migration did is undone, the newest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from agentmem.stores.sqlite import schema
from agentmem.stores.sqlite.seals import FIRST_SEAL, FIRST_SEAL_OF_VERSION

__all__ = ["EVIDENCE", "FACTS", "INTENT", "LEDGER", "RECORDS", "SEALED", "SPACES", "TELLING", "undo"]

LEDGER: Final = "whose the lines of the ledger are"
SEALED: Final = "seals of every row that is nowhere else, names that can go"
RECORDS: Final = "records under keys"
EVIDENCE: Final = "evidence of use"
FACTS: Final = "several facts in a note"
SPACES: Final = "experiences apart from what was told"
TELLING: Final = "times that notes tell of"
INTENT: Final = "whether notes only ask"
_TABLES: Final = ("link", "experience", "experience_step", "idempotency", "tombstone", "edit", "ledger", "enrichment")
_UNDOING: Final[Mapping[str, tuple[str, ...]]] = {
    EVIDENCE: ("DROP TABLE evidence",),
    INTENT: ("DROP TABLE intent", "DELETE FROM meta WHERE key = 'readings'"),
    TELLING: ("DROP TABLE telling",),
    FACTS: (
        "ALTER TABLE fact RENAME TO facts",
        "DROP INDEX fact_key",
        """CREATE TABLE fact (
            row INTEGER PRIMARY KEY REFERENCES note (id) ON DELETE CASCADE, owner INTEGER NOT NULL,
            subject_key TEXT NOT NULL, relation_key TEXT NOT NULL, subject TEXT NOT NULL, relation TEXT NOT NULL,
            object TEXT NOT NULL, functional INTEGER NOT NULL, question TEXT, paraphrases TEXT NOT NULL
        ) STRICT""",
        """INSERT INTO fact SELECT row, owner, subject_key, relation_key, subject, relation, object, functional, question, paraphrases FROM facts
            WHERE place = 0""",
        "DROP TABLE facts",
        "CREATE INDEX fact_key ON fact (owner, subject_key, relation_key)",
    ),
    SPACES: tuple(f"UPDATE {table} SET owner = abs(owner)" for table in ("words", "vector", "vector_next", "outbox")),
    RECORDS: ("DROP TABLE record",),
    SEALED: (
        f"UPDATE seal AS s SET digest = (SELECT {FIRST_SEAL} FROM note n LEFT JOIN fact f ON f.row = n.id WHERE n.id = s.row)",
        f"UPDATE note_version AS v SET seal = {FIRST_SEAL_OF_VERSION}",
        "ALTER TABLE seal DROP COLUMN whose",
        *(f"ALTER TABLE {table} DROP COLUMN seal" for table in (*_TABLES, "owner")),
        "DROP INDEX owner_mac",
        "ALTER TABLE owner DROP COLUMN mac",
        "CREATE UNIQUE INDEX owner_user ON owner (user) WHERE user IS NOT NULL",
        "CREATE UNIQUE INDEX owner_agent ON owner (agent) WHERE agent IS NOT NULL",
        "DELETE FROM meta WHERE key = 'tombstone_key_seal'",
    ),
    LEDGER: ("DROP INDEX ledger_edit", "ALTER TABLE ledger DROP COLUMN owner"),
}


def undo(run: Callable[[str], object], first: str) -> None:
    """Bring a store to the schema before the migration ``first``; ``run`` executes a statement on a connection that knows how seals are made."""
    names = [name for name, _ in schema.MIGRATIONS]
    number = names.index(first)
    for name in reversed(names[number:]):
        for statement in _UNDOING[name]:
            run(statement)
    run(f"DELETE FROM migration WHERE number > {number}")
    run(f"PRAGMA user_version={number}")
