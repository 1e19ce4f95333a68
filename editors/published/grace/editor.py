"""The editor that follows the paper: requests one after the other, each by Add, Expand or Split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from agentmem.editors import packs
from agentmem.editors.core.config import layer_below_another
from agentmem.editors.core.requests import taken
from agentmem.editors.gate.codebook import KeyMatch
from agentmem.editors.gate.editor import GatedEditor
from agentmem.editors.gate.intake import Fit
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.packs import Array, Calibration
from agentmem.editors.prompts import Rendered
from agentmem.editors.published.grace.balls import Ball, place
from agentmem.editors.published.grace.book import PaperBook, packed, query_of, raw_space
from agentmem.editors.published.grace.config import PublishedGraceConfig
from agentmem.editors.published.grace.routing import PaperRouter
from agentmem.editors.published.grace.site import Site
from agentmem.editors.published.grace.values import Values
from agentmem.errors import PackMismatch
from agentmem.notes.edit import EditReceipt, EditRequest
from agentmem.notes.note import Scope

__all__ = ["PublishedGraceEditor"]

Progress = Callable[[int, int], None]


class PublishedGraceEditor(GatedEditor[PaperBook]):
    """GRACE as published (Hartvigsen et al. 2023); see :class:`PublishedGraceConfig` for the options.

    Edits come one after the other, and the order decides: a Split takes reach from a ball for good. So deleting
    replays the edits that remain, in their order, and ``delete(write(S, x)) == S`` holds here too, at the price of
    fitting again the values that were shared with what left.

    Where the official code differs from the paper by mistake, the paper is followed: labels compare as token tuples, edits
    have ids, every row of a batch has its own query token, and a value that already answers a new prompt is not fitted
    again.
    """

    method = "grace"
    options = PublishedGraceConfig
    config: PublishedGraceConfig

    def _set_up(self) -> None:
        config = self.config
        self.layer = layer_below_another("value_layer", config.value_layer, self.port.depth)
        settings: dict[str, object] = {
            "algorithm": "paper", "value_layer": self.layer, "eps_init": config.eps_init, "init": config.init,
            "replacement": config.replacement, "steps": config.steps, "lr": config.lr,
        }  # fmt: skip
        self._main = PaperBook(
            self.method, self.port.fingerprint(), tuple(settings.items()), 0.0, 0.0, eps_init=config.eps_init
        )
        self.site = Site(self.port, self.layer)
        self._values = Values(self.port, self.layer, self.site, config)
        self._router = PaperRouter(
            self.port,
            self.layer,
            self.site,
            self.renderer.opening,
            config.replacement,
            self._view,
            self._routes.set,
        )

    def calibrate(self) -> Calibration:
        """The raw space: the published algorithm compares activations as they are, and has nothing to find."""
        return raw_space(self.port.structure.d_key)

    def _key_space(self) -> Calibration:
        return raw_space(self.port.structure.d_key)

    def _matched(
        self,
        state: PaperBook,
        rows: Sequence[tuple[int, ...]],
        scopes: Sequence[Scope | None],
        asked: Sequence[AskedText],
    ) -> list[KeyMatch]:
        with self._lock:
            keys = self._values.keys(rows)
        return state.match(keys, scopes, asked)

    def _learn(self, state: PaperBook, fresh: Sequence[EditRequest]) -> tuple[dict[str, EditReceipt], PaperBook]:
        write = _Write(state, self, self.calibrate())
        receipts = {}
        for done, request in enumerate(fresh, start=1):
            receipts[str(request.id)] = write.take(request)
            if self.on_progress is not None:
                self.on_progress(done, len(fresh))
        return receipts, write.book

    def _without(self, state: PaperBook, ids: set[str]) -> PaperBook:
        return self._rebuilt(state, [edit for edit in state.in_order() if edit.id not in ids])

    def _joined(self, added: Sequence[packs.PackedEdit], removed: set[str], inner: PaperBook) -> PaperBook:
        fresh = {edit.id: edit for edit in added}
        stayed = [edit for edit in self._main.in_order() if edit.id not in removed | set(fresh)]
        return self._rebuilt(inner, [*stayed, *(fresh[name] for name in inner.order if name in fresh)])

    def _rebuilt(self, known: PaperBook, wanted: Sequence[packs.PackedEdit]) -> PaperBook:
        """The state after these edits alone, in this order; values that cannot have changed are taken over."""
        empty = self._main.with_edits((), self._main.ids)
        if not wanted:
            return empty
        space = self.calibrate()
        book = empty.with_edits(wanted, (), space)
        old = {ball.owners: known.by_id[ball.owners[0]].value for ball in known.balls}
        now: dict[str, packs.PackedEdit] = {}
        for ball in book.balls:
            value = old.get(ball.owners)
            if value is None:
                value = self._shared([book.by_id[name].request for name in ball.owners])
            for name in ball.owners:
                edit = book.by_id[name]
                now[name] = packed(edit.request, edit.labels, edit.keys[0], value)
        return empty.with_edits([now[edit.id] for edit in wanted], (), space)

    def _shared(self, requests: Sequence[EditRequest]) -> Array:
        """The value that these requests come to, joining one after the other."""
        contexts = [self.renderer.pair(request.prompt, request.target) for request in requests]
        value = self._values.fitted(contexts[:1]).value
        for upto in range(2, len(contexts) + 1):
            value = self._extended(contexts[:upto], value).value
        return value

    def _extended(self, contexts: Sequence[Rendered], value: Array) -> Fit:
        """The value of a ball that a further prompt, the last one, has joined."""
        if self._values.says(contexts[-1:], value):
            return Fit(value, True, float("nan"), 0)
        return self._values.fitted(contexts, start=value)

    def _details(self, state: PaperBook) -> dict[str, object]:
        return super()._details(state) | {
            "value_layer": self.layer,
            "values": len({edit.value.tobytes() for edit in state.edits}),
            "algorithm": "paper",
            "key_site": self.site.path,
            "balls": len(state.balls),
            "outside_their_ball": len(outside(state)),
        }

    def _unpacked(self, pack: packs.Pack) -> PaperBook:
        width = self.port.structure.d_model
        if any(edit.value.shape != (width,) or len(edit.keys) != 1 for edit in pack.edits):
            raise PackMismatch("The pack's edits have another shape.", hint="write its edits anew.")
        return self._main.with_edits((), self._main.ids).opened(pack)


@dataclass
class _Write:
    """A stream of requests on its way into the codebook."""

    book: PaperBook
    editor: PublishedGraceEditor
    space: Calibration

    def take(self, request: EditRequest) -> EditReceipt:
        """One request: decide, then fit."""
        editor, name = self.editor, str(request.id)
        context = editor.renderer.pair(request.prompt, request.target)
        edit = packed(
            request, context.labels, editor._values.keys([context.prompt])[0],
            np.zeros(editor.port.structure.d_model, np.float32),
        )  # fmt: skip
        placed = place(self.book.balls, query_of(edit), self.book.eps_init, self._floor(edit.keys[0]))
        if placed.action == "refuse":
            near = self.book.balls[placed.ball].owners[0]
            return EditReceipt(name, "failed", taken(near))
        owners = placed.balls[placed.ball].owners
        known = [self.book.by_id[owner] for owner in owners[:-1]]
        fit = self._fit([*(e.request for e in known), request], known[0].value if known else None)
        if not fit.converged:
            reason = f"after {fit.steps} steps the model still did not say the target (loss {fit.loss:.3f})"
            return EditReceipt(name, "failed", reason, loss=fit.loss, steps=fit.steps, keys=0)
        shared = [packed(e.request, e.labels, e.keys[0], fit.value) for e in known]
        mine = packed(request, context.labels, edit.keys[0], fit.value)
        self._store([*shared, mine], placed.balls)
        reason = placed.action + (f": shares the value of {owners[0]}" if known else "")
        if request.paraphrases:
            reason += "; the published algorithm has no paraphrases: write them as edits of their own"
        status = "aliased" if known else "written"
        return EditReceipt(name, status, reason, loss=fit.loss, steps=fit.steps, keys=1)

    def _fit(self, requests: Sequence[EditRequest], value: Array | None) -> Fit:
        contexts = [self.editor.renderer.pair(r.prompt, r.target) for r in requests]
        return self.editor._values.fitted(contexts) if value is None else self.editor._extended(contexts, value)

    def _store(self, edits: Sequence[packs.PackedEdit], balls: tuple[Ball, ...]) -> None:
        """Append the new edit, and put the shared value into those that were there, which keep their place."""
        values = {edit.id: edit for edit in edits}
        held = [values.pop(edit.id, edit) for edit in self.book.in_order()]
        self.book = self.book.following([*held, *values.values()], balls, self.space)

    def _floor(self, key: Array) -> float:
        """Below this radius a ball could not be told from the rounding of the model's activations."""
        kind = next(iter(self.editor.port.model.parameters())).dtype
        return 8 * float(torch.finfo(kind).eps if kind.is_floating_point else 1e-2) * float(np.linalg.norm(key))


def outside(book: PaperBook) -> list[str]:
    """The edits whose own prompt is no longer answered by their ball: what later Splits have cost."""
    found = []
    for ball in book.balls:
        for name in ball.owners:
            gap = np.linalg.norm(book.by_id[name].keys[0].astype(np.float64) - ball.key.astype(np.float64))
            if gap > ball.radius:
                found.append(name)
    return sorted(found)
