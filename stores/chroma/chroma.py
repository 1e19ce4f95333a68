"""Chroma as a vector index: one collection per owner, nothing in it but vectors and row numbers.

Chroma is a cache. It is written by one process, rebuilt from the stored vectors at will, and everything it raises
becomes :class:`~agentmem.errors.IndexUnavailable`. Texts and metadata are never handed over.

Chroma writes a new segment, and one of under a thousand vectors whenever it is opened, at full capacity out of memory
that nobody initialised: the file holds whatever the process had there before, such as the vectors of notes forgotten since,
or their texts (chroma-core/chroma, issue 7688). So a segment's files are blanked beyond its elements as soon as Chroma
has opened it; what it writes to them later are elements only.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agentmem.errors import AgentMemError, EmbedderMismatch, IndexUnavailable, InvalidArgument, StoreForeign
from agentmem.files import owned_files
from agentmem.runtime.forks import at_fork, leave

if TYPE_CHECKING:
    from agentmem.notes.arrays import Vectors

__all__ = ["ChromaIndex", "inherited"]

_BATCH: Final = 1000
_SHAPE: Final = {"hnsw": {"space": "cosine", "ef_search": 256}}
_HEADER: Final = struct.Struct("<i4Q")  # version, offset, capacity, elements, bytes per element
_SEGMENT: Final = "SELECT id FROM segments WHERE collection = ? AND scope = 'VECTOR'"
_CURE: Final = 'call memory.rebuild("vectors"); until then every vector is compared exactly.'


class ChromaIndex:
    """:class:`agentmem.notes.protocols.VectorIndex` in a Chroma directory.

    Args:
        directory: where Chroma keeps its files; created when missing.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self.touched = False
        """Whether files were written by reading: what they say is the same, their times are not."""
        self._lock = threading.Lock()
        self._collections: dict[int, Any] = {}
        self._empty: set[int] = set()
        self._client: Any = _connect(self.directory)
        at_fork(self._in_child)

    def _in_child(self) -> None:
        """In a forked child: Chroma's threads stayed with the parent, and the files are the parent's."""
        leave((self._client, self._collections))
        self._lock = threading.Lock()
        self._client, self._collections = None, {}

    def upsert(self, owner: int, rows: Sequence[int], vectors: Vectors) -> None:
        """Add vectors, or replace those of known rows."""
        array = np.asarray(vectors, dtype=np.float32)
        if array.ndim != 2 or len(array) != len(rows) or not np.isfinite(array).all():
            raise InvalidArgument(
                f"Expected {len(rows)} finite vectors, got shape {array.shape}.",
                hint="pass one row per note.",
            )
        if not len(rows):
            return
        with self._guard("write"):
            collection = self._collection(owner, create=True)
            for start in range(0, len(rows), _BATCH):
                part = slice(start, start + _BATCH)
                collection.upsert(ids=[str(int(row)) for row in rows[part]], embeddings=array[part])
                if owner in self._empty and self._blank(collection):
                    self._empty.discard(owner)

    def remove(self, owner: int, rows: Sequence[int]) -> None:
        """Take vectors out; unknown rows are passed over. Chroma's files keep them until they are rewritten."""
        if not len(rows):
            return
        with self._guard("write"):
            collection = self._collection(owner)
            if collection is not None:
                for start in range(0, len(rows), _BATCH):
                    collection.delete(ids=[str(int(row)) for row in rows[start : start + _BATCH]])

    def holds(self, owner: int, rows: Sequence[int]) -> list[int]:
        """Those of ``rows`` that the index knows."""
        if not len(rows):
            return []
        with self._guard("read"):
            collection = self._collection(owner)
            if collection is None:
                return []
            return [int(name) for name in collection.get(ids=[str(int(row)) for row in rows], include=[])["ids"]]

    def vectors(self, owner: int, rows: Sequence[int]) -> dict[int, Vectors]:
        """The vectors that the index holds of some rows, as it keeps them."""
        if not len(rows):
            return {}
        with self._guard("read"):
            collection = self._collection(owner)
            if collection is None:
                return {}
            found = collection.get(ids=[str(int(row)) for row in rows], include=["embeddings"])
            return {
                int(name): np.asarray(vector, dtype=np.float32)
                for name, vector in zip(found["ids"], found["embeddings"], strict=True)
            }

    def search(self, owner: int, vector: Vectors, k: int) -> list[tuple[int, float]]:
        """Up to ``k`` pairs (row, cosine), best first; an owner without vectors has none."""
        query = np.asarray(vector, dtype=np.float32)
        if query.ndim != 1 or not np.isfinite(query).all():
            raise InvalidArgument(
                f"The query is not one finite vector (shape {query.shape}).", hint="pass shape (dimension,)."
            )
        if k < 1:
            return []
        with self._guard("read"):
            collection = self._collection(owner)
            if collection is None:
                return []
            found = collection.query(query_embeddings=query[None, :], n_results=k, include=["distances"])
            pairs = zip(found["ids"][0], found["distances"][0], strict=True)
            return [(int(row), 1.0 - float(distance)) for row, distance in pairs]

    def count(self, owner: int) -> int:
        """How many vectors of an owner the index holds."""
        with self._guard("read"):
            collection = self._collection(owner)
            return 0 if collection is None else int(collection.count())

    def close(self) -> None:
        """Release the directory; closing twice does no harm."""
        client, self._client = self._client, None
        self._collections.clear()
        if client is not None:
            client.close()

    def _collection(self, owner: int, *, create: bool = False) -> Any:
        if self._client is None:
            raise IndexUnavailable("The vector index is closed.", hint="open it again.")
        with self._lock:
            known = self._collections.get(owner)
            if known is not None:
                return known
            name = f"owner-{int(owner)}"
            if create:
                found = self._client.get_or_create_collection(name, configuration=_SHAPE, embedding_function=None)
            else:
                found = _lookup(self._client, name)
            if found is not None:
                found.count()  # opens its segment, while nobody else asks
                if not self._blank(found):
                    self._empty.add(owner)
                self._collections[owner] = found
            return found

    def _blank(self, collection: Any) -> bool:
        """Blank what a collection's files hold beyond its elements; false when it has none yet."""
        with closing(
            sqlite3.connect(f"{(self.directory.resolve() / 'chroma.sqlite3').as_uri()}?mode=ro", uri=True)
        ) as tables:
            found = tables.execute(_SEGMENT, (str(collection.id),)).fetchone()
        folder = self.directory / found[0] if found else None
        if folder is None or not (folder / "header.bin").is_file():
            return False
        _blank_unused(folder)
        self.touched = True
        return True

    @contextmanager
    def _guard(self, doing: str) -> Iterator[None]:
        with _translated(f"could not be {'written' if doing == 'write' else 'read'}"):
            yield


def _blank_unused(segment: Path) -> None:
    _, _, capacity, elements, size = _HEADER.unpack_from((segment / "header.bin").read_bytes())
    for path, width in ((segment / "data_level0.bin", size), (segment / "length.bin", 4)):
        if path.stat().st_size == capacity * width:
            with os.fdopen(owned_files.open_ours(path, os.O_RDWR), "r+b") as file:
                file.seek(elements * width)
                file.write(bytes((capacity - elements) * width))


def _lookup(client: Any, name: str) -> Any:
    from chromadb.errors import NotFoundError

    try:
        return client.get_collection(name, embedding_function=None)
    except NotFoundError:
        return None


@cache
def _home() -> int:
    """The process that opened Chroma first; its children inherit the answer, and with it a runtime without its threads."""
    return os.getpid()


def inherited() -> bool:
    """Whether this process was forked from one that had opened Chroma."""
    return bool(_home.cache_info().currsize) and _home() != os.getpid()


def _connect(directory: Path) -> Any:
    _home()
    if inherited():
        raise IndexUnavailable(
            "Chroma was opened in the process that this one was forked from, and cannot be used here.",
            hint="start the process with multiprocessing's 'spawn'; until then every vector is compared exactly.",
        )
    try:
        import chromadb
        from chromadb.config import Settings
    except ImportError as error:
        raise IndexUnavailable(f"chromadb cannot be imported: {error}.", hint="pip install chromadb.") from error
    with _translated("could not be opened"):
        owned_files.make_folder(directory)
        return chromadb.PersistentClient(str(directory), settings=Settings(anonymized_telemetry=False))


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Everything Chroma raises, panics of its Rust part included, as one error."""
    try:
        yield
    except StoreForeign as error:
        raise IndexUnavailable(f"The vector index {what}: {error.message}", hint=_CURE) from error
    except (AgentMemError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        # a panic derives from BaseException only; a wrong dimension is the caller's mistake, not damage
        if "dimension" in str(error):
            raise EmbedderMismatch(
                f"The vector index holds vectors of another dimension: {error}.", hint=_CURE
            ) from error
        raise IndexUnavailable(f"The vector index {what}: {error}.", hint=_CURE) from error
