"""Seals of notes: a digest of what a note says, kept beside it, by which damage is found that SQLite does not see.

SQLite notices damage of its structure, not of a text: a bit that flips inside a cell changes a word, and nobody is told. A seal is taken
of the bytes of everything that is written with a note and stays until its next version: words, fact, times, whose it is. Not in it is what
changes without a version: the state of its curve, the end of its validity, its archiving.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final

from agentmem.stores.sqlite.connection import Database

__all__ = ["broken", "keep_version", "seal", "seal_versions", "teach"]

# Named one by one, since a migration seals with them: a column that comes later needs another seal.
_NUMBERS: Final = "position occurred_at created_at valid_from length importance trust".split()
_TEXTS: Final = "actor agent session thread uid kind source tags keywords metadata context content".split()
_FACT: Final = "subject_key relation_key subject relation object question paraphrases".split()
# As bytes: what is damaged may be no text any more.
_OF_NOTE: Final = [*(f"n.{name}" for name in _NUMBERS), *(f"CAST(n.{name} AS BLOB)" for name in _TEXTS)]
_OF_FACT: Final = [f"CAST(f.{name} AS BLOB)" for name in _FACT]
SEAL: Final = f"seal_of(n.id, n.owner, n.hash, {', '.join(_OF_NOTE)}, f.owner, f.functional, {', '.join(_OF_FACT)})"
"""The seal of a note ``n`` with its fact ``f``, in SQL; :func:`teach` gives a connection the function."""
SEAL_OF_VERSION: Final = "seal_of(v.row, v.version, v.changed_at, CAST(v.content AS BLOB))"
"""The same of a former version ``v``, but for its reason: that is taken back when it may quote a note that was forgotten."""

_SEALED: Final = f"""
    INSERT INTO seal (row, digest) SELECT n.id, {SEAL} FROM note n LEFT JOIN fact f ON f.row = n.id WHERE n.id = ?
    ON CONFLICT (row) DO UPDATE SET digest = excluded.digest
"""  # noqa: S608 - constants
_KEEP: Final = "INSERT INTO note_version (row, version, changed_at, reason, content) SELECT id, version, changed_at, reason, content FROM note WHERE id = ?"
_KEPT: Final = f"UPDATE note_version AS v SET seal = {SEAL_OF_VERSION} WHERE row = ? AND seal IS NULL"  # noqa: S608 - constants
_BROKEN: Final = f"""
    SELECT n.id, CAST(n.uid AS BLOB) FROM note n LEFT JOIN fact f ON f.row = n.id LEFT JOIN seal s ON s.row = n.id
    WHERE s.digest IS NOT {SEAL} ORDER BY n.id
"""  # noqa: S608 - constants
_BROKEN_VERSIONS: Final = f"""
    SELECT v.row, v.version, CAST(n.uid AS BLOB) FROM note_version v LEFT JOIN note n ON n.id = v.row
    WHERE v.seal IS NOT {SEAL_OF_VERSION} ORDER BY v.row, v.version
"""  # noqa: S608 - constants


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection the function that makes seals."""
    connection.create_function("seal_of", -1, _seal_of, deterministic=True)


def seal(database: Database, row: int) -> None:
    """Take the seal of a note anew, together with its fact."""
    database.run(_SEALED, (int(row),))


def keep_version(database: Database, row: int) -> None:
    """Let the present version of a note join its history, under a seal of its own."""
    database.run(_KEEP, (int(row),))
    seal_versions(database, row)


def seal_versions(database: Database, row: int) -> None:
    """Take the seals of those former versions of a note that have none."""
    database.run(_KEPT, (int(row),))


def broken(database: Database) -> list[str]:
    """Notes and former versions that are not what was written, in words; every one is looked at."""
    cure = "restore a backup, update() its words, or forget() it"
    found = [f"note {_name(uid, row)} is not what was written: {cure}" for row, uid in database.rows(_BROKEN)]
    return found + [
        f"version {version} of note {_name(uid, row)} is not what was written: restore a backup, or forget() the note"
        for row, version, uid in database.rows(_BROKEN_VERSIONS)
    ]


def _name(uid: object, row: int) -> str:
    return uid.decode("utf-8", "replace") if isinstance(uid, bytes) else f"in row {row}"


def _seal_of(*values: object) -> bytes:
    return hashlib.blake2b(repr(values).encode(), digest_size=16).digest()
