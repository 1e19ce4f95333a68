"""``rebuild("weights")``: the edits of the registry written anew, each admitted by the policy and asked again before it is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agentmem.consolidation.candidates import gather
from agentmem.consolidation.phraser import Phraser
from agentmem.consolidation.policy import Policy
from agentmem.consolidation.verify import Canary, Prober, same_answer
from agentmem.core import EVERYBODY, Core
from agentmem.notes.clock import micros
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Editor
from agentmem.notes.rows import EditRow
from agentmem.records.transaction import Transaction
from agentmem.weights.registry import METHOD, WeightRegistry

__all__ = ["Rewriter", "request_in_registry"]


class Rewriter:
    """Writes what the registry says into an empty side memory.

    The registry may have come from elsewhere, and the model may be another one: so what the policy would demote is not written again,
    and what does not answer its own question afterwards is taken out.

    Args:
        prober: makes what asks the attached model.
    """

    def __init__(
        self, core: Core, weights: WeightRegistry, policy: Policy, phraser: Phraser, prober: Callable[[Editor], Prober]
    ) -> None:
        self._core = core
        self._weights = weights
        self._policy = policy
        self._phraser = phraser
        self._prober = prober

    def run(self, report: Callable[[int, int], None]) -> int:
        """Returns how many edits the weights hold then; each of the others leaves the registry with a line in the ledger that says why."""
        with self._weights.lock:
            editor = self._weights.need()
            self._weights.need_place(anew=True)
            with self._core.reading(EVERYBODY) as tx:
                edits = tx.ledger.edits()
                refused = self._overruled(tx, edits)
            written, failed, data = self._written(
                editor, [request_in_registry(e) for e in edits if e.id not in refused]
            )
            refused |= failed
            with self._core.writing(EVERYBODY) as tx:
                self._enter(tx, edits, written, refused)
                self._weights.publish(tx, data, {e.id for e in tx.ledger.edits()}, {e.id for e in edits}, anew=True)
            self._weights.refresh()
            report(len(written), len(edits))
            return len(written)

    def _overruled(self, tx: Transaction, edits: Sequence[EditRow]) -> dict[str, str]:
        """By edit, why the policy does not want it in the weights; an edit whose note is gone has nobody to speak for it."""
        found = {
            c.edit.id: self._policy.decide(c.signals)
            for c in gather(tx, self._core, tx.notes.all_owners(), self._phraser, edited=True)
            if c.edit is not None
        }
        present = tx.notes.rows_of([e.note_id for e in edits])
        orphans = {e.id: "its note is gone" for e in edits if e.note_id not in present}
        return orphans | {
            id: "; ".join(decision.reasons) for id, decision in found.items() if decision.action == "demote"
        }

    def _written(self, editor: Editor, requests: Sequence[EditRequest]) -> tuple[set[str], dict[str, str], bytes]:
        with editor.shadow():
            held = [e.id for e in editor.edits() if e.id is not None]
            if held:
                editor.delete(held)
            receipts = editor.write(list(requests)) if requests else []
            failed = {str(r.id): r.reason or "could not be written again" for r in receipts if not r.ok}
            standing = [r for r in requests if str(r.id) not in failed]
            silent = self._silent(editor, standing)
            if silent:
                editor.delete(sorted(silent))
            return {str(r.id) for r in standing} - silent.keys(), failed | silent, editor.dump()

    def _silent(self, editor: Editor, requests: Sequence[EditRequest]) -> dict[str, str]:
        """Those that do not answer their own question, by free generation."""
        said = self._prober(editor).ask([Canary(r.prompt, r.scope) for r in requests]) if requests else []
        wrong = [r for r, text in zip(requests, said, strict=True) if not same_answer(text, r.target)]
        return {str(r.id): "its own question was not answered after it was written again" for r in wrong}

    def _enter(self, tx: Transaction, edits: Sequence[EditRow], written: set[str], refused: Mapping[str, str]) -> None:
        now = micros(self._core.clock.now())
        for edit in (e for e in edits if e.id not in written):
            tx.ledger.delete_edits([edit.id])
            details = {"reason": refused.get(edit.id, "could not be written again")}
            tx.ledger.append(now, "retired", note_id=edit.note_id, edit_id=edit.id, details=details)
        for edit in (e for e in edits if e.id in written and e.method != METHOD):
            tx.ledger.put_edit(replace(edit, method=METHOD))


def request_in_registry(edit: EditRow) -> EditRequest:
    """The edit request that the registry remembers."""
    kept = edit.request
    user, agent = kept.get("user"), kept.get("agent")
    paraphrases, unlike = kept.get("paraphrases") or (), kept.get("unlike") or ()
    assert isinstance(paraphrases, (list, tuple))
    assert isinstance(unlike, (list, tuple))
    return EditRequest(
        prompt=str(kept["prompt"]),
        target=str(kept["target"]),
        subject=str(kept["subject"]) if kept.get("subject") else None,
        paraphrases=tuple(str(p) for p in paraphrases),
        scope=Scope(user=str(user) if user else None, agent=str(agent) if agent else None) or None,
        id=edit.id,
        note_id=edit.note_id,
        unlike=tuple(str(each) for each in unlike),
    )
