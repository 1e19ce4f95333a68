"""The feed-forward output projections of a model: reading what enters them, adding to what leaves them.

Nothing is assumed of a projection but that it is a module from [.., d_key] to [.., d_model]: nn.Linear, GPT-2's
Conv1D, quantised and adapter-wrapped ones work alike, and their parameters are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from agentmem.editors.hooks import own_forward
from agentmem.editors.port import ModelPort
from agentmem.editors.structure import first_tensor, in_eval_mode, projections
from agentmem.errors import ModelError

__all__ = ["LayerReading", "read", "require_additive"]


@dataclass(frozen=True)
class LayerReading:
    """What one forward over some prompts showed.

    Attributes:
        keys: by layer, [B, W, d_key] what entered the projection, in the model's dtype.
        hidden: [B, W, d_model] the residual stream after the layer asked for, or ``None``.
    """

    keys: Mapping[int, Tensor]
    hidden: Tensor | None


@dataclass
class _Collector:
    batch: int
    columns: Tensor
    adding: Mapping[int, Tensor]
    keys: dict[int, Tensor] = field(default_factory=dict)
    hidden: Tensor | None = None


_COLLECTOR: ContextVar[_Collector | None] = ContextVar("agentmem_ffn_collector", default=None)


def read(
    port: ModelPort,
    rows: Sequence[Sequence[int]],
    layers: Sequence[int],
    *,
    hidden_after: int | None = None,
    adding: Mapping[int, Tensor] | None = None,
    columns: Sequence[int] | None = None,
) -> LayerReading:
    """Run the backbone of the bare model over prompts, padded on the right, and keep what passed.

    Args:
        rows: token ids of each prompt.
        layers: whose projections to watch.
        hidden_after: also keep the residual stream after this layer.
        adding: by layer, [d_model] fp32 added to the projection's output at each row's ``columns``.
        columns: one token position per row.
    """
    width, device = max(map(len, rows)), port.device
    port.need_room(width)
    ids = torch.tensor([tuple(row) + (row[-1],) * (width - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    mask = (torch.arange(width, device=device) < lengths[:, None]).long()
    at = torch.tensor([0] * len(rows) if columns is None else list(columns), device=device)
    collector = _Collector(len(rows), at, adding or {})
    with _watching(port, {*layers, *(adding or {})}, hidden_after, collector), own_forward():
        port.structure.backbone(input_ids=ids, attention_mask=mask, use_cache=False)
    return LayerReading(collector.keys, collector.hidden)


@contextmanager
def _watching(port: ModelPort, layers: set[int], hidden_after: int | None, collector: _Collector) -> Iterator[None]:
    modules = projections(port.structure)
    token = _COLLECTOR.set(collector)
    handles = [modules[i].register_forward_hook(partial(_pass, collector, i)) for i in sorted(layers)]
    if hidden_after is not None:
        handles.append(port.structure.layers[hidden_after].register_forward_hook(partial(_keep, collector)))
    try:
        with torch.inference_mode(False), torch.no_grad(), in_eval_mode(port.model):
            yield
    finally:
        for handle in handles:
            handle.remove()
        _COLLECTOR.reset(token)


def _pass(collector: _Collector, layer: int, _module: nn.Module, args: Any, output: Any) -> Any:
    if _COLLECTOR.get() is not collector:
        return None
    entered = cast("Tensor", first_tensor(args))
    collector.keys[layer] = entered.detach().reshape(collector.batch, -1, entered.shape[-1])
    extra = collector.adding.get(layer)
    if extra is None:
        return None
    rows = torch.arange(collector.batch, device=output.device)
    shaped = output.reshape(collector.batch, -1, output.shape[-1]).clone()
    columns = collector.columns.to(output.device)
    shaped[rows, columns] = (shaped[rows, columns].float() + extra.to(output.device)).to(output.dtype)
    return shaped.reshape(output.shape)


def _keep(collector: _Collector, _module: nn.Module, _args: Any, output: Any) -> None:
    if _COLLECTOR.get() is collector:
        collector.hidden = cast("Tensor", first_tensor(output)).detach()


def require_additive(port: ModelPort, layer: int) -> None:
    """Make sure that what is added to a projection's output reaches the residual stream as it is.

    Raises:
        ModelError: this architecture scales or normalises it first (Gemma 2, OLMo 2, Granite), so that a value
            found in the residual stream is not what the projection has to give.
    """
    ids, width = (1, 2, 3), port.structure.d_model
    extra = torch.linspace(-1, 1, width)
    plain = read(port, [ids], [layer], hidden_after=layer).hidden
    moved = read(port, [ids], [layer], hidden_after=layer, adding={layer: extra}, columns=[1]).hidden
    assert plain is not None
    assert moved is not None
    gap = (moved[0, 1].float() - plain[0, 1].float()).cpu() - extra
    scale = float(plain[0, 1].float().abs().max()) + 1.0
    if float(gap.abs().max()) > 0.02 * scale:
        raise ModelError(
            "This model changes the feed-forward output before it joins the residual stream.",
            hint='locate-and-edit methods do not fit it; use make_editor("grace", …).',
        )
