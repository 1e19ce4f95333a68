"""Blanks what SQLite left of deleted rows between the cells of its pages, beside whoever reads and writes the file.

``secure_delete`` overwrites the cell of a deleted row, and every page that is freed. What it does not reach is the *gap*, the unallocated
room between a page's cell pointers and its first cell: when a page is rebuilt to balance a b-tree, cells that were moved to a
neighbour stay behind there, and are found in the file long after their row was deleted. (The shape of a page is documented in SQLite's
"Database File Format", section 1.6.) Nothing in SQL rewrites a gap except a rewriting of the whole file, so it is blanked in the file.

That is safe because a gap means nothing to SQLite, and because of what is asked for before a byte is written:

1. The log is truncated, so the file alone says what the pages are. From then on the log names every page that changes, until it is reset;
   an open read keeps it from being reset while the file is scanned.
2. The write lock is held, the log is still the same one, and the page is not in it: so the page is as it was scanned.
3. Before the lock is given back a commit is made, so that every connection of every process drops the pages it has in its cache. One that
   kept a page from before could write the old gap back with its next change.

A gap that moves with its page is not lost: every page that takes part is then in the log, and is looked at again.

This runs as a program of its own (``python scrub.py DATABASE PATIENCE``), which imports nothing of this package: a process that closes any descriptor
of a file loses the locks that SQLite holds on that file for the whole process, so nobody with an open store may open its file himself.
If the process that asked for it dies, it finishes, and gives its lock back.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NoReturn

__all__ = ["FILE", "RESERVE", "TURNS", "Layout", "ScrubReport", "free_pages", "gap", "remnants", "scrub", "wal_pages"]

FILE: Final = "file"
"""The place of the table ``erasing`` that stands for the bytes of the database file."""

RESERVE: Final = "notes.reserve"
"""A file of the data directory, whose lock says whose turn it is; SQLite's own locks lie on the database, which must not have others."""

TURNS: Final = ("next.lock", "write.lock")
"""The queue of writers, as :mod:`agentmem.stores.sqlite.turns` has it."""

Ranges = dict[int, tuple[int, int]]
"""Page number -> (first byte, last byte + 1) of what is not blank in it and should be."""

_HEADERS: Final = {2: 12, 5: 12, 10: 8, 13: 8}  # b-tree pages by their first byte: how long their header is
_MOST_PAGES: Final = 1 << 25  # up to here the first byte of an overflow page, a page number, is none of these
_CHUNK: Final = 256  # pages
_FRAME: Final = 24
_MOST_ROUNDS: Final = 24
_HOLD: Final = 0.015  # seconds for which other writers may be kept waiting
_ALONE_MS: Final = 10  # milliseconds for which a truncation may wait for readers: it keeps writers waiting
_ZEROS: Final = bytes(65_536)
_PLAIN: Final = os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(slots=True)
class ScrubReport:
    """What was done.

    Attributes:
        done: nothing is left; else ``why``, and it is ``full`` if for want of room on the disk.
        pages: how many were looked at; blanked: how many held remnants; rounds: how often it had to look.
        held: the longest time, in seconds, that the lock was held for blanking.
    """

    done: bool = False
    pages: int = 0
    blanked: int = 0
    rounds: int = 0
    held: float = 0.0
    why: str = ""
    full: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """What the first hundred bytes of a database say."""

    size: int
    pages: int
    trunk: int

    @classmethod
    def of(cls, descriptor: int) -> Layout:
        """Raises `ValueError` for a file that is no database in WAL mode, or too large."""
        head = os.pread(descriptor, 100, 0)
        if len(head) < 100 or head[:16] != b"SQLite format 3\0" or head[18:20] != b"\2\2":
            raise ValueError("the file is no database that keeps a log")
        size = int.from_bytes(head[16:18], "big")
        size = 65_536 if size == 1 else size
        pages = os.fstat(descriptor).st_size // size
        if head[20] or pages >= _MOST_PAGES:
            raise ValueError("the pages of the database are of an unknown shape")
        return cls(size, pages, int.from_bytes(head[32:36], "big"))


def gap(page: bytes | bytearray, at: int, first: int = 0) -> tuple[int, int] | None:
    """Where the gap of the b-tree page that begins at ``at`` lies, ``first`` bytes into which its header begins; ``None`` without one."""
    head = at + first
    length = _HEADERS.get(page[head])
    if length is None:
        return None
    start = head + length + 2 * (page[head + 3] << 8 | page[head + 4])
    end = at + ((page[head + 5] << 8 | page[head + 6]) or 65_536)
    return (start, end) if start < end else None


def free_pages(descriptor: int, layout: Layout) -> Ranges:
    """The parts of the pages on the free list that have to be blank; its own entries are page numbers."""
    found: Ranges = {}
    trunk = layout.trunk
    while 1 < trunk <= layout.pages and trunk not in found:
        page = os.pread(descriptor, layout.size, (trunk - 1) * layout.size)
        count = min(int.from_bytes(page[4:8], "big"), layout.size // 4 - 2)
        found[trunk] = (8 + 4 * count, layout.size)
        for place in range(8, 8 + 4 * count, 4):
            found[int.from_bytes(page[place : place + 4], "big")] = (0, layout.size)
        trunk = int.from_bytes(page[:4], "big")
    return found


def remnants(descriptor: int, layout: Layout, free: Ranges, only: Collection[int] | None = None) -> Ranges:
    """Pages (all of them, or ``only`` these) that hold something where nothing should be."""
    found: Ranges = {}
    for first, data in _chunks(descriptor, layout, only):
        for number in range(first, first + len(data) // layout.size):
            at = (number - first) * layout.size
            place = free.get(number)
            if place is not None:
                place = (at + place[0], at + place[1])
            elif data[at] in _HEADERS or number == 1:
                place = gap(data, at, 100 if number == 1 else 0)
            if place is not None and not _ZEROS.startswith(data[place[0] : place[1]]):
                found[number] = (place[0] - at, place[1] - at)
    return found


def _chunks(descriptor: int, layout: Layout, only: Collection[int] | None) -> Iterator[tuple[int, bytes]]:
    size = layout.size
    if only is not None:
        for number in sorted(only):
            if 1 <= number <= layout.pages and len(data := os.pread(descriptor, size, (number - 1) * size)) == size:
                yield number, data
        return
    for first in range(1, layout.pages + 1, _CHUNK):
        data = os.pread(descriptor, min(_CHUNK, layout.pages + 1 - first) * size, (first - 1) * size)
        yield first, data[: len(data) // size * size]


def wal_pages(path: str, size: int) -> tuple[bytes, set[int]]:
    """(the salts of the log, the pages it may hold): frames that were rolled back count too, there is no harm in that."""
    try:
        descriptor = os.open(
            path + "-wal", os.O_RDONLY
        )  # SQLite locks the database and the index of the log, never the log
    except FileNotFoundError:
        return b"", set()
    try:
        salts = os.pread(descriptor, 8, 16)
        found: set[int] = set()
        at = 32
        while len(head := os.pread(descriptor, _FRAME, at)) == _FRAME and head[8:16] == salts:
            found.add(int.from_bytes(head[:4], "big"))
            at += _FRAME + size
        return salts, found
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class _Scrubber:
    """One database file, until it is clean or time is up."""

    path: str
    descriptor: int
    patience: float
    until: float = 0.0
    report: ScrubReport = field(default_factory=ScrubReport)
    connections: list[sqlite3.Connection] = field(default_factory=list)
    suspects: set[int] | None = None  # None: every page
    salts: bytes = b""
    version: int = 0

    def run(self) -> ScrubReport:
        connection = self._connect()
        (due,) = connection.execute("SELECT coalesce(max(seq), 0) FROM erasing WHERE place = ?", (FILE,)).fetchone()
        while due and self.report.rounds < _MOST_ROUNDS:
            self.until = time.monotonic() + self.patience  # for others; what is to be done takes its time
            if not self._begun(connection):
                return self.report
            self.report.rounds += 1
            done = self._round(connection)
            os.fsync(self.descriptor)  # not left to the next truncation, which holds the lock
            if done:
                self._noted(due)
                break
        else:
            self.report.why = "others wrote all the time" if due else ""
        self.report.done = not self.report.why
        return self.report

    def _connect(self) -> sqlite3.Connection:
        """A connection that is never closed: see :func:`main`."""
        self.connections.append(_connect(self.path))
        return self.connections[-1]

    def _noted(self, due: int) -> None:
        """Nothing that was due when this began is due any more; on a connection that has seen no page before it was blanked."""
        connection = self._connect()
        with self._turn():
            self._begin(connection)
            connection.execute("DELETE FROM erasing WHERE place = ? AND seq <= ?", (FILE, due))
            connection.execute("COMMIT")
            connection.execute(f"PRAGMA busy_timeout={_ALONE_MS}")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _begun(self, connection: sqlite3.Connection) -> bool:
        """Bring the file up to date, empty the log, and begin to read it as it is then; the long part of it beside the writers.

        What had changed since the last scan is known exactly when nobody wrote between the look at the log and its truncation: none of
        ours does, since they wait for their turn.
        """
        wait = 0.004
        size = Layout.of(self.descriptor).size
        while True:
            connection.execute("PRAGMA busy_timeout=0")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            with self._turn():
                self._begin(connection)
                self.version = _version(connection)
                salts, changed = wal_pages(self.path, size)
                connection.execute("ROLLBACK")
                connection.execute(f"PRAGMA busy_timeout={_ALONE_MS}")
                (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    exact = self.suspects is not None and salts == self.salts and _version(connection) == self.version
                    self.suspects = changed if exact else None
                    self._begin(connection)
                    _commit(connection)
                    connection.execute("BEGIN")
                    connection.execute("SELECT times FROM scrubbed").fetchone()  # from here on the log cannot be reset
                    return True
            if time.monotonic() + wait > self.until:
                self.report.why = "somebody reads the write-ahead log"
                return False
            time.sleep(wait)
            wait = min(2 * wait, 0.25)

    def _round(self, connection: sqlite3.Connection) -> bool:
        """Look, and blank what can be blanked now; true when nothing is left."""
        sure = _version(connection) == self.version  # else pages may change under the scan
        (own,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'scrubbed'").fetchone()
        layout = Layout.of(self.descriptor)
        self.salts, _ = wal_pages(self.path, layout.size)
        free = free_pages(self.descriptor, layout)
        found = remnants(self.descriptor, layout, free, self.suspects)
        connection.execute("COMMIT")
        found.pop(own, None)  # numbers only, and in the log since this round began
        if self.suspects is None:
            self.report.pages = layout.pages
        while True:
            self.until = time.monotonic() + self.patience
            with self._turn():
                self._begin(connection)
                started = time.monotonic()
                salts, changed = wal_pages(self.path, layout.size)
                same = salts == self.salts
                if same:
                    self._blank(layout, free, found, changed, started)
                _commit(connection)
                self.report.held = max(self.report.held, time.monotonic() - started)
            if not same:
                break
            if not found.keys() - changed:
                self.suspects = changed  # where the gap of a page that was found may have gone
                return sure and not found
        self.suspects = None
        return False

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The same queue as that of all writers of ours; where there is none, SQLite alone decides."""
        held: list[int] = []
        try:
            for name in TURNS:
                held.append(os.open(os.path.join(os.path.dirname(self.path), name), os.O_RDWR | _PLAIN))  # noqa: PTH118, PTH120 - bare of imports
                if not _alone(held[-1], self.until):
                    raise sqlite3.OperationalError("others have been writing all the time")
            os.close(held.pop(0))  # whoever is next may wait in this one's place
        except FileNotFoundError:
            pass
        try:
            yield
        finally:
            for descriptor in held:
                os.close(descriptor)

    def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA busy_timeout={max(50, int(1000 * (self.until - time.monotonic())))}")
        connection.execute("BEGIN IMMEDIATE")

    def _blank(self, layout: Layout, free: Ranges, found: Ranges, changed: Collection[int], started: float) -> None:
        for number in sorted(found.keys() - set(changed)):
            start, end = found[number]
            at = (number - 1) * layout.size
            if remnants(self.descriptor, layout, free, [number]).get(number) != (start, end):
                raise ValueError(f"page {number} changed under the lock")
            os.pwrite(self.descriptor, bytes(end - start), at + start)
            self.report.blanked += 1
            del found[number]
            if time.monotonic() - started > _HOLD:
                return


def scrub(path: str, patience: float) -> tuple[ScrubReport, object]:
    """Do what the table ``erasing`` says to be due for the file: blank gaps and free pages, empty the log, and take it off the table.

    Args:
        patience: seconds to wait for others at a time.

    Returns:
        What was done, and what holds the files open: it must not be let go before the process ends.

    Raises:
        ValueError: the file is of a shape that this does not know; nothing was written.
    """
    turn = os.open(os.path.join(os.path.dirname(path), RESERVE), os.O_RDWR | os.O_CREAT | _PLAIN, 0o600)  # noqa: PTH118, PTH120 - bare of imports
    if not _alone(
        turn, time.monotonic() + patience
    ):  # two would wait for each other's reads; who comes second mostly finds nothing left to do
        return ScrubReport(why="another process is at it"), None
    descriptor = os.open(path, os.O_RDWR | _PLAIN)
    Layout.of(descriptor)
    scrubber = _Scrubber(path, descriptor, patience)
    return scrubber.run(), scrubber


def _alone(turn: int, until: float) -> bool:
    """Hold the lock of a file; false when others held it all the time."""
    while True:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        else:
            return True


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True, isolation_level=None, timeout=0.05)
    for pragma in (
        "secure_delete=ON",
        "synchronous=NORMAL",
        "temp_store=MEMORY",
        "wal_autocheckpoint=0",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _quoted(path: str) -> str:
    return "".join(
        c if c.isalnum() or c in "/-_.~" else "".join(f"%{b:02x}" for b in os.fsencode(c))
        for c in os.path.abspath(path)  # noqa: PTH100 - runs without the package, and follows no link
    )


def _version(connection: sqlite3.Connection) -> int:
    """Another value when another connection has committed."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _commit(connection: sqlite3.Connection) -> None:
    """A change that says nothing: connections drop their caches when there was one."""
    connection.execute("UPDATE scrubbed SET times = times + 1")
    connection.execute("COMMIT")


def main(arguments: Iterable[str]) -> NoReturn:
    """Writes the report as one line of JSON, and ends the process without closing anything.

    Whoever closes the last connection of a database removes its log. SQLite finds out by a lock on the file whether it is the last; and a process
    that opens and closes the file by other means, to copy it for instance, has lost that lock without knowing.
    """
    path, patience = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal interrupts whoever asked; this ends soon by itself
    try:
        report, _held = scrub(path, float(patience))
    except (OSError, ValueError, sqlite3.Error) as error:
        full = getattr(error, "errno", 0) == errno.ENOSPC or getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
        report, _held = ScrubReport(why=str(error), full=full), error
    os.write(1, json.dumps({name: getattr(report, name) for name in ScrubReport.__slots__}).encode())
    os._exit(0 if report.done else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
