"""An embedder that keeps its vectors in a file, so that the tenth run of a benchmark does not embed a tenth time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agentmem.embedding.embedders import make_embedder
from agentmem.notes.protocols import Embedder

__all__ = ["CachedEmbedder"]


class CachedEmbedder:
    """Wraps the default embedder; it has the same fingerprint and gives the same vectors."""

    def __init__(self, inner: Embedder, known: dict[str, npt.NDArray[np.float32]]) -> None:
        """Look texts up in ``known`` first."""
        self._inner, self.known = inner, known
        self.dimension, self.fingerprint = inner.dimension, inner.fingerprint

    @classmethod
    @contextmanager
    def open(cls, path: Path | None) -> Iterator[CachedEmbedder]:
        """Read vectors from ``path`` and write them back at the end; None keeps them in memory only."""
        known: dict[str, npt.NDArray[np.float32]] = {}
        if path is not None and path.exists():
            stored = np.load(path)
            texts = json.loads(stored["texts"].tobytes())
            known = dict(zip(texts, stored["vectors"], strict=True))
        embedder = cls(make_embedder(None), known)
        yield embedder
        if path is not None:
            # bytes: an array of texts has room for the longest of them in each place
            texts = np.frombuffer(json.dumps(list(known)).encode(), np.uint8)
            np.savez(path, texts=texts, vectors=np.stack(list(known.values())))

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of shape (texts, dimension)."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self.known]
        if fresh:
            self.known.update(zip(fresh, np.asarray(self._inner.embed(fresh), dtype=np.float32), strict=True))
        return np.stack([self.known[text] for text in texts])
