"""Where in a conversation's tokens the message stands that is answered next, and what it would be by itself.

The state that a key is read from has seen everything before it: earlier turns, system prompts, recalled notes. None of that is what is
asked, and it moves the key away from where the edit's own key was read, all the more the longer it is. So the key of a message that
stands in company is read from the message alone, as the first of a conversation, which is how edits are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from agentmem.editors.prompts import Renderer

__all__ = ["LONGEST", "Company", "Framing", "Message"]

LONGEST = 256  # tokens of a message that are read


class Message(NamedTuple):
    """Where a message starts and ends in a row of tokens, and whether a special token ``begins`` it there."""

    start: int
    end: int
    begins: bool


class Company(NamedTuple):
    """What a message in company is by itself, and where it stands.

    Attributes:
        alone: the tokens of a conversation that begins with it.
        headed: how many tokens there are from the first one of its header to the end of the row.
        lead: how many tokens at the very beginning of the conversation belong to any message that is alone.
    """

    alone: tuple[int, ...]
    headed: int
    lead: int


@dataclass(frozen=True)
class Framing:
    """How messages are told apart in tokens.

    Attributes:
        opening: tokens that the chat template writes before an answer; empty without a template.
        special: ids of special tokens: one begins each message.
        head, closing: what the template writes before the first message of a conversation, and between a message and ``opening``; ``head``
            is ``None`` where a message cannot be cut out.
    """

    opening: tuple[int, ...] = ()
    special: frozenset[int] = frozenset()
    head: tuple[int, ...] | None = None
    closing: tuple[int, ...] = ()

    @classmethod
    def of(cls, renderer: Renderer) -> Self:
        """As the model's own chat template writes them."""
        framing = cls(renderer.opening, frozenset(renderer.tokenizer.all_special_ids))
        if not renderer.chat:
            return framing
        row = renderer.prompt("1")
        found, size = framing.message(row), len(row) - len(framing.opening)
        return (
            cls(framing.opening, framing.special, row[: found.start], row[found.end : size])
            if found.begins
            else framing
        )

    def message(self, row: Sequence[int]) -> Message:
        """Where the message before an answer stands, back to the special token that begins it.

        Names in earlier turns, or in notes that a system message recalls, are not what is asked about. Without a special token the
        message is the whole row, or the end of a long one.

        Args:
            row: tokens up to and including the last one before the answer.
        """
        end = len(row) - len(self.opening)
        while end > 0 and row[end - 1] in self.special:
            end -= 1
        first = max(0, end - LONGEST)
        for at in range(end - 1, first - 1, -1):
            if row[at] in self.special:
                return Message(at + 1, end, True)
        return Message(first, end, False)

    def company(self, row: Sequence[int], message: Message) -> Company | None:
        """What ``message``, the last of ``row``, is by itself; ``None`` where it stands alone, or nobody knows."""
        if self.head is None or not message.begins:
            return None
        alone = (*self.head, *row[message.start : message.end], *self.closing, *self.opening)
        if alone == tuple(row):
            return None
        header = 0
        while header < min(len(self.head), message.start) and row[message.start - 1 - header] == self.head[-1 - header]:
            header += 1
        return Company(alone, len(row) - message.start + header, len(self.head) - header)
