"""What a consolidation run decided and did, as values that print, serialise and draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from agentmem.consolidation.figures import counted, share, told
from agentmem.consolidation.policy import Decision
from agentmem.files.writing import writing

__all__ = ["ConsolidationReport", "EditOutcome", "PastRun", "UndoReport", "joined"]


@dataclass(frozen=True, slots=True)
class PastRun:
    """A consolidation that was committed: when, what it did, and the pack that it left (``None``: no edits left)."""

    at: datetime
    promoted: int
    failed: int
    demoted: int
    pack: str | None


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What undoing a consolidation took out: when that run was, its edits and their notes (which stay), and the pack left."""

    at: datetime
    edits: tuple[str, ...]
    notes: tuple[str, ...]
    pack: str | None = None
    dry_run: bool = False
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; stable names."""
        return asdict(self) | {"at": self.at.isoformat()}

    def __str__(self) -> str:
        verb = "would be taken out" if self.dry_run else "taken out"
        count = counted(len(self.edits), "edit")
        return f"{count} of the consolidation of {self.at:%Y-%m-%d %H:%M} {verb} of the weights; the notes stay"


@dataclass(frozen=True, slots=True)
class EditOutcome:
    """One fact that was written in shadow: what the model said before and after, and whether it was kept.

    ``reliability`` is 1 when the question itself is answered with the target by free generation, ``generality`` the
    share of held-out wordings that are; ``None`` where every other wording is of the template that the edit was written with,
    which proves nothing.
    """

    note_id: str
    edit_id: str
    question: str
    target: str
    before: str
    after: str
    reliability: float
    generality: float | None
    committed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ConsolidationReport:
    """One run. ``locality`` is the share of canaries whose answers stayed the same to the letter.

    A share of nothing is ``None``: what was not asked is not proved.

    ``demoted`` and ``settled`` are notes whose edits left the weights, and whose edits moved into the bulk tier.
    """

    decisions: tuple[Decision, ...] = ()
    outcomes: tuple[EditOutcome, ...] = ()
    demoted: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    canaries: int = 0
    locality: float | None = None
    older_checked: int = 0
    older_kept: float | None = None
    dry_run: bool = False
    seconds: float = 0.0
    pack: str | None = None
    warnings: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def promoted(self) -> tuple[EditOutcome, ...]:
        """Facts that are in the weights since this run."""
        return tuple(o for o in self.outcomes if o.committed)

    @property
    def failed(self) -> tuple[EditOutcome, ...]:
        """Facts that were written in shadow, failed verification, and were rolled back."""
        return tuple(o for o in self.outcomes if not o.committed)

    @property
    def refused(self) -> tuple[Decision, ...]:
        """Facts that the policy kept as notes."""
        return tuple(d for d in self.decisions if d.action == "keep")

    @property
    def reliability(self) -> float | None:
        """Over the promoted facts."""
        return share([o.reliability for o in self.promoted])

    @property
    def generality(self) -> float | None:
        """Over the promoted facts of which it could be measured."""
        return share([o.generality for o in self.promoted if o.generality is not None])

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; stable names."""
        values = asdict(self)
        values["promoted"] = [o.note_id for o in self.promoted]
        values["failed"] = [o.note_id for o in self.failed]
        values |= {"reliability": self.reliability, "generality": self.generality}
        return values

    def write_page(self, path: Path | str, title: str = "Consolidation report") -> Path:
        """Write the report as one self-contained HTML page."""
        from agentmem.consolidation.page import page

        with writing(path) as draft:
            draft.write_text(page(self, title), encoding="utf-8")
        return Path(path)

    def __str__(self) -> str:
        if self.dry_run:
            count = sum(d.action == "promote" for d in self.decisions)
            return f"dry run: {count} of {len(self.decisions)} candidates would be promoted"
        moved = f"{len(self.settled)} moved into shards, " if self.settled else ""
        return (
            f"{len(self.promoted)} promoted, {len(self.failed)} rolled back, {len(self.refused)} kept as notes, "
            f"{len(self.demoted)} demoted, {moved}".rstrip(", ")
            + self._shares()
        )

    def _shares(self) -> str:
        """What was measured of the promoted facts; nothing of none."""
        if not self.promoted:
            return ""
        measured = sum(o.generality is not None for o in self.promoted)
        some = f" of {counted(measured, 'fact')}" if 0 < measured < len(self.promoted) else ""
        return (
            f"; reliability {told(self.reliability)}, generality {told(self.generality)}{some}, "
            f"locality {told(self.locality)}"
        )


def joined(steps: Sequence[ConsolidationReport]) -> ConsolidationReport:
    """The report of a run that was committed in steps: what was promoted in any, and else what was decided last."""
    decisions: dict[str, Decision] = {}
    for decision in (decision for step in steps for decision in step.decisions):
        former = decisions.get(decision.note_id)
        if former is None or former.action != "promote" or decision.action == "demote":
            decisions[decision.note_id] = decision
    canaries, older = sum(step.canaries for step in steps), sum(step.older_checked for step in steps)
    kept = [(step.locality, step.canaries) for step in steps if step.locality is not None]
    left = [(step.older_kept, step.older_checked) for step in steps if step.older_kept is not None]
    return ConsolidationReport(
        decisions=tuple(decisions.values()),
        outcomes=tuple(outcome for step in steps for outcome in step.outcomes),
        demoted=tuple(id for step in steps for id in step.demoted),
        settled=tuple(dict.fromkeys(id for step in steps for id in step.settled)),
        canaries=canaries,
        locality=sum(part * count for part, count in kept) / canaries if kept and canaries else None,
        older_checked=older,
        older_kept=sum(part * count for part, count in left) / older if left and older else None,
        seconds=sum(step.seconds for step in steps),
        pack=next((step.pack for step in reversed(steps) if step.pack is not None), None),
        warnings=tuple(dict.fromkeys(warning for step in steps for warning in step.warnings)),
    )
