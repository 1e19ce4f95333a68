"""A quick look at a model during training: teacher-forced exact match, which equals greedy generation."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import torch

from benchmarks.small_model.probes import PROBES, Probe, ProbeMaker

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from agentmem.evaluation.world import World

__all__ = ["exact", "quick_accuracy"]

_SIZE = 160
_BATCH = 32
_SETS = {
    "trained": "closed-book, trained wordings",
    "held_out": "closed-book, held-out wordings",
    "open_book": "open-book, changed value",
    "unknown": "unknown person",
}


def _tokens(tokenizer: PreTrainedTokenizerFast, probe: Probe) -> tuple[list[int], int]:
    """Return the tokens of a chat with its right answer, and how many of them are the answer."""
    prompt = str(tokenizer.apply_chat_template(probe.messages, tokenize=False, add_generation_prompt=True))
    head = tokenizer.encode(prompt, add_special_tokens=False)
    tail = tokenizer.encode(f" {probe.expected}<|end|>", add_special_tokens=False)
    return head + tail, len(tail)


@torch.inference_mode()
def exact(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, probes: list[Probe]) -> float:
    """Return the share of the probes whose answer is the first choice, token for token."""
    chats = sorted((_tokens(tokenizer, probe) for probe in probes), key=lambda chat: len(chat[0]))
    right = 0
    for start in range(0, len(chats), _BATCH):
        part = chats[start : start + _BATCH]
        ids = torch.full((len(part), len(part[-1][0])), int(model.config.pad_token_id or 0))
        for row, (tokens, _) in enumerate(part):
            ids[row, : len(tokens)] = torch.tensor(tokens)
        # Padding on the right needs no mask: causal attention never sees it.
        guesses = model(input_ids=ids, use_cache=False).logits.argmax(-1)
        for row, (tokens, count) in enumerate(part):
            end = len(tokens)
            right += bool((guesses[row, end - count - 1 : end - 1] == ids[row, end - count : end]).all())
    return round(right / len(chats), 4)


def quick_accuracy(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World) -> dict[str, float]:
    """Measure a sample of the figures that `benchmarks.small_model.evaluate` measures in full."""
    return {
        key: exact(model, tokenizer, PROBES[name](ProbeMaker(world, Random(f"quick {name}")), _SIZE))
        for key, name in _SETS.items()
    }
