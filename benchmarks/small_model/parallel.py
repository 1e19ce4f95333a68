"""Gradients of one batch, computed piece by piece and optionally shared with a second process.

The helper process runs at low priority and takes pieces as fast as it can, so that a busy machine slows training down
no more than a single process would be, and an idle core is not wasted.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
import torch.multiprocessing as mp
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.small_model.guidance import LESSONS, WEIGHTS, lesson_losses, listening

if TYPE_CHECKING:
    from benchmarks.small_model.rows import Batch

__all__ = ["GradientPool", "piece_loss"]

_PIECE_TOKENS = 768


def piece_loss(model: LlamaForCausalLM, piece: Batch, total_weight: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weighted cross-entropy of a piece, divided by the weight of the whole batch, and the sums of its lessons."""
    weights = piece.weights[:, 1:]
    chosen = weights > 0
    mask = piece.mask()
    # Weights, their gradients and the loss stay in single precision; products are formed in half.
    with torch.autocast("cpu", dtype=torch.bfloat16), listening(model) as heard:
        hidden = model.model(
            input_ids=piece.tokens, attention_mask=mask, position_ids=piece.positions, use_cache=False
        ).last_hidden_state
        # Only positions that count reach the output layer.
        logits = model.lm_head(hidden[:, :-1][chosen])
        lessons = lesson_losses(model, heard, piece.guides, mask, piece.positions)
    losses = torch.nn.functional.cross_entropy(logits.float(), piece.tokens[:, 1:][chosen], reduction="none")
    return (losses * weights[chosen]).sum() / total_weight, lessons


def _work_through(model: LlamaForCausalLM, batch: Batch, counter: Any) -> torch.Tensor:
    """Take pieces from the shared counter until none is left; return the summed loss and those of the lessons."""
    rows, length = batch.tokens.shape
    size = max(1, _PIECE_TOKENS // length)
    total_weight = float(batch.weights[:, 1:].sum())
    shares = torch.tensor(WEIGHTS) / batch.guides.counts()
    summed = torch.zeros(1 + LESSONS)
    while True:
        with counter.get_lock():
            start = counter.value
            counter.value += size
        if start >= rows:
            return summed
        loss, lessons = piece_loss(model, batch.part(start, start + size), total_weight)
        (loss + (lessons * shares).sum()).backward()
        summed += torch.cat([loss.detach()[None], lessons.detach()])


def _helper(config: LlamaConfig, weights: dict[str, torch.Tensor], pipe: Any, counter: Any, niceness: int) -> None:
    os.nice(niceness)
    torch.set_num_threads(1)
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        parameter.data = weights[name]
        parameter.grad = weights[f"gradient of {name}"]
    while (batch := pipe.recv()) is not None:
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.grad.zero_()
        pipe.send(_work_through(model, batch, counter))


class GradientPool:
    """Computes gradients in this process and, if wanted, in a helper process on shared weights."""

    def __init__(self, model: LlamaForCausalLM, niceness: int | None) -> None:
        """Start the helper with ``niceness``; None works alone."""
        self._model = model
        context = mp.get_context("spawn")
        self._counter = context.Value("l", 0)
        self._pipe: Any = None
        if niceness is None:
            return
        model.share_memory()
        shared = dict(model.named_parameters())
        weights = {name: parameter.data for name, parameter in shared.items()}
        self._gradients = {name: torch.zeros_like(p.data).share_memory_() for name, p in shared.items()}
        weights.update({f"gradient of {name}": gradient for name, gradient in self._gradients.items()})
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_helper, args=(model.config, weights, other, self._counter, niceness), daemon=True
        )
        self._process.start()

    def backward(self, batch: Batch) -> tuple[float, torch.Tensor]:
        """Leave the gradient of ``batch`` in the parameters; return its loss, and the mean loss of each lesson."""
        self._model.zero_grad(set_to_none=True)
        self._counter.value = 0
        if self._pipe is not None:
            self._pipe.send(batch)
        losses = _work_through(self._model, batch, self._counter)
        if self._pipe is not None:
            losses += self._pipe.recv()
            for name, parameter in self._model.named_parameters():
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                parameter.grad.add_(self._gradients[name])
        return float(losses[0]), losses[1:] / batch.guides.counts()

    def close(self) -> None:
        """Stop the helper process."""
        if self._pipe is not None:
            self._pipe.send(None)
            self._process.join()
