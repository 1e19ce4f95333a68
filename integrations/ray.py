"""Texts become vectors in the actors of a Ray cluster: for imports and re-embeddings of very many notes.

The notes are written by the one process that has the memory; what takes the time, the embedding, is shared out.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from agentmem.embedding.embedders import make_embedder
from agentmem.errors import EmbedderError, InvalidArgument, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["RayEmbedder"]

ATTEMPTS: Final = 3
"""Workers that may die over the same piece before it is given up."""


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
        EmbedderError: a worker has other weights than this machine.
    """

    def __init__(
        self, embedder: str | None = None, *, address: str = "local", workers: int = 2, piece: int = 32
    ) -> None:
        if workers < 1 or piece < 1:
            raise InvalidArgument("workers and piece must be 1 or more.", hint="RayEmbedder(workers=2, piece=32).")
        self._name, self._piece = embedder, piece
        self._local = make_embedder(embedder)
        self._ray = _ray()
        self._began = not self._ray.is_initialized()
        if self._began:
            options: dict[str, Any] = {"num_cpus": workers} if address == "local" else {}
            self._ray.init(
                address=address, include_dashboard=False if options else None, log_to_driver=False, **options
            )
        self._actor = self._ray.remote(num_cpus=1, max_restarts=0)(_Worker)
        self._idle = deque(self._new() for _ in range(workers))
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
        return list(self._ray.get([worker.process.remote() for worker in self._idle]))

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
        found: dict[int, Vectors] = {}
        waiting, tried, running = deque(range(len(pieces))), [0] * len(pieces), dict[Any, tuple[int, Any]]()
        try:
            while waiting or running:
                while waiting and self._idle:
                    number, worker = waiting.popleft(), self._idle.popleft()
                    tried[number] += 1
                    running[worker.embed.remote(pieces[number])] = number, worker
                (done,), _ = self._ray.wait(list(running), num_returns=1)
                number, worker = running.pop(done)
                try:
                    weights, found[number] = self._ray.get(done)
                    self._same(weights)
                except self._ray.exceptions.RayActorError as error:
                    worker = self._new()
                    if tried[number] >= ATTEMPTS:
                        raise EmbedderError(
                            f"{ATTEMPTS} workers died over the same texts.",
                            hint="give each more memory, or a smaller piece=….",
                        ) from error
                    waiting.appendleft(number)
                finally:
                    self._idle.append(worker)
        finally:
            self._idle.extend(worker for _, worker in running.values())
        return np.concatenate([found[number] for number in range(len(pieces))])

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
        while self._idle:
            self._ray.kill(self._idle.popleft())
        if self._began:
            self._began = False
            self._ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new(self) -> Any:
        return self._actor.remote(self._name)

    def _check(self) -> None:
        try:
            for weights in self._ray.get([worker.fingerprint.remote() for worker in self._idle]):
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


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("Ray is not installed.", hint="pip install 'agentmem-toolkit[ray]'") from error
    return ray
