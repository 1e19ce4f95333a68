"""Packs of weight edits on disk, each under the hash of its own bytes; which one is served is a row in SQL.

A crash can only leave a file that nobody points at; :meth:`PackShelf.collect` removes those.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from agentmem.errors import PackMismatch

__all__ = ["PackShelf"]

SUFFIX = ".safetensors"


class PackShelf:
    """A folder of ``<sha256>.safetensors`` files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha: str) -> Path:
        return self.folder / f"{sha}{SUFFIX}"

    def put(self, data: bytes) -> str:
        """Store bytes durably (file and folder synced, then renamed into place); returns their sha256."""
        sha = hashlib.sha256(data).hexdigest()
        target = self.path(sha)
        # A file that is there may be damaged: the same edits written anew have the same name.
        if target.exists() and hashlib.sha256(target.read_bytes()).hexdigest() == sha:
            return sha
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = target.with_suffix(f".tmp{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(target)
        _sync_folder(self.folder)
        return sha

    def get(self, sha: str) -> bytes:
        """The bytes of a pack; :class:`PackMismatch` when they are gone or are not what their name says."""
        try:
            data = self.path(sha).read_bytes()
        except FileNotFoundError as error:
            raise PackMismatch(
                f"The pack {sha[:12]}… is missing.", hint='memory.rebuild("weights") writes the edits anew from their notes.'
            ) from error
        if hashlib.sha256(data).hexdigest() != sha:
            raise PackMismatch(
                f"The pack {sha[:12]}… is damaged: its bytes do not match its name.",
                hint='memory.rebuild("weights") writes the edits anew from their notes.',
            )
        return data

    def collect(self, keep: Iterable[str]) -> int:
        """Remove every file that no kept hash names; returns how many."""
        if not self.folder.is_dir():
            return 0
        kept = {f"{sha}{SUFFIX}" for sha in keep}
        orphans = [p for p in self.folder.iterdir() if p.is_file() and p.name not in kept]
        for path in orphans:
            _overwrite(path)
            path.unlink(missing_ok=True)
        if orphans:
            _sync_folder(self.folder)
        return len(orphans)


def _overwrite(path: Path) -> None:
    """Zero a file before it is unlinked: a forgotten edit should not lie in the free blocks of the disk."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"\0" * size)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
