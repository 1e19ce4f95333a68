"""What every write behind the gate begins with: keys of the requests, and who is turned away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agentmem.editors.background import look_alikes
from agentmem.editors.compact import FINE, ROUGH, Compact, coarse
from agentmem.editors.core.requests import taken
from agentmem.editors.core.scopes import covisible
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.config import GateConfig
from agentmem.editors.gate.nearest import KeySearch
from agentmem.editors.packs import Array, Calibration, PackedEdit
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Rendered, Renderer
from agentmem.notes.edit import EditReceipt, EditRequest

__all__ = ["EditDraft", "Fit", "Intake", "receipts_of"]

_OTHERS = (
    4  # other questions about a subject that an edit keeps, and one for each key: those that could be taken for its own
)
_FARTHEST = float(np.finfo(np.float16).max)
_NOISE_MARGIN = 4.0  # a radius must be well above what batching does to a key


@dataclass(frozen=True, eq=False)
class Fit:
    """What optimising one value came to; ``loss`` is in nats per target token.

    ``said``: which contexts are answered with the target, by the value as it is kept; ``tail``: as in a :class:`PackedEdit`; ``lacks``: in words,
    which token could not be had.
    """

    value: Array
    converged: bool
    loss: float
    steps: int
    said: tuple[bool, ...] = ()
    tail: Array | None = None
    lacks: str = ""


@dataclass(eq=False)
class EditDraft:
    """A request on its way in."""

    request: EditRequest
    contexts: tuple[Rendered, ...]
    keys: Array
    negatives: npt.NDArray[np.float16]
    limits: Array
    others: Compact
    value: Array | None = None
    tail: Array | None = None
    fit: Fit | None = None
    status: str = "written"
    reason: str = ""

    @property
    def id(self) -> str:
        return str(self.request.id)

    @property
    def labels(self) -> tuple[int, ...]:
        return self.contexts[0].labels

    def packed(self) -> PackedEdit:
        assert self.value is not None
        return PackedEdit(
            self.request, self.labels, self.keys, self.value,
            self.negatives, self.limits, self.others, self.tail,
        )  # fmt: skip

    def take(self, fit: Fit) -> None:
        """Have what was found, or fail for what it lacked."""
        self.fit, self.value, self.tail = fit, fit.value, fit.tail
        if not fit.converged:
            self.fail(
                f"after {fit.steps} steps the model still did not say the target{fit.lacks} (loss {fit.loss:.3f})"
            )

    def fail(self, reason: str) -> None:
        self.status, self.reason, self.value, self.tail = "failed", reason, None, None

    def join(self, leader: EditDraft) -> None:
        """Become what a draft of the same words became."""
        if leader.value is None:
            self.fail(leader.reason)
            return
        self.value, self.tail = leader.value, leader.tail
        self.status, self.reason = "aliased", f"shares the value of {leader.id}"


@dataclass
class Intake:
    """What every write begins with: keys, and who is turned away; the codebook given is only read."""

    port: ModelPort
    renderer: Renderer
    config: GateConfig
    layer: int
    book: Codebook
    calibration: Calibration

    def drafts(self, requests: Sequence[EditRequest]) -> list[EditDraft]:
        """Render every prompt, paraphrase and look-alike, and compute their keys."""
        contexts = [self._contexts(request) for request in requests]
        alike = look_alikes([(r.prompt, r.subject, r.paraphrases) for r in requests], self.config.look_alikes)
        prompts = [
            [*(c.prompt for c in own), *map(self.renderer.prompt, (*r.unlike, *near.swapped, *near.asked))]
            for r, own, near in zip(requests, contexts, alike, strict=True)
        ]
        drafts = []
        for request, context, near, keys in zip(requests, contexts, alike, self._keys(prompts), strict=True):
            end = len(context) + len(request.unlike) + len(near.swapped)
            own, swapped, asked = np.split(keys, [len(context), end])
            own = coarse(own, FINE)
            others = _by_nearness(asked, own)[near.disguised :]
            gaps = np.concatenate([_gaps(swapped, own), _gaps(others, own)])
            negatives = np.minimum(gaps.min(1), _FARTHEST).astype(np.float16)
            apart = Compact(coarse(others[: _OTHERS + len(own)] - own[0], ROUGH))
            drafts.append(EditDraft(request, context, own, negatives, _least(gaps), apart))
        return drafts

    def _contexts(self, request: EditRequest) -> tuple[Rendered, ...]:
        """The prompt and its paraphrases, each with the target."""
        texts = (request.prompt, *dict.fromkeys(p for p in request.paraphrases if p != request.prompt))
        return tuple(self.renderer.pair(text, request.target) for text in texts)

    def _keys(self, prompts: Sequence[Sequence[tuple[int, ...]]]) -> list[Array]:
        """[n, r] keys of each request's rendered prompts, request by request.

        In one batch with others their last bits would depend on the company, and with them the hash of a state from which
        the company has left.
        """
        return [self.calibration.keys(self.port.keys(own).numpy()) for own in prompts]

    def refuse_conflicts(self, drafts: Sequence[EditDraft]) -> None:
        """Two targets for one key cannot both be kept: the one that is there, or sorts first, stays."""
        if not drafts:
            return
        reach = 2 * max(_NOISE_MARGIN * self.calibration.noise, 1e-6)
        entering = sorted(drafts, key=lambda draft: draft.id)
        rivals: list[PackedEdit | EditDraft] = [*self.book.edits, *entering]
        keys = KeySearch(np.concatenate([rival.keys for rival in rivals]))
        ends = np.cumsum([len(rival.keys) for rival in rivals])
        for draft, end in zip(entering, ends[len(self.book.edits) :], strict=True):
            near = np.flatnonzero(keys.maybe_within(draft.keys, reach).any(0))
            close = np.unique(np.searchsorted(ends, near[near < end - len(draft.keys)], "right"))
            found = [(_apart(rivals[i], draft), rivals[i]) for i in close.tolist() if _contradicts(rivals[i], draft)]
            gap, rival = min(found, key=lambda item: item[0], default=(np.inf, None))
            if rival is not None and gap <= reach:
                draft.fail(taken(rival.id))

    def settle(self, drafts: Sequence[EditDraft]) -> Codebook:
        """The codebook with every draft whose own keys it answers; the others fail, latest id first."""
        floor = max(_NOISE_MARGIN * self.calibration.noise, 1e-6)
        kept = [draft for draft in drafts if draft.value is not None]
        while True:
            after = self.book.with_edits([draft.packed() for draft in kept], (), self.calibration)
            if not kept:
                return after
            # The prompt's own key comes first; a paraphrase that cannot be told apart is merely never answered.
            first = dict(zip((e.id for e in after.edits), np.unique(after.owners, return_index=True)[1], strict=True))
            own = np.array([first[draft.id] for draft in kept])
            reach = dict(zip((draft.id for draft in kept), after.radius_of(own).tolist(), strict=True))
            short = [draft for draft in kept if reach[draft.id] <= floor]
            if not short:
                return after
            short[-1].fail("its key is too close to another edit, or to unrelated prompts, to be told apart")
            kept.remove(short[-1])


def _contradicts(rival: PackedEdit | EditDraft, draft: EditDraft) -> bool:
    """Whether one request may see both, and they say different things."""
    if (isinstance(rival, EditDraft) and rival.status == "failed") or rival.labels == draft.labels:
        return False
    return bool(covisible([draft.request.scope, rival.request.scope])[0, 1])


def _apart(one: PackedEdit | EditDraft, other: EditDraft) -> float:
    """The least distance between their keys."""
    return float(_gaps(one.keys, other.keys).min())


def _least(gaps: Array) -> Array:
    """[k] the least gap of each key; without look-alikes there is no limit, yet a finite number."""
    least: Array = gaps.min(0, initial=np.finfo(np.float32).max)
    return least


def _gaps(queries: Array, keys: Array) -> Array:
    """[n, k] distances from queries to keys."""
    gaps: Array = np.linalg.norm(queries[:, None] - keys[None], axis=-1).astype(np.float32)
    return gaps


def _by_nearness(queries: Array, keys: Array) -> Array:
    """The queries, those that come nearest to any key first."""
    return queries[np.argsort(_gaps(queries, keys).min(1), kind="stable")] if len(queries) else queries


def receipts_of(drafts: Iterable[EditDraft]) -> dict[str, EditReceipt]:
    """What became of each, by id."""
    return {draft.id: _receipt(draft) for draft in drafts}


def _receipt(draft: EditDraft) -> EditReceipt:
    loss, steps = (draft.fit.loss, draft.fit.steps) if draft.fit is not None else (float("nan"), 0)
    keys = 0 if draft.status == "failed" else len(draft.keys)
    return EditReceipt(draft.id, draft.status, draft.reason, loss=loss, steps=steps, keys=keys)
