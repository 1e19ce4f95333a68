"""Who answers is decided once per request and row, at prefill; the side memory then governs the whole answer.

GRACE's router finds the positions and the decisions. What differs: an answer's tokens pass the side memory too, so
the decision is kept beside the cache of the request, and every decoding step looks it up there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from agentmem.editors.core.sessions import Routes, View
from agentmem.editors.gate.apart import Apart
from agentmem.editors.gate.codebook import KeyMatch
from agentmem.editors.gate.framing import Framing
from agentmem.editors.gate.replay import Forward, Replay
from agentmem.editors.gate.routing import Call, Router
from agentmem.editors.hooks import KeyTap, is_own_forward, own_forward
from agentmem.editors.port import ModelPort
from agentmem.editors.wise.library import Library
from agentmem.editors.wise.memory import SideMemory
from agentmem.editors.wise.side import Governed, SideSite
from agentmem.errors import EditError

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

__all__ = ["GovernedSpan", "WiseRouter"]

Rows = tuple[SideMemory | None, ...]


@dataclass(frozen=True)
class _HeldRows:
    """Which memory governs each row of a cache."""

    library: Library
    rows: Rows


@dataclass(frozen=True)
class GovernedSpan:
    """Which tokens an answering memory governs.

    Attributes:
        whole: every token of the row; otherwise from the deciding token to the end of the answer.
        stops: tokens that end an answer.
    """

    whole: bool
    stops: frozenset[int]

    def of(self, row: Sequence[int], at: int, others: Sequence[int]) -> range:
        """The governed positions of a row when ``at`` decides; ``others`` decide for themselves."""
        if self.whole:
            return range(len(row))
        ends = [other for other in others if other > at]
        ends += [i for i in range(at + 1, len(row)) if row[i] in self.stops][:1]
        return range(at, min(ends, default=len(row)))


class WiseRouter(Router[Library]):
    """Hooks that route requests through side memories; see :class:`~agentmem.editors.gate.routing.Router`.

    Args:
        site: where the side memories sit.
        span: which tokens they govern.
    """

    def __init__(
        self,
        port: ModelPort,
        site: SideSite,
        span: GovernedSpan,
        framing: Framing,
        view: Callable[[], View[Library] | None],
        on_routes: Callable[[Routes], object],
    ) -> None:
        super().__init__(port, site.layer, framing, view, on_routes)
        self.answers_apart = not span.whole  # a memory that governs every token governs the company, too
        self._site, self._span = site, span
        self._held: WeakKeyDictionary[Cache, _HeldRows] = WeakKeyDictionary()

    def attach(self) -> None:
        if not self.attached:
            self._site.hold()
        super().attach()

    def detach(self) -> None:
        if self.attached:
            self._site.release()
        super().detach()

    def _enter(self, module: torch.nn.Module, args: Any, kwargs: Any) -> Any:
        if is_own_forward():
            return None
        self._site.stop()
        changed = super()._enter(module, args, kwargs)
        call = self._call.get()
        if call is not None and call.forward.past and (kept := self._kept(call.view, call.forward)):
            parts = [
                (i, call.first[i] + at, memory)
                for i, memory in enumerate(kept)
                if memory is not None
                for at in self._rest(call, i)
            ]
            self._site.add(call.forward.batch, _governed(parts, self._site))
        return changed

    def _leave(self, module: torch.nn.Module, args: Any, output: Any) -> Any:
        if not is_own_forward():
            self._site.stop()
        return super()._leave(module, args, output)

    def _go_on(self, forward: Forward) -> None:
        view = self._view()
        if view is None:
            return
        kept = self._kept(view, forward)
        parts = [(i, 0, memory) for i, memory in enumerate(kept) if memory is not None]
        self._site.add(forward.batch, _governed(parts, self._site))

    def _kept(self, view: View[Library], forward: Forward) -> Rows:
        """What was decided for each row of this forward's cache; beams and samples share their request's.

        Raises:
            EditError: the cache has been cut to other rows than it was filled with.
        """
        held = self._held.get(forward.cache) if forward.cache is not None else None
        if held is None or held.library is not view.state or not any(held.rows):
            return ()
        if forward.batch % len(held.rows):
            raise EditError(
                f"The cache was filled by {len(held.rows)} requests and is now read by {forward.batch} rows.",
                hint="generate from the prompts again, or under editor.silence().",
            )
        times = forward.batch // len(held.rows)
        return tuple(memory for memory in held.rows for _ in range(times))

    def _rest(self, call: Call[Library], row: int) -> range:
        """The positions of a chunk that still belong to the answer begun before it."""
        tokens = call.rows[row]
        if self._span.whole:
            return range(len(tokens))
        ends = [i for i, token in enumerate(tokens) if token in self._span.stops]
        ends += [at for i, at in call.open if i == row]
        return range(min(ends, default=len(tokens)))

    def _replay(self, call: Call[Library], output: Any, cache: Cache | None) -> Replay:
        return _SideReplay(
            self._port, self._layer, call.forward, output, cache, call=call, site=self._site, span=self._span
        )

    def _remember(self, call: Call[Library], cache: Cache | None) -> None:
        super()._remember(call, cache)
        if cache is None:
            return
        library = call.view.state
        kept = self._kept(call.view, call.forward) if call.forward.past else ()
        rows = tuple(self._last(call, i, library, kept[i] if kept else None) for i in range(len(call.rows)))
        self._held[cache] = _HeldRows(library, rows)

    def _last(self, call: Call[Library], row: int, library: Library, before: SideMemory | None) -> SideMemory | None:
        """Which memory governs the token after this forward."""
        tokens, decided = call.rows[row], call.decided[row]
        if not decided:
            goes_on = self._span.whole or not any(token in self._span.stops for token in tokens)
            return before if goes_on else None
        at = max(decided)
        edit = decided[at].edit
        over = self._span.of(tokens, at, ()).stop < len(tokens)
        return None if edit is None or over else library.memory_of[edit.id]


@dataclass
class _SideReplay(Replay):
    """Reruns in which the fired rows' answers pass their side memory."""

    call: Call[Library] = field(kw_only=True)
    site: SideSite = field(kw_only=True)
    span: GovernedSpan = field(kw_only=True)

    @contextmanager
    def _within(self, governed: list[Governed], rows: int, tap: KeyTap | None) -> Iterator[None]:
        with self.site.adding(rows, governed), own_forward(None, tap):
            yield

    def _changing(
        self, places: Sequence[tuple[int, int, KeyMatch]], rows: list[int], start: int, tap: KeyTap | None
    ) -> AbstractContextManager[None]:
        call, library = self.call, self.call.view.state
        parts: dict[tuple[int, int], SideMemory] = {}
        for row, column, match in places:
            assert match.edit is not None
            others = {*call.decided[row], *(at for i, at in call.open if i == row)}
            for at in self.span.of(call.rows[row], column - call.first[row], sorted(others)):
                if (there := call.first[row] + at - start) >= 0:
                    parts[rows.index(row), there] = library.memory_of[match.edit.id]
        listed = [(row, column, memory) for (row, column), memory in parts.items()]
        return self._within(_governed(listed, self.site), len(rows), tap)

    def _cut_out(self, row: int, columns: Sequence[int]) -> Self:
        inner, call = super()._cut_out(row, columns), self.call
        place = {column - call.first[row]: new for new, column in enumerate(columns)}
        tokens = call.rows[row]
        kept = [at for at in place if 0 <= at < len(tokens)]
        decided = {place[at]: match for at, match in call.decided[row].items() if at in place}
        due = [(0, place[at]) for i, at in call.open if i == row and at in place]
        inner.call = replace(
            call, forward=inner.forward, rows=[tuple(tokens[at] for at in kept)], first=[0], decided=[decided], open=due
        )
        return inner

    def run(
        self, fired: Sequence[tuple[int, int, KeyMatch]], asked: Sequence[tuple[int, int]], apart: Apart | None = None
    ) -> Tensor | None:
        if self.span.whole:
            fired = [(row, self.call.first[row], match) for row, _, match in fired]
        return super().run(fired, asked, apart)


def _governed(parts: Sequence[tuple[int, int, SideMemory]], site: SideSite) -> list[Governed]:
    """(row, column, memory) as one entry per memory."""
    grouped: dict[int, list[tuple[int, int, SideMemory]]] = {}
    for part in parts:
        grouped.setdefault(id(part[2]), []).append(part)
    return [
        Governed(
            torch.tensor([row for row, _, _ in group], device=site.device),
            torch.tensor([column for _, column, _ in group], device=site.device),
            group[0][2].delta(site.device),
        )
        for group in grouped.values()
    ]
