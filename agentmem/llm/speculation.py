"""Greedy answers that somebody can guess: the model checks a draft in one pass instead of writing it token by token.

Speculative decoding (Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", ICML 2023) with a
text as the draft. A drafted token counts only where it is the model's own first choice, so the answer is the greedy one
whatever the draft says; a good draft saves a forward for each token of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Self

from agentmem.errors import ModelError
from agentmem.llm.placement import device_of

__all__ = ["Prefilled", "ReadPrompt"]

# What else a checkpoint may make of the model's first choice; an answer then comes from ``generate`` alone.
_SHAPING = (
    "suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "forced_bos_token_id", "forced_eos_token_id",
    "sequence_bias", "min_length", "min_new_tokens", "exponential_decay_length_penalty", "guidance_scale",
)  # fmt: skip


class ReadPrompt:
    """A prompt that the model has read, and the tokens it has chosen after it.

    Args:
        model: a transformers causal language model in evaluation mode.
        ids: the prompt.

    Attributes:
        ids: the prompt.
        tokens: the answer so far: the model's first choice at each place, at least one.
        cache: what generation goes on with; it holds everything but the last of ``tokens``.
    """

    def __init__(self, model: Any, ids: Sequence[int]) -> None:
        self._model = model
        self.ids = list(ids)
        output = self._forward(self.ids)
        self.cache: Any = getattr(output, "past_key_values", None)  # recurrent models keep another kind of state
        self.tokens = [int(output.logits[0, -1].argmax())]

    @staticmethod
    def fits(model: Any) -> bool:
        """Whether the plain first choice is what this checkpoint's ``generate`` would take, and goes on with this cache."""
        own = getattr(model, "generation_config", None)
        # "hybrid" is what ``generate`` itself takes for none
        kind = getattr(own, "cache_implementation", None)
        return kind in (None, "hybrid") and not any(getattr(own, name, None) for name in _SHAPING)

    def check(self, draft: Sequence[int]) -> None:
        """Take over as much of ``draft`` (token ids of the whole answer) as the model would have said itself."""
        if len(draft) < 2 or draft[0] != self.tokens[-1] or not self._can_be_cut():
            return
        # The last token need not be read to know whether the model agrees with it.
        fed = list(draft[:-1])
        choices = self._forward(fed, self.cache).logits[0].argmax(-1).tolist()
        agreed = next((i for i, token in enumerate(draft[1:]) if choices[i] != token), len(fed) - 1)
        if agreed + 1 < len(fed):
            self.cache.crop(agreed + 1 - len(fed))
        self.tokens = [*draft[: agreed + 1], choices[agreed]]

    def _can_be_cut(self) -> bool:
        """Only a cache that keeps every token can be brought back to where the model disagreed."""
        from transformers.cache_utils import DynamicCache, DynamicLayer

        return type(self.cache) is DynamicCache and all(type(la) is DynamicLayer for la in self.cache.layers)

    def _forward(self, tokens: Sequence[int], cache: Any = None) -> Any:
        import torch

        device, seen = device_of(self._model), len(self.ids) if cache is not None else 0
        named = inspect.signature(self._model.forward).parameters
        last = {"logits_to_keep": 1} if cache is None and "logits_to_keep" in named else {}
        with torch.no_grad():
            return self._model(
                input_ids=torch.tensor([list(tokens)], device=device),
                attention_mask=torch.ones(1, seen + len(tokens), dtype=torch.long, device=device),
                past_key_values=cache,
                use_cache=True,
                **last,
            )


class Prefilled:
    """A prompt that a model has read and may answer, made by :meth:`agentmem.llm.clients.LocalModel.prefill`.

        with local.prefill(messages) as read:
            text = read.finish() if is_worth_it() else ""

    It holds the cache of the prompt and no lock: others may be answered meanwhile. What hooks keep of a request lies in the
    caller's context, so it is finished in the one in which it was read. Leaving the block stops what was not finished.

    Args:
        answer: makes the whole answer, given the draft of it or nothing; called once at most.
    """

    def __init__(self, answer: Callable[[str], str]) -> None:
        self._answer: Callable[[str], str] | None = answer
        self._text: str | None = None

    def finish(self, draft: str = "") -> str:
        """The greedy answer; the same text however often it is asked for.

        Args:
            draft: the answer that is expected, which the model checks in one pass. Guessed right or wrong, the text is the same.

        Raises:
            ModelError: it was stopped before, or the model failed.
        """
        if self._text is None:
            if self._answer is None:
                raise ModelError("This answer was stopped.", hint="let the model read again: local.prefill(messages).")
            answer, self._answer = self._answer, None
            self._text = answer(draft)
        return self._text

    def stop(self) -> None:
        """Let go of what was read; stopping what was finished or stopped changes nothing."""
        self._answer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
