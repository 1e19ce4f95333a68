"""What a model said, read off the answer to a request for a chat completion, whole or piece by piece. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["LongEvent", "SpokenAnswer", "data_of", "events", "is_end"]

_END_OF_EVENT: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_MOST: Final = 16 * 1024 * 1024
"""Bytes of one event; what goes on for longer is no stream of events."""


class LongEvent(ValueError):
    """What is read as a stream of events has none."""


@dataclass(slots=True)
class SpokenAnswer:
    """The first choice of an answer, as far as it was heard; of several, nobody knows which one is taken.

    Attributes:
        pieces: its words.
        calls: it asks for tools: the answer itself comes later.
        refused: the model refuses to answer, or a filter took its words away.
        whole: it came to its end.
    """

    pieces: list[str] = field(default_factory=list)
    calls: bool = False
    refused: bool = False
    whole: bool = False

    @property
    def text(self) -> str:
        """What was said."""
        return "".join(self.pieces).strip()

    @property
    def answers(self) -> bool:
        """Whether there are words that answer the user."""
        return self.whole and not self.calls and not self.refused and bool(self.text)

    @property
    def failed(self) -> bool:
        """Whether the model left the user without an answer."""
        return self.refused or not self.whole

    @classmethod
    def of(cls, body: bytes) -> SpokenAnswer:
        """What a whole answer says; nothing where it is none."""
        found = cls()
        completion = _json(body)
        if found._take(completion, "message"):
            found.whole = True
        return found

    def hear(self, event: bytes) -> None:
        """Take in the next event of a stream."""
        data = data_of(event)
        if data == b"[DONE]":
            self.whole = True
        elif data:
            chunk = _json(data)
            self.refused = self.refused or (isinstance(chunk, dict) and bool(chunk.get("error")))
            self._take(chunk, "delta")

    def _take(self, completion: object, key: str) -> bool:
        """The words of the first choice, or of a piece of it; false where there is none."""
        choices = completion.get("choices") if isinstance(completion, dict) else None
        many = choices if isinstance(choices, list) else []
        choice = next((each for each in many if isinstance(each, dict) and each.get("index", 0) == 0), None)
        said = {} if choice is None else choice.get(key)
        if choice is None or not isinstance(said, Mapping):
            return False
        text = said.get("content")
        self.pieces += [text] if isinstance(text, str) else []
        reason = choice.get("finish_reason")
        self.calls = self.calls or bool(said.get("tool_calls") or said.get("function_call"))
        self.refused = self.refused or bool(said.get("refusal")) or reason == "content_filter"
        self.whole = self.whole or bool(reason)
        return True


async def events(source: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The events of a stream, byte for byte; where it breaks off, what there is of one that was not finished is not given on.

    Raises:
        LongEvent: it is no stream of events.
    """
    held = b""
    async for piece in source:
        held += piece
        while (end := _END_OF_EVENT.search(held)) is not None:
            yield held[: end.end()]
            held = held[end.end() :]
        if len(held) > _MOST:
            raise LongEvent(f"an event of more than {_MOST:,} bytes")
    if held.strip():  # the last one, of a server that saves its empty line
        yield held


def data_of(event: bytes) -> bytes:
    """What an event says; empty for a comment."""
    lines = re.split(rb"\r\n|\n|\r", event)
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))


def is_end(event: bytes) -> bool:
    """Whether it is the event that ends a stream."""
    return data_of(event) == b"[DONE]"


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
