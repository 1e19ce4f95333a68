"""Packs of weight edits, each under the hash of its own bytes; which one is served is a row in SQL. Here: as files of a folder.

A crash can only leave a file that nobody points at; :meth:`PackStore.collect` removes those.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from agentmem.errors import PackMismatch, StoreForeign
from agentmem.files import owned_files

__all__ = ["SUFFIX", "PackStore", "Packs", "UnwrittenPacks"]

SUFFIX: Final = ".safetensors"
_NAME: Final = re.compile(r"([0-9a-f]{64})\.safetensors")
_DRAFT: Final = re.compile(r"[0-9a-f]{64}\.safetensors\.[0-9a-f]{16}\.tmp")
_CURE: Final = 'memory.rebuild("weights") writes the edits anew from their notes.'


class Packs(Protocol):
    """Where the packs of a memory are."""

    @property
    def place(self) -> str | None:
        """Where a user said that they be, for a person to read; ``None``: with the notes."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other machines write here: what is not to be had now may be had later."""
        ...

    def put(self, data: bytes, *, anew: bool = False) -> str:
        """Store bytes durably; returns their sha256. ``anew``: also where the packs of this memory should be and are not."""
        ...

    def get(self, sha: str) -> bytes:
        """The bytes of a pack.

        Raises:
            PackMismatch: they are gone, or are not what their name says. PackUnreachable: nobody can tell.
        """
        ...

    def ready(self) -> None:
        """Raise :class:`~agentmem.errors.PackUnreachable` where nothing could be put now."""
        ...

    def look_again(self) -> None:
        """The next :meth:`get` reads what is there, whatever this process has in memory."""
        ...

    def collect(self, keep: Iterable[str], former: Iterable[str] = ()) -> int:
        """Remove packs that nobody serves, and what a process left that was killed; returns how many.

        Args:
            keep: the hashes of packs that stay.
            former: the hashes of packs that were made for this memory.
        """
        ...

    def left(self, shas: Iterable[str]) -> list[str]:
        """Of packs that were to be removed, those that are still there."""
        ...

    def unclear(self, keep: Iterable[str]) -> list[str]:
        """Names of packs that nobody serves and whose bytes do not match them: damaged, or somebody else's."""
        ...


class PackStore:
    """A folder of ``<sha256>.safetensors`` files; nothing else in it is touched."""

    place: str | None = None
    shared: bool = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha: str) -> Path:
        return self.folder / f"{sha}{SUFFIX}"

    def ready(self) -> None:
        """A folder says so when it is written to."""

    def look_again(self) -> None:
        """Files are read each time."""

    def put(self, data: bytes, *, anew: bool = False) -> str:
        """Store bytes durably (file and folder synced, then renamed into place); returns their sha256."""
        del anew
        sha = hashlib.sha256(data).hexdigest()
        # A file that is there may be damaged: the same edits written anew have the same name.
        if _held(self.path(sha)) != sha:
            owned_files.make_folder(self.folder)
            owned_files.write(self.path(sha), data)
        return sha

    def get(self, sha: str) -> bytes:
        """The bytes of a pack; :class:`PackMismatch` when they are gone or are not what their name says."""
        try:
            data = owned_files.read(self.path(sha))
        except FileNotFoundError as error:
            raise PackMismatch(f"The pack {sha[:12]}… is missing.", hint=_CURE) from error
        except (OSError, StoreForeign) as error:
            raise PackMismatch(f"The pack {sha[:12]}… cannot be read: {error}", hint=_CURE) from error
        if hashlib.sha256(data).hexdigest() != sha:
            raise PackMismatch(f"The pack {sha[:12]}… is damaged: its bytes do not match its name.", hint=_CURE)
        return data

    def collect(self, keep: Iterable[str], former: Iterable[str] = ()) -> int:
        """Remove packs that nobody serves, and drafts of a process that was killed; returns how many.

        Args:
            keep: the hashes of packs that stay.
            former: the hashes of packs that were made here: these go whatever became of their bytes. Of any other file only
                what its name says proves that it is a pack.
        """
        kept, made = set(keep), set(former)
        gone = 0
        for entry in owned_files.entries(self.folder):
            named, path = _NAME.fullmatch(entry.name), Path(entry.path)
            ours = (
                (named[1] in made or _held(path) == named[1])
                if named and named[1] not in kept
                else bool(_DRAFT.fullmatch(entry.name))
            )
            if not ours:
                continue
            shared = entry.stat(follow_symlinks=False).st_nlink > 1  # a backup of hard links, say
            linked = shared and named is not None and named[1] in made and _is_pack(path, named[1])
            gone += owned_files.remove(path, overwrite=True, linked=linked)
        if gone:
            owned_files.sync_folder(self.folder)
        return gone

    def left(self, shas: Iterable[str]) -> list[str]:
        return [sha for sha in shas if os.path.lexists(self.path(sha))]

    def unclear(self, keep: Iterable[str]) -> list[str]:
        """Names of packs that nobody serves and whose bytes do not match them: damaged, or somebody else's."""
        kept = set(keep)
        named = [(entry, _NAME.fullmatch(entry.name)) for entry in owned_files.entries(self.folder)]
        return [
            entry.name
            for entry, match in named
            if match and match[1] not in kept and _held(Path(entry.path)) != match[1]
        ]


class UnwrittenPacks:
    """The packs of a store, and beside them some that are never written: for work that is taken back."""

    def __init__(self, packs: Packs) -> None:
        self._packs = packs
        self._unwritten: dict[str, bytes] = {}

    @property
    def place(self) -> str | None:
        return self._packs.place

    @property
    def shared(self) -> bool:
        return self._packs.shared

    def put(self, data: bytes, *, anew: bool = False) -> str:
        """The sha256 of bytes that :meth:`get` knows, and nobody else."""
        del anew
        sha = hashlib.sha256(data).hexdigest()
        self._unwritten[sha] = data
        return sha

    def get(self, sha: str) -> bytes:
        return self._unwritten[sha] if sha in self._unwritten else self._packs.get(sha)

    def ready(self) -> None:
        """Nothing is put anywhere."""

    def look_again(self) -> None:
        self._packs.look_again()

    def collect(self, keep: Iterable[str], former: Iterable[str] = ()) -> int:
        """Nothing is removed."""
        del keep, former
        return 0

    def left(self, shas: Iterable[str]) -> list[str]:
        return self._packs.left(shas)

    def unclear(self, keep: Iterable[str]) -> list[str]:
        return self._packs.unclear(keep)


def _is_pack(path: Path, sha: str) -> bool:
    """Whether a regular file, whatever other names it has, bears the hash of its bytes."""
    try:
        return not path.is_symlink() and path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha
    except OSError:
        return False


def _held(path: Path) -> str | None:
    """The hash of the bytes that are there; ``None`` when there is no file of ours."""
    try:
        return hashlib.sha256(owned_files.read(path)).hexdigest()
    except (OSError, StoreForeign):
        return None
