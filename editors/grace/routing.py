"""Adding the tails of values: at each token of an answer that was read, as long as nothing but the target was said.

Who answers is decided at prefill, as ever (:class:`~agentmem.editors.gate.routing.Router`). Where the edit that does has a tail, it is kept beside
the cache of the request what the answer shall be and what of it has been read, by the number of tokens in the cache: a cache that was cut back
to where a draft went wrong is known by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from agentmem.editors.gate.codebook import Codebook, KeyMatch
from agentmem.editors.gate.replay import Forward, Place, Replay, injected
from agentmem.editors.gate.routing import Call, Router
from agentmem.editors.hooks import install_injection, is_own_forward, remove_injection
from agentmem.editors.packs import PackedEdit

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

__all__ = ["GraceRouter", "tail_places"]


def tail_places(edit: PackedEdit, said: Sequence[int], tokens: Sequence[int]) -> list[tuple[int, Tensor]]:
    """Where among ``tokens``, which go on with an answer after ``said``, vectors of its tail are added, with these."""
    found: list[tuple[int, Tensor]] = []
    if edit.tail is None or tuple(said) != edit.labels[: len(said)]:
        return found
    for place, token in enumerate(tokens):
        at = len(said) + place
        if at >= len(edit.tail) or token != edit.labels[at]:
            break
        found.append((place, torch.from_numpy(edit.tail[at].copy())))
    return found


@dataclass
class _Answers:
    """What the rows of a cache answer.

    Attributes:
        begin: how many tokens the cache held before the first of the answer.
        edits: the edit that answers each row, where it has a tail; ``said``: what was read of the answer.
    """

    state: Codebook
    begin: int
    edits: list[PackedEdit | None]
    said: list[list[int]] = field(default_factory=list)

    def read(self, past: int, rows: Sequence[Sequence[int]]) -> list[Place]:
        """Take note of more tokens of the answers, ``past`` being in the cache before them, and say what is added to them."""
        times, found = max(1, len(rows) // len(self.edits)), list[Place]()
        if len(rows) != times * len(self.edits):
            return []
        edits = [edit for edit in self.edits for _ in range(times)]
        before = self.said if len(self.said) == len(rows) else [said for said in self.said for _ in range(times)]
        self.edits, self.said = edits, []
        for row, (edit, said, tokens) in enumerate(zip(edits, before, rows, strict=True)):
            kept = said[: max(0, past - self.begin)]
            if edit is not None and past >= self.begin:
                found += [(row, place, vector) for place, vector in tail_places(edit, kept, tokens)]
            self.said.append([*kept, *tokens])
        return found


class GraceRouter(Router[Codebook]):
    """Hooks that route requests through a codebook of values, some of which have tails."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._answers: WeakKeyDictionary[Cache, _Answers] = WeakKeyDictionary()

    def _enter(self, module: torch.nn.Module, args: Any, kwargs: Any) -> Any:
        changed = super()._enter(module, args, kwargs)
        call = None if is_own_forward() else self._call.get()
        if call is not None and call.forward.past and not call.forward.is_decoding:
            self._add_tails(call.forward)  # several tokens at once, as of a draft that is checked
        return changed

    def _leave(self, module: torch.nn.Module, args: Any, output: Any) -> Any:
        if not is_own_forward():
            remove_injection(self._port)
        return super()._leave(module, args, output)

    def _go_on(self, forward: Forward) -> None:
        self._add_tails(forward)

    def _add_tails(self, forward: Forward) -> None:
        answers = self._answers.get(forward.cache) if forward.cache is not None else None
        view = self._view() if answers is not None else None
        if (
            answers is None
            or view is None
            or view.state is not answers.state
            or forward.arguments.get("input_ids") is None
        ):
            return
        rows, first = forward.rows()
        past = forward.past if forward.counted else answers.begin + max(map(len, answers.said), default=0)
        places = [(row, first[row] + place, vector) for row, place, vector in answers.read(past, rows)]
        if places:
            install_injection(injected(self._port, places, forward.device))

    def _replay(self, call: Call[Codebook], output: Any, cache: Cache | None) -> Replay:
        return _TailReplay(self._port, self._layer, call.forward, output, cache)

    def _remember(self, call: Call[Codebook], cache: Cache | None) -> None:
        super()._remember(call, cache)
        if cache is None:
            return
        length = call.forward.past + call.forward.length
        edits = [_answering(call, i) for i in range(len(call.rows))]
        if any(edit is not None for edit in edits):
            self._answers[cache] = _Answers(call.view.state, length, edits, [[] for _ in edits])
        elif call.open:
            self._answers.pop(cache, None)


def _answering(call: Call[Codebook], row: int) -> PackedEdit | None:
    """The edit that answers at the end of a row, if it has a tail."""
    decided, last = call.decided[row], len(call.rows[row]) - 1
    match = decided.get(last)
    return match.edit if match is not None and match.edit is not None and match.edit.tail is not None else None


class _TailReplay(Replay):
    """Reruns in which the tokens of an answer that is in the prompt already bring the tail of its value."""

    def _vectors(self, places: Sequence[tuple[int, int, KeyMatch]]) -> list[Place]:
        values, ids = super()._vectors(places), self.forward.arguments.get("input_ids")
        if ids is None:
            return values
        return values + [
            (row, column + 1 + place, vector)
            for row, column, match in places
            if match.edit is not None and match.edit.tail is not None
            for place, vector in tail_places(match.edit, (), ids[row, column + 1 :].tolist())
        ]
