"""Other strategies of consolidation, to compare with and to start one's own from: never, always, most frequent."""

from __future__ import annotations

from agentmem.consolidation.policy import Action, Decision, Signals

__all__ = ["AlwaysPolicy", "MostFrequentPolicy", "NeverPolicy"]


class _Plain:
    """Decides from one question about the signals; what is in the weights leaves them only when its note changed."""

    reason = ""

    def wants(self, signals: Signals) -> bool:
        """Whether the fact shall be in the weights."""
        raise NotImplementedError

    def worth(self, signals: Signals) -> float:
        """What orders the candidates when there is room for some only."""
        return float(signals.uses)

    def decide(self, signals: Signals) -> Decision:
        """``promote``, ``keep`` or ``demote``."""
        held, gone = signals.promoted, signals.stale_edit or signals.ended
        wanted = signals.phrased and not signals.ended and self.wants(signals)
        action: Action = "keep"
        if held and gone:
            action = "demote"
        elif wanted and not held and signals.capacity_left > 0:
            action = "promote"
        reason = "its note says something else now" if action == "demote" else self.reason
        return Decision(signals.note_id, signals.label, action, self.worth(signals), (reason,))

    def explain(self, signals: Signals) -> str:
        """The decision in words."""
        return str(self.decide(signals))


class NeverPolicy(_Plain):
    """Retrieval only."""

    reason = "nothing becomes a weight edit"

    def wants(self, signals: Signals) -> bool:  # noqa: ARG002
        """Never."""
        return False


class AlwaysPolicy(_Plain):
    """Every fact at once, whoever said it and however often it is needed."""

    reason = "everything becomes a weight edit"

    def wants(self, signals: Signals) -> bool:  # noqa: ARG002
        """Always."""
        return True


class MostFrequentPolicy(_Plain):
    """Facts that were used often enough, and nothing else asked about them.

    Args:
        uses: how often a fact must have been used.
    """

    def __init__(self, uses: int = 3) -> None:
        self.uses = uses
        self.reason = f"used {uses} times or more"

    def wants(self, signals: Signals) -> bool:
        """Whether it was used that often."""
        return signals.uses >= self.uses
