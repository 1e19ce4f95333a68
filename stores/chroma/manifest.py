"""What the store remembers of an index: which directory counts, and what it looked like when we last wrote it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from agentmem.files import owned_files
from agentmem.stores.chroma.digests import Digests

__all__ = ["IndexState", "Manifest", "inode", "probe", "restamp", "snapshot", "synced"]

Manifest = Mapping[str, tuple[int, int]]
"""File (relative path) -> (size, time of last change in nanoseconds)."""

_PASSING: Final = ("-journal", "-wal", "-shm")
_PROBE: Final = """
import sys
import chromadb
from chromadb.config import Settings
client = chromadb.PersistentClient(sys.argv[1], settings=Settings(anonymized_telemetry=False))
for collection in client.list_collections()[:50]:
    collection = client.get_collection(collection.name, embedding_function=None)
    some = collection.get(limit=1, include=["embeddings"])
    if collection.count():
        found = collection.query(query_embeddings=some["embeddings"], n_results=1, include=["distances"])
        assert found["ids"][0], "nothing found"
client.close()
"""


@dataclass(frozen=True, slots=True)
class IndexState:
    """What the store knows about the index; generation 0 means that there is none yet.

    ``embedder`` is whose vectors it was begun with (empty: not recorded). ``stained`` says that vectors were removed or replaced, which Chroma's files still hold.
    ``digests`` are of what its files say, taken when all was delivered; empty until then.
    """

    generation: int = 0
    applying: bool = False
    damaged: str = ""
    stained: bool = False
    embedder: str = ""
    changed_at: int = 0
    manifest: Manifest = field(default_factory=dict)
    digests: Digests = field(default_factory=dict)

    @classmethod
    def load(cls, text: str | None) -> IndexState:
        if text is None:
            return cls()
        values = json.loads(text)
        values["manifest"] = {name: (size, changed) for name, (size, changed) in values["manifest"].items()}
        return cls(**values)

    def dump(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


def snapshot(directory: Path) -> Manifest:
    """The files of a directory as they are now; one stat each, nothing is opened."""
    found: dict[str, tuple[int, int]] = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            if name.endswith(_PASSING):
                continue
            path = Path(folder, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            found[str(path.relative_to(directory))] = (status.st_size, status.st_mtime_ns)
    return found


def synced(directory: Path, before: Manifest) -> Manifest:
    """The files of a directory, those that changed since ``before`` flushed to the disk.

    Chroma does not flush. After a power failure, a file of the right size full of zeros would pass for whole.
    """
    now = snapshot(directory)
    for name, status in now.items():
        if before.get(name) != status:
            descriptor = owned_files.open_ours(directory / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    return now


def restamp(directory: Path, manifest: Manifest) -> None:
    """Give files of unchanged size their recorded times again.

    Opening a Chroma directory touches its SQLite file without changing what it says. Without this, a process that only
    ever read and was then killed would leave a directory that looks tampered with.
    """
    for name, (size, changed) in manifest.items():
        owned_files.restamp(directory / name, changed, size)


def probe(directory: Path, seconds: float = 20.0) -> bool:
    """Open, count and query an index in a process of its own: a damaged file can take the process down."""
    if not sys.executable:
        return False
    try:
        outcome = subprocess.run(  # noqa: S603 - our interpreter, our text, one path
            [sys.executable, "-c", _PROBE, str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return outcome.returncode == 0


def inode(directory: Path) -> int | None:
    """Which directory bears this name now; ``None`` when there is none."""
    try:
        return directory.stat().st_ino
    except FileNotFoundError:
        return None
