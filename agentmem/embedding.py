"""Texts to unit vectors: the packaged MiniLM, any sentence-transformers model, a function, or plain hashing.

Whatever the source, what leaves this module has been checked (shape, finite, norm 1), the same text is computed
once, and the fingerprint says which weights made the vectors. Nothing is downloaded unless asked for by name.
"""

from __future__ import annotations

import hashlib
import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmem._features import feature_code, features
from agentmem._weights_files import (
    MINILM_SHA256,
    locate_embedder,
    packaged_minilm,
    verify_minilm,
    weights_sha256,
)
from agentmem.errors import EmbedderError, InvalidArgument, MissingExtra
from agentmem.minilm import MiniLM
from agentmem.protocols import Embedder

if TYPE_CHECKING:
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = [
    "MINILM_SHA256",
    "CachedEmbedder",
    "CallableEmbedder",
    "CheckedEmbedder",
    "HashEmbedder",
    "MiniLMEmbedder",
    "SentenceTransformerEmbedder",
    "make_embedder",
    "packaged_minilm",
    "verify_minilm",
]

_MINILM_NAMES = frozenset({"minilm", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"})
_MINILM_DIMENSION = 384
_MINILM_FINGERPRINT = f"all-MiniLM-L6-v2@{MINILM_SHA256[:16]}#{_MINILM_DIMENSION}"
_PROBE = "The quick brown fox jumps over the lazy dog."

Progress = Callable[[int, int], None]
"""Called with (texts done, texts to do) after every batch."""


class CachedEmbedder(ABC):
    """What all embedders here share: input and output checks, a cache by text, one computation at a time.

    Args:
        batch_size: texts per call of the model.
        cache_size: texts whose vectors are kept (1.5 kB each at 384 dimensions); 0 keeps none.
    """

    def __init__(self, *, batch_size: int = 32, cache_size: int = 4096) -> None:
        if batch_size < 1:
            raise InvalidArgument(f"batch_size is {batch_size}.", hint="use 1 or more; 32 suits a CPU.")
        if cache_size < 0:
            raise InvalidArgument(f"cache_size is {cache_size}.", hint="use 0 to switch the cache off.")
        self.batch_size = batch_size
        self.cache_size = cache_size
        self._cache: OrderedDict[bytes, Vectors] = OrderedDict()
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
        """Vectors of up to ``batch_size`` texts; called by one thread at a time."""

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
            with self._model_lock:
                rows = _checked_rows(self._encode(part_texts), len(part_texts), self.dimension)
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


class HashEmbedder(CachedEmbedder):
    """Deterministic vectors from hashed words, word pairs and letter groups; no model, no download.

    Texts that share words or word stems are similar; synonyms are not. Meant for tests and for machines without
    a model.
    """

    def __init__(self, dimension: int = _MINILM_DIMENSION, *, cache_size: int = 4096) -> None:
        super().__init__(batch_size=256, cache_size=cache_size)
        if dimension < 8:
            raise InvalidArgument(f"dimension is {dimension}.", hint="use 8 or more; 384 is the default.")
        self._dimension = dimension

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def fingerprint(self) -> str:
        return f"hash-v1#{self._dimension}"

    def _encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self._dimension), dtype=np.float64)
        for row, text in zip(rows, texts, strict=True):
            for feature, weight in features(text).items():
                code = feature_code(feature)
                row[code % self._dimension] += weight if code & (1 << 63) else -weight
            if not row.any():
                row[0] = 1.0
        return _unit(rows)


class MiniLMEmbedder(CachedEmbedder):
    """The packaged all-MiniLM-L6-v2 in numpy, on the CPU: ready in a fraction of a second, without torch.

    Its vectors are those of :class:`SentenceTransformerEmbedder` up to float32 rounding, so both share one
    fingerprint.
    """

    def __init__(self, *, batch_size: int = 32, cache_size: int = 4096) -> None:
        self._workers = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
        super().__init__(batch_size=batch_size * self._workers, cache_size=cache_size)
        self._path = packaged_minilm()
        self._part = batch_size
        self._model: MiniLM | None = None

    @property
    def dimension(self) -> int:
        return _MINILM_DIMENSION

    @property
    def fingerprint(self) -> str:
        """Name, sha256 of the weights, dimension; the file itself is checked when it is loaded."""
        return _MINILM_FINGERPRINT

    def _encode(self, texts: Sequence[str]) -> Vectors:
        model = self._loaded()
        parts = _even_parts(texts, self._part)
        if len(parts) == 1:
            return model.encode(parts[0])
        with ThreadPoolExecutor(self._workers) as pool:  # numpy lets go of the interpreter while it computes
            return np.concatenate(list(pool.map(model.encode, parts)))

    def _loaded(self) -> MiniLM:
        if self._model is None:
            verify_minilm(self._path)
            self._model = MiniLM(self._path)
        return self._model


class SentenceTransformerEmbedder(CachedEmbedder):
    """A sentence-transformers model, loaded on first use.

    Args:
        name_or_path: a directory, or the name of a model in the local Hugging Face cache; ``None`` is the packaged
            MiniLM.
        device: where it runs: ``cpu``, ``cuda``, ``mps`` …
        allow_download: let a name that is not on disk be fetched. Only safetensors weights are accepted, and no
            code from the model's repository runs.
    """

    def __init__(
        self,
        name_or_path: str | Path | None = None,
        *,
        device: str = "cpu",
        batch_size: int = 32,
        cache_size: int = 4096,
        allow_download: bool = False,
    ) -> None:
        super().__init__(batch_size=batch_size, cache_size=cache_size)
        self.device = device
        self._packaged = name_or_path is None or str(name_or_path) in _MINILM_NAMES
        self._path = (
            packaged_minilm()
            if self._packaged
            else locate_embedder(name_or_path or "", allow_download=allow_download)
        )
        self._label = "" if self._packaged else Path(name_or_path or "").name
        self._model: Any = None

    @property
    def dimension(self) -> int:
        if self._packaged:
            return _MINILM_DIMENSION
        return int(self._loaded().get_embedding_dimension())

    @property
    def fingerprint(self) -> str:
        """Name, sha256 of the weights, dimension. The packaged model's is known; its file is checked on loading."""
        if self._packaged:
            return _MINILM_FINGERPRINT
        return f"{self._label}@{weights_sha256(self._path)[:16]}#{self.dimension}"

    def _encode(self, texts: Sequence[str]) -> Vectors:
        rows: Vectors = self._loaded().encode(
            list(texts),
            batch_size=self.batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return rows

    def _loaded(self) -> Any:
        with self._model_lock:
            if self._model is None:
                if self._packaged:
                    verify_minilm(self._path)
                self._model = _load_sentence_transformer(self._path, self.device)
            return self._model


class CallableEmbedder(CachedEmbedder):
    """Any function from a list of texts to an array of rows; rows are normalised here.

    Args:
        fn: the function.
        name: the model and its version. Without it the fingerprint is taken from the vector of a probe sentence.
    """

    def __init__(
        self,
        fn: Callable[[list[str]], Any],
        *,
        name: str | None = None,
        batch_size: int = 32,
        cache_size: int = 4096,
    ) -> None:
        super().__init__(batch_size=batch_size, cache_size=cache_size)
        self._fn = fn
        probe = self._call([_PROBE])
        if probe.ndim != 2 or len(probe) != 1:
            raise EmbedderError(
                f"For one text the function returned an array of shape {probe.shape}.",
                hint="it gets a list of texts and returns one row per text.",
            )
        self._dimension = int(probe.shape[1])
        row = _checked_rows(_unit(probe), 1, self._dimension)[0]
        self._fingerprint = f"{name or 'callable:' + _sketch(row)}#{self._dimension}"

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def _encode(self, texts: Sequence[str]) -> Vectors:
        return _unit(self._call(list(texts)))

    def _call(self, texts: list[str]) -> npt.NDArray[np.float64]:
        try:
            return np.asarray(self._fn(texts), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise EmbedderError(
                f"The embedding function failed, or returned no array of numbers: {error}",
                hint="it gets a list of texts and returns one row of floats per text.",
            ) from error


class CheckedEmbedder(CachedEmbedder):
    """Somebody else's :class:`~agentmem.protocols.Embedder`, with our checks and our cache around it."""

    def __init__(self, inner: Embedder, *, batch_size: int = 32, cache_size: int = 4096) -> None:
        super().__init__(batch_size=batch_size, cache_size=cache_size)
        self.inner = inner

    @property
    def dimension(self) -> int:
        return self.inner.dimension

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    def _encode(self, texts: Sequence[str]) -> Vectors:
        return self.inner.embed(texts)


def make_embedder(
    spec: str | Path | Embedder | Callable[[list[str]], Any] | None = None,
    *,
    device: str = "cpu",
    batch_size: int = 32,
    allow_download: bool = False,
) -> CachedEmbedder:
    """The embedder that ``spec`` means.

    ``None`` is the packaged MiniLM, ``"hash"`` the one without a model; other strings and paths name a
    sentence-transformers model on disk; an object with ``embed`` is checked and cached; a function is wrapped.
    ``device`` and ``batch_size`` are for models; on the CPU the packaged MiniLM runs without torch.
    """
    if isinstance(spec, CachedEmbedder):
        return spec
    if spec == "hash":
        return HashEmbedder()
    if device == "cpu" and (spec is None or str(spec) in _MINILM_NAMES):
        return MiniLMEmbedder(batch_size=batch_size)
    if spec is None or isinstance(spec, str | Path):
        return SentenceTransformerEmbedder(
            spec, device=device, batch_size=batch_size, allow_download=allow_download
        )
    if isinstance(spec, Embedder):
        return CheckedEmbedder(spec, batch_size=batch_size)
    if callable(spec):
        return CallableEmbedder(spec, batch_size=batch_size)
    raise InvalidArgument(
        f"An embedder cannot be made from {type(spec).__name__}.",
        hint='pass None, "hash", a model name or path, an object with embed(), or a function from texts to rows.',
    )


def _load_sentence_transformer(path: Path, device: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra(
            "sentence-transformers cannot be imported.", hint="pip install sentence-transformers"
        ) from error
    from agentmem._quiet import quiet

    with quiet():
        try:
            return SentenceTransformer(
                str(path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise EmbedderError(
                f"The embedding model in {path} could not be loaded on {device}: {error}",
                hint="check that the directory was written by sentence-transformers and is complete.",
            ) from error


def _checked_texts(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str | bytes):
        raise InvalidArgument("embed() got one text, not a list.", hint="write embed([text])[0].")
    items = list(texts)
    for position, text in enumerate(items):
        if not isinstance(text, str):
            raise InvalidArgument(
                f"Item {position} is {type(text).__name__}, not text.", hint="embed a list of str."
            )
    return items


def _checked_rows(rows: Any, count: int, dimension: int) -> Vectors:
    vectors = np.ascontiguousarray(rows, dtype=np.float32)
    if vectors.shape != (count, dimension):
        raise EmbedderError(
            f"The embedder returned an array of shape {vectors.shape} for {count} texts, not {(count, dimension)}.",
            hint="an embedder returns one row per text, each as long as its dimension.",
        )
    norms = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(norms).all():
        raise EmbedderError(
            "The embedder returned NaN or infinite values.", hint="check the model's weights."
        )
    if not np.allclose(norms, 1.0, atol=1e-3):
        raise EmbedderError(
            f"The embedder returned a vector of norm {norms[np.abs(norms - 1).argmax()]:.4g}, not 1.",
            hint="normalise the rows, or pass the bare function: functions are normalised for you.",
        )
    return vectors


def _unit(rows: npt.NDArray[np.float64]) -> Vectors:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        unit: Vectors = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return unit


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _batches(missing: dict[bytes, str], size: int) -> Iterator[tuple[list[bytes], list[str]]]:
    """The missing texts in batches of similar length, longest first: padding is work, and memory fails early."""
    order = sorted(missing, key=lambda key: -len(missing[key]))
    for start in range(0, len(order), size):
        part = order[start : start + size]
        yield part, [missing[key] for key in part]


def _even_parts(texts: Sequence[str], size: int) -> list[list[str]]:
    """Texts, longest first, in parts of up to ``size``; none is padded to much more than twice its length."""
    parts: list[list[str]] = []
    for text in texts:
        if not parts or len(parts[-1]) == size or 2 * len(text) + 32 < len(parts[-1][0]):
            parts.append([])
        parts[-1].append(text)
    return parts


def _sketch(row: Vectors) -> str:
    """The places and signs of the eight largest components: stable against rounding, different between models."""
    places = sorted(int(i) for i in np.argsort(-np.abs(row))[:8])
    return "".join(f"{i}{'+' if row[i] > 0 else '-'}" for i in places)
