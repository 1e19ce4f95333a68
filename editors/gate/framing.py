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

__all__ = ["LONGEST", "Company", "Framing"]

LONGEST = 256  # tokens of a message that are read


class Company(NamedTuple):
    """Where a message stands in its conversation, in tokens counted from the end: ``message`` from its first one on, ``headed`` from that of its
    header. ``lead``: how many tokens at the very beginning of the conversation belong to any message that is alone.
    """

    message: int
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
        start, end, begins = framing.message(row)
        size = len(row) - len(framing.opening)
        return cls(framing.opening, framing.special, row[:start], row[end:size]) if begins else framing

    def message(self, row: Sequence[int]) -> tuple[int, int, bool]:
        """Where the message before an answer starts and ends in ``row``, back to the special token that begins it; and whether it begins there.

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
                return at + 1, end, True
        return first, end, False

    def company(self, row: Sequence[int]) -> Company | None:
        """Where the last message of ``row`` stands among others; ``None`` where it stands alone, or nobody knows."""
        if self.head is None or self.alone(row) is None:
            return None
        start, _, _ = self.message(row)
        header = 0
        while header < min(len(self.head), start) and row[start - 1 - header] == self.head[-1 - header]:
            header += 1
        return Company(len(row) - start, len(row) - start + header, len(self.head) - header)

    def alone(self, row: Sequence[int]) -> tuple[int, ...] | None:
        """The tokens of a conversation that begins with the last message of ``row``; ``None`` where that is ``row`` itself, or nobody knows."""
        start, end, begins = self.message(row)
        if self.head is None or not begins:
            return None
        single = (*self.head, *row[start:end], *self.closing, *self.opening)
        return None if single == tuple(row) else single
