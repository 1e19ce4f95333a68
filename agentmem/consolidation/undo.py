"""The last consolidation taken back: what it put into the weights leaves them, as the ledger says which that was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agentmem.consolidation.proposal import UNDONE
from agentmem.consolidation.report import UndoReport
from agentmem.core import EVERYBODY, Core
from agentmem.errors import ConsolidationError
from agentmem.notes.clock import from_micros, micros
from agentmem.notes.note import Scope
from agentmem.notes.rows import EditRow
from agentmem.records.transaction import Transaction
from agentmem.weights.registry import METHOD, WeightRegistry

__all__ = ["undo"]


def undo(
    core: Core,
    weights: WeightRegistry,
    scope: Scope,
    *,
    dry_run: bool = False,
    fail: Callable[[str], None] = lambda step: None,
) -> UndoReport:
    """Take out what the last consolidation put in, as far as ``scope`` may see it; needs no model.

    What was forgotten since stays forgotten, and what the run demoted stays a note: nothing is brought back.

    Args:
        fail: called with the name of each durable step; tests stop the process there.

    Raises:
        ConsolidationError: no edit that a consolidation wrote is left.
    """
    if dry_run:
        with core.reading(EVERYBODY) as tx:
            return replace(_last_run(tx, scope)[0], dry_run=True)
    with weights.lock:
        with core.writing(EVERYBODY) as tx:
            report, edits = _last_run(tx, scope)
            weights.take_out(tx, edits, UNDONE)
            active = tx.ledger.active_pack(METHOD)
            report = replace(report, pack=active[0] if active else None)
            details = {"retired": len(edits), "pack": report.pack}
            tx.ledger.append(micros(core.clock.now()), "undone", details=details)
            fail("undo:before-commit")
        fail("undo:after-commit")
        return replace(report, warnings=weights.follow())


def _last_run(tx: Transaction, scope: Scope) -> tuple[UndoReport, list[EditRow]]:
    """The newest consolidation with edits in the registry, and those of its edits that are still there."""
    owners = tx.notes.visible_owners(scope) if scope else tx.notes.all_owners()
    held = {edit.id: edit for edit in tx.ledger.edits(owners=owners)}
    begun = {e.edit_id: e.seq for e in tx.ledger.entries(event="promoted", limit=None) if e.edit_id in held}
    if not begun:
        raise ConsolidationError(
            "There is no consolidation to undo: none of its edits is in the weights.",
            hint="memory.edits() lists what the weights hold, memory.jobs() the past consolidations.",
        )
    # A run's promotions stand between the line that ends the run before and its own.
    ends = tx.ledger.entries(event="consolidated", limit=None)
    newest = max(begun.values())
    start = max((e.seq for e in ends if e.seq < newest), default=0)
    end = next((e for e in ends if e.seq > newest), None)
    edits = [held[str(key)] for key, seq in sorted(begun.items(), key=lambda item: item[1]) if seq > start]
    at = from_micros(end.at if end is not None else edits[-1].changed_at)
    return UndoReport(at, tuple(e.id for e in edits), tuple(e.note_id for e in edits)), edits
