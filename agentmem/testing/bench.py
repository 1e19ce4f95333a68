"""What the conformance suite (:mod:`agentmem.testing`) asks of a model: answers, logits, hooks, weights."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from agentmem.editors.prompts import Renderer
from agentmem.llm.placement import device_of
from agentmem.notes.protocols import Editor

__all__ = ["Bench", "PlainModel", "hooks_of", "raising_at", "snapshot"]

_NEW = 12  # tokens: longer than any target of the suite, so that not stopping shows


@dataclass(frozen=True)
class PlainModel:
    """A model and its tokenizer, asked in plain text."""

    model: Any
    tokenizer: Any

    def batch(self, prompts: Sequence[str], side: str = "left") -> dict[str, Tensor]:
        """Rendered prompts as ``input_ids`` and ``attention_mask``, both [B, T]."""
        renderer = Renderer(self.tokenizer)
        rows = [renderer.prompt(prompt) for prompt in prompts]
        width = max(map(len, rows))
        ids, mask = [], []
        for row in rows:
            gap = width - len(row)
            pads, zeros = (self._pad,) * gap, (0,) * gap
            ids.append(pads + row if side == "left" else row + pads)
            mask.append(zeros + (1,) * len(row) if side == "left" else (1,) * len(row) + zeros)
        device = device_of(self.model)
        return {
            "input_ids": torch.tensor(ids, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }

    @property
    def _pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    @torch.no_grad()
    def logits(self, prompts: Sequence[str], side: str = "left") -> Tensor:
        """[B, vocabulary] after the last real token of each prompt."""
        batch = self.batch(prompts, side)
        mask = batch["attention_mask"]
        if "position_ids" in inspect.signature(self.model.forward).parameters:
            batch["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
        out = self.model(**batch).logits
        return torch.stack([out[i, int(row.nonzero().max())] for i, row in enumerate(mask)])

    def says(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """Generated answers, greedy unless the options say otherwise, without special tokens and space around."""
        batch = self.batch(prompts)
        out = self.model.generate(**batch, **self._options(options))
        return [self._text(row) for row in out[:, batch["input_ids"].shape[1] :].tolist()]

    def streamed(self, prompt: str) -> str:
        """The answer as a streamer received it."""
        batch, heard = self.batch([prompt]), _Streamer()
        self.model.generate(**batch, **self._options({"streamer": heard}))
        return self._text(heard.tokens[batch["input_ids"].shape[1] :])

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        usual = {"max_new_tokens": _NEW, "do_sample": False, "pad_token_id": self._pad}
        return usual | {"eos_token_id": self.tokenizer.eos_token_id} | options

    def _text(self, row: Sequence[int]) -> str:
        return str(self.tokenizer.decode(row, skip_special_tokens=True)).strip()


@dataclass(frozen=True)
class Bench(PlainModel):
    """A model with an editor on it."""

    editor: Editor


class _Streamer:
    """Keeps the ids that ``generate`` puts out, prompt included."""

    def __init__(self) -> None:
        self.tokens: list[int] = []

    def put(self, value: Tensor) -> None:
        self.tokens += value.flatten().tolist()

    def end(self) -> None:
        """Nothing is left to flush."""


def hooks_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Where hooks of whatever kind are, and where ``forward`` was replaced: numbers by module name."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    counts = {
        name: (*(len(getattr(module, kind)) for kind in kinds), int("forward" in vars(module)))
        for name, module in model.named_modules()
    }
    return {name: numbers for name, numbers in counts.items() if any(numbers)}


def snapshot(model: nn.Module) -> dict[str, object]:
    """What an editor must leave as it is: bits of parameters and buffers, gradients, flags, and the modules themselves."""
    state: dict[str, object] = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        flat = tensor.detach().cpu().contiguous().flatten().view(torch.uint8) if tensor.numel() else tensor
        digest = hashlib.sha256(flat.numpy().tobytes()).hexdigest()
        state[name] = (digest, tensor.grad is None, tensor.requires_grad, id(tensor))
    for name, module in model.named_modules():
        state[f"module {name}"] = (id(module), module.training)
    return state


@dataclass
class Calls:
    """How often the model's head was called."""

    count: int = 0


@contextmanager
def raising_at(model: Any, call: int | None) -> Iterator[Calls]:
    """Count the calls of the model's head inside; that with this number, from 1, raises :class:`MemoryError`."""
    calls = Calls()

    def count(_module: nn.Module, _args: Any) -> None:
        calls.count += 1
        if calls.count == call:
            raise MemoryError("the head of the model failed, on purpose")

    handle = model.get_output_embeddings().register_forward_pre_hook(count)
    try:
        yield calls
    finally:
        handle.remove()
