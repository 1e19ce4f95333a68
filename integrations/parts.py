"""A message's content in parts, as chat APIs have it: the words of it, and what is shown beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agentmem.errors import InvalidArgument

__all__ = ["MessageParts", "UserMessage", "words_of"]

MessageParts: TypeAlias = Sequence[Mapping[str, Any]]
"""``[{"type": "text", "text": "…"}, {"type": "image_url", …}]``: what is no text is the model's alone to read."""

_TEXT = ("text", "input_text", "output_text")


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What a user said: its words, which are remembered, and the parts that are ``shown`` to the model alone."""

    text: str
    shown: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, content: object) -> UserMessage:
        """A text, or parts.

        Raises:
            InvalidArgument: it is neither, or says and shows nothing.
        """
        shown: tuple[Mapping[str, Any], ...] = ()
        if isinstance(content, str):
            text = content
        else:
            parts = _parts(content)
            text = words_of(parts)
            shown = tuple(part for part in parts if part.get("type") not in _TEXT)
        if not text.strip() and not shown:
            raise InvalidArgument("There is nothing to answer.", hint="chat('Where does my sister live?').")
        return cls(text if text.strip() else "", shown)

    def content(self, text: str) -> str | list[Mapping[str, Any]]:
        """The content of a message with ``text`` for its words, and what is shown behind them."""
        if not self.shown:
            return text
        return [*([{"type": "text", "text": text}] if text else []), *self.shown]


def words_of(content: object) -> str:
    """The words of a message's content: a text, or the parts of it that are text; a part that is none says nothing here."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") in _TEXT]
    return "\n".join(text for text in texts if isinstance(text, str))


def _parts(content: object) -> list[Mapping[str, Any]]:
    parts = list(content) if isinstance(content, Sequence) and not isinstance(content, bytes) else []
    if not parts or not all(isinstance(part, Mapping) and isinstance(part.get("type"), str) for part in parts):
        raise InvalidArgument(
            "There is nothing to answer: the message is neither a text nor parts.",
            hint='chat("Where does my sister live?"), or chat([{"type": "text", "text": "What is this?"}, {"type": "image_url", …}]).',
        )
    return parts
