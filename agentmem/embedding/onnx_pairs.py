"""The states of two texts that are read together, on ONNX Runtime: what :meth:`agentmem.embedding.minilm.MiniLM.states` gives, sooner.

The graph is kept in the cache of graphs (:mod:`agentmem.embedding.onnx_encoder`); it is of the published weights with what training added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agentmem.embedding.encoder_files import EncoderShape, encoder_shape
from agentmem.embedding.onnx_encoder import BuiltGraph, cache_directory, session_of
from agentmem.embedding.onnx_graph import GRAPH_VERSION, Precision, pair_graph
from agentmem.embedding.weights_files import changed_weights
from agentmem.errors import EmbedderError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

__all__ = ["OnnxPairs"]


class OnnxPairs:
    """A BERT encoder of pairs.

    Args:
        path: the sentence-transformers directory of the base.
        changes: what is added to weights of these names, dense ones of shape (out, in), asked for where the graph has to be built; made_of: a digest of these and of the base.

    Raises:
        EmbedderError: the directory holds no encoder that this can build, or ONNX Runtime refuses the graph.
        MissingExtra: onnxruntime is not installed.
    """

    def __init__(
        self,
        path: Path,
        changes: Callable[[], Mapping[str, Array]],
        made_of: str,
        *,
        precision: Precision = "fp32",
        threads: int = 1,
        cache: Path | None = None,
    ) -> None:
        shape = encoder_shape(path)
        if not isinstance(shape, EncoderShape):
            raise EmbedderError(
                f"{path} cannot be read as pairs: {shape.reason}.", hint="reinstall the packaged MiniLM."
            )
        self._width, self._precision = shape.width, precision
        built = BuiltGraph(
            f"pairs-{precision}",
            f"{made_of} {shape!r} {precision} {GRAPH_VERSION}",
            lambda: pair_graph(changed_weights(path, changes()), shape, precision),
        )
        self._session = session_of(built.cached(cache or cache_directory()), threads)

    def states(self, ids: npt.NDArray[np.int64], real: npt.NDArray[np.bool_], types: npt.NDArray[np.int64]) -> Array:
        """Of ids, which of them are real, and of which text they are, all of shape (pairs, tokens): states, shape (pairs, tokens, width)."""
        given = {"ids": ids, "mask": real, "types": types}
        inputs = {name: array.astype(np.int32) for name, array in given.items()}
        if self._precision == "fp32":
            return self._run(inputs)
        # int8 scales are taken over a whole run: alone, a pair is read the same whatever is read with it.
        lengths = real.sum(axis=1)
        found = np.zeros((*ids.shape, self._width), dtype=np.float32)
        for place, length in enumerate(lengths.tolist()):
            one = {name: array[place : place + 1, :length] for name, array in inputs.items()}
            found[place, :length] = self._run(one)[0]
        return found

    def _run(self, inputs: Mapping[str, npt.NDArray[np.int32]]) -> Array:
        states: Array = self._session.run(["states"], inputs)[0]
        return states
