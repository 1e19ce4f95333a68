"""What a consolidation run decided and did, as values that print, serialise and draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from agentmem.consolidation.figures import counted, share, told
from agentmem.consolidation.policy import Decision
from agentmem.files.writing import writing

__all__ = ["ConsolidationReport", "EditOutcome", "PastRun", "UndoReport", "joined"]


_ORDER: Final = {"promote": 0, "demote": 1, "keep": 2}


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
    def acted(self) -> bool:
        """Whether anything was written, taken out or moved, or tried to be."""
        return bool(self.outcomes or self.demoted or self.settled)

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


def joined(reports: Sequence[ConsolidationReport], warnings: Sequence[str] = ()) -> ConsolidationReport:
    """The report of a run that was committed in parts, owner by owner or step by step: of a note what was promoted in any, else what was decided last.

    Shares are weighted by how much was asked.
    """
    decided: dict[str, Decision] = {}
    for decision in (decision for report in reports for decision in report.decisions):
        former = decided.get(decision.note_id)
        if former is None or former.action != "promote" or decision.action == "demote":
            decided[decision.note_id] = decision
    return ConsolidationReport(
        decisions=tuple(sorted(decided.values(), key=lambda d: (_ORDER[d.action], -d.score, d.note_id))),
        outcomes=tuple(outcome for report in reports for outcome in report.outcomes),
        demoted=tuple(note for report in reports for note in report.demoted),
        settled=tuple(note for report in reports for note in report.settled),
        canaries=sum(report.canaries for report in reports),
        locality=_mean([(report.locality, report.canaries) for report in reports]),
        older_checked=sum(report.older_checked for report in reports),
        older_kept=_mean([(report.older_kept, report.older_checked) for report in reports]),
        dry_run=any(report.dry_run for report in reports),
        seconds=sum(report.seconds for report in reports),
        pack=next((report.pack for report in reversed(reports) if report.acted), None),
        warnings=tuple(dict.fromkeys([*(told for report in reports for told in report.warnings), *warnings])),
    )


def _mean(parts: Sequence[tuple[float | None, int]]) -> float | None:
    """Of shares of so many each; ``None`` of nothing."""
    asked = [(share, count) for share, count in parts if share is not None and count]
    total = sum(count for _, count in asked)
    return sum(share * count for share, count in asked) / total if total else None
