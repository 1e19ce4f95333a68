"""What a request for a chat completion says: the user's latest turn, what stands before it, and where recalled notes go. Pure.

A client sends the whole conversation with every request. Only the words of users and assistants count as what was said; what a system
message, a tool or an image says is passed on, and is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agentmem.remember.recalled_text import strip_notes

__all__ = ["ProxiedTurn", "system_of", "turn_of", "with_notes", "words_of"]

_INSTRUCTING: Final = ("system", "developer")
_SPEAKING: Final = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class ProxiedTurn:
    """The latest turn of a user in a conversation.

    Attributes:
        words: what the user said last; empty where that are images alone.
        before: role and words of what was said before, oldest first.
        continued: something stands behind it already: the model is in the middle of its answer, as between calls of tools.
        shown: all words of the request, in one line; what stands there needs no note.
    """

    words: str
    before: tuple[tuple[str, str], ...] = ()
    continued: bool = False
    shown: str = ""

    @property
    def times(self) -> int:
        """How often the user said these very words in this conversation, this time included."""
        return 1 + self.before.count(("user", self.words))


def turn_of(messages: object) -> ProxiedTurn | None:
    """The latest turn of the messages of a request; ``None`` where no user says anything, or these are no messages."""
    if not isinstance(messages, list) or not all(isinstance(each, Mapping) for each in messages):
        return None
    latest = max((at for at, each in enumerate(messages) if each.get("role") == "user"), default=None)
    if latest is None:
        return None
    said = [(each["role"], words_of(each.get("content"))) for each in messages[:latest] if _speaks(each)]
    shown = " ".join(" ".join(words_of(each.get("content")).split()) for each in messages)
    return ProxiedTurn(
        _own(words_of(messages[latest].get("content"))),
        tuple((role, own) for role, text in said if (own := _own(text))),
        latest < len(messages) - 1,
        shown,
    )


def words_of(content: object) -> str:
    """The words of the content of a message: the text, or that of its parts; images, sounds and files have none."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [each.get("text") for each in content if isinstance(each, Mapping) and each.get("type") == "text"]
    return "\n".join(part for part in parts if isinstance(part, str))


def with_notes(body: Mapping[str, Any], block: str) -> dict[str, Any]:
    """A body whose instructions end with ``block``; the one that was given stays as it is.

    It stands behind the last of the instructions that the messages begin with, so that what is the same in every request comes first; where
    there are none, it is the first message.
    """
    messages: list[Any] = list(body["messages"])
    last = next((at for at, each in enumerate(messages) if each.get("role") not in _INSTRUCTING), len(messages)) - 1
    if last < 0:
        return {**body, "messages": [{"role": "system", "content": block}, *messages]}
    content = messages[last].get("content")
    if isinstance(content, list):
        content = [*content, {"type": "text", "text": block}]
    else:
        content = f"{content}\n\n{block}" if content else block
    messages[last] = {**messages[last], "content": content}
    return {**body, "messages": messages}


def _speaks(message: Mapping[str, Any]) -> bool:
    return message.get("role") in _SPEAKING


def _own(text: str) -> str:
    """Without what was recalled: a program may hand its notes on by itself."""
    return strip_notes(text)[0].strip()


def system_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The words of all instructions."""
    return "\n\n".join(
        text for each in messages if each.get("role") in _INSTRUCTING and (text := words_of(each.get("content")))
    )
