"""What a model's upper layers receive, recorded for a batch of prompts: to replay, to thin out, and to join."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from agentmem.editors.caches import changed

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

__all__ = ["LayerCall", "Prefix", "PromptBatch", "joined", "rows_of"]

Change = Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class PromptBatch:
    """Prompts with their targets, aligned so that every row's last prompt token stands in one column.

    Args:
        prompts: token ids of each prompt, at least one.
        labels: token ids that shall follow, the stop token included.
        room: to how many tokens prompts and labels are padded at least.
    """

    prompts: tuple[tuple[int, ...], ...]
    labels: tuple[tuple[int, ...], ...]
    room: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class LayerCall:
    """One of the upper layers, and what it was called with."""

    layer: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Prefix:
    """What replaying the layers above an edit needs, recorded once without gradients.

    Attributes:
        hidden: [B, W, d_model] residual stream after the value layer, over the window of tokens that can change.
        at: the column of the key position inside the window.
        keys: [B, d_key] raw keys at that position, fp32.
        labels: [B, Y] target ids; ``mask``: [B, Y] True where a label counts (by position, never by id).
        scale: [B] root mean square of the residual stream at the key position.
    """

    hidden: Tensor
    at: int
    keys: Tensor
    labels: Tensor
    mask: Tensor
    scale: Tensor
    layer: int
    calls: tuple[LayerCall, ...] = field(repr=False)
    cache: Cache | None = field(repr=False)
    inputs: dict[str, Any] = field(repr=False)


def rows_of(prefix: Prefix, rows: Tensor) -> Prefix:
    """The same for some rows of the batch, in that order."""
    total = prefix.hidden.shape[0]

    def pick(parts: Sequence[Tensor]) -> Tensor:
        (item,) = parts
        each = _rows_each(item, total)
        if not each:
            return item
        return item.view(total, each, *item.shape[1:])[rows.to(item.device)].flatten(0, 1)

    return _rebuilt([prefix], pick)


def joined(prefixes: Sequence[Prefix]) -> Prefix:
    """Several batches of one shape as a single one, one after the other."""
    total = prefixes[0].hidden.shape[0]

    def put_together(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts)) if _rows_each(parts[0], total) else parts[0]

    return prefixes[0] if len(prefixes) == 1 else _rebuilt(prefixes, put_together)


def _rows_each(item: Tensor, total: int) -> int:
    """How many rows of a tensor that a layer was called with belong to one prompt: none of what all share.

    A floating matrix is a table over positions (rotary angles); a bias for each head has as many rows as there are heads.
    """
    shaped = item.dim() > 2 or (item.dim() == 2 and not item.is_floating_point())
    whole = total > 1 and item.shape[:1].numel() % total == 0 and (item.dim() > 2 or item.shape[0] == total)
    return item.shape[0] // total if shaped and whole else 0


def _rebuilt(prefixes: Sequence[Prefix], change: Change) -> Prefix:
    """One prefix of several alike: ``change`` makes one tensor of those that stand in the same place."""
    first, total = prefixes[0], prefixes[0].hidden.shape[0]
    calls = tuple(
        LayerCall(
            call.layer,
            _walked([prefix.calls[i].args for prefix in prefixes], change),
            _walked([prefix.calls[i].kwargs for prefix in prefixes], change),
        )
        for i, call in enumerate(first.calls)
    )
    names = ("hidden", "keys", "labels", "mask")
    tensors: dict[str, Any] = {name: change([getattr(prefix, name) for prefix in prefixes]) for name in names}
    scale = change([prefix.scale.view(total, 1, 1) for prefix in prefixes]).view(-1)
    caches = [prefix.cache for prefix in prefixes if prefix.cache is not None]
    return replace(
        first, calls=calls, cache=changed(caches, change) if caches else None, scale=scale,
        inputs=_walked([prefix.inputs for prefix in prefixes], change), **tensors,
    )  # fmt: skip


def _walked(items: Sequence[Any], change: Change) -> Any:
    """The tensors in nested arguments changed, everything else as the first has it."""
    first = items[0]
    if isinstance(first, Tensor):
        return change(items)
    if isinstance(first, (tuple, list)):
        return type(first)(_walked(parts, change) for parts in zip(*items, strict=True))
    if isinstance(first, dict):
        return {name: _walked([item[name] for item in items], change) for name in first}
    return first
