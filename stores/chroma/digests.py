"""What the files of an index say, as digests: a flipped bit that leaves size and times as they were is found by them.

Chroma touches its SQLite file whenever it is opened, so of that file the rows count, and not the bytes. The files of a segment are the same
bytes after it was opened and closed.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from agentmem.errors import StoreForeign
from agentmem.files import owned_files

__all__ = ["Digests", "digests"]

Digests = Mapping[str, str]
"""File (relative path) -> BLAKE2 of what it says."""

_TABLES: Final = "chroma.sqlite3"
_PASSING: Final = frozenset(("acquire_write", "maintenance_log"))  # who opened it, and when it was tidied
_WIDTH: Final = 16


def digests(directory: Path) -> Digests:
    """Of every file of a generation; one that cannot be read is told by a digest that no file has."""
    found: dict[str, str] = {}
    for place, _, names in os.walk(directory):
        for name in names:
            path = Path(place, name)
            if name.endswith((".bin", ".pickle")):
                found[str(path.relative_to(directory))] = _of_bytes(path)
    found[_TABLES] = _of_rows(directory / _TABLES)
    return found


def _of_bytes(path: Path) -> str:
    try:
        with os.fdopen(owned_files.open_ours(path, os.O_RDONLY), "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_WIDTH)).hexdigest()
    except (OSError, StoreForeign) as error:
        return f"unread: {type(error).__name__}"


def _of_rows(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=_WIDTH)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as tables:
            named = tables.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
            )
            for name in [name for (name,) in named.fetchall() if name not in _PASSING]:
                digest.update(name.encode())
                quoted = name.replace('"', '""')
                for row in tables.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608 - a table's own name, quoted
                    digest.update(repr(row).encode())
    except (sqlite3.Error, UnicodeError) as error:
        return f"unread: {type(error).__name__}"
    return digest.hexdigest()
