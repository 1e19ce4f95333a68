"""A run over owners one after another: each is proposed, verified and committed alone, so that what is held is one owner's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from agentmem.consolidation.proposal import Progress
from agentmem.consolidation.report import ConsolidationReport, joined
from agentmem.errors import AgentMemError, EditError, InvalidArgument, PackMismatch, PackUnreachable

__all__ = ["Turn", "one_after_another"]

_STAGE: Final = "owners"

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
    if errors and not any(report.acted for report in reports):
        raise errors[0]
    return joined(reports, [f"nothing was written for one owner: {error.message}" for error in errors])


def _wanted(report: ConsolidationReport) -> int:
    return sum(decision.action == "promote" for decision in report.decisions)
