"""A small learned reader of two texts: a cross-encoder (Devlin et al. 2019; Nogueira & Cho 2019) on the packaged MiniLM.

What is shipped is what training added to the weights of its layers, of low rank (as in Hu et al. 2022), and a head on the states of both
texts: a few megabytes beside the published weights, which are checked by their sha256. On ONNX Runtime with int8 weights where that is
installed, which takes a third of the time, else in numpy; without torch.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from agentmem.embedding.pair_tokens import PairTokens
from agentmem.embedding.weights_files import file_sha256, packaged_minilm, verify_minilm
from agentmem.errors import EmbedderError
from agentmem.runtime.forks import at_fork

if TYPE_CHECKING:
    import numpy.typing as npt

    from agentmem.embedding.minilm import MiniLM
    from agentmem.embedding.onnx_pairs import OnnxPairs

    Array = npt.NDArray[np.float32]

__all__ = ["MOST_TOKENS", "Backend", "PairReader", "packaged_reader"]

Backend = Literal["auto", "onnx", "numpy"]

MOST_TOKENS: Final = 128
"""Of both texts together: what is longer was not trained on."""
TOGETHER: Final = 8


def packaged_reader(name: str) -> Path:
    """The weights of a reader that comes with agentmem."""
    return Path(__file__).parent.parent / "data" / name / f"{name}.safetensors"


class PairReader:
    """Reads pairs of texts; loaded at the first of them.

    Args:
        path: a file of weights.
        instead: what to do without them where they cannot be read.
        backend: what computes: "onnx", "numpy", or "auto", the first where it is installed.

    Raises:
        MissingExtra: the packaged MiniLM is not installed.
        EmbedderError: there is no such file; or, at the first reading, it is damaged, or the packaged MiniLM is not the published one.
    """

    def __init__(self, path: Path, instead: str, backend: Backend = "auto") -> None:
        self._path, self._base, self._backend = path, packaged_minilm(), backend
        self._cure = f"reinstall agentmem-toolkit, whose wheel has it, or {instead}."
        if not path.is_file():
            raise EmbedderError(f"There are no weights at {path}.", hint=self._cure)
        self._begin_anew()
        at_fork(self._begin_anew)
        self._loaded: _Loaded | None = None

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()

    @property
    def about(self) -> Mapping[str, Any]:
        """What training says of the weights: thresholds, names."""
        return self._model().about

    def between(self, pairs: Sequence[tuple[str, str]]) -> Array:
        """Of each pair the probabilities of what the head tells apart, shape (pairs, labels); eight pairs of about one length are read at once."""
        if not pairs:
            return np.zeros((0, 0), dtype=np.float32)
        found: dict[int, Array] = {}
        order = sorted(range(len(pairs)), key=lambda place: sum(map(len, pairs[place])))
        for start in range(0, len(order), TOGETHER):
            places = order[start : start + TOGETHER]
            found.update(zip(places, self._model().read([pairs[place] for place in places]), strict=True))
        return np.stack([found[place] for place in range(len(pairs))])

    def _model(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _Loaded(self._path, self._base, self._cure, self._backend)
            return self._loaded


class _Loaded:
    """The weights of MiniLM with what training added, the head, and what was measured."""

    def __init__(self, path: Path, base: Path, cure: str, backend: Backend) -> None:
        tensors, self.about = _read(path, cure)
        published = verify_minilm(base)
        if backend == "onnx" or (backend == "auto" and find_spec("onnxruntime") is not None):
            self._encoder: MiniLM | OnnxPairs = _onnx(base, tensors, f"{published} {file_sha256(path)}")
        else:
            self._encoder = _numpy(base, tensors)
        self._tokens = PairTokens(base, MOST_TOKENS, tells_unknown=bool(self.about.get("tells_unknown")))
        self._weight, self._bias = tensors["head.weight"], tensors["head.bias"]
        self._sharpness = np.float32(self.about["sharpness"])

    def read(self, pairs: Sequence[tuple[str, str]]) -> Array:
        tokens = self._tokens.of(pairs)
        states = self._encoder.states(*tokens)
        before, later = (_mean(states, tokens.real & (tokens.types == side)) for side in (0, 1))
        features = np.concatenate([states[:, 0], before, later, np.abs(before - later), before * later], axis=1)
        logits = (features @ self._weight.T + self._bias) * self._sharpness
        logits = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances: Array = logits / logits.sum(axis=1, keepdims=True)
        return chances


def _onnx(base: Path, tensors: Mapping[str, Array], made_of: str) -> OnnxPairs:
    from agentmem.embedding.onnx_pairs import OnnxPairs

    return OnnxPairs(base, lambda: _changes(tensors), made_of, precision="int8")


def _numpy(base: Path, tensors: Mapping[str, Array]) -> MiniLM:
    from agentmem.embedding.minilm import MiniLM

    return MiniLM(base, _changes(tensors), max_tokens=MOST_TOKENS)


def _mean(states: Array, mask: npt.NDArray[np.bool_]) -> Array:
    weights = mask.astype(np.float32)
    mean: Array = np.einsum("btd,bt->bd", states, weights) / np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return mean


def _read(path: Path, cure: str) -> tuple[dict[str, Array], Mapping[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            about = json.loads(file.metadata()["agentmem"])
            return {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}, about  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise EmbedderError(
            f"The weights in {path} cannot be read: {error}",
            hint=cure,
        ) from error


def _changes(tensors: Mapping[str, Array]) -> dict[str, Array]:
    """What is added to the base: plain for biases and norms, as a product (out, rank) x (rank, in) for matrices."""
    plain = {
        name: tensor for name, tensor in tensors.items() if not name.endswith((".up", ".down")) and "head" not in name
    }
    products = {
        name.removesuffix(".up"): tensor @ tensors[name.removesuffix("up") + "down"]
        for name, tensor in tensors.items()
        if name.endswith(".up")
    }
    return plain | products
