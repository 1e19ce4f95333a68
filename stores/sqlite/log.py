"""What SQLite takes of a write-ahead log, and whether that is all that was committed to it.

SQLite reads a log up to the first frame whose checksum is wrong, and says nothing about what lies behind: after a crash that is a commit
which was never finished. A frame that is damaged later looks the same to it, and hides every commit from there on. Two things tell
damage from such a tail, and neither is there after a crash, nor while others write:

* Behind the commit that cannot be read a frame goes on from it: checksums are a chain, and a writer begins at the end of the last commit
  that everybody has seen, which had been synced by then.
* The index of the log, where a crash left it, counts more committed frames. It is read only when the log's end is in doubt, or the log is gone.

With durability ``normal`` a power failure may leave either as well: then commits are gone that had been acknowledged, which is told, too.
Nothing is opened as a database, so that a damaged log stays as it is. The format is that of https://www.sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from agentmem.errors import StoreCorrupt

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint32]
    Flags = npt.NDArray[np.bool_]

__all__ = ["Seen", "WriteAheadLog", "read_log", "refuse_damaged"]

_HEADER: Final = 32
_SALTS: Final = slice(16, 24)
_FRAME: Final = 24  # page, size of the database after a commit, salts, checksum; then the page
_MAGIC: Final = 0x377F0682  # the lowest bit: checksums are of words with the highest byte first
_PAGE_SIZES: Final = tuple(1 << power for power in range(9, 17))
_USUAL: Final = 4096
_PART: Final = 1 << 20  # bytes that are read at a time
_PLAIN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_INDEX: Final = struct.Struct(
    "=3I2BH2I8s8s8s"
)  # version, -, changes, made, byte order, page size, frames, pages, checksum, salts, its own checksum
_INDEX_VERSION: Final = 3007000
_KEPT: Final = struct.Struct("=I")  # behind two copies of the above: how many frames are in the database, too
_LOOKED: Final = 2 * _INDEX.size + _KEPT.size
_LOOK: Final = f"import os, sys; os.write(1, os.pread(os.open(sys.argv[1], os.O_RDONLY | os.O_NOFOLLOW), {_LOOKED}, 0))"
_LONGEST: Final = 10.0


class Seen(NamedTuple):
    """What the index of a log says: how many frames are committed in the round of the log with these salts, how many the database has, too."""

    salts: bytes
    frames: int
    kept: int


@dataclass(frozen=True, slots=True, eq=False)
class WriteAheadLog:
    """The frames of a log, each compared with the one before it; all arrays have shape (frames,).

    Attributes:
        header: the first bytes of the file.
        sound: whether the header has its checksum; SQLite takes nothing behind one that has not.
        pages: the page that a frame holds; 0 in none that was written.
        commits: whether a frame ends a commit.
        own: whether it bears the salts of the header: all others are left from former rounds of the log.
        follows: whether its checksum goes on from the one that the frame before bears.
        resumes: whether it goes on from the one that the frame before should bear.
        torn: whether the file ends within a frame.
    """

    header: bytes
    sound: bool
    pages: Words
    commits: Flags
    own: Flags
    follows: Flags
    resumes: Flags
    torn: bool

    @property
    def broken(self) -> int:
        """How many frames can be read before the first that cannot."""
        good = self.own & self.follows & (self.pages != 0)
        return 0 if not self.sound else len(good) if good.all() else int(np.argmin(good))

    @property
    def taken(self) -> int:
        """How many frames SQLite takes when it opens the log anew."""
        ends = np.flatnonzero(self.commits[: self.broken])
        return int(ends[-1]) + 1 if len(ends) else 0

    @property
    def damaged(self) -> bool:
        """Whether something that was committed for certain cannot be read any more."""
        linked = (self.follows | self.resumes) & (self.pages != 0)
        if not self.sound:  # it is synced before the first frame is written
            return bool((self.commits & linked).any())
        first = self.broken
        return bool((self.commits[first:-1] & (linked & self.own)[first + 1 :]).any())

    @property
    def doubtful(self) -> bool:
        """Whether there is something behind what SQLite takes that is of the same round of the log."""
        first = self.broken
        if first == len(self.own) and self.torn:
            return True
        return bool(self.own[self.taken :].any() or self.follows[first : first + 1].any())


def refuse_damaged(path: Path) -> None:
    """Look at the log of a database that is about to be opened; nothing is written, and nobody is kept waiting.

    Raises:
        StoreCorrupt: commits in it cannot be read, or it is gone, which SQLite would not tell; the files are as they were.
    """
    log, index = Path(f"{path}-wal"), Path(f"{path}-shm")
    _refuse_missing(log, index)
    first = read_log(log)
    if first is None or not (first.damaged or (first.sound and first.doubtful)):
        return
    # Others may have been writing while it was read. What is asked before the second reading was written before it.
    seen = None if first.damaged else _seen(index)
    again = read_log(log)
    if again is None or again.header != first.header:
        return  # begun anew by others, who had all of it
    if first.damaged and again.damaged and first.broken == again.broken:
        raise _damaged(path, again)
    if seen is not None and again.sound and seen.salts == again.header[_SALTS] and seen.frames > again.taken:
        raise _damaged(path, again)


def _refuse_missing(log: Path, index: Path) -> None:
    """Whoever closes a database removes the index first, so an index that stands alone is of a log that somebody took away."""
    if not _gone(log) or not index.exists():
        return
    seen = _seen(index)
    if seen is None or seen.frames <= seen.kept or not _gone(log) or _seen(index) != seen:
        return  # the second look: others may have closed and opened the database in between
    raise StoreCorrupt(
        f"{log} is missing, and {index.name} says that commits were in it. Nothing was touched.",
        hint=f"bring it back, or restore the last backup; then, or to go on without what was in it, remove {index}.",
    )


def _gone(log: Path) -> bool:
    """Whether there is no log, or less than a header of one. An empty one may be: SQLite empties it, and power may fail before the index says so."""
    try:
        return 0 < log.stat().st_size < _HEADER
    except FileNotFoundError:
        return True


def read_log(path: Path) -> WriteAheadLog | None:
    """The log at ``path``; ``None`` if there is none, it cannot be read, or others began it anew meanwhile."""
    try:
        descriptor = os.open(path, _PLAIN)  # SQLite locks the database and the index of the log, never the log
    except OSError:
        return None  # SQLite finds out, and says so
    try:
        header = os.pread(descriptor, _HEADER, 0)
        if len(header) < _HEADER:
            return None
        log = _read(descriptor, header)
        return log if os.pread(descriptor, _HEADER, 0) == header else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _read(descriptor: int, header: bytes) -> WriteAheadLog:
    magic, _, size = struct.unpack(">3I", header[:12])
    if magic & ~1 == _MAGIC and size in _PAGE_SIZES:
        log = _frames(descriptor, header, size, big=bool(magic & 1))
        if log.sound:
            return log
    sizes = dict.fromkeys((size, _USUAL) if size in _PAGE_SIZES else (_USUAL,))
    guesses = [_frames(descriptor, header, size, big=big) for size in sizes for big in (False, True)]
    return next((log for log in guesses if log.damaged), guesses[0])


def _frames(descriptor: int, header: bytes, size: int, *, big: bool) -> WriteAheadLog:
    length, order = _FRAME + size, ">u4" if big else "<u4"
    sums, heads = [np.zeros((0, 2), np.uint32)], [np.zeros((0, 6), ">u4")]
    weights, step = _weights(2 + size // 4)
    weights = np.insert(weights, [2] * 4, 0, axis=0)  # neither salts nor checksum are part of a checksum
    at, part = _HEADER, b""
    while part := os.pread(descriptor, max(1, _PART // length) * length, at):
        whole = len(part) // length
        rows = np.frombuffer(part, ">u4", whole * length // 4).reshape(whole, length // 4)
        sums.append(rows.view(order).astype(np.uint32, copy=False) @ weights)
        heads.append(rows[:, :6].copy())
        at += whole * length
        if len(part) % length:
            break
    added, head = np.concatenate(sums), np.concatenate(heads)
    start = np.frombuffer(header, order, 6).astype(np.uint32) @ _weights(6)[0]
    stored, salts = head[:, 4:].astype(np.uint32), np.frombuffer(header, ">u4", 2, 16)
    standing = np.frombuffer(header, ">u4", 2, 24).astype(np.uint32)
    should = np.vstack([standing, stored])[: len(stored)] @ step + added
    resumed = np.vstack([start, should])[: len(stored)] @ step + added
    return WriteAheadLog(
        header=header,
        sound=int.from_bytes(header[:4], "big") == _MAGIC | big and bool((start == standing).all()),
        pages=head[:, 0].astype(np.uint32),
        commits=head[:, 1] != 0,
        own=(head[:, 2:4] == salts).all(axis=1),
        follows=(should == stored).all(axis=1),
        resumes=(resumed == stored).all(axis=1),
        torn=bool(len(part) % length),
    )


def _weights(count: int) -> tuple[Words, Words]:
    """What each of so many words adds to the two halves of a checksum, shape (count, 2), and what becomes of the former one, shape (2, 2).

    ``a += word + b; b += word + a`` in turns makes every weight a Fibonacci number, modulo 2**32.
    """
    numbers = [0, 1]
    while len(numbers) < count + 2:
        numbers.append((numbers[-1] + numbers[-2]) & 0xFFFFFFFF)
    fibonacci = np.array(numbers, np.uint32)
    words = np.stack([fibonacci[count - 1 :: -1][:count], fibonacci[count:0:-1]], axis=1)
    former = np.array([[fibonacci[count - 1], fibonacci[count]], [fibonacci[count], fibonacci[count + 1]]], np.uint32)
    return words, former


def _seen(path: Path) -> Seen | None:
    """What the index of the log says, if there is one and it agrees with itself.

    Another process reads it: SQLite's locks lie on it, and to close a descriptor of ours would take away those that this process has.
    """
    if not sys.executable or not path.is_file():
        return None
    command = [sys.executable, "-I", "-S", "-c", _LOOK, str(path)]
    try:
        found = subprocess.run(  # noqa: S603 - our own interpreter, our own words
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    head = found[: _INDEX.size]
    if len(found) != _LOOKED or not found.startswith(head * 2):
        return None
    fields: tuple[Any, ...] = _INDEX.unpack(head)
    words = np.frombuffer(head, np.uint32)
    if fields[0] != _INDEX_VERSION or not fields[3] or (words[:10] @ _weights(10)[0] != words[10:]).any():
        return None
    return Seen(fields[9], fields[6], _KEPT.unpack(found[2 * _INDEX.size :])[0])


def _damaged(path: Path, log: WriteAheadLog) -> StoreCorrupt:
    what = f"can be read up to frame {log.taken} of {len(log.own)}" if log.sound else "does not begin as it was written"
    cure = f"import sqlite3; sqlite3.connect({str(path)!r}).execute('PRAGMA wal_checkpoint(TRUNCATE)')"
    return StoreCorrupt(
        f"{path}-wal is damaged: it {what}, and commits lie behind. Nothing was touched.",
        hint="restore the last backup. Without one, copy the directory, then keep what was committed before the damage with"
        f' python -c "{cure}", and ask check(deep=True) whether it fits together.',
    )
