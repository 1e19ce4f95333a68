"""A database that is only read, wherever it lies: beside a writer, on a medium that cannot be written, or with a log left behind.

SQLite wants to write in order to read a database with a write-ahead log: an index of the log lies in a file beside it. So there are
three ways. Beside a writer, whose index is there: as any reader. Without anything in the log: as a file that nobody changes, looked at
again before and after each transaction. With a log and no index, or for a schema that has to be brought up to date first: a copy of both,
in a directory for temporary files that nobody else may enter, gone when the store is closed. Nothing is written beside the original.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from agentmem.errors import StoreCorrupt, StoreLocked
from agentmem.stores.sqlite.failures import DRIVER_ERRORS
from agentmem.stores.sqlite.log import refuse_damaged

__all__ = ["ReadOnlyFile"]

_TRIES: Final = 5
Stamp = tuple[tuple[int, int, int] | None, ...]


class ReadOnlyFile:
    """How a database file is opened for reading now.

    Attributes:
        uri: what SQLite is given.

    Raises:
        StoreLocked: it changes faster than it can be copied.
        StoreCorrupt: it is damaged, or its log is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scratch: Callable[[], object] | None = None  # removes the copy
        self._stamp: Stamp | None = None
        self.uri = ""
        self.renew()

    def renew(self) -> None:
        """Decide again; what is there may be another file by now."""
        self._stamp = None
        refuse_damaged(self.path)
        live = f"{self.path.resolve().as_uri()}?mode=ro"
        log, index = (Path(f"{self.path}{side}") for side in ("-wal", "-shm"))
        if not (log.exists() and log.stat().st_size):
            self._stamp, self.uri = self._look(), f"{live}&immutable=1"
        elif index.exists() and _opens(live):
            self.uri = live
        else:
            self.uri = f"{self.private().as_uri()}?mode=ro"
            if not _opens(self.uri):
                raise StoreCorrupt(
                    f"{self.path} is damaged.", hint="restore the last backup, or move the file away and start anew."
                )

    @property
    def changed(self) -> bool:
        """Whether what was opened is out of date; never beside a writer, where SQLite sees to it."""
        return self._stamp is not None and self._stamp != self._look()

    def private(self) -> Path:
        """A copy of the database as it is now, with its log."""
        for _ in range(_TRIES):
            before = self._look()
            self.close()
            folder = Path(tempfile.mkdtemp(prefix="agentmem-reading-")).resolve()
            self._scratch = weakref.finalize(self, _remove, folder, os.getpid())
            copy = folder / "notes.db"
            shutil.copyfile(self.path, copy)
            if before[1] is not None and Path(f"{self.path}-wal").exists():
                shutil.copyfile(f"{self.path}-wal", f"{copy}-wal")
            if self._look() == before:
                self._stamp = before
                return copy
        raise StoreLocked(
            f"{self.path} is being written and cannot be copied.",
            hint="wait for the writer to finish, or open it where it can be written.",
        )

    def close(self) -> None:
        """Remove the copy, if there is one; closing twice does no harm."""
        if self._scratch is not None:
            self._scratch()
            self._scratch = None

    def _look(self) -> Stamp:
        found: list[tuple[int, int, int] | None] = []
        for path in (self.path, Path(f"{self.path}-wal")):
            try:
                status = path.stat()
            except FileNotFoundError:
                found.append(None)
            else:
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(found)


def _remove(folder: Path, owner: int) -> None:
    """Unless this is a child that was forked meanwhile: the copy is its parent's."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _opens(uri: str) -> bool:
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except DRIVER_ERRORS:
        return False
    return True
