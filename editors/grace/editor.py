"""The GRACE editor: a codebook of edits on one model, behind the :class:`~agentmem.notes.protocols.Editor` protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from agentmem.editors import packs
from agentmem.editors.core.config import layer_below_another
from agentmem.editors.core.requests import in_order
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.editor import GatedEditor
from agentmem.editors.gate.intake import EditDraft, Fit, Intake, receipts_of
from agentmem.editors.gate.key_space import found_key_space
from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.grace.routing import GraceRouter
from agentmem.editors.grace.tails import fit_run, run_says
from agentmem.editors.grace.writer import fit_values, promising, says_each
from agentmem.editors.packs import Array, Calibration, PackedEdit
from agentmem.editors.prompts import Rendered
from agentmem.errors import PackMismatch
from agentmem.notes.edit import EditReceipt, EditRequest

__all__ = ["GraceEditor"]

_SEVERAL = 3
"""Contexts from which on it pays to look at the first alone before."""


class GraceEditor(GatedEditor[Codebook]):
    """Facts as key-value pairs beside the model (GRACE, Hartvigsen et al. 2023), read late and written early.

    A request whose key lies within an edit's radius gets the edit's vector added to the residual stream at the
    end of its prompt; every other request is left bit-identical. See :class:`GraceConfig` for the options, and
    :class:`~agentmem.editors.gate.editor.GatedEditor` for the arguments.
    """

    method = "grace"
    options = GraceConfig
    config: GraceConfig

    def _set_up(self) -> None:
        self.layer = layer_below_another("value_layer", self.config.value_layer, self.port.depth)
        self._main = Codebook(
            self.method, self.port.fingerprint(), (("value_layer", self.layer),),
            self.config.false_alarm, self.config.look_alike_alarm,
        )  # fmt: skip
        self._taught: ContextVar[Mapping[str, PackedEdit]] = ContextVar("agentmem_taught", default=MappingProxyType({}))
        self._router = GraceRouter(
            self.port, self.layer, self.config.framing(self.renderer), self._view, self._routes.set
        )

    def _learn(self, state: Codebook, fresh: Sequence[EditRequest]) -> tuple[dict[str, EditReceipt], Codebook]:
        calibration = state.calibration or self.calibrate()
        transaction = GraceWrite(
            self.port, self.renderer, self.config, self.layer, state, calibration, self._taught.get()
        )
        return transaction.run(fresh, self.on_progress)

    @contextmanager
    def taught(self, found: Sequence[bytes]) -> Iterator[None]:
        """Writes inside take over the values that another editor on the same model has found for the very same requests.

        Keys, conflicts and which paraphrases hold are found out here, as ever; so the state is the one that would be without.

        Raises:
            PackMismatch: a pack is damaged, or of another model or recipe.
        """
        known: dict[str, PackedEdit] = {}
        for data in found:
            pack = packs.read_pack(data)
            self._check(pack)
            known |= {edit.id: edit for edit in pack.edits}
        token = self._taught.set(known)
        try:
            yield
        finally:
            self._taught.reset(token)

    def _key_space(self) -> Calibration:
        return found_key_space(self.port, self.renderer, self.config, self.background_groups(), self.config.key_layer)

    def _details(self, state: Codebook) -> dict[str, object]:
        values = len({edit.value.tobytes() for edit in state.edits})
        return super()._details(state) | {"value_layer": self.layer, "values": values}

    def _unpacked(self, pack: packs.Pack) -> Codebook:
        width = self.port.structure.d_model
        if any(edit.value.shape != (width,) or _too_long(edit) for edit in pack.edits):
            raise PackMismatch("The pack's values have another width.", hint="write its edits anew.")
        return self._main.with_edits((), self._main.ids).with_edits(pack.edits, (), pack.calibration)


def _too_long(edit: PackedEdit) -> bool:
    """Whether the tail of a value goes on behind its target."""
    return edit.tail is not None and len(edit.tail) >= len(edit.labels)


@dataclass
class GraceWrite(Intake):
    """Everything that a GRACE write needs; ``taught``: by id, what is known of requests from elsewhere."""

    config: GraceConfig
    taught: Mapping[str, PackedEdit] = field(default_factory=dict)

    def run(
        self, requests: Sequence[EditRequest], progress: Callable[[int, int], None] | None
    ) -> tuple[dict[str, EditReceipt], Codebook]:
        """Write requests; the order in which they are given makes no difference to the state.

        Returns:
            Receipts by id, and the codebook afterwards.
        """
        drafts = self.drafts(in_order(requests))
        self.refuse_conflicts(drafts)
        self._fit([draft for draft in drafts if draft.status != "failed"], progress)
        after = self.settle(drafts)
        return receipts_of(drafts), after

    def _fit(self, drafts: Sequence[EditDraft], progress: Callable[[int, int], None] | None) -> None:
        leaders, followers = self._twins(drafts)
        unknown = [draft for draft in leaders if not self._is_taught(draft)]
        contexts = [draft.contexts[: self.config.contexts] for draft in unknown]
        fits = self._single(contexts, progress)
        for draft, own, fit in zip(unknown, contexts, fits, strict=True):
            draft.take(fit if fit is not None and fit.converged else self._run(own))
        for draft, leader in followers:
            draft.join(leader)
        self._keep_verified([draft for draft in drafts if draft.value is not None])

    def _is_taught(self, draft: EditDraft) -> bool:
        """Whether a value for it was found elsewhere, which it then has."""
        known = self.taught.get(draft.id)
        if known is None or known.request != draft.request:
            return False
        draft.value, draft.tail = known.value, known.tail
        return True

    def _single(
        self, contexts: Sequence[Sequence[Rendered]], progress: Callable[[int, int], None] | None
    ) -> list[Fit | None]:
        """One value for each edit; ``None`` where a few steps for the question alone show that there is none, which spares the steps for its wordings."""
        several = [i for i, own in enumerate(contexts) if len(own) >= _SEVERAL]
        looked = promising(self.port, [contexts[i] for i in several], self.layer, self.config)
        hopeless = {i for i, good in zip(several, looked, strict=True) if not good}
        tried = [i for i in range(len(contexts)) if i not in hopeless]
        fits = fit_values(self.port, [contexts[i] for i in tried], self.layer, self.config, progress)
        found = dict(zip(tried, fits, strict=True))
        return [found.get(i) for i in range(len(contexts))]

    def _run(self, contexts: Sequence[Rendered]) -> Fit:
        """What one vector cannot hold, as one for each token of the answer; a paraphrase that is in the way must not cost the edit itself."""
        fit = fit_run(self.port, contexts, self.layer, self.config)
        return fit if fit.converged or len(contexts) == 1 else fit_run(self.port, contexts[:1], self.layer, self.config)

    def _twins(self, drafts: Sequence[EditDraft]) -> tuple[list[EditDraft], list[tuple[EditDraft, EditDraft]]]:
        """Drafts whose value has to be found, and those that come to the very same: what is taught has the same tokens.

        One that was merely near would have another value alone, and the state would tell, after the other is gone, that it
        had been there.
        """
        first = {draft.contexts: draft for draft in self._known(drafts)}
        leaders, followers = [], []
        for draft in drafts:
            leader = first.setdefault(draft.contexts, draft)
            if leader is draft:
                leaders.append(draft)
            else:
                followers.append((draft, leader))
        return leaders, followers

    def _known(self, drafts: Sequence[EditDraft]) -> list[EditDraft]:
        """The stored edits that ask in the very words of a draft, as drafts that are done."""
        asked = {draft.contexts[0].prompt for draft in drafts}
        labels = {draft.labels for draft in drafts}
        found = []
        for edit in self.book.edits:
            if edit.labels in labels and self.renderer.prompt(edit.request.prompt) in asked:
                contexts = self._contexts(edit.request)
                found.append(
                    EditDraft(
                        edit.request,
                        contexts,
                        edit.keys,
                        edit.negatives,
                        edit.limits,
                        edit.others,
                        edit.value,
                        edit.tail,
                    )
                )
        return found

    def _keep_verified(self, drafts: Sequence[EditDraft]) -> None:
        """Only paraphrases that the value really answers stay keys; the prompt itself always does."""
        told = {d.id: d.fit.said for d in drafts if d.fit is not None and len(d.fit.said) == len(d.contexts)}
        for draft in drafts:
            if draft.id not in told and draft.value is not None and draft.tail is not None:
                told[draft.id] = self._run_says(draft, np.vstack([draft.value, draft.tail]))
        plain = [draft for draft in drafts if draft.id not in told]
        values = [draft.value for draft in plain if draft.value is not None]
        rows = self.config.batch_on(self.port.device.type)
        said = says_each(self.port, [d.contexts for d in plain], values, self.layer, rows)
        told |= {draft.id: each for draft, each in zip(plain, said, strict=True)}
        self._drop(drafts, told)

    def _run_says(self, draft: EditDraft, run: Array) -> tuple[bool, ...]:
        """Which contexts a run answers; what fitting it has found out of the first ones is not asked again."""
        known = draft.fit.said if draft.fit is not None else ()
        return known + run_says(self.port, draft.contexts[len(known) :], run, self.layer)

    @staticmethod
    def _drop(drafts: Sequence[EditDraft], told: Mapping[str, tuple[bool, ...]]) -> None:
        """Leave out the keys of the paraphrases that are not answered."""
        for draft in drafts:
            if dropped := [i for i, ok in enumerate(told[draft.id]) if i and not ok]:
                draft.keys, draft.limits = np.delete(draft.keys, dropped, 0), np.delete(draft.limits, dropped)
                draft.reason += f"{'; ' if draft.reason else ''}{len(dropped)} paraphrases were left out"
