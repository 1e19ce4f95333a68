"""The bulk tier: edits that have proved themselves move, many at once, from the codebook into shards.

Nightly work, at the end of a consolidation: the oldest edits beyond what the first tier keeps, and whatever lost its
shard when a neighbour was forgotten. What does not answer from its shard goes back; when anything else changes, all does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from agentmem.consolidation.figures import counted
from agentmem.consolidation.proposal import Progress
from agentmem.consolidation.verify import Canary, Prober, same_answer
from agentmem.core import EVERYBODY, Core
from agentmem.notes.edit import EditReceipt, EditRequest
from agentmem.notes.protocols import Editor

__all__ = ["BULK", "Settled", "Settler", "Tiered"]

BULK = "wise"
_ROUNDS = 3
_STAGE = "moving edits into shards"


@runtime_checkable
class Tiered(Protocol):
    """An editor with a second tier."""

    @property
    def waiting(self) -> tuple[EditRequest, ...]: ...
    def tier_of(self, id: str) -> str: ...
    def settle(self, ids: Sequence[str] = ()) -> list[EditReceipt]: ...
    def load(self, path: Path | str | bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Settled:
    """What moved: ids of edits now in shards, and in words what did not come about."""

    edits: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def told(self) -> tuple[str, ...]:
        """The warnings for who ran it on some notes only: edits of everybody move, and how many there are is not told."""
        return ("some edits stay in the first tier",) if self.warnings else ()


class Settler:
    """Moves edits between the tiers of an editor, inside the shadow of a run."""

    def __init__(self, core: Core, editor: Editor, prober: Prober, progress: Progress) -> None:
        self._core, self._editor, self._prober, self._progress = core, editor, prober, progress

    def due(self) -> bool:
        """Whether there is anything to do, apart from what the run itself writes."""
        return isinstance(self._editor, Tiered) and bool(self._editor.waiting or self._excess(self._editor))

    def run(self, canaries: Sequence[Canary]) -> Settled:
        """Move what is due, ask it by free generation, and take back what does not answer."""
        editor = self._editor
        if not isinstance(editor, Tiered):
            return Settled()
        moving = self._excess(editor)
        if not moving and not editor.waiting:
            return Settled()
        before, said = editor.dump(), self._prober.ask(canaries)
        requests = {str(r.id): r for r in editor.edits()}
        self._progress(_STAGE, 0, len(moving))
        receipts = editor.settle(moving)
        moved = [receipt.id for receipt in receipts if receipt.ok]
        silent = self._unanswered([requests[id] for id in moved])
        for _ in range(_ROUNDS):
            if not silent:
                break
            editor.delete([str(r.id) for r in silent])
            editor.write(silent)
            moved = [id for id in moved if editor.tier_of(id) == "settled"]
            silent = self._unanswered([requests[id] for id in moved])
        self._progress(_STAGE, len(moving), len(moving))
        lost = [r for r in requests.values() if r.id not in {e.id for e in editor.edits()}]
        if lost or silent or self._prober.ask(canaries) != said:
            editor.load(before)
            return Settled(warnings=("moving edits into shards changed other answers; they stay where they were",))
        kept = len(receipts) - len(moved)
        return Settled(tuple(moved), (f"{counted(kept, 'edit')} could not be learnt by a shard",) if kept else ())

    def _excess(self, editor: Tiered) -> list[str]:
        """The oldest edits of the first tier beyond what it keeps."""
        keep = self._core.settings.consolidation.bulk_after
        if keep is None:
            return []
        with self._core.reading(EVERYBODY) as tx:
            rows = sorted(tx.ledger.edits(), key=lambda row: (row.changed_at, row.id))
        held = {str(r.id) for r in self._editor.edits()}
        fresh = [row.id for row in rows if row.id in held and editor.tier_of(row.id) == "fresh"]
        return fresh[: max(0, len(fresh) - keep)]

    def _unanswered(self, requests: Sequence[EditRequest]) -> list[EditRequest]:
        said = self._prober.ask([Canary(r.prompt, r.scope) for r in requests])
        return [r for r, text in zip(requests, said, strict=True) if not same_answer(text, r.target)]
