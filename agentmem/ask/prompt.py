"""What a model is asked, and how it is asked: a prompt, and the steps that want it answered."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agentmem.ask.conversation import Turn
from agentmem.notes.note import Hit
from agentmem.notes.protocols import LanguageModel, Message
from agentmem.notes.quoting import notes_block
from agentmem.notes.speaking import said

__all__ = ["Prompt", "Steps", "led", "messages", "saying"]

S = TypeVar("S")
R = TypeVar("R")


def messages(system: str | None, hits: Sequence[Hit], turns: Iterable[Turn], text: str) -> list[Message]:
    """A prompt: system prompt and notes in one system message, and turns in alternation, since most templates allow nothing else.

    What was said before without an answer, because the model failed or its answer could not be kept, stands in one turn with what
    follows.
    """
    head = "\n\n".join(part for part in (system, notes_block(hits)) if part)
    joined: list[dict[str, str]] = []
    for turn in (*((Turn("system", head),) if head else ()), *turns, Turn("user", text)):
        if joined and joined[-1]["role"] == turn.role:
            joined[-1]["content"] += f"\n{turn.content}"
        else:
            joined.append({"role": turn.role, "content": turn.content})
    return list(joined)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model of the caller's is to answer.

    Attributes:
        live: nothing of the answer will be checked, so its words may be given on as they come.
        spoken: the words given on already; who gives them puts them here, since such an answer cannot be asked for again.
    """

    messages: list[Message]
    max_tokens: int
    live: bool
    spoken: list[str]


Steps = Generator[Prompt, str, R]
"""Yields what a model is to answer, is sent the answers, and returns what it all comes to."""


def led(steps: Generator[S, str, R], say: Callable[[S], str]) -> R:
    """What steps come to, with what ``say`` makes of each; they are told of its errors."""
    try:
        step = next(steps)
        while True:
            try:
                text = say(step)
            except BaseException as error:  # noqa: BLE001 - they raise it again, unless they know better
                step = steps.throw(error)
            else:
                step = steps.send(text)
    except StopIteration as end:
        result: R = end.value
        return result


def saying(llm: LanguageModel | None) -> Callable[[Prompt], str]:
    """What answers each prompt as a whole."""

    def say(prompt: Prompt) -> str:
        assert llm is not None  # else nobody would have been asked
        return said(llm, prompt.messages, max_tokens=prompt.max_tokens)

    return say
