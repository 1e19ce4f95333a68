"""The editor that follows the paper: requests one after the other, each by Add, Expand or Split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from agentmem.editors import packs
from agentmem.editors.core.requests import named, taken
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.intake import Fit, Intake
from agentmem.editors.gate.routing import as_route
from agentmem.editors.grace.editor import GraceEditor
from agentmem.editors.packs import Array, Calibration
from agentmem.editors.prompts import Rendered
from agentmem.editors.published.grace.balls import Ball, place
from agentmem.editors.published.grace.book import PaperBook, packed, query_of, raw_space
from agentmem.editors.published.grace.routing import PaperRouter
from agentmem.editors.published.grace.site import Site
from agentmem.editors.published.grace.values import Values
from agentmem.errors import PackMismatch
from agentmem.notes.edit import EditReceipt, EditRequest, Route
from agentmem.notes.note import Scope

__all__ = ["PaperGraceEditor"]

Progress = Callable[[int, int], None]


class PaperGraceEditor(GraceEditor):
    """GRACE as published (Hartvigsen et al. 2023); what :class:`GraceEditor` makes of :meth:`GraceConfig.paper`.

    Edits come one after the other, and the order decides: a Split takes reach from a ball for good. So deleting
    replays the edits that remain, in their order, and ``delete(write(S, x)) == S`` holds here too, at the price of
    fitting again the values that were shared with what left.

    Where the official code differs from the paper by mistake, the paper is followed: labels compare as token tuples, edits
    have ids, every row of a batch has its own query token, and a value that already answers a new prompt is not fitted
    again.
    """

    def _set_up(self) -> None:
        config = self.config
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
            self._on_routes,
        )

    def calibrate(self) -> Calibration:
        """The raw space: the published algorithm compares activations as they are, and has nothing to find."""
        return raw_space(self.port.structure.d_key)

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        """Which edit would answer each prompt, without generating."""
        book = _paper(self.codebook)
        if not book or not prompts:
            return [Route(None) for _ in prompts]
        rows = [self.renderer.prompt(prompt) for prompt in prompts]
        with self._lock:
            keys = self._values.keys(rows)
        asked = scope if scope is not None else self.default_scope
        matches = book.match(keys, [asked] * len(rows))
        return [as_route({len(row) - 1: match}) for row, match in zip(rows, matches, strict=True)]

    def _written(self, book: Codebook, requests: Sequence[EditRequest]) -> tuple[list[EditReceipt], Codebook]:
        space = self.calibrate()
        intake = Intake(self.port, self.renderer, self.config, self.layer, book, space)
        asked = [named(request) for request in requests]
        write = _Write(_paper(book), self, space)
        receipts = {receipt.id: receipt for receipt in intake.held(asked)}
        fresh = intake.fresh(asked)
        for done, request in enumerate(fresh, start=1):
            receipts[str(request.id)] = write.take(request)
            if self.on_progress is not None:
                self.on_progress(done, len(fresh))
        return [receipts[str(request.id)] for request in asked], write.book

    def _without(self, book: Codebook, ids: Sequence[str]) -> Codebook:
        return self._rebuilt(_paper(book), [edit for edit in _paper(book).in_order() if edit.id not in ids])

    def _joined(self, added: Sequence[packs.PackedEdit], removed: set[str], shadow: Codebook) -> Codebook:
        outer, inner = _paper(self._main), _paper(shadow)
        fresh = {edit.id: edit for edit in added}
        stayed = [edit for edit in outer.in_order() if edit.id not in removed | set(fresh)]
        wanted = [*stayed, *(fresh[name] for name in inner.order if name in fresh)]
        if tuple(edit.id for edit in wanted) == inner.order:
            return inner
        return self._rebuilt(inner, wanted)

    def _rebuilt(self, known: PaperBook, wanted: Sequence[packs.PackedEdit]) -> PaperBook:
        """The state after these edits alone, in this order; values that cannot have changed are taken over."""
        empty = _paper(self._main).with_edits((), self._main.ids)
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

    def _details(self, book: Codebook) -> dict[str, object]:
        balls = _paper(book).balls
        return super()._details(book) | {
            "algorithm": "paper",
            "key_site": self.site.path,
            "key_dim": int(book.keys.shape[1]),
            "balls": len(balls),
            "outside_their_ball": len(outside(_paper(book))),
        }

    def _unpacked(self, pack: packs.Pack) -> Codebook:
        width = self.port.structure.d_model
        if any(edit.value.shape != (width,) or len(edit.keys) != 1 for edit in pack.edits):
            raise PackMismatch("The pack's edits have another shape.", hint="write its edits anew.")
        return _paper(self._main).with_edits((), self._main.ids).opened(pack)


@dataclass
class _Write:
    """A stream of requests on its way into the codebook."""

    book: PaperBook
    editor: PaperGraceEditor
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


def _paper(book: Codebook) -> PaperBook:
    return cast("PaperBook", book)
