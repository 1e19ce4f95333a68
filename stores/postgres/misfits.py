"""Rows that do not fit each other, and a server that does not guard them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agentmem.stores.postgres.connection import TENANT, PostgresDatabase

__all__ = ["misfits", "unguarded"]

_SPACE: Final = 'CASE WHEN n.id IN (SELECT "row" FROM experience) THEN -n.owner ELSE n.owner END'
"""Where the vector and the words of a note belong (:mod:`agentmem.notes.spaces`)."""
_SPACED: Final[Mapping[str, str]] = {
    "words": "words",
    "vectors": "vector",
    "passages": "passage",
    "changes": '(SELECT "row", owner FROM vector_change UNION ALL SELECT "row", owner FROM words_change)',
}
_OF_NOTES: Final[Mapping[str, str]] = {
    "uses": "use", "terms": "term", "times": "telling", "facts": "fact", "experiences": "experience", "records": "record",
}  # fmt: skip
_MISFITS: Final[Mapping[str, str]] = {
    **{
        f"{what} of another owner than their note, or not in its space": (
            f'SELECT count(*) FROM {rows} s JOIN note n ON n.id = s."row" WHERE s.owner <> {_SPACE}'  # noqa: S608 - constants
        )
        for what, rows in _SPACED.items()
    },
    **{
        f"{what} of another owner than their note": (
            f'SELECT count(*) FROM {table} t JOIN note n ON n.id = t."row" WHERE n.owner <> t.owner'  # noqa: S608 - constants
        )
        for what, table in _OF_NOTES.items()
    },
    "notes without words": 'SELECT count(*) FROM note n WHERE NOT EXISTS (SELECT 1 FROM words w WHERE w."row" = n.id)',
    **{
        f"{table} that the change log does not know": (
            f'SELECT count(*) FROM {table} t LEFT JOIN {table}_change c USING ("row") WHERE c.removed IS DISTINCT FROM 0'  # noqa: S608 - constants
        )
        for table in ("words", "vector")
    },
    "changes of notes that are gone, and no removals": (
        'SELECT count(*) FROM (SELECT "row", removed FROM vector_change UNION ALL SELECT "row", removed FROM words_change) c '
        'LEFT JOIN note n ON n.id = c."row" WHERE n.id IS NULL AND c.removed <> 1'
    ),
    "records without a value, or notes of records without one": (
        """SELECT count(*) FROM note n LEFT JOIN record k ON k."row" = n.id WHERE (n.kind = 'record') <> (k."row" IS NOT NULL)"""
    ),
    "questions that do not stand under all the notes that they were answered from": (
        "SELECT count(*) FROM (SELECT 1 FROM evidence GROUP BY owner, mark HAVING count(*) <> min(notes) OR count(*) <> max(notes)) x"
    ),
    "steps of an episode without their experience": (
        'SELECT count(*) FROM experience_step s WHERE NOT EXISTS (SELECT 1 FROM experience e WHERE e."row" = s."row")'
    ),
    "vectors of different lengths": "SELECT greatest(count(DISTINCT length(data)) - 1, 0) FROM vector",
}
_BARE: Final = """
    SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind = 'r'
    AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('owner', 'row', 'source') AND NOT a.attisdropped)
    AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1
"""


def misfits(database: PostgresDatabase) -> list[str]:
    """How many there are of each kind, in words; empty when all fit."""
    counts = {what: int(database.value(sql)) for what, sql in _MISFITS.items()}
    return [f"{number} {what}" for what, number in counts.items() if number]


def unguarded(database: PostgresDatabase) -> list[str]:
    """Why the server would show a transaction the rows of others, and pages that changed by themselves."""
    found = [
        f"table {name} has no row-level security: restore it from the migrations"
        for (name,) in database.rows(_BARE, (database.schema,))
    ]
    above = database.value("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    if above:
        found.append(
            f"row-level security is not asked: {database.place} is used by a role above it; let it make or use the role {TENANT}"
        )
    if database.value("SELECT current_setting('data_checksums')") != "on":
        found.append(
            "the server keeps no checksums of its pages, so damage is not noticed: enable them with pg_checksums"
        )
    return found
