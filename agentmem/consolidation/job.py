"""The consolidation job: propose, write in shadow, verify by free generation, commit or roll back.

Until the commit nothing that serves a request has changed; the commit is one SQL transaction that writes the registry and
flips the pointer to the new pack. Whatever was remembered or forgotten meanwhile is honoured there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from agentmem.consolidation.candidates import Candidate, as_json, boundary, gather, request_of
from agentmem.consolidation.phraser import Phraser
from agentmem.consolidation.policy import Decision, Policy
from agentmem.consolidation.proposal import Plan, Progress, Proposer, barred, kept
from agentmem.consolidation.report import ConsolidationReport, EditOutcome
from agentmem.consolidation.settling import BULK, Settled, Settler
from agentmem.consolidation.verify import Answerer, Canary, Prober, RegressionProbes, Verdict, Weigher
from agentmem.core import EVERYBODY, Core
from agentmem.jobs.lease import Lease
from agentmem.notes.clock import micros
from agentmem.notes.edit import EditReceipt, EditRequest
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Editor
from agentmem.notes.rows import EditRow
from agentmem.records.transaction import Transaction
from agentmem.weights.registry import METHOD, WeightRegistry

__all__ = ["Consolidator"]

LEASE = "consolidate"
LEASE_MINUTES = 30
ROUNDS = 3
PROBE_TOKENS = 24
"""Tokens generated per probe."""


@dataclass(slots=True)
class _Trial:
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


class Consolidator:
    """Moves facts between notes and weights.

    Args:
        phraser: finds how notes are asked for.
        answer, weigh: greedy generation on the attached model, and how likely it finds an answer; canary_texts: general prompts whose answers must not change.
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(
        self,
        core: Core,
        weights: WeightRegistry,
        policy: Policy,
        phraser: Phraser,
        answer: Answerer,
        weigh: Weigher,
        canary_texts: Sequence[str],
        fail: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._core = core
        self._weights = weights
        self._phraser = phraser
        self._answer, self._weigh = answer, weigh
        self._canary_texts = tuple(canary_texts)
        self._fail = fail
        self.policy = policy

    def run(
        self,
        scope: Scope,
        *,
        dry_run: bool = False,
        budget: int | None = None,
        progress: Progress = lambda stage, done, total: None,
    ) -> ConsolidationReport:
        """One run over what ``scope`` may see (an unbound scope: over everybody's notes, each in its own scope)."""
        started = time.perf_counter()
        if dry_run:
            plan = self.proposer(progress).plan(scope, budget)
            report = ConsolidationReport(
                tuple(plan.decisions), demoted=tuple(e.note_id for e in plan.leaving), dry_run=True
            )
            return replace(report, seconds=time.perf_counter() - started)
        self._weights.need()
        with Lease(self._core, LEASE, "Another consolidation of these notes is running.", LEASE_MINUTES):
            with self._core.reading(EVERYBODY) as tx:
                known = {edit.id for edit in tx.ledger.edits()}  # before the editor is brought up to date
            with self._weights.serving() as editor:
                self._weights.need_sound()
                report = self._run(editor, scope, budget, progress, known)
        return replace(report, seconds=time.perf_counter() - started)

    # -- propose ---------------------------------------------------------------------------------------------

    def proposer(self, progress: Progress = lambda stage, done, total: None) -> Proposer:
        """What decides; it asks the model too when one is attached."""
        editor = self._weights.editor
        prober = self.prober(editor) if editor is not None else None
        return Proposer(self._core, self.policy, self._phraser, prober, editor, progress)

    def explain(self, note_id: str, scope: Scope) -> str:
        """The policy's decision on one note, in words."""
        candidate = self.proposer().candidate(note_id, scope)
        if candidate is None:
            return "keep: the note states no fact, and nothing was asked of it"
        with self._core.reading(scope or EVERYBODY) as tx:
            bar = barred(tx, [candidate], self._weights.editor).get(note_id)
        decision = self.policy.decide(candidate.signals)
        said = self.policy.explain(candidate.signals)
        return f"{kept(decision, bar)}\nelse {said}" if bar and decision.action == "promote" else said

    def prober(self, editor: Editor) -> Prober:
        model, tokenizer = self._weights.model, self._weights.tokenizer
        return Prober(editor, model, tokenizer, self._answer, PROBE_TOKENS, self._weigh, self._core.same_question)

    # -- write in shadow and verify --------------------------------------------------------------------------

    def _run(
        self, editor: Editor, scope: Scope, budget: int | None, progress: Progress, known: set[str]
    ) -> ConsolidationReport:
        plan = self.proposer(progress).plan(scope, budget)
        if (
            not plan.chosen
            and not plan.demoted
            and not Settler(self._core, editor, self.prober(editor), progress).due()
        ):
            return ConsolidationReport(tuple(plan.decisions))
        trial = self._try(editor, plan, progress)
        self._fail("consolidate:before-commit")
        pack, outcomes = self._commit(trial, known)
        self._fail("consolidate:after-commit")
        warnings = self._weights.follow()
        return ConsolidationReport(
            decisions=_done(plan, trial),
            outcomes=tuple(outcomes),
            demoted=tuple(e.note_id for e in trial.demoted),
            settled=trial.moved,
            warnings=(*(trial.settled.told() if scope else trial.settled.warnings), *warnings),
            canaries=trial.canaries,
            locality=trial.verdict.locality,
            older_checked=trial.older,
            older_kept=trial.verdict.older_kept,
            pack=pack,
        )

    def _try(self, editor: Editor, plan: Plan, progress: Progress) -> _Trial:
        requests = {(key := str(self._core.new_id())): request_of(c, key) for c in plan.chosen}
        candidates = dict(zip(requests, plan.chosen, strict=True))
        prober = self.prober(editor)
        before = dict(zip(requests, prober.bare([r.prompt for r in requests.values()]), strict=True))
        scores = {decision.note_id: decision.score for decision in plan.decisions}
        worth = {key: scores[c.note.id] for key, c in candidates.items()}
        trial = _Trial(requests, candidates, before, worth, scope=plan.scope, demoted=list(plan.demoted))
        gone = {e.id for e in plan.demoted} & {str(e.id) for e in editor.edits()}  # a damaged pack may have lost some
        strangers = {str(e.id) for e in editor.edits() if plan.scope and not plan.scope.admits(e.scope or Scope())}
        regression = self._regression(editor, plan, prober, gone)
        trial.canaries, trial.older = len(regression.canaries), len(regression.older)
        with editor.shadow():
            if gone:
                editor.delete(sorted(gone))
            progress("writing edits", 0, len(requests))
            for receipt in editor.write(list(requests.values())) if requests else []:
                trial.receipts[receipt.id] = receipt
                if not receipt.ok:
                    trial.failed[receipt.id] = _unnamed(receipt.reason, strangers)
            progress("writing edits", len(requests), len(requests))
            for attempt in range(ROUNDS):
                progress("verifying by free generation", attempt, ROUNDS)
                self._verify(trial, prober, regression)
                if not trial.verdict.broken:
                    break
                if not self._narrow(editor, trial):
                    self._take_back(editor, trial)
            else:
                rest = self._standing(trial)
                trial.failed.update(dict.fromkeys(rest, "the batch could not be verified"))
                if rest:
                    editor.delete(sorted(rest))
            self._make_room(editor, plan, trial, prober, regression)
            progress("verifying by free generation", ROUNDS, ROUNDS)
            trial.settled = Settler(self._core, editor, prober, progress).run(regression.canaries)
            trial.data = editor.dump()
        return trial

    def _make_room(
        self, editor: Editor, plan: Plan, trial: _Trial, prober: Prober, regression: RegressionProbes
    ) -> None:
        """Take out the edits whose places are taken by newcomers that have proved themselves, and look once more."""
        places = [plan.displaced.get(trial.candidates[key].note.id) for key in self._standing(trial)]
        leaving = {edit.id: edit for edit in places if edit is not None}
        if not leaving:
            return
        trial.demoted += leaving.values()
        editor.delete(sorted(leaving.keys() & {str(e.id) for e in editor.edits()}))
        self._verify(trial, prober, regression.without(leaving))
        if trial.verdict.broken:
            self._take_back(editor, trial)

    def _narrow(self, editor: Editor, trial: _Trial) -> bool:
        """Write the edits anew, once, that are nothing but too near to general questions, which are nobody's words; whether that is all there was."""
        broken = trial.verdict.broken
        for key in self._standing(trial):
            reached = tuple(dict.fromkeys(trial.verdict.reaches.get(key, ())))
            request = trial.requests[key]
            if key not in broken or not reached or request.unlike or not set(reached) <= set(self._canary_texts):
                continue
            editor.delete([key])
            trial.requests[key] = replace(request, unlike=reached)
            (trial.receipts[key],) = editor.write([trial.requests[key]])
            del broken[key]
            if not trial.receipts[key].ok:
                trial.failed[key] = trial.receipts[key].reason
        return not broken

    def _take_back(self, editor: Editor, trial: _Trial) -> None:
        """Take out the edits that failed; all of the batch when the culprit has no name or is an older edit."""
        standing = self._standing(trial)
        broken = {key: why for key, why in trial.verdict.broken.items() if key in standing}
        doomed = broken or dict.fromkeys(standing, "the batch broke what it must not touch")
        trial.failed.update(doomed)
        editor.delete(sorted(doomed))

    @staticmethod
    def _standing(trial: _Trial) -> list[str]:
        return [key for key in trial.requests if key not in trial.failed]

    def _verify(self, trial: _Trial, prober: Prober, regression: RegressionProbes) -> None:
        settings = self._core.settings.consolidation
        standing = [trial.requests[key] for key in self._standing(trial)]
        phrased = {key: c.phrased for key, c in trial.candidates.items()}
        probes: dict[str, Sequence[str]] = {key: p.probes for key, p in phrased.items() if p is not None}
        heard = {key: [each.question for each in p.heard] for key, p in phrased.items() if p is not None}
        limits = (settings.min_reliability, settings.min_generality)
        former = trial.verdict
        trial.verdict = prober.verify(standing, probes, regression, limits, heard)
        # What an edit that was taken out again had answered stays on the record.
        for name in ("after", "reliability", "generality"):
            setattr(trial.verdict, name, getattr(former, name) | getattr(trial.verdict, name))

    def _regression(self, editor: Editor, plan: Plan, prober: Prober, gone: Collection[str]) -> RegressionProbes:
        """What has to stay, and what it is answered now; ``gone`` are edits that leave anyway."""
        settings, canaries = self._core.settings.consolidation, self._canaries(plan)
        older = [e for e in editor.edits() if e.id not in gone][-settings.older_edits :] if settings.older_edits else []
        others = [e for e in older if plan.scope and not plan.scope.admits(e.scope or Scope())]
        older = [e for e in older if e not in others]
        scopes = list(dict.fromkeys(boundary(c.note.scope) for c in plan.chosen))
        return RegressionProbes(
            canaries=tuple(canaries),
            canaries_said=tuple(prober.ask(canaries)),
            older=tuple(older),
            older_said=tuple(prober.ask([Canary(r.prompt, r.scope) for r in older])),
            others=tuple(others),
            others_said=tuple(prober.ask([Canary(r.prompt, r.scope) for r in others])),
            elsewhere=tuple(Canary(text, s) for s in scopes[1:] for text in self._canary_texts[: settings.canaries]),
        )

    def _canaries(self, plan: Plan) -> list[Canary]:
        """General questions, and questions about neighbouring facts that are not being written."""
        limit = self._core.settings.consolidation.canaries
        chosen = {c.note.id for c in plan.chosen} | {e.note_id for e in plan.leaving}
        with self._core.reading(EVERYBODY) as tx:
            scopes = {c.note.scope.user: c.note.scope for c in plan.chosen}
            owners = tuple(o for s in scopes.values() for o in tx.notes.visible_owners(s))
            others = [
                c
                for c in gather(tx, self._core, tuple(dict.fromkeys(owners)), self._phraser)
                if c.note.id not in chosen
            ]
        near = [Canary(c.phrased.question, boundary(c.note.scope)) for c in others if c.phrased and c.edit is None]
        asked = {c.phrased.question for c in plan.chosen if c.phrased}
        near = [canary for canary in near if canary.prompt not in asked][: limit // 2]
        scope = boundary(plan.chosen[0].note.scope) if plan.chosen else None
        return near + [Canary(text, scope) for text in self._canary_texts[: limit - len(near)]]

    # -- commit ----------------------------------------------------------------------------------------------

    def _commit(self, trial: _Trial, known: set[str]) -> tuple[str | None, list[EditOutcome]]:
        now, base = micros(self._core.clock.now()), self._weights.need().status().base_fingerprint
        with self._core.writing(EVERYBODY) as tx:
            for edit in trial.demoted:
                tx.ledger.delete_edits([edit.id])
                tx.ledger.append(now, "demoted", note_id=edit.note_id, edit_id=edit.id)
            for key in self._standing(trial):
                if (reason := self._overtaken(tx, trial.candidates[key])) is not None:
                    trial.failed[key] = reason
                else:
                    self._enter(tx, trial, key, now)
            for key, reason in trial.failed.items():
                candidate = trial.candidates[key]
                named = _unnamed(
                    reason, {id for id in known if id in reason}
                )  # a line goes with its note, wherever that goes
                details = {"version": candidate.note.version, "reason": _category(named), "base": base}
                details |= {"heard": candidate.heard} if candidate.heard else {}
                if tx.notes.rows_of([candidate.note.id]):
                    tx.ledger.append(now, "failed", note_id=candidate.note.id, details=details)
            assert trial.data is not None
            held = {edit.id: edit for edit in tx.ledger.edits()}
            pack = self._weights.publish(tx, trial.data, set(held), known)
            moved = [held[id] for id in trial.settled.edits if id in held]
            owners = tx.notes.visible_owners(trial.scope) if trial.scope else tx.notes.all_owners()
            trial.moved = tuple(row.note_id for row in moved if row.owner in owners)
            for row in moved:
                tx.ledger.put_edit(replace(row, method=BULK))
                tx.ledger.append(now, "settled", note_id=row.note_id, edit_id=row.id)
            counts = {
                "promoted": len(self._standing(trial)),
                "failed": len(trial.failed),
                "demoted": len(trial.demoted),
            }
            tx.ledger.append(now, "consolidated", details={**counts, "pack": pack})
            self._fail("consolidate:in-commit")
        return pack, [self._outcome(trial, key) for key in trial.requests]

    @staticmethod
    def _overtaken(tx: Transaction, candidate: Candidate) -> str | None:
        """What happened to the note while its edit was being written."""
        row = tx.notes.rows_of([candidate.note.id]).get(candidate.note.id)
        if row is None:
            return "the note was forgotten meanwhile"
        note = tx.notes.load([row])[row]
        if note.version != candidate.note.version or note.valid_to != candidate.note.valid_to:
            return "the note was changed meanwhile"
        owner, phrased = tx.notes.owners_of([row])[row], candidate.phrased
        if phrased is not None and set(phrased.marks) - tx.evidence.standing(owner, phrased.marks):
            return "a question that it was to be learnt from was forgotten meanwhile"
        return None

    def _enter(self, tx: Transaction, trial: _Trial, key: str, now: int) -> None:
        candidate, request = trial.candidates[key], trial.requests[key]
        owner = tx.notes.owner(candidate.note.scope)
        assert owner is not None
        claimed = tx.ledger.edits(
            state="candidate", note_ids=[candidate.note.id]
        )  # what a file said of it is settled now
        tx.ledger.delete_edits([edit.id for edit in claimed])
        asked = as_json(request, candidate.phrased.marks if candidate.phrased is not None else ())
        tx.ledger.put_edit(
            EditRow(key, candidate.note.id, owner, METHOD, "active", candidate.note.version, asked, "", now)
        )
        scores = {
            "reliability": trial.verdict.reliability.get(key, 0.0),
            "generality": trial.verdict.generality.get(key),
            "score": trial.worth[key],
            "uses": candidate.signals.uses,
        }
        tx.ledger.append(now, "promoted", note_id=candidate.note.id, edit_id=key, details=scores)

    @staticmethod
    def _outcome(trial: _Trial, key: str) -> EditOutcome:
        request = trial.requests[key]
        return EditOutcome(
            note_id=trial.candidates[key].note.id,
            edit_id=key,
            question=request.prompt,
            target=request.target,
            before=trial.before[key],
            after=trial.verdict.after.get(key, ""),
            reliability=trial.verdict.reliability.get(key, 0.0),
            generality=trial.verdict.generality.get(key),
            committed=key not in trial.failed,
            reason=trial.failed.get(key, ""),
        )


def _done(plan: Plan, trial: _Trial) -> tuple[Decision, ...]:
    """The decisions as they came out: who was to leave for a newcomer that failed has stayed."""
    stayed = {edit.note_id for edit in plan.leaving} - {edit.note_id for edit in trial.demoted}
    why = "what was to take its place failed verification"
    return tuple(kept(d, why) if d.note_id in stayed else d for d in plan.decisions)


def _unnamed(reason: str, ids: Collection[str]) -> str:
    """The reason without the names of these edits, which are others' own."""
    for id in ids:
        reason = reason.replace(f"edit {id}", "an edit").replace(id, "another")
    return reason


def _category(reason: str) -> str:
    """The reason without the words of the question: the ledger keeps no note text."""
    return reason.split("(", maxsplit=1)[0].split("'", maxsplit=1)[0].strip()
