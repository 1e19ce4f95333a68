"""Texts to unit vectors: the packaged MiniLM, any sentence-transformers model, a function, or plain hashing.

Whatever the source, what leaves this module has been checked (shape, finite, norm 1), the same text is computed
once, and the fingerprint says which weights made the vectors. Nothing is downloaded unless asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from agentmem.embedding.cached import CachedEmbedder, checked_rows, unit
from agentmem.embedding.encoder_files import EncoderShape, encoder_shape
from agentmem.embedding.features import feature_code, features
from agentmem.embedding.models import (
    MINILM_NAMES,
    MiniLMEmbedder,
    OnnxEmbedder,
    SentenceTransformerEmbedder,
    located,
)
from agentmem.embedding.weights_files import MINILM_SHA256, packaged_minilm, verify_minilm
from agentmem.errors import AgentMemError, EmbedderError, InvalidArgument
from agentmem.notes.protocols import Embedder
from agentmem.runtime.lacking import lacking

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
    "OnnxEmbedder",
    "SentenceTransformerEmbedder",
    "make_embedder",
    "packaged_minilm",
    "verify_minilm",
]

_DIMENSION = 384
_INT8 = "+int8"
_PROBE = "The quick brown fox jumps over the lazy dog."


class HashEmbedder(CachedEmbedder):
    """Deterministic vectors from hashed words, word pairs and letter groups; no model, no download.

    Texts that share words or word stems are similar; synonyms are not. Meant for tests and for machines without
    a model.
    """

    def __init__(self, dimension: int = _DIMENSION, *, cache_size: int = 4096) -> None:
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
        return unit(rows)


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
        row = checked_rows(unit(probe), 1, self._dimension)[0]
        self._fingerprint = f"{name or 'callable:' + _sketch(row)}#{self._dimension}"

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def _encode(self, texts: Sequence[str]) -> Vectors:
        return unit(self._call(list(texts)))

    def _call(self, texts: list[str]) -> npt.NDArray[np.float64]:
        with _of_the_caller("it gets a list of texts and returns one row of floats per text."):
            return np.asarray(self._fn(texts), dtype=np.float64)


class CheckedEmbedder(CachedEmbedder):
    """Somebody else's :class:`~agentmem.notes.protocols.Embedder`, with our checks and our cache around it."""

    def __init__(self, inner: Embedder, *, batch_size: int = 32, cache_size: int = 4096) -> None:
        super().__init__(batch_size=batch_size, cache_size=cache_size)
        self.inner = inner
        self.scripts = getattr(inner, "scripts", None)

    @property
    def dimension(self) -> int:
        return self.inner.dimension

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    def _encode(self, texts: Sequence[str]) -> Vectors:
        with _of_the_caller("nothing was written; call again once it answers."):
            return self.inner.embed(texts)


@contextmanager
def _of_the_caller(hint: str) -> Iterator[None]:
    """Whatever code that is not ours raises while it embeds is an :class:`~agentmem.errors.EmbedderError`."""
    try:
        yield
    except AgentMemError:
        raise
    except Exception as error:
        raise EmbedderError(
            f"The embedder failed, or returned no array of numbers: {type(error).__name__}: {error}", hint=hint
        ) from error


Backend = Literal["auto", "onnx", "numpy", "torch"]
"""What computes: ``auto`` takes the first of onnx, numpy and torch that can run the model on the device."""


def make_embedder(
    spec: str | Path | Embedder | Callable[[list[str]], Any] | None = None,
    *,
    device: str = "cpu",
    batch_size: int | None = None,
    allow_download: bool = False,
    backend: Backend = "auto",
    threads: int | None = None,
) -> CachedEmbedder:
    """The embedder that ``spec`` means.

    ``None`` is the packaged MiniLM, ``"hash"`` the one without a model; other strings and paths name a
    sentence-transformers model on disk, and with ``+int8`` behind the name its int8 variant; an object with ``embed`` is
    checked and cached; a function is wrapped. The other arguments are for models.

    Args:
        device: where a model runs; anything but ``cpu`` needs torch.
        batch_size: texts per call of the model; ``None`` is what suits the backend.
        backend: what computes; the vectors, and the fingerprint, are the same.
        threads: for ONNX Runtime; ``None`` takes ``$OMP_NUM_THREADS``, else up to four processors.

    Raises:
        EmbedderError: the model is not on this machine, or cannot run on the backend asked for.
        MissingExtra: what the backend needs is not installed.
    """
    if isinstance(spec, CachedEmbedder):
        return spec
    if spec == "hash":
        return HashEmbedder()
    if spec is None or isinstance(spec, str | Path):
        return _encoder(spec, device, batch_size, allow_download, backend, threads)
    if isinstance(spec, Embedder):
        return CheckedEmbedder(spec, batch_size=batch_size or 32)
    if callable(spec):
        return CallableEmbedder(spec, batch_size=batch_size or 32)
    if lacks := lacking(spec, Embedder) if hasattr(spec, "embed") else []:
        raise InvalidArgument(
            f"{type(spec).__name__} has embed(), but lacks {' and '.join(lacks)}.",
            hint="dimension is the length of a vector; fingerprint a text that names the model and its exact weights.",
        )
    raise InvalidArgument(
        f"An embedder cannot be made from {type(spec).__name__}.",
        hint='pass None, "hash", a model name or path, an object with embed(), dimension and fingerprint, or a function from texts to rows.',
    )


def _encoder(
    spec: str | Path | None,
    device: str,
    batch_size: int | None,
    allow_download: bool,
    backend: Backend,
    threads: int | None,
) -> CachedEmbedder:
    """A sentence encoder on the backend that was asked for, or on the fastest that can run it."""
    if backend not in get_args(Backend):
        raise InvalidArgument(f"backend is {backend!r}.", hint=f"use one of {', '.join(get_args(Backend))}.")
    name, int8 = _without_suffix(spec)
    if int8 or backend == "onnx" or (backend == "auto" and device == "cpu" and _runs_on_onnx(name, allow_download)):
        if device != "cpu" or backend not in ("auto", "onnx"):
            raise InvalidArgument(
                "ONNX Runtime computes on the CPU here.", hint='leave out device, and backend or "+int8".'
            )
        return OnnxEmbedder(
            name,
            precision="int8" if int8 else "fp32",
            threads=threads,
            batch_size=batch_size or 256,
            allow_download=allow_download,
        )
    packaged = name is None or str(name) in MINILM_NAMES
    if backend == "numpy" or (backend == "auto" and device == "cpu" and packaged):
        if device != "cpu" or not packaged:
            raise InvalidArgument("Only the packaged MiniLM runs in numpy, on the CPU.", hint='pass backend="auto".')
        return MiniLMEmbedder(batch_size=batch_size or 32)
    return SentenceTransformerEmbedder(name, device=device, batch_size=batch_size or 32, allow_download=allow_download)


def _without_suffix(spec: str | Path | None) -> tuple[str | Path | None, bool]:
    if isinstance(spec, str) and spec.endswith(_INT8):
        return spec.removesuffix(_INT8), True
    return spec, False


def _runs_on_onnx(name: str | Path | None, allow_download: bool) -> bool:
    if find_spec("onnxruntime") is None:
        return False
    return isinstance(encoder_shape(located(name, allow_download=allow_download).path), EncoderShape)


def _sketch(row: Vectors) -> str:
    """The places and signs of the eight largest components: stable against rounding, different between models."""
    places = sorted(int(i) for i in np.argsort(-np.abs(row))[:8])
    return "".join(f"{i}{'+' if row[i] > 0 else '-'}" for i in places)
