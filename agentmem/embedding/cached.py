"""What all embedders share: checked texts in, checked unit vectors out, each text computed once."""

from __future__ import annotations

import hashlib
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agentmem.errors import EmbedderError, InvalidArgument
from agentmem.runtime.forks import at_fork

if TYPE_CHECKING:
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["CachedEmbedder", "Progress", "checked_rows", "unit"]

Progress = Callable[[int, int], None]
"""Called with (texts done, texts to do) after every batch."""


class CachedEmbedder(ABC):
    """What all embedders here share: input and output checks, a cache by text, and one computation at a time unless it is ``concurrent``.

    Args:
        batch_size: texts per call of the model.
        cache_size: texts whose vectors are kept (1.5 kB each at 384 dimensions); 0 keeps none.
    """

    concurrent: ClassVar[bool] = False
    """Whether several threads may compute at once, a question beside a long list; of a model of the caller's nobody knows."""

    def __init__(self, *, batch_size: int = 32, cache_size: int = 4096) -> None:
        if batch_size < 1:
            raise InvalidArgument(f"batch_size is {batch_size}.", hint="use 1 or more; 32 suits a CPU.")
        if cache_size < 0:
            raise InvalidArgument(f"cache_size is {cache_size}.", hint="use 0 to switch the cache off.")
        self.batch_size = batch_size
        self.cache_size = cache_size
        self.scripts: Collection[str] | None = None
        """Which scripts it is for, see :class:`~agentmem.notes.protocols.Embedder`; may be set."""
        self._cache: OrderedDict[bytes, Vectors] = OrderedDict()
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        self._cache_lock = threading.Lock()
        self._model_lock = threading.RLock()

    @property
    @abstractmethod
    def dimension(self) -> int: ...

    @property
    @abstractmethod
    def fingerprint(self) -> str: ...

    @abstractmethod
    def _encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of up to ``batch_size`` texts; called by one thread at a time unless it is ``concurrent``."""

    def embed(self, texts: Sequence[str], *, on_progress: Progress | None = None) -> Vectors:
        """float32 array of shape ``(len(texts), dimension)``; every row has Euclidean norm 1."""
        items = _checked_texts(texts)
        found: dict[bytes, Vectors] = {}
        keys = [_key(text) for text in items]
        missing: dict[bytes, str] = {}
        with self._cache_lock:
            for key, text in zip(keys, items, strict=True):
                if (row := self._cache.get(key)) is None:
                    missing[key] = text
                else:
                    self._cache.move_to_end(key)
                    found[key] = row
        done = len(items) - len(missing)
        for part_keys, part_texts in _batches(missing, self.batch_size):
            with nullcontext() if self.concurrent else self._model_lock:
                rows = checked_rows(self._encode(part_texts), len(part_texts), self.dimension)
            found.update(zip(part_keys, rows, strict=True))
            self._remember(part_keys, rows)
            done += len(part_keys)
            if on_progress is not None:
                on_progress(done, len(items))
        if not items:
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.stack([found[key] for key in keys])

    def clear_cache(self) -> None:
        """Forget every cached vector: a forgotten text must not survive here."""
        with self._cache_lock:
            self._cache.clear()

    def discard(self, texts: Sequence[str]) -> int:
        """Take these texts out of the cache; returns how many were in it."""
        with self._cache_lock:
            return sum(self._cache.pop(_key(text), None) is not None for text in texts)

    def held(self, texts: Sequence[str]) -> int:
        """How many of these texts are in the cache."""
        with self._cache_lock:
            return sum(_key(text) in self._cache for text in texts)

    def _remember(self, keys: Sequence[bytes], rows: Vectors) -> None:
        if not self.cache_size:
            return
        with self._cache_lock:
            for key, row in zip(keys, rows, strict=True):
                self._cache[key] = row.copy()
                self._cache.move_to_end(key)
            while len(self._cache) > self.cache_size:
                self._cache.popitem(last=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fingerprint!r})"


def _checked_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str | bytes):
        raise InvalidArgument("embed() got one text, not a list.", hint="write embed([text])[0].")
    items = list(texts)
    for position, text in enumerate(items):
        if not isinstance(text, str):
            raise InvalidArgument(f"Item {position} is {type(text).__name__}, not text.", hint="embed a list of str.")
    return items


def checked_rows(rows: Any, count: int, dimension: int) -> Vectors:
    """``rows`` as float32 of shape (count, dimension), finite and of norm 1, or a typed error."""
    vectors = np.ascontiguousarray(rows, dtype=np.float32)
    if vectors.shape != (count, dimension):
        raise EmbedderError(
            f"The embedder returned an array of shape {vectors.shape} for {count} texts, not {(count, dimension)}.",
            hint="an embedder returns one row per text, each as long as its dimension.",
        )
    norms = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(norms).all():
        raise EmbedderError("The embedder returned NaN or infinite values.", hint="check the model's weights.")
    if not np.allclose(norms, 1.0, atol=1e-3):
        raise EmbedderError(
            f"The embedder returned a vector of norm {norms[np.abs(norms - 1).argmax()]:.4g}, not 1.",
            hint="normalise the rows, or pass the bare function: functions are normalised for you.",
        )
    return vectors


def unit(rows: npt.NDArray[np.float64]) -> Vectors:
    """Each row divided by its Euclidean norm; zeros become NaN, which the check then reports."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rows_of_norm_1: Vectors = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return rows_of_norm_1


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _batches(missing: dict[bytes, str], size: int) -> Iterator[tuple[list[bytes], list[str]]]:
    """The missing texts in batches of similar length, longest first: padding is work, and memory fails early."""
    order = sorted(missing, key=lambda key: -len(missing[key]))
    for start in range(0, len(order), size):
        part = order[start : start + size]
        yield part, [missing[key] for key in part]
