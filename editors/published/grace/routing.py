"""Routing as published: the layer's output at a token is replaced when its input lies within a ball.

The official code asks for the prompt's last token in a first forward and for every token in each cached step, so that
what it answers depends on the cache, on the padding and on the prompt before (its query position is one number for the
whole batch, and stays). Here each real token of a row asks for itself, wherever it is met; only the modes that replace
a whole prompt need to know where it ends, which the attention mask, the chat template or the last forward tell.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agentmem.editors.core.sessions import Routes, View
from agentmem.editors.gate.framing import Framing
from agentmem.editors.gate.replay import Forward, cache_of
from agentmem.editors.gate.routing import Router, as_route
from agentmem.editors.hooks import Hook, is_own_forward
from agentmem.editors.packs import Array
from agentmem.editors.port import ModelPort
from agentmem.editors.published.grace.book import PaperBook
from agentmem.editors.published.grace.site import Site, chosen
from agentmem.editors.structure import by_row
from agentmem.notes.edit import Route
from agentmem.notes.note import Scope

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

__all__ = ["PaperRouter"]

_NONE = -1


@dataclass
class _Pass:
    """One forward under way.

    Attributes:
        asks: per row, the position (among its real tokens) of the prompt's last token; ``_NONE`` if not in here.
        plan: [B, T] which ball's value each token gets.
        carried: [B] the ball that ``replace_all`` goes on with.
    """

    book: PaperBook
    forward: Forward
    scopes: tuple[Scope | None, ...]
    rows: list[tuple[int, ...]]
    first: list[int]
    asks: list[int]
    carried: list[int]
    plan: npt.NDArray[np.int64] | None = None
    routes: list[Route] = field(default_factory=list)


@dataclass(frozen=True)
class _Seen:
    """The last forward of this context: where its prompts ended, and what ``replace_all`` has to go on with."""

    book: PaperBook
    asks: dict[tuple[int, ...], int]
    cache: Callable[[], Cache | None]
    length: int
    carried: list[int]


class PaperRouter(Router[PaperBook]):
    """Hooks around one layer that replace its output for the tokens that a ball answers.

    Args:
        port: the model.
        layer: the site's.
        site: whose input is read and whose output is replaced.
        opening: tokens that the chat template writes before an answer; empty without a template.
        replacement: see :class:`~agentmem.editors.published.grace.config.PublishedGraceConfig`.
        view: gives the calling context's state, or ``None`` when it wants the bare model.
        on_routes: told the routes of each request.
    """

    def __init__(
        self,
        port: ModelPort,
        layer: int,
        site: Site,
        opening: tuple[int, ...],
        replacement: str,
        view: Callable[[], View[PaperBook] | None],
        on_routes: Callable[[Routes], object],
    ) -> None:
        super().__init__(port, layer, Framing(opening), view, on_routes)
        self._site, self._replacement = site, replacement
        self._pass: ContextVar[_Pass | None] = ContextVar("agentmem_paper_pass", default=None)
        self._seen: ContextVar[_Seen | None] = ContextVar("agentmem_paper_seen", default=None)

    def attach(self) -> None:
        """Install the hooks; doing it twice is doing it once."""
        if self._handles:
            return
        backbone = self._port.structure.backbone
        self._handles = [
            backbone.register_forward_pre_hook(Hook(self._enter), with_kwargs=True),
            *self._site.hook(self._ask, self._replace),
            backbone.register_forward_hook(Hook(self._leave), always_call=True),
        ]

    def detach(self) -> None:
        """Remove the hooks; doing it twice is doing it once."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _enter(self, _module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        if is_own_forward():
            return
        self._pass.set(None)
        view = self._view()
        if view is None:
            return
        forward = Forward.of(self._names, args, kwargs)
        rows, first = forward.rows()
        seen = self._seen.get()
        if seen is not None and seen.book is not view.state:
            seen = None
        asks = [self._end_of_prompt(row, forward, seen) for row in rows]
        self._pass.set(
            _Pass(
                view.state,
                forward,
                tuple(view.per_row(forward.batch)),
                rows,
                first,
                asks,
                _carried(forward, seen),
            )
        )

    def _end_of_prompt(self, row: tuple[int, ...], forward: Forward, seen: _Seen | None) -> int:
        """Where the row's prompt ends; a row that grew by one token, uncached, keeps its end."""
        if not row or forward.is_decoding:
            return _NONE
        if seen is not None and not forward.past and row[:-1] in seen.asks:
            return seen.asks[row[:-1]]
        size = len(self._opening)
        starts = range(size - 1, len(row)) if size else range(0)  # the last token of each opening is what asks
        found = [at for at in starts if row[at - size + 1 : at + 1] == self._opening]
        return found[-1] if found else len(row) - 1

    def _ask(self, entered: Tensor) -> None:
        """Decide, from what the layer is about to read."""
        run = self._pass.get()
        if run is None or is_own_forward():
            return
        raw = by_row(entered, run.forward.batch).detach().float().cpu().numpy()
        due = self._due(run)
        places = [(i, run.first[i] + at) for i, at in due]
        keys: Array = np.stack([raw[i, at] for i, at in places]) if due else raw[:0, 0]
        found = run.book.answering(keys, [run.scopes[i] for i, _ in due])
        run.plan = np.full((run.forward.batch, run.forward.length), _NONE, dtype=np.int64)
        for (i, at), ball in zip(due, found.tolist(), strict=True):
            self._spread(run, i, at, ball)
        for i, ball in enumerate(run.carried):
            if ball != _NONE:
                self._fill(run, i, 0, len(run.rows[i]), ball)
        if run.forward.is_decoding:
            return
        for i, at in enumerate(run.asks):
            decided = {}
            if at != _NONE:
                key = raw[i, run.first[i] + at][None]
                decided = {at: run.book.match(key, [run.scopes[i]])[0]}
            run.routes.append(as_route(decided))

    def _due(self, run: _Pass) -> list[tuple[int, int]]:
        """(row, position) of every token that asks."""
        if self._replacement == "replace_last":
            return [(i, at) for i, row in enumerate(run.rows) for at in range(len(row))]
        open_rows = [i for i, ball in enumerate(run.carried) if ball == _NONE]
        return [(i, run.asks[i]) for i in open_rows if run.asks[i] != _NONE]

    def _spread(self, run: _Pass, i: int, at: int, ball: int) -> None:
        """Which tokens of the row get the value when the one at ``at`` lies within a ball."""
        if ball == _NONE:
            return
        start = at if self._replacement == "replace_last" else 0
        stop = len(run.rows[i]) if self._replacement == "replace_all" else at + 1
        self._fill(run, i, start, stop, ball)
        if self._replacement == "replace_all":
            run.carried[i] = ball

    def _fill(self, run: _Pass, i: int, start: int, stop: int, ball: int) -> None:
        assert run.plan is not None
        run.plan[i, run.first[i] + start : run.first[i] + stop] = ball

    def _replace(self, output: Tensor) -> Tensor | None:
        run = self._pass.get()
        if run is None or is_own_forward() or run.plan is None or (run.plan == _NONE).all():
            return None
        plan, values = torch.from_numpy(run.plan), torch.from_numpy(run.book.values)
        wide = by_row(output, run.forward.batch)
        return chosen(plan.to(wide.device), values.to(wide), wide).view_as(output)

    def _leave(self, _module: torch.nn.Module, _args: Any, output: Any) -> Any:
        run = self._pass.get()
        if run is None or is_own_forward():
            return None
        self._pass.set(None)
        if output is None:  # the forward raised
            return None
        cache = cache_of(output) or run.forward.cache
        held: Callable[[], Cache | None] = weakref.ref(cache) if cache is not None else (lambda: None)
        asks = {} if cache is not None else dict(zip(run.rows, run.asks, strict=True))
        total = run.forward.past + run.forward.length
        self._seen.set(_Seen(run.book, asks, held, total, run.carried))
        if not run.forward.is_decoding:
            routes = tuple(run.routes)
            self._on_routes(lambda: routes)
        return None


def _carried(forward: Forward, seen: _Seen | None) -> list[int]:
    """What ``replace_all`` goes on with: only in the cache that the last forward filled up to here."""
    goes_on = (
        seen is not None
        and forward.past > 0
        and seen.length == forward.past
        and seen.cache() is forward.cache
        and len(seen.carried) == forward.batch
    )
    return list(seen.carried) if goes_on and seen is not None else [_NONE] * forward.batch
