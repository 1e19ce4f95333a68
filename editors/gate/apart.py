"""Answering a message apart from the conversation that it stands in.

A value was found, and seen to say its answer, behind a prompt that was the message and nothing else. Behind hundreds of tokens of other turns
the same value says it less surely, since each token of the answer attends to all of them. So where an edit answers a message in company, the
message is read once more without it, and the tokens of the answer attend to the message and each other. The company is masked, not cut: its
tokens stay in the cache, where they are, for the turns to come. Where it cannot be masked (states that have read everything, masks that are
made beforehand for a cache of fixed size), the answer is given in company, as by any other request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.framing import Framing

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

    from agentmem.editors.gate.replay import Forward

__all__ = ["Apart", "HeldApart", "apart", "can_hide", "hidden_from"]

Span = tuple[int, int]
"""From one column up to another, of what is in the cache and the forward together."""


@dataclass(frozen=True)
class Apart:
    """A message in company.

    Attributes:
        begins: the column of the forward at which the message begins; the first, where it began before.
        company: the columns that it shall not see.
        first: the column of the conversation's first token.
    """

    begins: int
    company: Span
    first: int

    def seen(self, length: int) -> list[int]:
        """The columns that it sees in a forward of ``length`` tokens which nothing came before."""
        return [*range(self.first, self.company[0]), *range(self.company[1], length)]


def apart(framing: Framing, tokens: Sequence[int], row: int, column: int, forward: Forward) -> Apart | None:
    """Where the message that is answered after a column of a row of a forward stands; ``None`` where it has no company that could be hidden.

    Args:
        tokens: of the row up to there, as far as they are known.
    """
    found = framing.company(tokens) if tokens and forward.counted and can_hide(forward) else None
    if found is None:
        return None
    end, first = forward.past + column + 1, _first_real(forward, row)
    company = (first + found.lead, end - found.headed)
    begins = max(0, end - found.message - forward.past)
    return Apart(begins, company, first) if company[0] < company[1] else None


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


@dataclass
class HeldApart:
    """What the answers that are being given do not see, by the cache of their request."""

    _by_cache: WeakKeyDictionary[Cache, tuple[Codebook, tuple[Span | None, ...]]] = field(
        default_factory=WeakKeyDictionary
    )

    def keep(self, cache: Cache, state: Codebook, company: Sequence[Span | None]) -> None:
        """From now on, until the next message."""
        if any(company):
            self._by_cache[cache] = (state, tuple(company))
        else:
            self._by_cache.pop(cache, None)

    def mask(self, forward: Forward, state: Codebook | None) -> Tensor | None:
        """The mask of a forward that goes on with answers; ``None`` where it stays as it is."""
        held = self._by_cache.get(forward.cache) if forward.cache is not None else None
        if held is None or held[0] is not state or not forward.counted or not can_hide(forward):
            return None
        times, rest = divmod(forward.batch, len(held[1]))
        if rest or not times:
            return None
        company = [span for span in held[1] for _ in range(times)]  # beams and samples share their request's
        mask: Any = forward.arguments.get("attention_mask")
        return hidden_from(mask, company, forward.past + forward.length, forward.device)
