"""Whose SQLite file is it? Asked of its header, since to open a database is to change it: a log is replayed, and removed."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import struct
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["APPLICATION_ID", "BOUND_TO", "SIDES", "DatabaseFile", "bound_to", "look"]

APPLICATION_ID: Final = 0x61676D6D  # "agmm": tells our files from other SQLite files
BOUND_TO: Final = "directory"
"""The key in ``meta`` under which a database says which directory it belongs to."""
SIDES: Final = ("-wal", "-shm", "-journal")
_PATIENCE: Final = 2.0
"""Seconds for which a header that makes no sense is read again."""
_MAKING: Final = 0.5
"""Seconds for which a file that does not begin as SQLite's is looked at again."""
_HEADER: Final = 100
_MARK_AT: Final = 68  # the application id, four bytes, the highest first
_LOG_HEADER: Final = struct.Struct(">4s3I8s8s")  # magic, format, page size, checkpoint, salts, checksums
_FRAME: Final = struct.Struct(">2I8s8s")  # page, size of the database after a commit, salts, checksums
_JOURNAL_MAGIC: Final = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_INDEX_PAGE: Final = 32768
_INDEX_TRUNCATED: Final = 3  # what SQLite cuts it to while it is being recovered
_LOG_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """What lies where a database is expected; ``sides``, ``links`` and ``shared`` are endings of its name (its own: empty).

    Attributes:
        there, empty, sqlite, ours: whether there is anything, whether it has no bytes, whether it begins as SQLite files do, and
            whether it bears our mark.
        sides: the files beside it that are there.
        links: those of all its files that are not regular files.
        shared: those that have a second name somewhere.
        strange: those beside it that do not begin as SQLite's begin: it would write over them, or remove them.
    """

    there: bool
    empty: bool = False
    sqlite: bool = False
    ours: bool = False
    sides: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()


def look(path: Path) -> DatabaseFile:
    """Look at a database and the files beside it without opening any of them as a database."""
    states = {side: _status(Path(f"{path}{side}")) for side in ("", *SIDES)}
    found = {side: status for side, status in states.items() if status is not None}
    links = tuple(side for side, status in found.items() if not stat.S_ISREG(status.st_mode))
    shared = tuple(side for side, status in found.items() if stat.S_ISREG(status.st_mode) and status.st_nlink > 1)
    sides = tuple(side for side in SIDES if side in found)
    if "" not in found or links:
        return DatabaseFile("" in found, sides=sides, links=links, shared=shared)
    application = _application(path, found[""].st_size)
    # An id of 0 is none: then a younger first page may stand in the log.
    ours = application == APPLICATION_ID or (
        application == 0 and "-wal" in sides and _marked_in_log(Path(f"{path}-wal"))
    )
    strange = tuple(side for side in sides if not _is_of_sqlite(Path(f"{path}{side}"), side))
    return DatabaseFile(True, not found[""].st_size, application is not None, ours, sides, links, shared, strange)


def _is_of_sqlite(path: Path, side: str) -> bool:
    """:func:`_as_sqlite_writes`, looked at more than once: another process may be making the file just now."""
    deadline = time.monotonic() + _MAKING
    while not _as_sqlite_writes(path, side):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _as_sqlite_writes(path: Path, side: str) -> bool:
    """Whether a file beside a database is SQLite's, by its first bytes; an empty one, and one of zeros that a crash left, is.

    Of the index of the log only the size is asked, in pages of 32 KiB: locks lie on it, which closing a descriptor of ours takes away.
    """
    try:
        if side == "-shm":
            return path.lstat().st_size % _INDEX_PAGE in (0, _INDEX_TRUNCATED)
        with path.open("rb") as file:
            head = file.read(_LOG_HEADER.size)
    except FileNotFoundError:
        return True  # gone meanwhile
    magic = _LOG_MAGIC if side == "-wal" else (_JOURNAL_MAGIC,)
    begins = head[
        : len(magic[0])
    ]  # zeros in a journal that is being written: its magic comes last, when the rest is on the disk
    return not any(begins) or begins in magic


def bound_to(path: Path) -> str | None:
    """The id of the directory that a database of ours says it belongs to; nothing is written, nor made beside it."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = ?", (BOUND_TO,)).fetchone()
    except sqlite3.Error:
        return None  # too young to have one outside of its log, or damaged, which whoever opens it finds out
    return None if found is None else str(found[0])


def _application(path: Path, size: int) -> int | None:
    """The application id in the header; ``None`` when it is no SQLite file.

    SQLite reads it, as a file that nobody changes, so that it takes no lock and looks at no log. To open the file ourselves would take
    away the locks that this process holds on it through other connections, since closing any descriptor of a file does (POSIX), and
    two processes that both believe to be alone destroy it.
    """
    if size < _HEADER:
        return None
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
                return int(connection.execute("PRAGMA application_id").fetchone()[0]) & 0xFFFFFFFF
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname == "SQLITE_NOTADB":
                return None
            if time.monotonic() > deadline:
                raise OSError(errno.EIO, str(error), str(path)) from error
            time.sleep(
                0.01
            )  # its log is being written into it just now: the header may be ahead of the file, or behind it


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _marked(page: bytes) -> bool:
    return int.from_bytes(page[_MARK_AT : _MARK_AT + 4], "big") == APPLICATION_ID


def _marked_in_log(path: Path) -> bool:
    """Whether the last first page that was committed to a log has our mark: a database of an older version may lie there alone."""
    with path.open("rb") as log:
        head = log.read(_LOG_HEADER.size)
        if len(head) < _LOG_HEADER.size or head[:4] not in _LOG_MAGIC:
            return False
        _, _, size, _, salts, _ = _LOG_HEADER.unpack(head)
        return _last_first_page(log, size, salts)


def _last_first_page(log: BinaryIO, size: int, salts: bytes) -> bool:
    pending: bool | None = None
    committed = False
    while len(frame := log.read(_FRAME.size)) == _FRAME.size:
        page, commit, own, _ = _FRAME.unpack(frame)
        if own != salts:
            break
        if page == 1:
            pending = _marked(log.read(size))
        else:
            log.seek(size, os.SEEK_CUR)
        if commit and pending is not None:
            committed, pending = pending, None
    return committed
