"""Writing a file that a caller named: whole or not at all, for its owner only, and never through a link.

What is written may hold the text of notes, so it is made with mode 0600, under a name of its own beside the one that was asked for
(``.<name>.<16 hex digits>.part<suffix>``, gone afterwards, or with the next file written there when its writer was killed), and takes that name when it is complete. A file of that name is replaced,
since the caller named it; a link, a folder, a pipe or a device is not: what lies behind it was not named.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from agentmem.errors import AgentMemError, InvalidArgument, StoreError, StoreFull, StoreReadOnly
from agentmem.files.data_directory import is_of_a_memory

__all__ = ["writing", "written_whole"]


@contextmanager
def writing(path: Path | str) -> Iterator[Path]:
    """The path of an empty file to write to, which becomes ``path`` at the end; missing folders are made.

    Raises:
        InvalidArgument: it is a folder, a link, no regular file, or a memory's own.
        StoreReadOnly: it, or its folder, cannot be written.
        StoreFull: the disk is full.
    """
    target = Path(path)
    with _refusals(target, StoreReadOnly):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _draft(target) as draft:
            yield draft


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file opened for writing that becomes ``path`` when all has been written and flushed to the disk; raises as :func:`writing` does."""
    with _refusals(path, StoreError), _draft(path) as draft, draft.open("r+b") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A file beside the target, locked for as long as somebody writes to it; what a killed writer left there goes."""
    _refuse(target)
    head, tail = f".{target.name[:100]}.", f".part{target.suffix[:20]}"
    _sweep(target.parent, re.compile(rf"{re.escape(head)}[0-9a-f]{{16}}{re.escape(tail)}"))
    draft = target.with_name(f"{head}{secrets.token_hex(8)}{tail}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreReadOnly(
            f"{target} cannot be written: {error.strerror}.", hint="choose a directory that you may write to."
        ) from error
    try:
        _lock(descriptor)
        yield draft
        _refuse(target)
        draft.replace(target)
        _sync(target.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            draft.unlink()
        raise
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # somebody has it, or the file system has no such locks
    return True


def _sweep(folder: Path, name: re.Pattern[str]) -> None:
    """Remove drafts that nobody writes to any more: they may hold the text of notes."""
    left = [path for path in folder.iterdir() if name.fullmatch(path.name)] if folder.is_dir() else []
    for path in left:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and _lock(descriptor):
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _refuse(target: Path) -> None:
    if is_of_a_memory(target):
        raise InvalidArgument(
            f"{target} is a memory's own file, or in a folder of its own.",
            hint="name another file: it would take the place of what is remembered.",
        )
    try:
        mode = target.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        raise InvalidArgument(
            f"{target} is a directory.", hint=f"name a file in it, e.g. {target / 'out'}{target.suffix}."
        )
    if stat.S_ISLNK(mode):
        raise InvalidArgument(f"{target} is a link.", hint="name the file itself: nothing is written through links.")
    if not stat.S_ISREG(mode):
        raise InvalidArgument(
            f"{target} is no regular file.",
            hint="name a file: it is written beside its place, and moved there when it is complete.",
        )


@contextmanager
def _refusals(target: Path, otherwise: type[StoreError]) -> Iterator[None]:
    """What the system refuses, as errors of ours, with the file's name."""
    try:
        yield
    except OSError as error:
        if isinstance(error, AgentMemError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(
                f"{target} could not be written: {error.strerror}.", hint="make room, then try again."
            ) from error
        raise otherwise(
            f"{target} cannot be written: {error.strerror or error}.", hint="choose a directory that you may write to."
        ) from error


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
