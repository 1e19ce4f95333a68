"""A little room on the disk, kept for the day when there is none: forgetting has to work on a full disk.

To remove a row, SQLite writes to its log first. So a file of real blocks lies in the data directory; when a forgetting finds the disk
full, the file is given up and the forgetting tried once more, and the file is made again when there is room.

It begins with a line that says what it is; a file of that name which does not is somebody's, and stays as it is.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from agentmem.errors import StoreError, StoreForeign, StoreFull
from agentmem.files import owned_files
from agentmem.runtime.forks import at_fork

__all__ = ["NAME", "SIZE", "Reserve", "is_reserve"]

NAME: Final = "notes.reserve"
SIZE: Final = 2 * 2**20
"""Bytes. Taking out a note with thousands of links, and rewriting a pack of a thousand edits, takes less."""

_HEAD: Final = b"agentmem: room for forgetting on a full disk. Nothing else is in here.\n"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
T = TypeVar("T")


class Reserve:
    """The file of one data directory.

    Args:
        folder: the data directory; ``None`` for a store in memory, which has none.
        size: bytes to keep.
    """

    def __init__(self, folder: Path | None, size: int = SIZE) -> None:
        self.path = None if folder is None else folder / NAME
        self._size = size
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.Lock()

    @property
    def held(self) -> bool:
        """Whether the room is there."""
        return self.path is not None and _length(self.path) == self._size and is_reserve(self.path)

    def used(self, work: Callable[[], T]) -> T:
        """Do ``work``, and once more with the reserve given up, if there was no room for it."""
        try:
            return work()
        except (StoreError, OSError) as error:
            if not (is_full(error) or self._no_room()) or not self._give_up():
                raise
        return work()

    def fill(self) -> bool:
        """Make the file, when there is room for it and as much again; false when there is none."""
        if self.path is None or self.held:
            return True
        with self._lock:
            try:
                room = os.statvfs(self.path.parent)
                if room.f_bavail * room.f_frsize < 2 * self._size:
                    return False
                self._allocated()
            except (StoreForeign, OSError):
                return False  # check() says so
        return True

    def _allocated(self) -> None:
        assert self.path is not None
        with suppress(FileExistsError):
            owned_files.create(self.path, b"")
        with _opened(self.path) as descriptor:
            try:
                _allocate(descriptor, self._size)
                os.pwrite(descriptor, _HEAD, 0)
            except OSError:
                os.ftruncate(descriptor, 0)
                raise

    def _no_room(self) -> bool:
        if self.path is None:
            return False
        try:
            room = os.statvfs(self.path.parent)
        except OSError:
            return False
        return room.f_bavail * room.f_frsize < self._size // 4

    def _give_up(self) -> bool:
        """True when there was something to give up. Emptied, not removed: that needs no room in the folder."""
        if self.path is None or not _length(self.path):
            return False
        with self._lock:
            try:
                with _opened(self.path) as descriptor:
                    os.ftruncate(descriptor, 0)
            except (StoreForeign, OSError):
                return False
        return True


def is_reserve(path: Path) -> bool:
    """Whether a file is ours: empty, or with our first line; older versions kept nothing but zeros. True when there is none."""
    try:
        with _opened(path):
            return True
    except FileNotFoundError:
        return True
    except (OSError, StoreForeign):
        return False


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of the reserve, for reading and writing.

    Raises:
        StoreForeign: what has its name is not the reserve.
    """
    descriptor = owned_files.open_ours(path, os.O_RDWR)
    try:
        size, head = os.fstat(descriptor).st_size, os.pread(descriptor, len(_HEAD), 0)
        if size and head != _HEAD and not (size == SIZE and not any(head)):
            raise StoreForeign(
                f"{path} is not this package's own.",
                hint="move it elsewhere: room on the disk is kept under this name.",
            )
        yield descriptor
    finally:
        os.close(descriptor)


def is_full(error: BaseException) -> bool:
    """Whether something failed for want of room."""
    return isinstance(error, StoreFull) or (isinstance(error, OSError) and error.errno in _FULL)


def _length(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _allocate(descriptor: int, size: int) -> None:
    """Real blocks: a sparse file would give nothing back."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    os.pwrite(descriptor, os.urandom(size), 0)  # a file system may keep zeros for nothing
