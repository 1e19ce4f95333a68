"""Caches of generation: what can be branched off, taken in part, and written back, layer by layer.

Attention keeps a key and a value of each token, so a token's rows can be replaced one by one. A recurrent layer (Mamba, gated delta
nets, short convolutions) keeps one state that has read everything, and overwrites it in place: a branch needs a copy of its own,
and what is written back is the state after the last token.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from transformers import cache_utils
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer, StaticLayer

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers.cache_utils import Cache

__all__ = [
    "cache_argument",
    "changed",
    "fresh_copy",
    "grows",
    "has_attention",
    "is_recurrent",
    "keeps_nothing",
    "odd_layers",
    "selected",
    "states",
    "tokens_in",
]

_RECURRENT: tuple[type, ...] = tuple(
    kind for kind in (getattr(cache_utils, "LinearAttentionCacheLayerMixin", None),) if kind is not None
)
_EMPTY: tuple[type, ...] = tuple(kind for kind in (getattr(cache_utils, "DummyLayer", None),) if kind is not None)
_STATES = ("conv_states", "recurrent_states")


def cache_argument(module: nn.Module) -> str:
    """The name under which a model's forward takes its cache: Mamba and its kin call it otherwise than attention does."""
    return "cache_params" if "cache_params" in inspect.signature(module.forward).parameters else "past_key_values"


def is_recurrent(layer: Any) -> bool:
    """Whether a layer of a cache keeps states that have read everything; it may keep keys and values beside them."""
    return isinstance(layer, _RECURRENT)


def has_attention(layer: Any) -> bool:
    """Whether a layer of a cache keeps a key and a value of each token, or of the last ones."""
    return isinstance(layer, DynamicLayer)


def keeps_nothing(layer: Any) -> bool:
    """Whether a layer has a place in a cache and nothing in it, as a feed-forward layer by itself has."""
    return isinstance(layer, _EMPTY)


def grows(layer: Any) -> bool:
    """Whether a layer can be branched: plain or sliding attention that grows, a recurrent layer with or without it, or one that keeps nothing."""
    plain = type(layer) in (DynamicLayer, DynamicSlidingWindowLayer, *_EMPTY)
    return plain or (is_recurrent(layer) and not isinstance(layer, StaticLayer))


def odd_layers(cache: Cache) -> tuple[str, ...]:
    """The names of the kinds of layers that cannot be branched."""
    return tuple(sorted({type(layer).__name__ for layer in cache.layers if not grows(layer)}))


def tokens_in(cache: Cache) -> int | None:
    """How many tokens a cache has read; ``None`` when it has read some and no layer counts them."""
    layers = [layer for layer in cast("list[Any]", cache.layers) if not keeps_nothing(layer)]
    if any(not is_recurrent(layer) or has_attention(layer) for layer in layers) or not layers:
        return int(cache.get_seq_length())
    return None if any(any(layer.has_previous_state.values()) for layer in layers) else 0


def states(layer: Any) -> Iterator[tuple[dict[int, Tensor], int]]:
    """The dictionaries of a recurrent layer, and the numbers of the states that they hold."""
    for name in _STATES:
        held = getattr(layer, name)
        yield from ((held, number) for number, state in held.items() if state is not None)


def fresh_copy(cache: Cache) -> Cache:
    """A cache that shares the tensors but not the bookkeeping: what is appended to it stays its own."""
    twin = copy.copy(cache)
    twin.layers = [_twin(layer) for layer in cache.layers]
    return twin


def _twin(layer: Any) -> Any:
    twin = copy.copy(layer)
    if is_recurrent(layer):
        for name, value in vars(layer).items():
            if isinstance(value, dict):
                setattr(twin, name, dict(value))
        for held, number in states(twin):
            held[number] = held[number].clone()  # they are overwritten in place
    return twin


def changed(caches: Sequence[Cache], change: Callable[[Sequence[Tensor]], Tensor]) -> Cache:
    """One cache of several of the same build: ``change`` makes one tensor of those in the same place."""
    twin = fresh_copy(caches[0])
    for i, layer in enumerate(cast("list[Any]", twin.layers)):
        parts = [cast("Any", cache.layers[i]) for cache in caches]
        if has_attention(layer) and layer.is_initialized:
            layer.keys, layer.values = change([p.keys for p in parts]), change([p.values for p in parts])
        if is_recurrent(layer):
            for name in _STATES:
                held = getattr(layer, name)
                held.update(
                    {n: change([getattr(p, name)[n] for p in parts]) for n, state in held.items() if state is not None}
                )
    return twin


def selected(cache: Cache, rows: Tensor) -> Cache:
    """Some rows of a cache, as a cache of its own."""
    return changed([cache], lambda parts: parts[0][rows.to(parts[0].device)])
