"""all-MiniLM-L6-v2 in numpy: the same vectors as sentence-transformers, ready in a fraction of a second.

Importing torch and sentence-transformers takes seconds, embedding one question takes milliseconds. The model is six
small BERT layers (Devlin et al. 2019; Wang et al. 2020), mean pooling and a norm: little enough to write down.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agentmem.embedding.weights_files import changed_weights
from agentmem.errors import EmbedderError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

__all__ = ["MiniLM", "padded"]

_MAX_TOKENS = 256
_FAR = np.float32(-1e9)
_BLOCK = 32
_MINUS_HALF = np.float32(-0.5)
_ERFC_SLOPE = np.float32(0.3275911 / np.sqrt(2))
_ERFC = tuple(np.float32(c / 2) for c in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))


class MiniLM:
    """A BERT sentence encoder with mean pooling, read from a sentence-transformers directory.

    Args:
        path: holds ``config.json``, ``tokenizer.json`` and ``model.safetensors``.
        changes: what is added to weights of these names, dense ones of shape (out, in).
        max_tokens: tokens read of a text, or of a pair.
    """

    def __init__(
        self, path: Path, changes: Mapping[str, Array] | None = None, *, max_tokens: int = _MAX_TOKENS
    ) -> None:
        from tokenizers import Tokenizer

        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise EmbedderError(
                f"{path} holds no BERT encoder with GELU.",
                hint="load it with SentenceTransformerEmbedder(path).",
            )
        self.dimension = int(config["hidden_size"])
        self._heads = int(config["num_attention_heads"])
        self._layers = int(config["num_hidden_layers"])
        self._epsilon = np.float32(config["layer_norm_eps"])
        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()
        self._weights = _transposed(changed_weights(path, changes or {}), self._layers, self.dimension // self._heads)

    def encode(self, texts: Sequence[str]) -> Array:
        """Unit vectors of ``texts``: one padded batch, so give texts of similar length."""
        states, real = self._states(texts)
        sums = np.einsum("btd,bt->bd", states, real.astype(np.float32))
        unit: Array = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return unit

    def tokens(self, texts: Sequence[str]) -> list[Array]:
        """Of each text the unit vectors of its tokens, shape ``(tokens, width)``: what :meth:`encode` takes the mean of."""
        states, real = self._states(texts)
        units = states / np.linalg.norm(states, axis=2, keepdims=True)
        return [rows[mask] for rows, mask in zip(units, real, strict=True)]

    def states(self, ids: npt.NDArray[np.int64], real: npt.NDArray[np.bool_], types: npt.NDArray[np.int64]) -> Array:
        """Of ids, which of them are real, and of which of two texts they are, all of shape (pairs, tokens): states, shape (pairs, tokens, width)."""
        return self._forward(ids, real, types)

    def _states(self, texts: Sequence[str]) -> tuple[Array, npt.NDArray[np.bool_]]:
        ids, real = padded([encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))])
        return self._forward(ids, real, 0), real

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` that the model reads; it stops at 256."""
        return len(self._tokenizer.encode(text).ids)

    def _forward(
        self, ids: npt.NDArray[np.int64], real: npt.NDArray[np.bool_], types: npt.NDArray[np.int64] | int
    ) -> Array:
        weights = self._weights
        batch, length = ids.shape
        embedded = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][:length]
            + weights["embeddings.token_type_embeddings.weight"][types]
        )
        states = self._norm(embedded.reshape(batch * length, -1), "embeddings.LayerNorm")
        mask = None if real.all() else np.where(real, np.float32(0), _FAR)[:, None, None, :]
        for layer in range(self._layers):
            name = f"encoder.layer.{layer}"
            mixed = self._attention(states, name, batch, mask)
            states = self._norm(mixed + states, f"{name}.attention.output.LayerNorm")
            inner = _gelu(self._linear(states, f"{name}.intermediate.dense"))
            states = self._norm(self._linear(inner, f"{name}.output.dense") + states, f"{name}.output.LayerNorm")
        return states.reshape(batch, length, -1)

    def _attention(self, states: Array, name: str, batch: int, mask: Array | None) -> Array:
        """Multi-head self-attention; queries come scaled, see :func:`_transposed`."""
        width = self.dimension // self._heads
        packed = self._linear(states, f"{name}.qkv").reshape(batch, -1, 3, self._heads, width)
        query = np.ascontiguousarray(packed[:, :, 0].swapaxes(1, 2))
        key = np.ascontiguousarray(packed[:, :, 1].transpose(0, 2, 3, 1))
        value = np.ascontiguousarray(packed[:, :, 2].swapaxes(1, 2))
        scores = query @ key
        if mask is not None:
            scores += mask
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        joined = np.matmul(scores, value).swapaxes(1, 2).reshape(states.shape)
        return self._linear(joined, f"{name}.attention.output.dense")

    def _linear(self, states: Array, name: str) -> Array:
        out: Array = states @ self._weights[f"{name}.weight"]
        out += self._weights[f"{name}.bias"]
        return out

    def _norm(self, states: Array, name: str) -> Array:
        states -= states.mean(axis=-1, keepdims=True)
        states /= np.sqrt(np.einsum("nd,nd->n", states, states)[:, None] / states.shape[-1] + self._epsilon)
        states *= self._weights[f"{name}.weight"]
        states += self._weights[f"{name}.bias"]
        return states


def padded(rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Rows of one length, and which of their places are real."""
    lengths = np.array([len(row) for row in rows])
    filled = np.zeros((len(rows), lengths.max()), dtype=np.int64)
    for place, row in zip(filled, rows, strict=True):
        place[: len(row)] = row
    return filled, np.arange(filled.shape[1]) < lengths[:, None]


def _transposed(tensors: Mapping[str, Array], layers: int, head_width: int) -> dict[str, Array]:
    """Dense weights as (in, out); query, key and value as one matrix, the queries divided by sqrt(head width)."""
    weights = {
        name: np.ascontiguousarray(tensor.T) if ".dense.weight" in name else tensor
        for name, tensor in tensors.items()
        if ".self." not in name
    }
    for layer in range(layers):
        name = f"encoder.layer.{layer}.attention.self"
        for part in ("weight", "bias"):
            query, key, value = (tensors[f"{name}.{kind}.{part}"] for kind in ("query", "key", "value"))
            joined = np.concatenate([query / np.float32(np.sqrt(head_width)), key, value])
            weights[f"encoder.layer.{layer}.qkv.{part}"] = np.ascontiguousarray(joined.T)
    return weights


def _gelu(x: Array) -> Array:
    """x·Φ(x) = max(x, 0) - |x|·erfc(|x|/√2)/2, with erfc after Abramowitz & Stegun 7.1.26.

    Its absolute error is below 1.5e-7, the noise of float32. In blocks that stay in the cache: twice as fast.
    """
    out = np.maximum(x, 0)
    for start in range(0, len(x), _BLOCK):
        part = x[start : start + _BLOCK]
        size = np.abs(part)
        t = size * _ERFC_SLOPE
        t += 1
        np.reciprocal(t, out=t)
        tail = t * _ERFC[0]
        for coefficient in _ERFC[1:]:
            tail += coefficient
            tail *= t
        np.multiply(size, size, out=t)
        t *= _MINUS_HALF
        np.exp(t, out=t)
        t *= tail
        t *= size
        out[start : start + _BLOCK] -= t
    return out
