"""ROME, EMMET and MEMIT behind the :class:`~agentmem.notes.protocols.Editor` protocol, as deltas that can be removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from agentmem.editors.background import groups_of
from agentmem.editors.core.requests import in_order
from agentmem.editors.deltas.editor import DeltaEditor, LowRank, Visible
from agentmem.editors.deltas.records import Book, DeltaRecord
from agentmem.editors.reading import read, require_additive
from agentmem.editors.rome.closed_form import Form, closed_form, whiten
from agentmem.editors.rome.config import EmmetConfig, LocateConfig, MemitConfig, RomeConfig
from agentmem.editors.rome.covariance import Moments, corpus_name, second_moments
from agentmem.editors.rome.drafts import LocateDraft, prepare
from agentmem.editors.rome.values import fit_values, spread
from agentmem.editors.structure import projections
from agentmem.notes.edit import EditReceipt, EditRequest, Route
from agentmem.notes.note import Scope

__all__ = ["EmmetEditor", "LocateEditor", "MemitEditor", "RomeEditor"]

_MINE = 0.5  # a token gets an edit when it gets what the edit's own key gets, give or take a half


@dataclass(frozen=True, eq=False)
class _Coefficients:
    """What some tokens get of each visible edit: [B, T, n], 1 at the edit's own key."""

    values: Tensor
    visible: Visible


class LocateEditor(DeltaEditor):
    """Facts written at the subject: a key, a value, and one closed form over all of them.

    Per edit the key k (what enters the feed-forward output projection at the subject's last token, averaged over
    contexts), C⁻¹ k, and the wanted change v - W k are kept; the delta is solved for from whatever edits a request
    may see, in the order of their ids. So deleting is forgetting the record, and the model's parameters are neither
    read nor written. Values are always found on the bare model, never on top of other edits (the papers' sequential
    mode does that): else no edit could be taken out from under another.

    Args:
        background: prompts whose keys make C, as texts or as groups of paraphrases; built-in when ``None``.
        options: fields of the method's configuration in :mod:`agentmem.editors.rome.config`; the rest as in every editor.

    Raises:
        InvalidArgument: an unknown option, or one out of range.
        LayerNotFound: the decoder layers or their feed-forward output projections could not be found.
        ModelError: the architecture does not add the feed-forward output to the residual stream as it is.
    """

    form: ClassVar[Form]
    config: LocateConfig

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        background: Sequence[str] | Sequence[Sequence[str]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, tokenizer, **options)
        self.layers = self.config.span(self.port.depth)
        modules = projections(self.port.structure)
        require_additive(self.port, self.layers[-1])
        self._texts = tuple(text for group in groups_of(background) for text in group)
        self._moments: Moments | None = None
        settings = {
            "layers": list(self.layers),
            "weight": self.config.weight,
            "shrinkage": self.config.shrinkage,
            "background": corpus_name(self.port, self.renderer, self._texts, self.config.tokens),
        }
        self._begin({layer: modules[layer] for layer in self.layers}, settings)

    def calibrate(self) -> Moments:
        """C of each layer; computed from the background prompts once, at the first write at the latest."""
        with self._lock:
            if self._moments is None:
                self._moments = second_moments(
                    self.port, self.renderer, self._texts, self.layers,
                    tokens=self.config.tokens, shrinkage=self.config.shrinkage, cache=self.config.cache,
                )  # fmt: skip
            return self._moments

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        """Which edit each prompt gets most of, without generating; distance 0 is just what its key gets, 1 nothing."""
        book = self.state
        visible = book.visible(scope if scope is not None else self.default_scope)
        if not visible or not prompts:
            return [Route(None) for _ in prompts]
        layer, routes = self.layers[0], []
        for prompt in prompts:
            x = read(self.port, [self.renderer.prompt(prompt)], [layer]).keys[layer]
            found = self._coefficients(x, book, visible, layer)
            routes.append(Route(None) if found is None else _routes(found, book)[0])
        return routes

    def _seen(self, layer: int, x: Tensor, book: Book, sets: Sequence[Visible]) -> tuple[Route, ...] | None:
        if layer != self.layers[0] or x.dim() != 3:
            return None
        routes: list[Route] = [Route(None)] * len(sets)
        for chosen in {visible for visible in sets if visible}:
            rows = [i for i, visible in enumerate(sets) if visible == chosen]
            found = self._coefficients(x[rows], book, chosen, layer)
            if found is not None:
                for row, route in zip(rows, _routes(found, book), strict=True):
                    routes[row] = route
        return tuple(routes)

    def _coefficients(self, x: Tensor, book: Book, visible: Visible, layer: int) -> _Coefficients | None:
        _, right = self._delta(book, visible, layer, x.device)
        if right.shape[1] != len(visible):  # solved on the other side: single edits cannot be told apart
            return None
        keys = torch.from_numpy(book.stacked("keys", visible)[:, self.layers.index(layer)]).to(right)
        own = (keys * right.T).sum(-1).clamp(min=1e-6)
        return _Coefficients((x.detach().to(right.dtype) @ right) / own, visible)

    def _details(self, state: Book) -> dict[str, object]:
        visible = tuple(range(len(state)))
        norms = {
            layer: float((left.double() @ right.double().T).norm())
            for layer, (left, right) in (self._deltas(state, visible) if visible else {}).items()
        }
        return super()._details(state) | {"norms": norms, "background_texts": len(self._texts)}

    # Writing

    def _learn(self, state: Book, fresh: Sequence[EditRequest]) -> tuple[dict[str, EditReceipt], Book]:
        drafts = prepare(in_order(fresh), state, self.renderer, self.config, self._texts)
        open_ = [draft for draft in drafts if draft.task is not None]
        for start in range(0, len(open_), self.config.batch):
            self._find(open_[start : start + self.config.batch])
            if self.on_progress is not None:
                self.on_progress(min(start + self.config.batch, len(open_)), len(open_))
        known = {record.id: record for record in state.edits}
        known |= {draft.id: self._record(draft) for draft in drafts if draft.share is not None}
        for draft in drafts:
            if draft.twin is not None and draft.twin in known:
                held = known[draft.twin]
                known[draft.id] = DeltaRecord(draft.request, held.labels, held.arrays)
                draft.status, draft.reason = "aliased", f"shares the value of {draft.twin}"
            elif draft.twin is not None:
                draft.fail(f"{draft.twin} asks for the same and could not be learnt")
        after = state.with_edits([known[d.id] for d in drafts if d.id in known])
        if len(after) > len(state):
            self._deltas(after, tuple(range(len(after))))  # a set that cannot be solved for is refused here
        return {draft.id: draft.receipt() for draft in drafts}, after

    def _find(self, drafts: Sequence[LocateDraft]) -> None:
        """Find the values of one batch."""
        tasks = [draft.task for draft in drafts if draft.task is not None]
        for draft, task, value in zip(
            drafts, tasks, fit_values(self.port, tasks, self.layers[-1], self.config), strict=True
        ):
            draft.value = value
            if value.known:
                draft.fail("the model says this already; leave it to the base, or delete what contradicts it")
            elif not value.converged:
                draft.fail(
                    f"after {value.steps} steps the model still did not say the target (loss {value.loss:.3f}); "
                    "a lower `layer`, more `steps` or fewer `contexts` may help"
                )
            else:
                draft.share = spread(self.port, task, value.residual, self.layers)

    def _record(self, draft: LocateDraft) -> DeltaRecord:
        assert draft.share is not None
        assert draft.task is not None
        moments = self.calibrate()
        keys = draft.share.keys
        directions = torch.cat([whiten(keys[i : i + 1], moments[layer]) for i, layer in enumerate(self.layers)])
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "keys": keys.numpy(),
            "directions": directions.numpy(),  # float64: what is rounded here is lost in every constraint
            "residuals": draft.share.residuals.numpy(),
        }
        return DeltaRecord(draft.request, draft.task.labels, arrays)

    def _deltas(self, book: Book, visible: Visible) -> Mapping[int, LowRank]:
        names = ("keys", "directions", "residuals")
        arrays = [torch.from_numpy(np.ascontiguousarray(book.stacked(name, visible))) for name in names]
        weight = self.config.weight * self.port.structure.d_key
        if self.method == "emmet" and len(visible) == 1:
            weight = 0.0  # as in the paper: one constraint can always be met
        found: dict[int, LowRank] = {}
        for i, layer in enumerate(self.layers):
            keys, directions, residuals = (array[:, i] for array in arrays)
            delta = closed_form(keys, directions, residuals, self.form, weight)
            found[layer] = (delta.left.float().contiguous(), delta.right.float().contiguous())
        return found


class RomeEditor(LocateEditor):
    """ROME (Meng et al. 2022): one rank-one update per edit, one after the other.

    Each update meets its own constraint on top of the earlier ones and so disturbs theirs: order matters. It is
    fixed here as that of the ids, whatever the order of writing, so that the state depends on the set alone.
    """

    method = "rome"
    options = RomeConfig
    form = "rome"


class EmmetEditor(LocateEditor):
    """EMMET (Gupta et al. 2024): all edits' constraints met at once; for one edit it is ROME."""

    method = "emmet"
    options = EmmetConfig
    form = "emmet"


class MemitEditor(LocateEditor):
    """MEMIT (Meng et al. 2023): several layers share each change, by least squares against λ C."""

    method = "memit"
    options = MemitConfig
    form = "memit"


def _routes(found: _Coefficients, book: Book) -> list[Route]:
    """The edit that some token of each row comes nearest to getting exactly."""
    apart, where = (1.0 - found.values).abs().min(dim=1)
    routes = []
    for row, columns in zip(apart.cpu(), where.cpu(), strict=True):
        order = row.argsort()
        first = int(order[0])
        distance = float(row[first])
        margin = float(row[int(order[1])]) - distance if len(order) > 1 else float("inf")
        request = book.edits[found.visible[first]].request if distance <= _MINE else None
        routes.append(
            Route(
                edit_id=request.id if request else None, note_id=request.note_id if request else None,
                distance=distance, radius=_MINE, margin=margin, position=int(columns[first]),
            )
        )  # fmt: skip
    return routes
