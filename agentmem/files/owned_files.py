"""Files that are this package's own: looked at, read, written and removed without ever following a link.

Every function here takes the folder and the plain name of a file in it. A folder that is a link is not entered, and a file is
touched only when it is a regular one with a single name: what has a second name elsewhere, or is a link, a pipe or a device, is
somebody else's, whatever it is called.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agentmem.errors import StoreForeign

__all__ = [
    "create",
    "entries",
    "is_folder",
    "is_ours",
    "make_folder",
    "open_ours",
    "read",
    "remove",
    "remove_folder",
    "restamp",
    "sync_folder",
    "write",
]

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINK: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not make anybody wait
_CURE: Final = "move it elsewhere: this package writes there, and does not touch what it did not make."


@contextmanager
def _entered(folder: Path) -> Iterator[int]:
    try:
        descriptor = os.open(folder, _FOLDER)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise StoreForeign(f"{folder} is not a folder but a link or a file.", hint=_CURE) from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _single(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def is_ours(path: Path) -> bool:
    """Whether ``path`` is a regular file with one name; false when there is nothing."""
    try:
        return _single(os.lstat(path))
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder itself, not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name; nothing when there is none."""
    try:
        with _entered(folder), os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def make_folder(folder: Path) -> None:
    """Make a folder for the owner only; one that is there stays as it is.

    Raises:
        StoreForeign: something else has its name.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not is_folder(folder):
            raise StoreForeign(f"{folder} is not a folder but a link or a file.", hint=_CURE) from None
    else:
        sync_folder(folder.parent)


def open_ours(path: Path, flags: int) -> int:
    """A descriptor of a file of ours that is there, or that ``flags`` may make.

    Raises:
        StoreForeign: it is a link, has a second name, or is no regular file.
        FileNotFoundError: there is none.
    """
    with _entered(path.parent) as folder:
        try:
            descriptor = os.open(path.name, flags | _NO_LINK, 0o600, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise StoreForeign(f"{path} is not a file but a link, a folder or a pipe.", hint=_CURE) from error
            raise
    if not _single(os.fstat(descriptor)):
        os.close(descriptor)
        raise StoreForeign(f"{path} is not a file with one name of its own.", hint=_CURE)
    return descriptor


def read(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file of ours, at most ``most`` of them; raises as :func:`open_ours` does."""
    with os.fdopen(open_ours(path, os.O_RDONLY), "rb") as file:
        return file.read(-1 if most is None else most)


def write(path: Path, data: bytes) -> None:
    """Put a file of ours in place, for its owner only: readers see all of it or what was there before, also after a crash.

    Beside it lies, for that time, ``<name>.<16 hex digits>.tmp``.

    Raises:
        StoreForeign: what has that name now is not a file of ours.
    """
    with _entered(path.parent) as folder:
        if os.path.lexists(path) and not is_ours(path):
            raise StoreForeign(f"{path} is not a file with one name of its own.", hint=_CURE)
        temporary = f"{path.name}.{secrets.token_hex(8)}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
        os.fsync(folder)


def create(path: Path, data: bytes) -> None:
    """Put a file where there is none, whole or not at all; where the system can, it has no name until it is complete.

    Raises:
        FileExistsError: something has that name, also when it came there meanwhile.
    """
    with _entered(path.parent) as folder:
        temporary = "" if (descriptor := _nameless(folder)) is not None else f"{path.name}.{secrets.token_hex(8)}.tmp"
        if descriptor is None:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600, dir_fd=folder)
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
            made = temporary or f"/proc/self/fd/{descriptor}"
            os.link(made, path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=not temporary)
        finally:
            os.close(descriptor)
            if temporary:
                os.unlink(temporary, dir_fd=folder)
        os.fsync(folder)


def _nameless(folder: int) -> int | None:
    """A file in a folder that has no name yet; ``None`` where there is no such thing."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not os.path.isdir("/proc/self/fd"):  # noqa: PTH112 - a path of the system, not of a user
        return None
    try:
        return os.open(".", flag | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder)
    except OSError:
        return None


def remove(path: Path, *, overwrite: bool = False, linked: bool = False) -> bool:
    """Remove a file of ours, its bytes overwritten with zeros first if asked for; false when it is not ours, gone, or may not be removed.

    With ``linked`` also one that has a second name elsewhere, known to be ours by what is in it: then only our name goes, and no byte
    is overwritten, since whoever gave it the other name has the file as well.
    """
    try:
        descriptor, alone = _to_remove(path, os.O_RDWR if overwrite else os.O_RDONLY, linked)
    except (StoreForeign, FileNotFoundError, PermissionError):
        return False
    try:
        if overwrite and alone:
            _zero(descriptor)
        with _entered(path.parent) as folder:
            if not os.path.samestat(os.fstat(descriptor), os.stat(path.name, dir_fd=folder, follow_symlinks=False)):
                return False  # another file has taken the name meanwhile
            os.unlink(path.name, dir_fd=folder)
    except (FileNotFoundError, PermissionError):
        return False
    finally:
        os.close(descriptor)
    return True


def _to_remove(path: Path, flags: int, linked: bool) -> tuple[int, bool]:
    """A descriptor, and whether the file has no other name; raises as :func:`open_ours` does."""
    status = os.lstat(path)
    if not linked or not stat.S_ISREG(status.st_mode) or status.st_nlink == 1:
        return open_ours(path, flags), True
    with _entered(path.parent) as folder:
        return os.open(path.name, os.O_RDONLY | _NO_LINK, dir_fd=folder), False


def _zero(descriptor: int) -> None:
    """A forgotten edit should not lie in the free blocks of the disk."""
    left = os.fstat(descriptor).st_size
    while left:
        left -= os.write(descriptor, bytes(min(left, 1 << 20)))
    os.fsync(descriptor)


def remove_folder(path: Path) -> bool:
    """Remove a folder that is empty; false when it is not, or is no folder."""
    try:
        path.rmdir()
    except OSError:
        return False
    return True


def restamp(path: Path, changed: int, size: int) -> None:
    """Give a file of ours that still has this size its recorded time (nanoseconds) again; anything else stays as it is."""
    try:
        descriptor = open_ours(path, os.O_RDONLY)
    except (StoreForeign, FileNotFoundError):
        return  # whoever compares next finds it missing
    try:
        status = os.fstat(descriptor)
        if status.st_size == size and status.st_mtime_ns != changed:
            os.utime(descriptor, ns=(status.st_atime_ns, changed))
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
