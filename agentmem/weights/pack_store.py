"""Packs of weight edits on disk, each under the hash of its own bytes; which one is served is a row in SQL.

A crash can only leave a file that nobody points at; :meth:`PackStore.collect` removes those.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from agentmem.errors import PackMismatch, StoreForeign
from agentmem.files import owned_files

__all__ = ["PackCopies", "PackStore", "UnwrittenPacks"]

SUFFIX: Final = ".safetensors"
_NAME: Final = re.compile(r"([0-9a-f]{64})\.safetensors")
_DRAFT: Final = re.compile(r"[0-9a-f]{64}\.safetensors\.[0-9a-f]{16}\.tmp")
_CURE: Final = 'memory.rebuild("weights") writes the edits anew from their notes.'


class PackCopies(Protocol):
    """Where packs are kept as well, for those who open the memory elsewhere."""

    def put(self, sha: str, data: bytes) -> None: ...
    def copy(self, sha: str, path: Path) -> None: ...
    def keep(self, shas: Iterable[str]) -> None: ...


class PackStore:
    """A folder of ``<sha256>.safetensors`` files; nothing else in it is touched.

    Args:
        copies: has each of them as well; what is not in the folder is taken from there.
    """

    def __init__(self, folder: Path, copies: PackCopies | None = None) -> None:
        self.folder = folder
        self._copies = copies

    def unwritten(self) -> UnwrittenPacks:
        """The same packs, for work that is taken back."""
        return UnwrittenPacks(self.folder, self._copies)

    def path(self, sha: str) -> Path:
        return self.folder / f"{sha}{SUFFIX}"

    def put(self, data: bytes) -> str:
        """Store bytes durably (file and folder synced, then renamed into place); returns their sha256."""
        sha = hashlib.sha256(data).hexdigest()
        # A file that is there may be damaged: the same edits written anew have the same name.
        if _held(self.path(sha)) != sha:
            owned_files.make_folder(self.folder)
            owned_files.write(self.path(sha), data)
        if self._copies is not None:
            self._copies.put(sha, data)
        return sha

    def get(self, sha: str) -> bytes:
        """The bytes of a pack; :class:`PackMismatch` when they are gone or are not what their name says."""
        if self._copies is not None and _held(self.path(sha)) != sha:
            self._copies.copy(sha, self.path(sha))
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
        if self._copies is not None:
            self._copies.keep(kept)
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

    def unclear(self, keep: Iterable[str]) -> list[str]:
        """Names of packs that nobody serves and whose bytes do not match them: damaged, or somebody else's."""
        kept = set(keep)
        named = [(entry, _NAME.fullmatch(entry.name)) for entry in owned_files.entries(self.folder)]
        return [
            entry.name
            for entry, match in named
            if match and match[1] not in kept and _held(Path(entry.path)) != match[1]
        ]


class UnwrittenPacks(PackStore):
    """The packs of a folder, and beside them some that are never written: for work that is taken back."""

    def __init__(self, folder: Path, copies: PackCopies | None = None) -> None:
        super().__init__(folder, copies)
        self._unwritten: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        """The sha256 of bytes that :meth:`get` knows, and no file holds."""
        sha = hashlib.sha256(data).hexdigest()
        self._unwritten[sha] = data
        return sha

    def get(self, sha: str) -> bytes:
        return self._unwritten[sha] if sha in self._unwritten else super().get(sha)


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
