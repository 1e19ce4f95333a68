"""A run over owners one after another: each is proposed, verified and committed alone, so that what is held is one owner's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from agentmem.consolidation.policy import Decision
from agentmem.consolidation.proposal import Progress
from agentmem.consolidation.report import ConsolidationReport
from agentmem.errors import AgentMemError, EditError, InvalidArgument, PackMismatch, PackUnreachable

__all__ = ["Turn", "joined", "one_after_another"]

_STAGE: Final = "owners"
_ORDER: Final = {"promote": 0, "demote": 1, "keep": 2}

Turn = Callable[[int, int | None, int], ConsolidationReport]
"""(owner, what is left of the budget, places that turns before it would have taken in a dry run) -> that owner's run."""


def one_after_another(owners: Sequence[int], budget: int | None, turn: Turn, progress: Progress) -> ConsolidationReport:
    """Give each owner a turn, in order, within one budget; what a turn has committed stays whatever becomes of the next.

    An edit that cannot be written (:class:`~agentmem.errors.EditError`, or :class:`~agentmem.errors.InvalidArgument` of a request)
    ends the turn of its owner alone, and the report says so; it is raised when no other turn did anything. What would befall everybody, such as a store or a place of packs
    that is out of reach, is raised.

    Args:
        owners: in the order of their turns; whoever comes after the budget is spent may still lose edits, and gets none.
    """
    reports, errors, left, taken = list[ConsolidationReport](), list[AgentMemError](), budget, 0
    for number, owner in enumerate(owners):
        progress(_STAGE, number, len(owners))
        try:
            report = turn(owner, left, taken)
        except (PackMismatch, PackUnreachable):
            raise  # of the pack that holds everybody's
        except (EditError, InvalidArgument) as error:
            errors.append(error)
            continue
        reports.append(report)
        wanted = _wanted(report)
        left = None if left is None else max(0, left - wanted)
        taken += wanted - len(report.demoted) if report.dry_run else 0
    progress(_STAGE, len(owners), len(owners))
    if errors and not any(map(_acted, reports)):
        raise errors[0]
    return joined(reports, [f"nothing was written for one owner: {error.message}" for error in errors])


def joined(reports: Sequence[ConsolidationReport], warnings: Sequence[str] = ()) -> ConsolidationReport:
    """The reports of several owners as one; shares are weighted by how much was asked, and the pack is the last that was made."""
    made = [report for report in reports if _acted(report)]
    decisions = [decision for report in reports for decision in report.decisions]
    return ConsolidationReport(
        decisions=tuple(sorted(decisions, key=_rank)),
        outcomes=tuple(outcome for report in reports for outcome in report.outcomes),
        demoted=tuple(note for report in reports for note in report.demoted),
        settled=tuple(note for report in reports for note in report.settled),
        canaries=sum(report.canaries for report in reports),
        locality=_mean([(report.locality, report.canaries) for report in reports]),
        older_checked=sum(report.older_checked for report in reports),
        older_kept=_mean([(report.older_kept, report.older_checked) for report in reports]),
        dry_run=any(report.dry_run for report in reports),
        pack=made[-1].pack if made else None,
        warnings=tuple(dict.fromkeys([*(told for report in reports for told in report.warnings), *warnings])),
    )


def _acted(report: ConsolidationReport) -> bool:
    return bool(report.outcomes or report.demoted or report.settled)


def _wanted(report: ConsolidationReport) -> int:
    return sum(decision.action == "promote" for decision in report.decisions)


def _rank(decision: Decision) -> tuple[int, float, str]:
    return _ORDER[decision.action], -decision.score, decision.note_id


def _mean(parts: Sequence[tuple[float | None, int]]) -> float | None:
    """Of shares of so many each; ``None`` of nothing."""
    asked = [(share, count) for share, count in parts if share is not None and count]
    total = sum(count for _, count in asked)
    return sum(share * count for share, count in asked) / total if total else None
