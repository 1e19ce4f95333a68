"""What happens in the shadow: edits are written, verified by free generation, narrowed or taken out again, and nobody is served by them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice

from agentmem.consolidation.beside import BesideEdit
from agentmem.consolidation.candidates import Candidate, boundary, gather, request_of
from agentmem.consolidation.phraser import Phraser
from agentmem.consolidation.proposal import Plan, Progress
from agentmem.consolidation.settling import Settled, Settler
from agentmem.consolidation.verify import Canary, Prober, RegressionProbes, Verdict
from agentmem.consolidation.workers import ModelWorkers, Teachable
from agentmem.core import EVERYBODY, Core
from agentmem.notes.edit import EditReceipt, EditRequest
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Editor
from agentmem.notes.rows import EditRow

__all__ = ["ShadowTrial", "ShadowWriter", "unnamed"]

ROUNDS = 3


@dataclass(slots=True)
class ShadowTrial:
    """What happened in the shadow."""

    requests: dict[str, EditRequest]
    candidates: dict[str, Candidate]
    before: dict[str, str]
    worth: dict[str, float] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    receipts: dict[str, EditReceipt] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    failed: dict[str, str] = field(default_factory=dict)
    canaries: int = 0
    older: int = 0
    demoted: list[EditRow] = field(default_factory=list)
    settled: Settled = field(default_factory=Settled)
    moved: tuple[str, ...] = ()
    data: bytes | None = None

    @property
    def standing(self) -> list[str]:
        """The keys of the requests that have not failed."""
        return [key for key in self.requests if key not in self.failed]


class ShadowWriter:
    """Tries what a plan chose where nobody sees it.

    Args:
        phraser: finds how notes are asked for.
        canary_texts: general prompts whose answers must not change.
        editor, prober: of the attached model; the state that is tried stays the editor's own.
        workers: find the values that make the model say what it shall.
    """

    def __init__(
        self,
        core: Core,
        phraser: Phraser,
        canary_texts: Sequence[str],
        editor: Editor,
        prober: Prober,
        progress: Progress,
        workers: ModelWorkers | None = None,
    ) -> None:
        self._workers = workers
        self._core, self._phraser, self._canary_texts = core, phraser, tuple(canary_texts)
        self._editor, self._prober, self._progress = editor, prober, progress

    def run(self, plan: Plan) -> ShadowTrial:
        """Write and verify what a plan chose, and take out what it demotes; the shadow is left behind with what the pack would be."""
        editor, prober, progress = self._editor, self._prober, self._progress
        requests = {(key := str(self._core.new_id())): request_of(c, key) for c in plan.chosen}
        candidates = dict(zip(requests, plan.chosen, strict=True))
        before = dict(zip(requests, prober.bare([r.prompt for r in requests.values()]), strict=True))
        scores = {decision.note_id: decision.score for decision in plan.decisions}
        worth = {key: scores[c.note.id] for key, c in candidates.items()}
        trial = ShadowTrial(requests, candidates, before, worth, scope=plan.scope, demoted=list(plan.demoted))
        gone = {e.id for e in plan.demoted} & {str(e.id) for e in editor.edits()}  # a damaged pack may have lost some
        strangers = {str(e.id) for e in editor.edits() if plan.scope and not plan.scope.admits(e.scope or Scope())}
        regression = self._regression(plan, gone)
        trial.canaries, trial.older = len(regression.canaries), len(regression.older)
        with editor.shadow():
            if gone:
                editor.delete(sorted(gone))
            progress("writing edits", 0, len(requests))
            with self._taught(list(requests.values())):
                receipts = editor.write(list(requests.values())) if requests else []
            for receipt in receipts:
                trial.receipts[receipt.id] = receipt
                if not receipt.ok:
                    trial.failed[receipt.id] = unnamed(receipt.reason, strangers)
            progress("writing edits", len(requests), len(requests))
            for attempt in range(ROUNDS):
                progress("verifying by free generation", attempt, ROUNDS)
                self._verify(trial, regression)
                if not trial.verdict.broken:
                    break
                if not self._narrow(trial):
                    self._take_back(trial)
            else:
                rest = trial.standing
                trial.failed.update(dict.fromkeys(rest, "the batch could not be verified"))
                if rest:
                    editor.delete(sorted(rest))
            self._make_room(plan, trial, regression)
            progress("verifying by free generation", ROUNDS, ROUNDS)
            trial.settled = Settler(self._core, editor, prober, progress).run(regression.canaries)
            trial.data = editor.dump()
        return trial

    def _taught(self, requests: Sequence[EditRequest]) -> AbstractContextManager[None]:
        """Inside, the editor knows what the workers found; what they could not learn it tries itself."""
        workers = self._workers
        if workers is None or len(requests) < workers.least or not isinstance(self._editor, Teachable):
            return nullcontext()
        return self._editor.taught(workers.learn(requests))

    def _make_room(self, plan: Plan, trial: ShadowTrial, regression: RegressionProbes) -> None:
        """Take out the edits whose places are taken by newcomers that have proved themselves, and look once more."""
        places = [plan.displaced.get(trial.candidates[key].note.id) for key in trial.standing]
        leaving = {edit.id: edit for edit in places if edit is not None}
        if not leaving:
            return
        trial.demoted += leaving.values()
        self._editor.delete(sorted(leaving.keys() & {str(e.id) for e in self._editor.edits()}))
        self._verify(trial, regression.without(leaving))
        if trial.verdict.broken:
            self._take_back(trial)

    def _narrow(self, trial: ShadowTrial) -> bool:
        """Write the edits anew, once, that are nothing but too near to general questions, which are nobody's words; whether that is all there was."""
        broken = trial.verdict.broken
        for key in trial.standing:
            reached = tuple(dict.fromkeys(trial.verdict.reaches.get(key, ())))
            request = trial.requests[key]
            if key not in broken or not reached or request.unlike or not set(reached) <= set(self._canary_texts):
                continue
            self._editor.delete([key])
            trial.requests[key] = replace(request, unlike=reached)
            (trial.receipts[key],) = self._editor.write([trial.requests[key]])
            del broken[key]
            if not trial.receipts[key].ok:
                trial.failed[key] = trial.receipts[key].reason
        return not broken

    def _take_back(self, trial: ShadowTrial) -> None:
        """Take out the edits that failed; all of the batch when the culprit has no name or is an older edit."""
        standing = trial.standing
        broken = {key: why for key, why in trial.verdict.broken.items() if key in standing}
        doomed = broken or dict.fromkeys(standing, "the batch broke what it must not touch")
        trial.failed.update(doomed)
        self._editor.delete(sorted(doomed))

    def _verify(self, trial: ShadowTrial, regression: RegressionProbes) -> None:
        settings = self._core.settings.consolidation
        standing = [trial.requests[key] for key in trial.standing]
        phrased = {key: c.phrased for key, c in trial.candidates.items()}
        probes: dict[str, Sequence[str]] = {key: p.probes for key, p in phrased.items() if p is not None}
        known = {key: BesideEdit.of(c.note, c.phrased) for key, c in trial.candidates.items()}
        limits = (settings.min_reliability, settings.min_generality)
        former = trial.verdict
        trial.verdict = self._prober.verify(standing, probes, regression, limits, known)
        # What an edit that was taken out again had answered stays on the record.
        for name in ("after", "reliability", "generality"):
            setattr(trial.verdict, name, getattr(former, name) | getattr(trial.verdict, name))

    def _regression(self, plan: Plan, gone: Collection[str]) -> RegressionProbes:
        """What has to stay, and what it is answered now; ``gone`` are edits that leave anyway."""
        settings, canaries = self._core.settings.consolidation, self._canaries(plan)
        rest = [e for e in self._editor.edits() if e.id not in gone]
        older = rest[-settings.older_edits :] if settings.older_edits else []
        others = [e for e in older if plan.scope and not plan.scope.admits(e.scope or Scope())]
        older = [e for e in older if e not in others]
        scopes = list(dict.fromkeys(boundary(c.note.scope) for c in plan.chosen))
        return RegressionProbes(
            canaries=tuple(canaries),
            canaries_said=tuple(self._prober.ask(canaries)),
            older=tuple(older),
            older_said=tuple(self._prober.ask([Canary(r.prompt, r.scope) for r in older])),
            others=tuple(others),
            others_said=tuple(self._prober.ask([Canary(r.prompt, r.scope) for r in others])),
            elsewhere=tuple(Canary(text, s) for s in scopes[1:] for text in self._canary_texts[: settings.canaries]),
        )

    def _canaries(self, plan: Plan) -> list[Canary]:
        """General questions, and questions about neighbouring facts that are not being written."""
        limit = self._core.settings.consolidation.canaries
        chosen = {c.note.id for c in plan.chosen}
        asked = {c.phrased.question for c in plan.chosen if c.phrased}
        with self._core.reading(EVERYBODY) as tx:
            scopes = {c.note.scope.user: c.note.scope for c in plan.chosen}
            owners = dict.fromkeys(o for s in scopes.values() for o in tx.notes.visible_owners(s))
            others = gather(tx, self._core, tuple(owners), self._phraser, edited=False)
            questions = (
                Canary(c.phrased.question, boundary(c.note.scope))
                for c in others
                if c.note.id not in chosen and c.phrased is not None and c.phrased.question not in asked
            )
            near = list(islice(questions, limit // 2))
        scope = boundary(plan.chosen[0].note.scope) if plan.chosen else None
        return near + [Canary(text, scope) for text in self._canary_texts[: limit - len(near)]]


def unnamed(reason: str, ids: Collection[str]) -> str:
    """The reason without the names of these edits, which are others' own."""
    for id in ids:
        reason = reason.replace(f"edit {id}", "an edit").replace(id, "another")
    return reason
