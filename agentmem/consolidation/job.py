"""The consolidation job: propose, write in shadow, verify by free generation, commit or roll back.

Until the commit nothing that serves a request has changed; the commit is one SQL transaction that writes the registry and
flips the pointer to the new pack. Whatever was remembered or forgotten meanwhile is honoured there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from agentmem.consolidation.candidates import Candidate, as_json
from agentmem.consolidation.each_owner import one_after_another
from agentmem.consolidation.phraser import Phraser
from agentmem.consolidation.policy import Decision, Policy
from agentmem.consolidation.proposal import Owners, Plan, Progress, Proposer, barred, kept
from agentmem.consolidation.report import ConsolidationReport, EditOutcome
from agentmem.consolidation.settling import BULK, Settler
from agentmem.consolidation.shadow import ShadowTrial, ShadowWriter, unnamed
from agentmem.consolidation.verify import Answerer, Prober, Weigher
from agentmem.consolidation.workers import ModelWorkers
from agentmem.core import EVERYBODY, Core
from agentmem.extract import secrets
from agentmem.jobs.lease import Lease
from agentmem.notes.clock import micros
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Editor
from agentmem.notes.rows import EditRow
from agentmem.records.transaction import Transaction
from agentmem.weights.registry import METHOD, WeightRegistry

__all__ = ["Consolidator"]

_TELL: Final = (
    "asked or not, it was never answered from: a question that the model misreads is no evidence, and "
    "reinforce(id, question=…, answer=…) says in which words it is asked for, and what it answers"
)
LEASE = "consolidate"
LEASE_MINUTES = 30
PROBE_TOKENS = 24
"""Tokens generated per probe."""


class Consolidator:
    """Moves facts between notes and weights.

    Args:
        phraser: finds how notes are asked for.
        answer, weigh: greedy generation on the attached model, and how likely it finds an answer; canary_texts: general prompts whose answers must not change.
        fail: called with the name of each durable step; tests stop the process there.
        workers: do what only the model can do, in place of the attached one.
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
        workers: ModelWorkers | None = None,
    ) -> None:
        self._workers = workers
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
        each_owner: bool = False,
    ) -> ConsolidationReport:
        """One run over what ``scope`` may see (an unbound scope: over everybody's notes, each in its own scope).

        Args:
            each_owner: one owner after another, each with a commit of its own, instead of all at once.
        """
        started = time.perf_counter()
        if not dry_run:
            self._weights.need()

        def turn(budget: int | None, owners: Owners = None, taken: int = 0) -> ConsolidationReport:
            if dry_run:
                return self._rehearse(scope, budget, progress, owners, taken)
            return self._turn(scope, budget, progress, owners)

        def run() -> ConsolidationReport:
            if not each_owner:
                return turn(budget)
            each = self._owners(scope)
            return one_after_another(each, budget, lambda owner, left, taken: turn(left, (owner,), taken), progress)

        if dry_run:
            report = replace(run(), dry_run=True)
        else:
            with Lease(self._core, LEASE, "Another consolidation of these notes is running.", LEASE_MINUTES):
                report = run()
        return replace(report, seconds=time.perf_counter() - started)

    def _owners(self, scope: Scope) -> tuple[int, ...]:
        """Whose notes a run in ``scope`` is for, in the order in which they first came."""
        with self._core.reading(scope or EVERYBODY) as tx:
            return tuple(sorted(tx.notes.visible_owners(scope) if scope else tx.notes.all_owners()))

    def _rehearse(
        self, scope: Scope, budget: int | None, progress: Progress, owners: Owners, taken: int
    ) -> ConsolidationReport:
        plan = self.proposer(progress).plan(scope, budget, owners, taken)
        leaving = tuple(e.note_id for e in plan.leaving)
        return ConsolidationReport(tuple(plan.decisions), demoted=leaving, dry_run=True)

    def _turn(self, scope: Scope, budget: int | None, progress: Progress, owners: Owners) -> ConsolidationReport:
        """Under the lease; the model is free for requests between two turns. What turns before took stands in the registry."""
        with self._core.reading(EVERYBODY) as tx:
            known = {edit.id for edit in tx.ledger.edits()}  # before the editor is brought up to date
        with self._weights.serving() as editor:
            self._weights.need_sound()
            self._weights.need_place()
            with self._workers_for(editor):
                return self._run(editor, scope, budget, progress, known, owners)

    @contextmanager
    def _workers_for(self, editor: Editor) -> Iterator[None]:
        """The workers, if there are any, on the same model."""
        if self._workers is None:
            yield
            return
        about = editor.status()
        try:
            self._workers.begin(str(about.base_fingerprint), about.method, PROBE_TOKENS)
            yield
        finally:
            self._workers.end()

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
            return self._untaught(note_id, scope)
        with self._core.reading(scope or EVERYBODY) as tx:
            bar = barred(tx, [candidate], self._weights.editor).get(note_id)
        decision = self.policy.decide(candidate.signals)
        said = self.policy.explain(candidate.signals)
        if not candidate.signals.uses and decision.action == "keep" and candidate.edit is None:
            said = f"{said}\n{_TELL}"
        return f"{kept(decision, bar)}\nelse {said}" if bar and decision.action == "promote" else said

    def _untaught(self, note_id: str, scope: Scope) -> str:
        with self._core.reading(scope or EVERYBODY) as tx:
            notes = tx.notes.load(list(tx.notes.rows_of([note_id]).values()))
        if any(secrets(note.content) for note in notes.values()):
            return "keep: the note holds what looks like a secret, so that no question which it answers is kept, and nothing is written into weights"
        return f"keep: the note states no fact, and no question was answered from it\n{_TELL}"

    def prober(self, editor: Editor) -> Prober:
        model, tokenizer = self._weights.model, self._weights.tokenizer
        return Prober(
            editor, model, tokenizer, self._answer, PROBE_TOKENS, self._weigh, self._core.same_question, self._workers
        )

    # -- run -------------------------------------------------------------------------------------------------

    def _run(
        self,
        editor: Editor,
        scope: Scope,
        budget: int | None,
        progress: Progress,
        known: set[str],
        owners: Owners,
    ) -> ConsolidationReport:
        plan, prober = self.proposer(progress).plan(scope, budget, owners), self.prober(editor)
        if not (plan.chosen or plan.demoted or Settler(self._core, editor, prober, progress).due()):
            return ConsolidationReport(tuple(plan.decisions))
        writer = ShadowWriter(self._core, self._phraser, self._canary_texts, editor, prober, progress, self._workers)
        trial = writer.run(plan)
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

    # -- commit ----------------------------------------------------------------------------------------------

    def _commit(self, trial: ShadowTrial, known: set[str]) -> tuple[str | None, list[EditOutcome]]:
        now, base = micros(self._core.clock.now()), self._weights.need().status().base_fingerprint
        with self._core.writing(EVERYBODY) as tx:
            for edit in trial.demoted:
                tx.ledger.delete_edits([edit.id])
                tx.ledger.append(now, "demoted", note_id=edit.note_id, edit_id=edit.id)
            for key in trial.standing:
                if (reason := self._overtaken(tx, trial.candidates[key])) is not None:
                    trial.failed[key] = reason
                else:
                    self._enter(tx, trial, key, now)
            for key, reason in trial.failed.items():
                candidate = trial.candidates[key]
                named = unnamed(
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
                "promoted": len(trial.standing),
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

    def _enter(self, tx: Transaction, trial: ShadowTrial, key: str, now: int) -> None:
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
    def _outcome(trial: ShadowTrial, key: str) -> EditOutcome:
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


def _done(plan: Plan, trial: ShadowTrial) -> tuple[Decision, ...]:
    """The decisions as they came out: who was to leave for a newcomer that failed has stayed."""
    stayed = {edit.note_id for edit in plan.leaving} - {edit.note_id for edit in trial.demoted}
    why = "what was to take its place failed verification"
    return tuple(kept(d, why) if d.note_id in stayed else d for d in plan.decisions)


def _category(reason: str) -> str:
    """The reason without the words of the question: the ledger keeps no note text."""
    return reason.split("(", maxsplit=1)[0].split("'", maxsplit=1)[0].strip()
