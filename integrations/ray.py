"""Texts become vectors in the actors of a Ray cluster: for imports and re-embeddings of very many notes.

The notes are written by the one process that has the memory; what takes the time, the embedding, is shared out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agentmem.embedding.embedders import make_embedder
from agentmem.errors import EmbedderError, InvalidArgument
from agentmem.integrations.ray_crew import ATTEMPTS, Crew

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["RayEmbedder"]


class _Worker:
    """What an actor does: it loads the embedder once, and keeps nothing of what it has read."""

    def __init__(self, name: str | None) -> None:
        self._embedder = make_embedder(name)

    def process(self) -> int:
        """The id of its process."""
        return os.getpid()

    def fingerprint(self) -> str:
        """Which weights it has."""
        return self._embedder.fingerprint

    def embed(self, texts: list[str]) -> tuple[str, Any]:
        """With which weights, and float32 [texts, dimension]."""
        vectors = self._embedder.embed(texts)
        discard = getattr(self._embedder, "discard", None)
        if discard is not None:  # nothing may remember here what is forgotten there
            discard(texts)
        return self._embedder.fingerprint, vectors


class RayEmbedder:
    """An embedder whose long lists are computed by the workers of a Ray cluster; single queries stay here.

    Pieces are cut by their size alone, so that which worker computes one, and how many there are, changes nothing. When a worker
    dies, its piece is given to another.

    Args:
        embedder: by name or path, as for :class:`~agentmem.Memory`; each worker loads it once, so every machine must have it.
        address: of the cluster, such as ``auto`` or ``ray://host:10001``; ``local`` starts one on this machine.
        workers: actors; each asks Ray for one processor.
        piece: texts that a worker is given at once; no longer list is sent away.

    Raises:
        MissingExtra: Ray is not installed.
        EmbedderError: the cluster cannot be reached, or a worker has other weights than this machine.
    """

    def __init__(
        self, embedder: str | None = None, *, address: str = "local", workers: int = 2, piece: int = 32
    ) -> None:
        if workers < 1 or piece < 1:
            raise InvalidArgument("workers and piece must be 1 or more.", hint="RayEmbedder(workers=2, piece=32).")
        self._piece = piece
        self._local = make_embedder(embedder)
        self._crew = Crew(_Worker, (embedder,), EmbedderError, address=address, workers=workers)
        self._check()

    @property
    def dimension(self) -> int:
        """Of its vectors."""
        return self._local.dimension

    @property
    def fingerprint(self) -> str:
        """The embedder's own: vectors that were made elsewhere are the same vectors."""
        return self._local.fingerprint

    @property
    def scripts(self) -> Any:
        """The scripts that the embedder was trained for."""
        return getattr(self._local, "scripts", None)

    def processes(self) -> list[int]:
        """The ids of the workers' processes, on their machines."""
        return self._crew.each("process", gave_up=_died)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 unit vectors, shape ``(len(texts), dimension)``.

        Raises:
            EmbedderError: three workers died over the same texts; or one that took the place of another has other weights than this machine.
        """
        import numpy as np

        items = list(texts)
        if len(items) <= self._piece:
            return self._local.embed(items)
        pieces = [items[at : at + self._piece] for at in range(0, len(items), self._piece)]
        vectors = []
        for weights, found in self._crew.map("embed", [(piece,) for piece in pieces], _died):
            self._same(weights)
            vectors.append(found)
        return np.concatenate(vectors)

    def discard(self, texts: Sequence[str]) -> None:
        """Drop what is cached of these texts; workers keep nothing."""
        if (discard := getattr(self._local, "discard", None)) is not None:
            discard(texts)

    def held(self, texts: Sequence[str]) -> int:
        """How many of these texts are cached."""
        held = getattr(self._local, "held", None)
        return 0 if held is None else int(held(texts))

    def close(self) -> None:
        """Let the workers go, and the cluster if it was started here."""
        self._crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self) -> None:
        try:
            for weights in self._crew.each("fingerprint", gave_up=_died):
                self._same(weights)
        except EmbedderError:
            self.close()
            raise

    def _same(self, weights: str) -> None:
        if weights != self.fingerprint:
            raise EmbedderError(
                f"A worker embeds with {weights}, this machine with {self.fingerprint}.",
                hint="install the same embedder on every machine.",
            )


def _died() -> EmbedderError:
    return EmbedderError(
        f"{ATTEMPTS} workers died over the same texts.", hint="give each more memory, or a smaller piece=…."
    )
