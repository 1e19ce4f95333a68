"""What is kept of answers that are given apart while they are given, and until the conversation goes on.

As long as an answer grows, its tokens do not see the company of its message, and stand where they would stand without it. What they leave in
the cache is what a conversation that has just begun would hold. With the next turn that is over: the message and its answer are read once more
where they stand, in company, so that a conversation on a kept cache is the one that is read anew as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from agentmem.editors.gate.apart import Apart, Span, can_hide, hidden_from, seen_before
from agentmem.editors.gate.codebook import Codebook, KeyMatch
from agentmem.editors.gate.replay import Forward

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

    from agentmem.editors.port import ModelPort

__all__ = ["HeldApart", "HeldRow", "held_row"]


@dataclass(frozen=True)
class HeldRow:
    """A message that was answered apart.

    Attributes:
        company: the columns that its answer does not see; the message, header included, begins behind them.
        tokens: it, up to the end of the forward that read it.
        at: which of them is the last before the answer; ``match``: what answers.
        moved: how far the positions that the model was told lie from columns; ``None`` where it was told none.
    """

    company: Span
    tokens: tuple[int, ...]
    at: int
    match: KeyMatch
    moved: int | None

    @property
    def begins(self) -> int:
        """Its first column."""
        return self.company[1]

    @property
    def answered(self) -> int:
        """How many tokens the cache holds before the first of its answer."""
        return self.begins + self.at + 1


def held_row(found: Apart, tokens: Sequence[int], at: int, match: KeyMatch, row: int, forward: Forward) -> HeldRow:
    """What is kept of a row of a forward, the message before token ``at`` of ``tokens`` being answered apart."""
    given, column = forward.arguments.get("position_ids"), max(found.begins, 0)
    moved = None
    if isinstance(given, Tensor):
        each = given.reshape(-1, given.shape[-1])
        moved = int(each[row if len(each) == forward.batch else 0, column]) - forward.past - column
    return HeldRow(found.company, tuple(tokens), at, match, moved)


@dataclass
class _Held:
    """The rows of a cache, and what was read since: how many tokens were before, and [B, n] which came."""

    state: Codebook
    rows: tuple[HeldRow | None, ...]
    read: list[tuple[int, Tensor]] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """How many tokens the cache holds at least as long as answers are given."""
        return max((row.answered for row in self.rows if row is not None), default=0)

    def tokens(self, row: int, past: int) -> tuple[int, ...] | None:
        """The tokens of a row from its message to what is in the cache now; ``None`` where some are not known."""
        held = self.rows[row]
        assert held is not None
        joined = list(held.tokens)
        for before, ids in [*self.read, (past, None)]:
            if len(joined) < before - held.begins:
                return None
            joined = joined[: before - held.begins] + ([] if ids is None else ids[row].tolist())
        return tuple(joined)


@dataclass
class HeldApart:
    """What the answers that are being given do not see, by the cache of their request."""

    _by_cache: WeakKeyDictionary[Cache, _Held] = field(default_factory=WeakKeyDictionary)

    def keep(self, cache: Cache, state: Codebook, rows: Sequence[HeldRow | None]) -> None:
        """From now on, until the next message."""
        if any(rows):
            self._by_cache[cache] = _Held(state, tuple(rows))
        else:
            self._by_cache.pop(cache, None)

    def is_answering(self, forward: Forward, state: Codebook) -> bool:
        """Whether an answer is being given apart in the cache of a forward."""
        return self._of(forward, state) is not None

    def arguments(self, forward: Forward, state: Codebook, port: ModelPort) -> dict[str, Tensor]:
        """The arguments that change in a forward which goes on with answers."""
        held = self._of(forward, state)
        if held is None or not can_hide(forward):
            return {}
        times, rest = divmod(forward.batch, len(held.rows))
        if rest or not times:
            return {}
        ids = forward.arguments.get("input_ids")
        if isinstance(ids, Tensor):
            held.read.append((forward.past, ids.clone()))  # what is given may be a view of all that was ever generated
        rows = [row for row in held.rows for _ in range(times)]  # beams and samples share their request's
        mask: Any = forward.arguments.get("attention_mask")
        company = [None if row is None else row.company for row in rows]
        hiding = hidden_from(mask, company, forward.past + forward.length, forward.device)
        changed = {"attention_mask": hiding}
        given = forward.arguments.get("position_ids")
        if port.positions.absolute and (given is not None or not port.positions.by_mask):
            apart = torch.tensor([row is not None for row in rows], device=forward.device)
            changed["position_ids"] = _positions(given, seen_before(hiding, forward.past), apart, forward.past)
        return changed

    def over(self, forward: Forward, state: Codebook) -> list[tuple[int, HeldRow, tuple[int, ...]]]:
        """The answers of a cache in which the conversation goes on: the row of each, what was kept, and all its tokens so far.

        Beams change places, and which tokens they hold is not known: their answers stay as they are.
        """
        held = self._of(forward, state)
        if held is None or forward.cache is None:
            return []
        del self._by_cache[forward.cache]
        if (
            not can_hide(forward)
            or forward.batch != len(held.rows)
            or any(len(ids) != len(held.rows) for _, ids in held.read)
        ):
            return []
        rows = [(i, row, held.tokens(i, forward.past)) for i, row in enumerate(held.rows) if row is not None]
        known = [(i, row, tokens) for i, row, tokens in rows if tokens is not None]
        asked = {(row.company, row.tokens) for _, row, _ in known}
        return known if len(asked) == len({(row.company, tokens) for _, row, tokens in known}) else []

    def _of(self, forward: Forward, state: Codebook) -> _Held | None:
        held = self._by_cache.get(forward.cache) if forward.cache is not None else None
        mine = held is not None and held.state is state and forward.counted and forward.past >= held.answered
        return held if mine else None


def _positions(given: Any, seen: Tensor, apart: Tensor, past: int) -> Tensor:
    """[B, T] where the tokens of answers stand: those given apart behind what they see, the others as ever."""
    usual = torch.arange(past, past + seen.shape[1], device=seen.device)[None] if given is None else given
    return torch.where(apart[:, None], seen, usual.to(seen.dtype))
