"""Turning a prompt and its target into token ids as the model will meet them in a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentmem.errors import InvalidArgument
from agentmem.llm.tokenizing import PromptEncoder

__all__ = ["Rendered", "Renderer"]

Exchange = tuple[str, str]
"""An earlier turn: what the user said, what the assistant answered."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Token ids of a prompt and of the target after it; the last label is the token that ends the answer."""

    prompt: tuple[int, ...]
    labels: tuple[int, ...]


class Renderer:
    """Renders prompts through the tokenizer's chat template, or as plain text when it has none.

    Whatever a prompt or a target says, the control tokens are the template's own.

    Args:
        tokenizer: a transformers tokenizer.
        chat: use the chat template; by default, when there is one.
    """

    def __init__(self, tokenizer: Any, *, chat: bool | None = None) -> None:
        self.tokenizer = tokenizer
        self._encoder = PromptEncoder(tokenizer)
        self.chat = bool(getattr(tokenizer, "chat_template", None)) if chat is None else chat
        self._closing = self._closing_tokens() if self.chat else ()
        self._lead = self._lead_tokens() if self.chat else ()
        self.stop = self._stop_token()
        self.opening = self._opening_tokens() if self.chat else ()

    def prompt(self, text: str, history: Sequence[Exchange] = ()) -> tuple[int, ...]:
        """Ids up to and including the last token before the answer."""
        if not self.chat:
            return self._plain(text)
        return self._chat(_messages(text, history), opened=True)

    def pair(self, text: str, target: str, history: Sequence[Exchange] = ()) -> Rendered:
        """Ids of a prompt and of its target, tokenised together, with the stop token as the last label.

        Raises:
            InvalidArgument: the prompt or the target has no tokens.
        """
        if not text.strip() or not target.strip():
            raise InvalidArgument("A prompt or a target is empty.", hint="give both at least one word.")
        prompt = self.prompt(text, history)
        answer = (
            self._chat_answer(prompt, text, target, history) if self.chat else self._plain_answer(prompt, text, target)
        )
        labels = answer if self.stop is None else (*answer, self.stop)
        if not prompt or not answer:
            raise InvalidArgument(f"The tokenizer gives no tokens for {text!r} -> {target!r}.", hint="use other words.")
        return Rendered(prompt, labels)

    def _chat_answer(
        self, prompt: tuple[int, ...], text: str, target: str, history: Sequence[Exchange]
    ) -> tuple[int, ...]:
        """The assistant's tokens inside the whole rendered conversation, without what the template adds after."""
        whole = self._chat([*_messages(text, history), _said("assistant", target)])
        end = len(whole) - len(self._closing)
        if whole[: len(prompt)] == prompt and whole[end:] == self._closing and end > len(prompt):
            answer = whole[len(prompt) : end]
            led = bool(self._lead) and answer[: len(self._lead)] == self._lead and len(answer) > len(self._lead)
            return answer[len(self._lead) :] if led else answer
        return self._ids(target.strip())  # a template that rewrites earlier turns has no common prefix

    def _plain_answer(self, prompt: tuple[int, ...], text: str, target: str) -> tuple[int, ...]:
        gap = "" if text[-1:].isspace() else " "
        whole = self._plain(text + gap + target.strip())
        if whole[: len(prompt)] == prompt and len(whole) > len(prompt):
            return whole[len(prompt) :]
        return self._ids(gap + target.strip())

    def _plain(self, text: str) -> tuple[int, ...]:
        ids = tuple(self._encoder.begun(text))
        eos = self.tokenizer.eos_token_id
        return ids[:-1] if len(ids) > 1 and ids[-1] == eos else ids  # an encoder that closes every text

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._encoder.text(text))

    def _chat(self, messages: Sequence[dict[str, str]], *, opened: bool = False) -> tuple[int, ...]:
        return tuple(self._encoder.chat(messages, opened=opened))

    def _closing_tokens(self) -> tuple[int, ...]:
        """What the template writes after an assistant's message: the common end of two different answers."""
        first, second = (self._chat([_said("user", "1"), _said("assistant", answer)]) for answer in ("4", "seven"))
        return _common_end(first, second)

    def _lead_tokens(self) -> tuple[int, ...]:
        """What the template writes between its opening and an answer, such as an empty block of thoughts: no part of the target."""
        opened = self._chat([_said("user", "1")], opened=True)
        first, second = (self._chat([_said("user", "1"), _said("assistant", answer)]) for answer in ("4", "seven"))
        if first[: len(opened)] != opened or second[: len(opened)] != opened:
            return ()
        lead = _common_end(first[len(opened) :][::-1], second[len(opened) :][::-1])[::-1]
        return lead if str(self.tokenizer.decode(lead)).strip() else ()

    def _opening_tokens(self) -> tuple[int, ...]:
        """What the template writes before the assistant's next message."""
        closed = self._chat([_said("user", "1")])
        opened = self._chat([_said("user", "1")], opened=True)
        return opened[len(closed) :] if opened[: len(closed)] == closed else ()

    def _stop_token(self) -> int | None:
        """The token that ends an answer: the first special one the template closes with, else eos."""
        special = set(self.tokenizer.all_special_ids)
        ending = next((token for token in self._closing if token in special), None)
        if ending is None and self.tokenizer.eos_token_id is None and self._closing:
            return self._closing[0]
        stop = self.tokenizer.eos_token_id if ending is None else ending
        return None if stop is None else int(stop)


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _messages(text: str, history: Sequence[Exchange]) -> list[dict[str, str]]:
    earlier = [m for user, assistant in history for m in (_said("user", user), _said("assistant", assistant))]
    return [*earlier, _said("user", text.strip())]  # blanks around a message are no part of what is asked


def _common_end(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    size = 0
    while size < min(len(first), len(second)) and first[-size - 1] == second[-size - 1]:
        size += 1
    return first[len(first) - size :] if size else ()
