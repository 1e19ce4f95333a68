"""MiniLM in torch, to be trained as a reader of two statements: its weights are those of the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from agentmem.embedding.pair_tokens import PairTokens
from agentmem.embedding.relation_model import MOST_TOKENS, RELATIONS
from agentmem.embedding.weights_files import packaged_minilm, verify_minilm

__all__ = ["Reader"]

WIDTH, HEADS, LAYERS, DROPOUT = 384, 12, 6, 0.1


class _Layer(nn.Module):
    """One BERT layer (Devlin et al. 2019), with the names of Hugging Face's BertModel."""

    def __init__(self, weights: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out, self.inner, self.outer = (
            _linear(weights, f"{name}.{part}") for part in DENSE
        )
        self.norm1, self.norm2 = (_norm(weights, f"{name}.{part}.LayerNorm") for part in ("attention.output", "output"))

    def forward(self, states: Tensor, real: Tensor) -> Tensor:
        batch, length, _ = states.shape
        query, key, value = (
            part(states).view(batch, length, HEADS, -1).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        dropout = DROPOUT if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=real, dropout_p=dropout)
        mixed = self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        states = self.norm1(states + functional.dropout(mixed, dropout))
        return self.norm2(states + functional.dropout(self.outer(functional.gelu(self.inner(states))), dropout))


DENSE = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


class Reader(nn.Module):
    """Two texts in, one logit per label out; the embeddings stay as they are."""

    def __init__(self, labels: Sequence[str] = RELATIONS, *, tells_unknown: bool = False) -> None:
        super().__init__()
        self.labels = tuple(labels)
        path = packaged_minilm()
        verify_minilm(path)
        self.base = load_file(str(path / "model.safetensors"))
        self.layers = nn.ModuleList([_Layer(self.base, f"encoder.layer.{i}") for i in range(LAYERS)])
        self.head = nn.Linear(5 * WIDTH, len(self.labels))
        self.head.weight.data *= 0.1
        self.tokens = PairTokens(path, MOST_TOKENS, tells_unknown=tells_unknown)

    def forward(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """Logits, shape (pairs, labels)."""
        ids, real, types = map(torch.from_numpy, self.tokens.of(pairs))
        states = self._embedded(ids, types)
        for layer in self.layers:
            states = layer(states, real[:, None, None])
        sides = [((types == side) & real)[..., None].to(states.dtype) for side in (0, 1)]
        before, later = ((states * side).sum(1) / side.sum(1) for side in sides)
        read = torch.cat([states[:, 0], before, later, (before - later).abs(), before * later], 1)
        return self.head(functional.dropout(read.float(), DROPOUT if self.training else 0.0))

    def _embedded(self, ids: Tensor, types: Tensor) -> Tensor:
        name = "embeddings.{}_embeddings.weight"
        word, position, kind = (self.base[name.format(part)] for part in ("word", "position", "token_type"))
        norm = (self.base[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias"))
        return functional.layer_norm(word[ids] + position[: ids.shape[1]] + kind[types], (WIDTH,), *norm, 1e-12)

    def take(self, kept: Mapping[str, Tensor]) -> None:
        """Become what was shipped: the packaged weights with what training added, and the head."""
        named = self.named_weights()
        with torch.no_grad():
            for name, weight in named.items():
                up, plain = kept.get(f"{name}.up"), kept.get(name)
                added = up @ kept[f"{name}.down"] if up is not None else plain
                weight.copy_(self.base[name] + (added if added is not None else 0))
            self.head.weight.copy_(kept["head.weight"])
            self.head.bias.copy_(kept["head.bias"])

    def go_on_from(self, file: Path) -> None:
        """Become a reader that was trained here, or one that ships."""
        if file.suffix == ".safetensors":
            self.take({name: tensor.float() for name, tensor in load_file(str(file)).items()})
        else:
            self.load_state_dict(torch.load(file, weights_only=True))

    def named_weights(self) -> dict[str, Tensor]:
        """The layers' weights, by their names in BertModel."""
        found: dict[str, Tensor] = {}
        for number, layer in enumerate(self.layers):
            dense = (layer.query, layer.key, layer.value, layer.out, layer.inner, layer.outer)
            norms = {"attention.output.LayerNorm": layer.norm1, "output.LayerNorm": layer.norm2}
            for part, module in (*zip(DENSE, dense, strict=True), *norms.items()):
                found[f"encoder.layer.{number}.{part}.weight"] = module.weight.detach()
                found[f"encoder.layer.{number}.{part}.bias"] = module.bias.detach()
        return found


def _linear(weights: Mapping[str, Tensor], name: str) -> nn.Linear:
    weight = weights[f"{name}.weight"]
    return _filled(nn.Linear(weight.shape[1], weight.shape[0]), weights, name)


def _norm(weights: Mapping[str, Tensor], name: str) -> nn.LayerNorm:
    return _filled(nn.LayerNorm(WIDTH, eps=1e-12), weights, name)


def _filled(module: Any, weights: Mapping[str, Tensor], name: str) -> Any:
    module.weight.data, module.bias.data = weights[f"{name}.weight"].clone(), weights[f"{name}.bias"].clone()
    return module
