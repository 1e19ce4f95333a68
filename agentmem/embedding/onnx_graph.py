"""A BERT-like sentence encoder as an ONNX graph of ONNX Runtime's fused operators, in fp32 or with int8 weights.

Built from the published weights directly: no exporter, no torch. Inputs ``ids`` and ``mask`` are int32 of shape
(texts, tokens); the output ``vectors`` is float32 of shape (texts, width), each row of norm 1. What reads pairs of texts has a third
input, ``types``, which of the two a token is of, and for its output ``states``, float32 of shape (pairs, tokens, width).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from agentmem.embedding import onnx_format
from agentmem.embedding.encoder_files import EncoderShape
from agentmem.embedding.onnx_format import CONTRIB, FLOAT, INT32, Chunks

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

__all__ = ["GRAPH_VERSION", "Precision", "encoder_graph", "pair_graph", "quantized"]

Precision = Literal["fp32", "int8"]

GRAPH_VERSION = 1
"""Goes up with every change of the graph: a cached file of another version is not used."""

# 7 bits: kernels without VNNI add pairs of products in 16 bits, and 8-bit weights would overflow them.
_STEPS = 64


def encoder_graph(weights: Mapping[str, Array], shape: EncoderShape, precision: Precision) -> Chunks:
    """The chunks of a ``.onnx`` file.

    Args:
        weights: by their names in Hugging Face's BertModel, dense ones of shape (out, in).
    """
    return _Builder(weights, shape, precision).build()


def pair_graph(weights: Mapping[str, Array], shape: EncoderShape, precision: Precision) -> Chunks:
    """The same for an encoder that reads two texts at once, without pooling."""
    return _Builder(weights, shape, precision, pairs=True).build()


def quantized(weight: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """A matrix (in, out) as int8 with one scale per output: symmetric, rounded to nearest."""
    scale = np.abs(weight).max(axis=0) / np.float32(_STEPS)
    scale[scale < np.finfo(np.float32).tiny] = 1  # all zeros, or too small for a scale that is exact
    return np.rint(weight / scale).astype(np.int8), scale


class _Builder:
    def __init__(
        self, weights: Mapping[str, Array], shape: EncoderShape, precision: Precision, *, pairs: bool = False
    ) -> None:
        self._weights = weights
        self._shape = shape
        self._precision = precision
        self._pairs = pairs
        self._nodes: list[Chunks] = []
        self._tensors: list[Chunks] = []

    def build(self) -> Chunks:
        states = self._embeddings()
        for layer in range(self._shape.layers):
            states = self._layer(states, f"encoder.layer.{layer}")
        inputs, width = ["ids", "mask"], self._shape.width
        if self._pairs:
            inputs.append("types")
            self._add("Identity", [states], ["states"])
            output = onnx_format.value("states", FLOAT, ("texts", "tokens", width))
        else:
            self._pooled(states)
            output = onnx_format.value("vectors", FLOAT, ("texts", width))
        given = [onnx_format.value(name, INT32, ("texts", "tokens")) for name in inputs]
        return onnx_format.model(self._nodes, self._tensors, given, [output])

    def _embeddings(self) -> str:
        """Word, position and type are summed and normalised; of one text every token has type 0, so its row joins the positions."""
        table = self._weights["embeddings.position_embeddings.weight"][self._shape.first_position :]
        kinds = self._weights["embeddings.token_type_embeddings.weight"]
        inputs = [
            "ids",
            "types" if self._pairs else "",
            self._put("word", self._weights["embeddings.word_embeddings.weight"]),
            self._put("position", table if self._pairs else table + kinds[0]),
            self._put("kind", kinds) if self._pairs else "",
            self._weight("embeddings.LayerNorm.weight"),
            self._weight("embeddings.LayerNorm.bias"),
        ]
        self._fused("EmbedLayerNormalization", inputs, ["embedded", "lengths"], epsilon=self._shape.epsilon)
        return "embedded"

    def _layer(self, states: str, name: str) -> str:
        mixed = self._linear(self._attention(states, f"{name}.attention"), f"{name}.attention.output.dense")
        middle = self._add_and_norm(mixed, states, f"{name}.attention.output")
        inner = self._linear(middle, f"{name}.intermediate.dense")
        bias = self._weight(f"{name}.intermediate.dense.bias")
        active = self._fused("BiasGelu", [inner, bias], [f"{name}.active"])
        return self._add_and_norm(self._linear(active, f"{name}.output.dense"), middle, f"{name}.output")

    def _attention(self, states: str, name: str) -> str:
        """Multi-head self-attention; padding is masked, not skipped."""
        parts = [f"{name}.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._weights[f"{part}.weight"].T for part in parts], axis=1)
        bias = self._put(f"{name}.bias", np.concatenate([self._weights[f"{part}.bias"] for part in parts]))
        heads = self._shape.heads
        if self._precision == "fp32":
            inputs = [states, self._put(f"{name}.weight", weight), bias, "mask"]
            return self._fused("Attention", inputs, [f"{name}.mixed"], num_heads=heads)
        levels, scale, zero = (f"{name}.{part}" for part in ("levels", "scale", "zero"))
        self._add("DynamicQuantizeLinear", [states], [levels, scale, zero])
        weight_levels, weight_scale, weight_zero = self._quantized(name, weight)
        inputs = [levels, weight_levels, bias, scale, weight_scale, "mask", zero, weight_zero]
        return self._fused("QAttention", inputs, [f"{name}.mixed"], num_heads=heads)

    def _linear(self, states: str, name: str) -> str:
        """The product only: the next operator adds the bias."""
        weight = self._weights[f"{name}.weight"].T
        if self._precision == "fp32":
            return self._add("MatMul", [states, self._put(f"{name}.weight", weight)], [f"{name}.product"])
        inputs = [states, *self._quantized(name, weight)]
        return self._fused("DynamicQuantizeMatMul", inputs, [f"{name}.product"])

    def _add_and_norm(self, states: str, skipped: str, name: str) -> str:
        names = (f"{name}.LayerNorm.weight", f"{name}.LayerNorm.bias", f"{name}.dense.bias")
        inputs = [states, skipped, *(self._weight(name) for name in names)]
        return self._fused("SkipLayerNormalization", inputs, [f"{name}.normed"], epsilon=self._shape.epsilon)

    def _pooled(self, states: str) -> None:
        """The mean over the real tokens needs no division: the norm takes the length out."""
        if self._shape.pooling == "cls":
            first = self._put("first", np.array(0, dtype=np.int64))
            pooled = self._add("Gather", [states, first], ["pooled"], axis=1)
        else:
            axis = self._put("axis", np.array([1], dtype=np.int64))
            real = self._add("Cast", ["mask"], ["real"], to=FLOAT)
            row = self._add("Unsqueeze", [real, axis], ["row"])
            total = self._add("MatMul", [row, states], ["sum"])
            pooled = self._add("Squeeze", [total, axis], ["pooled"])
        self._add("LpNormalization", [pooled], ["vectors"], axis=1, p=2)

    def _quantized(self, name: str, weight: Array) -> tuple[str, str, str]:
        levels, scale = quantized(weight)
        zero = np.zeros(len(scale), dtype=np.int8)
        return (
            self._put(f"{name}.weight.levels", levels),
            self._put(f"{name}.weight.scale", scale),
            self._put(f"{name}.weight.zero", zero),
        )

    def _weight(self, name: str) -> str:
        return self._put(name, self._weights[name])

    def _put(self, name: str, array: npt.NDArray[np.generic]) -> str:
        self._tensors.append(onnx_format.tensor(name, array))
        return name

    def _fused(self, operator: str, inputs: list[str], outputs: list[str], **attributes: float) -> str:
        self._nodes.append(onnx_format.node(operator, inputs, outputs, attributes, CONTRIB))
        return outputs[0]

    def _add(self, operator: str, inputs: list[str], outputs: list[str], **attributes: float) -> str:
        self._nodes.append(onnx_format.node(operator, inputs, outputs, attributes))
        return outputs[0]
