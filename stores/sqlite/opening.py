"""How the file of a store is opened: private, ours, sound, with a write-ahead log, and every pragma set before its first use."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from agentmem.errors import StoreCorrupt, StoreError, StoreReadOnly
from agentmem.files.sqlite_files import APPLICATION_ID
from agentmem.stores.sqlite.failures import DRIVER_ERRORS, translate
from agentmem.stores.sqlite.log import refuse_damaged
from agentmem.stores.sqlite.reading import ReadOnlyFile

__all__ = ["BUSY_MS", "Durability", "open_file"]

Durability = Literal["full", "normal"]

BUSY_MS: Final = 30_000
"""How long others may hold the file before a call gives up."""


def open_file(
    path: Path | None,
    place: str,
    durability: Durability,
    reading: ReadOnlyFile | None,
    prepare: Callable[[sqlite3.Connection], None] | None,
) -> sqlite3.Connection:
    """A connection that is ready for use; ``place`` names it in errors, the rest is as for :class:`~agentmem.stores.sqlite.connection.Database`.

    Raises:
        StoreError: the file cannot be opened, is damaged, or is somebody else's.
    """
    target = ":memory:" if path is None else str(_checked(path)) if reading is None else reading.uri
    writable = path is not None and reading is None
    if path is not None and writable:
        refuse_damaged(path)  # whoever opens a log takes what can be read of it, and removes the rest in the end
    try:
        connection = sqlite3.connect(
            target,
            uri=reading is not None,
            timeout=BUSY_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except DRIVER_ERRORS as error:
        raise translate(error, place) from error
    try:
        _identify(connection, place, writable=writable)
        _configure(connection, durability, writable=writable)
        if prepare is not None:
            prepare(connection)
    except DRIVER_ERRORS as error:
        connection.close()
        raise translate(error, place) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _identify(connection: sqlite3.Connection, place: str, *, writable: bool) -> None:
    """Refuse somebody else's database before the first pragma that writes."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if objects and application != APPLICATION_ID:
        raise StoreCorrupt(f"{place} is an SQLite file of another program.", hint="choose another directory.")
    if not objects and application != APPLICATION_ID and writable:
        # before there is a log, so that the file itself says from its first page on whose it is
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _configure(connection: sqlite3.Connection, durability: Durability, *, writable: bool) -> None:
    connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    if writable:
        _switch_to_wal(connection)
    for pragma in (
        f"synchronous={durability.upper()}",
        "foreign_keys=ON",
        "secure_delete=ON",
        "trusted_schema=OFF",
        "cell_size_check=ON",
        "temp_store=MEMORY",  # no note text in temporary files
        "cache_size=-128000",  # at most: a store that is smaller takes less
    ):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """The switch ignores the busy timeout, so processes that open a new file together must take turns."""
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
        else:
            if mode == "wal" or time.monotonic() > deadline:
                return
        time.sleep(0.005)


def _checked(path: Path) -> Path:
    """``path`` as a private file that exists; nothing is created where it cannot be."""
    try:
        if not path.parent.is_dir():
            raise StoreError(f"{path.parent} is not a directory.", hint="create it, or choose another path.")
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise StoreError(f"{path} is not a file.", hint="give the path of the database file.")
        # write-ahead logging needs the directory too, even to read
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise StoreReadOnly(f"{path.parent} cannot be written.", hint="check the rights of the directory.")
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        elif not os.access(path, os.R_OK | os.W_OK):
            # asked, not tried: closing a second descriptor would drop the locks of a connection already there
            raise StoreReadOnly(f"{path} cannot be written.", hint="check the rights of the file.")
    except FileExistsError:
        pass  # another process was faster
    except OSError as error:
        raise StoreReadOnly(
            f"{path} cannot be opened: {error.strerror}.",
            hint="check the rights of the directory and of the file.",
        ) from error
    return path
