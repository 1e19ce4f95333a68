"""A sentence encoder on ONNX Runtime: built once from the published weights, kept in a cache, loaded in a moment.

The cached file is a projection of the weights: it may be deleted or damaged at any time, is checked by its sha256 before
every use, and is built again when it does not fit. Where no cache can be written, the graph is built in memory.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmem.embedding.encoder_files import EncoderShape
from agentmem.embedding.onnx_graph import GRAPH_VERSION, Precision, encoder_graph
from agentmem.embedding.weights_files import file_sha256
from agentmem.errors import EmbedderError, MissingExtra

if TYPE_CHECKING:
    import numpy.typing as npt

    from agentmem.embedding.onnx_format import Chunks

    Array = npt.NDArray[np.float32]

__all__ = ["BuiltGraph", "OnnxEncoder", "cache_directory", "session_of"]

# Tokens per run, padding included: measured, 256 take 0.8 of the time of 1024 and half that of 4096 (activations stay near
# the core, texts of a run are closer in length).
_RUN_TOKENS = 256
_DIGEST = 32


class OnnxEncoder:
    """Unit vectors from a sentence-transformers directory, without torch.

    Args:
        path: the directory.
        shape: what :func:`agentmem.embedding.encoder_files.encoder_shape` read there.
        weights: the sha256 of its weights file; that of another file is never used under this name.
        threads: for ONNX Runtime.
        cache: where built graphs are kept; by default :func:`cache_directory`.

    Raises:
        EmbedderError: the weights are not those named, or ONNX Runtime refuses the graph.
        MissingExtra: onnxruntime is not installed.
    """

    def __init__(
        self,
        path: Path,
        shape: EncoderShape,
        *,
        weights: str,
        precision: Precision = "fp32",
        threads: int = 1,
        cache: Path | None = None,
    ) -> None:
        self._tokenizer = _tokenizer(path, shape.max_tokens)
        built = BuiltGraph(
            f"encoder-{precision}",
            f"{weights} {shape!r} {precision} {GRAPH_VERSION}",
            lambda: encoder_graph(_verified(path, weights), shape, precision),
        )
        found = built.cached(cache or cache_directory())
        self.file = found if isinstance(found, Path) else None
        """The cached graph; None if it had to be built in memory."""
        self._session = session_of(found, threads)
        self._width = shape.width
        # int8 scales are taken over a whole run: alone, a text has the same vector whatever is embedded with it.
        self._run_tokens = _RUN_TOKENS if precision == "fp32" else 1

    def encode(self, texts: Sequence[str]) -> Array:
        """float32 of shape (texts, width); texts of similar token counts run together."""
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        vectors = np.empty((len(rows), self._width), dtype=np.float32)
        for places in _runs([len(row) for row in rows], self._run_tokens):
            vectors[places] = self._run([rows[place] for place in places])
        return vectors

    def _run(self, rows: Sequence[Sequence[int]]) -> Array:
        lengths = np.array([len(row) for row in rows])
        ids = np.zeros((len(rows), lengths.max()), dtype=np.int32)
        for padded, row in zip(ids, rows, strict=True):
            padded[: len(row)] = row
        mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int32)
        vectors: Array = self._session.run(["vectors"], {"ids": ids, "mask": mask})[0]
        return vectors


class BuiltGraph:
    """One graph, by what it is made of.

    Args:
        name: how its files begin; made_of: what changes whenever the graph would; build: its chunks.
    """

    def __init__(self, name: str, made_of: str, build: Callable[[], Chunks]) -> None:
        self._build = build
        self._name = f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"

    def cached(self, directory: Path) -> Path | bytes:
        """The sound file in ``directory``, built if it is not there; the graph itself if it cannot be written."""
        for file in sorted(directory.glob(f"{self._name}-*.onnx")):
            if self._is_sound(file):
                return file
        chunks = self._build()
        try:
            return self._written(chunks, directory)
        except OSError:  # a full disk or a read-only home; `OnnxEncoder.file` says so
            return b"".join(chunks)

    def _is_sound(self, file: Path) -> bool:
        return file_sha256(file)[:_DIGEST] == file.stem.rpartition("-")[2]

    def _written(self, chunks: Chunks, directory: Path) -> Path:
        """Written beside its place and moved there: a reader sees all of it or nothing."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".building-", delete=False) as draft:
            try:
                for chunk in chunks:
                    digest.update(chunk)
                    draft.write(chunk)
                draft.flush()
                os.fsync(draft.fileno())
                file = directory / f"{self._name}-{digest.hexdigest()[:_DIGEST]}.onnx"
                draft.close()
                Path(draft.name).replace(file)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise
        return file


def _verified(path: Path, weights: str) -> dict[str, Array]:
    from safetensors.numpy import load_file

    weights_file = path / "model.safetensors"
    digest = file_sha256(weights_file)
    if digest != weights:
        raise EmbedderError(
            f"{weights_file} is not the model of this name: its sha256 is {digest}, not {weights}.",
            hint="restore the model's directory, e.g. by reinstalling or downloading it again.",
        )
    return load_file(str(weights_file))


def cache_directory() -> Path:
    """Where built graphs are kept: ``$AGENTMEM_CACHE_DIR``, else the platform's place for caches."""
    if chosen := os.environ.get("AGENTMEM_CACHE_DIR"):
        return Path(chosen).expanduser() / "embedders"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "agentmem" / "embedders"


def _tokenizer(path: Path, max_tokens: int) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    return tokenizer


def session_of(graph: Path | bytes, threads: int) -> Any:
    """ONNX Runtime's session of a graph, on the CPU.

    Raises:
        EmbedderError: ONNX Runtime refuses the graph.
        MissingExtra: onnxruntime is not installed.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError as error:
        raise MissingExtra(
            "onnxruntime cannot be imported.", hint="install the `onnx` extra: pip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The graph is fused already; and threads that wait for the next question must not burn a core.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = str(graph) if isinstance(graph, Path) else graph
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.InvalidArgument, state.NotImplemented) as error:
        raise EmbedderError(
            f"ONNX Runtime {onnxruntime.__version__} refuses the encoder: {error}",
            hint='update onnxruntime, or pass embedder=make_embedder(backend="numpy").',
        ) from error


def _runs(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Places of texts that run together: longest first, padded to one length, up to the budget of tokens."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    start = 0
    while start < len(order):
        count = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + count]
        start += count
