"""Sentence encoders on disk: on ONNX Runtime, in numpy, or in sentence-transformers, with one fingerprint where one set of
vectors comes out.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmem.embedding.cached import CachedEmbedder
from agentmem.embedding.encoder_files import Unsupported, encoder_shape
from agentmem.embedding.minilm import MiniLM
from agentmem.embedding.weights_files import (
    MINILM_SHA256,
    locate_embedder,
    packaged_minilm,
    verify_minilm,
    weights_sha256,
)
from agentmem.errors import EmbedderError, InvalidArgument, MissingExtra
from agentmem.runtime.forked_torch import stranded
from agentmem.runtime.forks import leave
from agentmem.runtime.threads import thread_count

if TYPE_CHECKING:
    import numpy.typing as npt

    from agentmem.embedding.onnx_encoder import OnnxEncoder
    from agentmem.embedding.onnx_graph import Precision

    Vectors = npt.NDArray[np.float32]

__all__ = [
    "MINILM_NAMES",
    "Located",
    "MiniLMEmbedder",
    "OnnxEmbedder",
    "SentenceTransformerEmbedder",
    "located",
]

MINILM_NAMES = frozenset({"minilm", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"})
MINILM_SCRIPTS = ("Latin",)
"""Scripts of what it was trained on: English, whose words tell a little of Spanish, but nothing of Chinese."""
_MINILM_DIMENSION = 384
_MINILM_FINGERPRINT = f"all-MiniLM-L6-v2@{MINILM_SHA256[:16]}#{_MINILM_DIMENSION}"


class MiniLMEmbedder(CachedEmbedder):
    """The packaged all-MiniLM-L6-v2 in numpy, on the CPU: ready in a fraction of a second, without torch.

    Its vectors are those of :class:`SentenceTransformerEmbedder` up to float32 rounding, so both share one
    fingerprint.
    """

    concurrent = True

    def __init__(self, *, batch_size: int = 32, cache_size: int = 4096) -> None:
        self._workers = min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
        super().__init__(batch_size=batch_size * self._workers, cache_size=cache_size)
        self.scripts = MINILM_SCRIPTS
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
        with self._model_lock:
            if self._model is None:
                verify_minilm(self._path)
                self._model = MiniLM(self._path)
            return self._model


@dataclass(frozen=True, slots=True)
class Located:
    """An encoder on disk. The packaged one is known by its constants; of another, name and weights are looked up."""

    path: Path
    packaged: bool
    label: str

    @property
    def scripts(self) -> Collection[str] | None:
        """Which scripts it is for; of another than the packaged one nobody knows."""
        return MINILM_SCRIPTS if self.packaged else None

    def weights(self) -> str:
        """The sha256 of the weights; the packaged one's is a constant, and checked where the file is loaded."""
        return MINILM_SHA256 if self.packaged else weights_sha256(self.path)

    def fingerprint(self, dimension: int, variant: str = "") -> str:
        """Name, sha256 of the weights, dimension; ``variant`` marks vectors that others must not be compared with."""
        return f"{self.label}@{self.weights()[:16]}{variant}#{dimension}"

    def verify(self) -> None:
        """Raise if the packaged weights are not the published ones."""
        if self.packaged:
            verify_minilm(self.path)


def located(name_or_path: str | Path | None, *, allow_download: bool = False) -> Located:
    """The model of this name or path; ``None`` and the names of MiniLM mean the packaged one."""
    if name_or_path is None or str(name_or_path) in MINILM_NAMES:
        return Located(packaged_minilm(), True, "all-MiniLM-L6-v2")
    path = locate_embedder(name_or_path, allow_download=allow_download)
    return Located(path, False, Path(name_or_path).name)


class OnnxEmbedder(CachedEmbedder):
    """A BERT-like sentence-transformers model on ONNX Runtime, on the CPU, without torch.

    In fp32 the vectors are those of :class:`SentenceTransformerEmbedder` up to rounding, and so is the fingerprint. With
    int8 weights (symmetric, one scale per output; activations quantised per text) they are others, of cosine about 0.99:
    the fingerprint ends in ``+int8``, and the two never meet in one store. Faster (4.4 times
    sentence-transformers at one text, 2.5 in fp32), at .838 instead of .839 of recall@10 on LoCoMo (``benchmarks/embedding.py``);
    but never chosen unasked.

    Args:
        name_or_path: as for :class:`SentenceTransformerEmbedder`.
        threads: for one computation; ``None`` takes ``$OMP_NUM_THREADS``, else up to four processors.
        batch_size: texts per call; they are sorted by length, and run in parts of similar token counts.
        cache: where the built graph is kept; ``None`` is ``$AGENTMEM_CACHE_DIR`` or the platform's place for caches.
    """

    concurrent = True

    def __init__(
        self,
        name_or_path: str | Path | None = None,
        *,
        precision: Precision = "fp32",
        threads: int | None = None,
        batch_size: int = 256,
        cache_size: int = 4096,
        allow_download: bool = False,
        cache: Path | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, cache_size=cache_size)
        if precision not in ("fp32", "int8"):
            raise InvalidArgument(f"precision is {precision!r}.", hint='use "fp32" or "int8".')
        self.precision = precision
        self.threads = thread_count(threads)
        self._source = located(name_or_path, allow_download=allow_download)
        shape = encoder_shape(self._source.path)
        if isinstance(shape, Unsupported):
            raise EmbedderError(
                f"{self._source.path} cannot run on ONNX Runtime: {shape.reason}.",
                hint='load it with torch: make_embedder(path, backend="torch").',
            )
        self._shape = shape
        self.scripts = self._source.scripts
        self._cache_directory = cache
        self._model: OnnxEncoder | None = None

    def _begin_anew(self) -> None:
        """In a forked child: the threads of the runtime stayed with the parent, so the model is loaded once more."""
        super()._begin_anew()
        if (inherited := getattr(self, "_model", None)) is not None:
            leave(inherited)
            self._model = None

    @property
    def dimension(self) -> int:
        return self._shape.width

    @property
    def fingerprint(self) -> str:
        return self._source.fingerprint(self.dimension, "+int8" if self.precision == "int8" else "")

    def _encode(self, texts: Sequence[str]) -> Vectors:
        return self._loaded().encode(texts)

    def _loaded(self) -> OnnxEncoder:
        with self._model_lock:
            if self._model is None:
                from agentmem.embedding.onnx_encoder import OnnxEncoder

                self._model = OnnxEncoder(
                    self._source.path,
                    self._shape,
                    weights=self._source.weights(),
                    precision=self.precision,
                    threads=self.threads,
                    cache=self._cache_directory,
                )
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
        self._source = located(name_or_path, allow_download=allow_download)
        self.scripts = self._source.scripts
        self._model: Any = None
        self._stranded = ""

    def _begin_anew(self) -> None:
        super()._begin_anew()
        if (inherited := getattr(self, "_model", None)) is not None:
            self._stranded = stranded(inherited)

    @property
    def dimension(self) -> int:
        if self._source.packaged:
            return _MINILM_DIMENSION
        return int(self._loaded().get_embedding_dimension())

    @property
    def fingerprint(self) -> str:
        """Name, sha256 of the weights, dimension. The packaged model's is known; its file is checked on loading."""
        return self._source.fingerprint(self.dimension)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        if self._stranded:
            raise EmbedderError(
                self._stranded, hint="open the memory in the child, or start it with multiprocessing's 'spawn'."
            )
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
                self._source.verify()
                self._model = _load_sentence_transformer(self._source.path, self.device)
            return self._model


def _load_sentence_transformer(path: Path, device: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra(
            "sentence-transformers cannot be imported.", hint="pip install sentence-transformers"
        ) from error
    from agentmem.runtime.quiet import quiet

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


def _even_parts(texts: Sequence[str], size: int) -> list[list[str]]:
    """Texts, longest first, in parts of up to ``size``; none is padded to much more than twice its length."""
    parts: list[list[str]] = []
    for text in texts:
        if not parts or len(parts[-1]) == size or 2 * len(text) + 32 < len(parts[-1][0]):
            parts.append([])
        parts[-1].append(text)
    return parts
