"""What editors share that add a matrix to what some projections compute.

A subclass says how a set of requests becomes a :class:`~agentmem.editors.deltas.records.Book`, and which delta a set of
visible records adds at a layer. ``y += x Δᵀ`` happens in a forward hook, at every token, so cached, uncached and
batched generation see the same model; a row to which nothing is visible keeps its bits.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from agentmem.editors.core.editor import SideMemoryEditor
from agentmem.editors.deltas import records
from agentmem.editors.deltas.records import Book, DeltaRecord
from agentmem.editors.hooks import Hook, is_own_forward
from agentmem.editors.structure import first_tensor
from agentmem.notes.edit import Route
from agentmem.notes.note import Scope

__all__ = ["DeltaEditor", "LowRank", "Visible"]

LowRank = tuple[Tensor, Tensor]
"""(left [d_model, n], right [d_key, n]) fp32: Δ = left @ right.T."""

Visible = tuple[int, ...]
"""Which records of a book a request may see, by position."""

_KEPT_VIEWS = 16  # sets of visible records whose deltas are kept at hand


class DeltaEditor(SideMemoryEditor[Book]):
    """Facts as low-rank changes beside the weights.

    The arguments are those of :class:`~agentmem.editors.core.editor.SideMemoryEditor`.
    """

    sites: dict[int, nn.Module]

    def _begin(self, sites: Mapping[int, nn.Module], settings: Mapping[str, Any]) -> None:
        """Begin with an empty state.

        Args:
            sites: by layer, the projection whose output is changed.
            settings: what the meaning of a pack depends on.
        """
        self.sites = dict(sites)
        self._main = Book(self.method, self.port.fingerprint(), tuple(sorted(settings.items())))
        self._views: dict[tuple[int, Visible], tuple[Book, dict[int, LowRank]]] = {}
        self._handles: list[Any] = []

    # What a method decides

    @abstractmethod
    def _deltas(self, book: Book, visible: Visible) -> Mapping[int, LowRank]:
        """By layer, the delta that these records make together."""

    def _seen(self, layer: int, x: Tensor, book: Book, sets: Sequence[Visible]) -> tuple[Route, ...] | None:
        """Routes to report for a prefill, one per row, when this layer can tell; rows of ``x`` are in order."""
        del layer, x, book, sets
        return None

    def _without(self, state: Book, ids: set[str]) -> Book:
        return state.with_edits((), ids)

    def _joined(self, added: Sequence[DeltaRecord], removed: set[str], inner: Book) -> Book:
        del inner
        return self._main.with_edits(added, removed & self._main.ids)

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        """``Route(None)`` throughout where a method cannot tell."""
        del scope
        return [Route(None) for _ in prompts]

    # The course of things

    def _opened(self, pack: Path | str | bytes) -> Book:
        held = records.parse(pack)
        self._check(held)
        return self._main.with_edits(held.edits, self._main.ids, held.shared)

    def _key_count(self, state: Book) -> int:
        return len(state) * len(self.sites)

    def _details(self, state: Book) -> dict[str, object]:
        del state
        return {"layers": tuple(self.sites), "key_site": self.port.structure.ffn_out_path}

    @property
    def _attached(self) -> bool:
        return bool(self._handles)

    def _install(self) -> None:
        if not self._handles:
            self._handles = [
                module.register_forward_hook(Hook(partial(self._add, layer))) for layer, module in self.sites.items()
            ]

    def _uninstall(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    # In the forward

    def _add(self, layer: int, _module: nn.Module, args: Any, output: Any) -> Any:
        """The hook: y + x Δᵀ for every row that sees an edit."""
        if is_own_forward():
            return None
        view = self._view()
        if view is None:
            return None
        book = view.state
        x, y = cast("Tensor", first_tensor(args)), cast("Tensor", output)
        seen = {scope: book.visible(scope) for scope in set(view.scopes)}
        sets = [seen[scope] for scope in view.per_row(x.shape[0])]
        if x.dim() < 3 or x.shape[1] > 1:  # a lone token belongs to a request whose routes are known
            routes = self._seen(layer, x, book, sets)
            if routes is not None:
                self._routes.set(lambda: routes)
        distinct = [chosen for chosen in dict.fromkeys(sets) if chosen]
        if not distinct:
            return None
        if len(distinct) == 1 and all(sets):
            return _plus(x, y, self._delta(book, distinct[0], layer, x.device))
        changed = y.clone()
        for chosen in distinct:
            rows = torch.tensor([i for i, other in enumerate(sets) if other == chosen], device=y.device)
            changed[rows] = _plus(x[rows.to(x.device)], y[rows], self._delta(book, chosen, layer, x.device))
        return changed

    def _delta(self, book: Book, visible: Visible, layer: int, device: torch.device) -> LowRank:
        """One layer's delta of a set of visible records, solved for once and kept where it is used."""
        key = (id(book), visible)
        with self._lock:
            held = self._views.get(key)
            if held is None or held[0] is not book:
                while len(self._views) >= _KEPT_VIEWS:
                    del self._views[next(iter(self._views))]
                held = (book, dict(self._deltas(book, visible)))
                self._views[key] = held
            left, right = held[1][layer]
            if right.device != device:
                held[1][layer] = (left.to(device), right.to(device))
            return held[1][layer]


def _plus(x: Tensor, y: Tensor, delta: LowRank) -> Tensor:
    left, right = delta
    return (y.to(left.dtype) + (x.to(right.dtype) @ right) @ left.T).to(y.dtype)
