"""Training low-rank matrices beside a frozen model, through hooks; its parameters get no gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from agentmem.editors.gradients import gradients
from agentmem.editors.hooks import own_forward
from agentmem.editors.lora.config import LoraConfig
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Rendered
from agentmem.editors.structure import first_tensor, in_eval_mode

__all__ = ["Trained", "train"]

_TRAINING: ContextVar[object | None] = ContextVar("agentmem_lora_training", default=None)

Factors = dict[int, tuple[Tensor, Tensor]]
"""By layer: down [rank, d_key] and up [d_model, rank]."""


@dataclass(frozen=True, eq=False)
class Trained:
    """An adapter, and for each row whether its whole target leads, its loss per token in nats, and the steps taken."""

    factors: Factors
    said: list[bool]
    losses: list[float]
    steps: int


def train(
    port: ModelPort,
    sites: Mapping[int, nn.Module],
    rows: Sequence[Rendered],
    config: LoraConfig,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train an adapter on all rows together (LoRA, Hu et al. 2022, eq. 3): Δ = alpha / rank · up · down.

    The same rows in the same order give the same adapter on the same machine.

    Args:
        sites: by layer, the projection to add to.
        rows: prompts with their targets, the stop token included.
        progress: called with (epochs done, epochs at most).
    """
    generator = torch.Generator().manual_seed(config.seed)
    factors = _first(port, sites, config, generator)
    parameters = [tensor for pair in factors.values() for tensor in pair]
    optimiser = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    steps = 0
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        in_eval_mode(port.model),
        _hooked(sites, factors, config),
    ):
        for epoch in range(config.epochs):
            learnt = True
            for chosen in torch.randperm(len(rows), generator=generator).split(config.batch):
                nll, lead = _losses(port, [rows[i] for i in chosen.tolist()])
                learnt &= bool((lead > 1.0).all())
                for parameter, gradient in zip(parameters, gradients(nll.mean(), parameters), strict=True):
                    parameter.grad = gradient
                optimiser.step()
                steps += 1
            if progress is not None:
                progress(epoch + 1, config.epochs)
            if learnt:
                break
        said: list[bool] = []
        losses: list[float] = []
        with torch.no_grad():
            for start in range(0, len(rows), config.batch):
                nll, lead = _losses(port, rows[start : start + config.batch])
                said += (lead > 0).tolist()
                losses += nll.tolist()
    done = {layer: (down.detach().cpu(), up.detach().cpu()) for layer, (down, up) in factors.items()}
    return Trained(done, said, losses, steps)


def _first(port: ModelPort, sites: Mapping[int, nn.Module], config: LoraConfig, generator: torch.Generator) -> Factors:
    """``down`` at random, ``up`` zero: the adapter begins as nothing."""
    wide, narrow = port.structure.d_key, port.structure.d_model
    factors: Factors = {}
    for layer in sorted(sites):
        down = torch.randn(config.rank, wide, generator=generator) / wide**0.5
        up = torch.zeros(narrow, config.rank)
        factors[layer] = (
            down.to(port.device).requires_grad_(),
            up.to(port.device).requires_grad_(),
        )
    return factors


@contextmanager
def _hooked(sites: Mapping[int, nn.Module], factors: Factors, config: LoraConfig) -> Iterator[None]:
    """The adapter acts in this context's forwards alone."""
    scale, mark = config.alpha / config.rank, object()

    def add(layer: int, _module: nn.Module, args: Any, output: Any) -> Any:
        if _TRAINING.get() is not mark:
            return None
        x, y = cast("Tensor", first_tensor(args)), cast("Tensor", output)
        down, up = (factor.to(x.device) for factor in factors[layer])
        return (y.to(up.dtype) + scale * (x.to(down.dtype) @ down.T) @ up.T).to(y.dtype)

    token = _TRAINING.set(mark)
    handles = [module.register_forward_hook(partial(add, layer)) for layer, module in sites.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        _TRAINING.reset(token)


def _losses(port: ModelPort, rows: Sequence[Rendered]) -> tuple[Tensor, Tensor]:
    """[n] negative log-likelihood per target token, and the least lead of a target token over every other."""
    width, device = max(len(r.prompt) + len(r.labels) for r in rows) - 1, port.device
    port.need_room(width)
    texts = [(*r.prompt, *r.labels) for r in rows]
    ids = torch.tensor([t[:-1] + (t[0],) * (width - len(t) + 1) for t in texts], device=device)
    mask = torch.tensor([(1,) * (len(t) - 1) + (0,) * (width - len(t) + 1) for t in texts], device=device)
    wanted = torch.tensor([t[1:] + (0,) * (width - len(t) + 1) for t in texts], device=device)
    position = torch.arange(width, device=device)[None]
    starts = torch.tensor([len(r.prompt) - 1 for r in rows], device=device)[:, None]
    asked = (position >= starts) & mask.bool()
    with own_forward(), port.differentiable():
        logits = port.model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()
    nll = cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
    own = logits.detach().gather(-1, wanted[..., None]).squeeze(-1)
    others = logits.detach().scatter(-1, wanted[..., None], float("-inf")).amax(-1)
    lead = (own - others).masked_fill(~asked, float("inf")).amin(-1)
    return (nll * asked).sum(-1) / asked.sum(-1), lead
