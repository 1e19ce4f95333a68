"""The LoRA baseline behind the :class:`~agentmem.notes.protocols.Editor` protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from agentmem.editors.core.requests import in_order, rival_of, taken
from agentmem.editors.deltas.editor import DeltaEditor, LowRank, Visible
from agentmem.editors.deltas.records import Book, DeltaRecord
from agentmem.editors.lanes import says_target
from agentmem.editors.lora.config import LoraConfig
from agentmem.editors.lora.training import Trained, train
from agentmem.editors.prompts import Rendered
from agentmem.editors.structure import projections
from agentmem.errors import InvalidArgument
from agentmem.notes.edit import EditReceipt, EditRequest

__all__ = ["LoraEditor"]

_MIXED = (
    "one adapter is trained on all facts and serves everybody, so it cannot keep a scope; "
    'use make_editor("grace", …) or "emmet" for scoped facts, or scope=None'
)


class LoraEditor(DeltaEditor):
    """All facts in one low-rank adapter (LoRA, Hu et al. 2022) at the feed-forward output projections.

    A baseline to compare with. Every write and every delete trains the adapter anew on all facts that are there then,
    in the order of their ids and from the same seed: so the state depends on the set of facts alone, and deleting
    costs as much as writing. Nothing routes: the adapter acts on every token of every request.

    Args:
        on_progress: called with (epochs done, epochs at most) while the adapter is trained.
        default_scope: kept for the protocol; facts here have no scope.
        options: fields of :class:`~agentmem.editors.lora.config.LoraConfig`; the rest as in every editor.

    Raises:
        InvalidArgument: an unknown option, or one out of range.
        LayerNotFound: the feed-forward output projections could not be found.
    """

    method = "lora"
    options = LoraConfig
    config: LoraConfig

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        modules = projections(self.port.structure)
        if self.config.layer >= self.port.depth:
            raise InvalidArgument(
                f"layer={self.config.layer}, but the model has {self.port.depth} layers.",
                hint=f"choose 0 … {self.port.depth - 1}.",
            )
        sites = {i: module for i, module in enumerate(modules) if i >= self.config.layer}
        self._begin(sites, self.config.model_dump(exclude={"layers", "chat"}))

    def _learn(self, state: Book, fresh: Sequence[EditRequest]) -> tuple[dict[str, EditReceipt], Book]:
        receipts: dict[str, EditReceipt] = {}
        new = self._admitted(state, in_order(fresh), receipts)
        while new:
            after, trained = self._trained(state.with_edits(new))
            told = _by_record(trained, self._rows(after))
            failed = {record.id for record in new if not told[record.id][0]}
            if not failed:
                for record in new:
                    receipts[record.id] = EditReceipt(
                        record.id, "written", loss=told[record.id][1], steps=trained.steps, keys=1
                    )
                return receipts, after
            for name in failed:
                receipts[name] = EditReceipt(
                    name, "failed", "the adapter did not learn the target; a higher `rank` or more `epochs` may help",
                    loss=told[name][1], steps=trained.steps,
                )  # fmt: skip
            new = [record for record in new if record.id not in failed]
        return receipts, state

    def _admitted(
        self, book: Book, fresh: Sequence[EditRequest], receipts: dict[str, EditReceipt]
    ) -> list[DeltaRecord]:
        """Records of the requests worth training; the others get their receipt."""
        pairs = {str(r.id): self.renderer.pair(r.prompt, r.target) for r in fresh}
        zeros = torch.zeros(len(fresh), self.port.structure.d_model)
        known = says_target(self.port, list(pairs.values()), zeros, 0)
        held = [(record.request, record.labels) for record in book.edits]
        new = []
        for request, said in zip(fresh, known, strict=True):
            name = str(request.id)
            rival = rival_of(request, pairs[name].labels, held)
            reason = ""
            if request.scope:
                reason = _MIXED
            elif rival:
                reason = taken(rival)
            elif said:
                reason = "the model says this already; leave it to the base, or delete what contradicts it"
            if reason:
                receipts[name] = EditReceipt(name, "failed", reason)
            else:
                new.append(DeltaRecord(request, pairs[name].labels))
                held.append((request, pairs[name].labels))
        return new

    def _without(self, state: Book, ids: set[str]) -> Book:
        return self._trained(super()._without(state, ids))[0]

    def _joined(self, added: Sequence[DeltaRecord], removed: set[str], inner: Book) -> Book:
        return self._trained(super()._joined(added, removed, inner))[0]

    def _rows(self, book: Book) -> list[tuple[str, Rendered]]:
        """(id, prompt with target) of everything to train on, in canonical order."""
        rows = []
        for record in book.edits:
            asked = dict.fromkeys((record.request.prompt, *record.request.paraphrases))
            chosen = list(asked)[: self.config.contexts]
            rows += [(record.id, self.renderer.pair(text, record.request.target)) for text in chosen]
        return rows

    def _trained(self, book: Book) -> tuple[Book, Trained]:
        """The book with the adapter that its records, and nothing else, lead to."""
        rows = self._rows(book)
        if not rows:
            return book, Trained({}, [], [], 0)
        trained = train(self.port, self.sites, [row for _, row in rows], self.config, self.on_progress)
        shared = {
            f"{side}.{layer}": f.numpy()
            for layer, pair in trained.factors.items()
            for side, f in zip(("down", "up"), pair, strict=True)
        }
        return book.with_edits((), (), shared), trained

    def _deltas(self, book: Book, visible: Visible) -> Mapping[int, LowRank]:
        del visible  # everybody sees the whole adapter
        scale = self.config.alpha / self.config.rank
        return {
            layer: (
                scale * torch.from_numpy(book.shared[f"up.{layer}"].copy()),
                torch.from_numpy(book.shared[f"down.{layer}"].copy()).T.contiguous(),
            )
            for layer in self.sites
        }


def _by_record(trained: Trained, rows: Sequence[tuple[str, Rendered]]) -> dict[str, tuple[bool, float]]:
    """By id: whether the record's own prompt (its first row) is answered, and with what loss."""
    told: dict[str, tuple[bool, float]] = {}
    for (name, _), said, loss in zip(rows, trained.said, trained.losses, strict=True):
        told.setdefault(name, (said, loss))
    return told
