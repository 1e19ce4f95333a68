"""Answering a message apart from the conversation that it stands in.

A value was found, and seen to say its answer, behind a prompt that was the message and nothing else. Behind hundreds of tokens of other turns
the same value says it less surely, since each token of the answer attends to all of them. So where an edit answers a message in company, the
message, with what the template writes before it, is read once more without it, and the tokens of the answer attend to the message and each
other. The company is masked, not cut: its tokens stay in the cache, where they are, for the turns to come. Where a model adds a vector for
each position (learnt, sinusoidal), message and answer are read at the positions that they have in a conversation that has just begun: it
may never have been trained at others. Where the company cannot be masked (states that have read everything, masks that are made beforehand
for a cache of fixed size), the answer is given in company, as by any other request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from agentmem.editors.gate.framing import Company

if TYPE_CHECKING:
    from agentmem.editors.gate.replay import Forward

__all__ = ["Apart", "Span", "apart", "can_hide", "hidden_from", "seen_before"]

Span = tuple[int, int]
"""From one column up to another, of what is in the cache and the forward together."""


@dataclass(frozen=True)
class Apart:
    """A message in company.

    Attributes:
        begins: the column of the forward at which the message begins, its header included; negative where that is in the cache.
        company: the columns that it shall not see; empty where it is read in company again.
        first: the column of the conversation's first token.
        earlier: the tokens of the message that are in the cache.
    """

    begins: int
    company: Span
    first: int = 0
    earlier: tuple[int, ...] = ()

    def seen(self, length: int) -> list[int]:
        """The columns that it sees in a forward of ``length`` tokens which nothing came before."""
        return [*range(self.first, self.company[0]), *range(self.company[1], length)]


def apart(company: Company | None, tokens: Sequence[int], row: int, column: int, forward: Forward) -> Apart | None:
    """Where the message that is answered after a column of a row of a forward stands; ``None`` where it has no company that could be hidden.

    Args:
        company: what the message is by itself.
        tokens: of the row up to there, as far as they are known.
    """
    if company is None or not forward.counted or not can_hide(forward):
        return None
    first, end = _first_real(forward, row), forward.past + column + 1
    hidden = (first + company.lead, end - company.headed)
    begins = hidden[1] - forward.past
    if hidden[0] >= hidden[1] or (begins < 0 and forward.arguments.get("token_type_ids") is not None):
        return None
    here = len(tokens) - company.headed
    return Apart(begins, hidden, first, tuple(tokens[here : here - begins]) if begins < 0 else ())


def _first_real(forward: Forward, row: int) -> int:
    """The first column that is no padding."""
    mask = forward.arguments.get("attention_mask")
    return int(mask[row].int().argmax()) if isinstance(mask, Tensor) else 0


def can_hide(forward: Forward) -> bool:
    """Whether the forward's mask says of each column whether it is seen."""
    mask = forward.arguments.get("attention_mask")
    return mask is None or (isinstance(mask, Tensor) and mask.dim() == 2)


def hidden_from(mask: Tensor | None, company: Sequence[Span | None], total: int, device: torch.device) -> Tensor:
    """[B, total] the mask of a forward in which each row does not see its company."""
    hiding = (
        torch.ones(len(company), total, dtype=torch.long, device=device) if mask is None else mask[:, :total].clone()
    )
    for row, span in enumerate(company):
        if span is not None:
            hiding[row, span[0] : span[1]] = 0
    return hiding


def seen_before(mask: Tensor, start: int) -> Tensor:
    """[B, T - start] how many tokens of a [B, T] mask each sees before itself, from column ``start`` on: its position where nothing is hidden."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)[:, start:]
