"""What in a directory is this package's own, and nothing else: a marker with a random id, and names that carry it.

::

    agentmem.json                       the marker: format, version, id, when it was made
    notes.db  -wal  -shm  -journal      the notes
    notes.reserve                       room on the disk for a forgetting that finds none (:mod:`agentmem.files.reserve`)
    weights-<id>/<sha256>.safetensors   packs of weight edits, each under the hash of its bytes
    index-<id>/index.lock               who may write the vector index
    index-<id>/chroma-<n>/…             its generations, written by Chroma

Anything else may lie beside these and is never opened, written or removed. A link in one of these places, a file of somebody else's
inside those folders, a ``notes.db`` or a marker that this package did not write: each is :class:`~agentmem.errors.StoreForeign`, raised
before anything is touched.

Older versions had no marker, and folders without an id (``weights``, ``chroma-<n>``): see :mod:`agentmem.stores.adopting`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from agentmem.errors import (
    AgentMemError,
    StoreCorrupt,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)
from agentmem.files import owned_files
from agentmem.files.reserve import NAME as RESERVE
from agentmem.files.reserve import is_reserve
from agentmem.files.sqlite_files import SIDES, DatabaseFile, bound_to, look

__all__ = ["DATABASE", "LOCK_FILES", "MARKER", "OLD_WEIGHTS", "DataDirectory", "is_of_a_memory", "open_directory"]

DATABASE: Final = "notes.db"
MARKER: Final = "agentmem.json"
OLD_WEIGHTS: Final = "weights"
LOCK_FILES: Final = ("next.lock", "write.lock")
"""The queue of writers (:mod:`agentmem.stores.sqlite.turns`)."""
FORMAT: Final = "agentmem-directory"
VERSION: Final = 1
_LARGEST: Final = 4096
_ID: Final = re.compile(r"[0-9a-f]{32}")
_PACK: Final = re.compile(r"[0-9a-f]{64}\.safetensors(\.[0-9a-f]{16}\.tmp)?")
_FOLDER: Final = re.compile(r"(?:weights|index)-[0-9a-f]{32}")
_INDEX: Final = re.compile(r"index\.lock|chroma-[1-9][0-9]*")
_PATIENCE: Final = 30.0
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A directory that a memory lives in.

    Attributes:
        root: where it is, links in its path resolved.
        id: 32 hex digits, drawn when it was made; empty for one of an older version that cannot be written.
        writable: whether anything may be written in it.
    """

    root: Path
    id: str
    writable: bool = True

    @property
    def database(self) -> Path:
        return self.root / DATABASE

    @property
    def weights(self) -> Path:
        return self.root / (f"weights-{self.id}" if self.id else OLD_WEIGHTS)

    @property
    def index(self) -> Path:
        return self.root / f"index-{self.id}"

    def strangers(self) -> list[str]:
        """What lies in our folders and is not ours, as paths from the root: names that we do not give, links, pipes, devices."""
        found = [] if is_reserve(self.root / RESERVE) else [self.root / RESERVE]
        for folder, ours in ((self.weights, _PACK), (self.index, _INDEX)):
            if os.path.lexists(folder) and not owned_files.is_folder(folder):
                found.append(folder)
                continue
            for entry in owned_files.entries(folder):
                if not ours.fullmatch(entry.name) or not _is_what_it_should_be(entry):
                    found.append(Path(entry.path))
                elif entry.is_dir(follow_symlinks=False):
                    found += _links(Path(entry.path))
        return [str(path.relative_to(self.root)) for path in found]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory against other processes that open it; for the moments in which it is made or taken over."""
        with _locked(self.root):
            yield


def open_directory(path: Path, *, now: datetime, read_only: bool = False) -> DataDirectory:
    """The data directory at ``path``, made if there is none; one that cannot be written is opened for reading.

    Raises:
        StoreForeign: files of others, or links, are where ours belong; nothing was touched.
        StoreReadOnly: there is no memory, and none can be made.
        StoreCorrupt: the marker is from a newer version, or ``notes.db`` is damaged.
    """
    root = _made(path, read_only)
    with _refusals(root):
        return _for_reading(root) if read_only or not _can_be_written(root) else _for_writing(root, now)


def holds_notes(root: Path) -> bool:
    """Whether there are notes in a directory, whosever they are; nothing is opened.

    Raises:
        StoreError: it cannot be looked into.
    """
    try:
        return (root / DATABASE).exists()
    except OSError as error:
        raise StoreError(
            f"{root} cannot be looked into: {error.strerror}.",
            hint="check the rights of the directory, or name another.",
        ) from error


def is_of_a_memory(path: Path) -> bool:
    """Whether a path names what a memory, open or not, keeps for itself; whoever writes there destroys it."""
    full = path.parent.resolve() / path.name
    ours = (MARKER, DATABASE, *(DATABASE + side for side in SIDES), RESERVE, *LOCK_FILES)
    homes = [full.parent] if full.name in ours else []
    homes += [folder.parent for folder in full.parents if _FOLDER.fullmatch(folder.name)]
    return any(
        owned_files.is_ours(home / MARKER) and _parsed(owned_files.read(home / MARKER, _LARGEST + 1)) for home in homes
    )


def _for_writing(root: Path, now: datetime) -> DataDirectory:
    with _locked(root):
        lived = os.path.lexists(root / RESERVE)  # asked first: another process may be making both just now
        held, found = _marker(root), look(root / DATABASE)
        _refuse(root, found, marked=held is not None, writing=True)
        directory = DataDirectory(root, held or _known(root, found) or secrets.token_hex(16))
        if held is not None and lived and (found.empty or not found.there):
            raise StoreCorrupt(  # the reserve is made once a database is
                f"{root / DATABASE} is {'empty' if found.there else 'gone'}, and a memory has lived here.",
                hint=f"restore it from the last backup; to begin anew, move {MARKER} away as well.",
            )
        if strangers := directory.strangers():
            raise _foreign(root, strangers)
        return directory if held is not None else _marked(directory, now)


def _known(root: Path, found: DatabaseFile) -> str | None:
    """The id by which a database knows its directory, when the marker was lost."""
    said = bound_to(root / DATABASE) if found.ours else None
    return said if said is not None and _ID.fullmatch(said) else None


def _made(path: Path, read_only: bool) -> Path:
    try:
        if path.exists() and not path.is_dir():
            raise StoreError(
                f"{path} is a file; a memory lives in a directory.", hint="pass a directory, e.g. Memory('my-memory')."
            )
        if not read_only:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path.resolve(strict=True)
    except FileNotFoundError as error:
        raise StoreReadOnly(
            f"There is no memory at {path}, and read_only makes none.", hint="leave read_only out once, to make it."
        ) from error
    except OSError as error:
        raise StoreReadOnly(
            f"The directory {path} cannot be made: {error.strerror}.", hint="choose a path that you may write to."
        ) from error


@contextmanager
def _refusals(root: Path) -> Iterator[None]:
    """What the system refuses, as errors of ours."""
    try:
        yield
    except OSError as error:
        if isinstance(error, AgentMemError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(
                f"The disk of {root} is full; nothing was written.",
                hint="free some space on the disk; the call can then be repeated.",
            ) from error
        if error.errno == errno.EIO:
            raise StoreCorrupt(
                f"{root} cannot be read: {error.strerror}.",
                hint="restore the last backup, or move the damaged files away and start anew.",
            ) from error
        raise StoreReadOnly(
            f"{root} cannot be opened: {error.strerror}.", hint="check the rights of the directory and of its files."
        ) from error


def _can_be_written(root: Path) -> bool:
    """Asked, not tried. A database that may be written in a directory that may not is for reading, too: its log is a file beside it."""
    if not os.access(root, os.W_OK | os.X_OK):
        return False
    names = (DATABASE, *(DATABASE + side for side in SIDES))
    return all(os.access(root / name, os.R_OK | os.W_OK) for name in names if (root / name).is_file())


def _for_reading(root: Path) -> DataDirectory:
    found, held = look(root / DATABASE), _marker(root)
    if not found.there:
        raise StoreReadOnly(
            f"There is no memory in {root}, and none can be made there.", hint="choose a path that you may write to."
        )
    _refuse(root, found, marked=held is not None, writing=False)
    return DataDirectory(root, held or "", writable=False)


# -- the marker ------------------------------------------------------------------------------------------------


def _marker(root: Path) -> str | None:
    """The id in the marker; ``None`` when there is no marker."""
    path = root / MARKER
    try:
        data = owned_files.read(path, _LARGEST + 1)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise StoreReadOnly(f"{path} cannot be read.", hint="check the rights of the file.") from error
    values = _parsed(data)
    if values is None:
        raise _foreign(root, [MARKER])
    if values["version"] > VERSION:
        raise StoreCorrupt(
            f"{path} is of version {values['version']}; this version knows up to {VERSION}.",
            hint="upgrade with: pip install --upgrade agentmem-toolkit.",
        )
    return str(values["id"])


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(data) if len(data) <= _LARGEST else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        return None
    version, id = values.get("version"), values.get("id")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1 or not isinstance(id, str):
        return None
    return values if version > VERSION or _ID.fullmatch(id) else None


def _marked(directory: DataDirectory, now: datetime) -> DataDirectory:
    """The directory with a marker: this one's, or that of a process that was faster."""
    values = {"format": FORMAT, "version": VERSION, "id": directory.id, "created_at": now.isoformat()}
    try:
        owned_files.create(directory.root / MARKER, json.dumps(values, indent=2).encode() + b"\n")
    except FileExistsError:
        held = _marker(directory.root)
        return directory if held is None else replace(directory, id=held)
    return directory


# -- the database ----------------------------------------------------------------------------------------------


def _refuse(root: Path, found: DatabaseFile, *, marked: bool, writing: bool) -> None:
    """Raise unless the files of the database are ours, or there are none. An empty one is ours where we left our marker."""
    if elsewhere := (*found.links, *(found.shared if writing else ())):
        raise _foreign(root, [DATABASE + side for side in elsewhere])
    if found.strange:
        raise _foreign(root, [DATABASE + side for side in found.strange], or_damaged=found.ours)
    if not found.there:
        if found.sides:
            raise StoreForeign(
                f"{root} holds {', '.join(DATABASE + side for side in found.sides)} without {DATABASE}.",
                hint=f"bring {DATABASE} back, or move what is left of it elsewhere.",
            )
        return
    if found.ours or (found.empty and marked):
        return
    if marked and not found.sqlite:
        raise StoreCorrupt(
            f"{root / DATABASE} is damaged: it does not begin as an SQLite file.",
            hint="restore the last backup, or move the file away and start anew.",
        )
    raise _foreign(root, [DATABASE])


# -- what is not ours ------------------------------------------------------------------------------------------


def _foreign(root: Path, names: list[str], *, or_damaged: bool = False) -> StoreForeign:
    few = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return StoreForeign(
        f"{root} holds files of others, or links, where a memory keeps its own: {few}. Nothing was touched.",
        hint="move them elsewhere, or choose another directory."
        if not or_damaged
        else "move them elsewhere if they are yours; if one is a damaged log of the notes, restore the last backup.",
    )


def _is_what_it_should_be(entry: os.DirEntry[str]) -> bool:
    status = entry.stat(follow_symlinks=False)
    return stat.S_ISDIR(status.st_mode) if entry.name.startswith("chroma-") else stat.S_ISREG(status.st_mode)


def _links(folder: Path) -> list[Path]:
    """Whatever in a generation is neither a folder nor a file with one name: Chroma would follow it."""
    found = []
    for where, folders, names in os.walk(folder):
        paths = (Path(where, name) for name in (*folders, *names))
        found += [path for path in paths if not owned_files.is_folder(path) and not owned_files.is_ours(path)]
    return found


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        held = _wait(descriptor, root)
        try:
            yield
        finally:
            if held:
                fcntl.flock(
                    descriptor, fcntl.LOCK_UN
                )  # said, not left to the close: a child forked meanwhile has the descriptor, too
    finally:
        os.close(descriptor)


def _wait(descriptor: int, root: Path) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EBADF):
                return False  # a file system without such locks; what is made has its name from a rename all the same
            if time.monotonic() > deadline:
                raise StoreLocked(
                    f"{root} is being opened by another process.", hint="wait for it to finish, or stop it."
                ) from error
            time.sleep(0.01)
        else:
            return True
