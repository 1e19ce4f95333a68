"""When a fact becomes a weight edit, and when it stops being one: decided from signals, without a model.

Retrieval stays the first line. A weight edit is a verified cache of a fact that is stable, often needed, and not
known to the model already. Gates are hard: one that fails keeps the fact a note. What passes is scored, and
promotion and demotion have different thresholds, so that a fact near the line does not flip back and forth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from agentmem.settings import ConsolidationSettings

__all__ = ["DEMOTE_BELOW", "GATES", "PROMOTE_FROM", "Action", "Decision", "DefaultPolicy", "Gate", "Policy", "Signals"]

PROMOTE_FROM = 0.5
"""Score from which a fact is promoted."""
DEMOTE_BELOW = 0.1
"""Score under which a promoted fact is demoted: the hysteresis."""
KNOWN = 0.5
"""Share of its probes from which the base knows a fact by itself."""

Action = Literal["promote", "keep", "demote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is known about one candidate; times in hours, shares in [0, 1].

    ``probes`` are held-out phrasings, ``wordings`` those of them that are not of the template that the edit is written with: without
    any, nobody can tell whether the edit answers more than its own words. ``uses`` are recalls that entered an answer, ``use_days`` the distinct days among them, ``tokens`` the prompt
    tokens they cost. ``known`` is the share of probes that the bare model answers by itself (``None``: not asked yet);
    ``resists`` is 1 when it answers wrongly even with the note in its prompt, so that only an edit would help, and
    ``interference`` the share of another edit's radius into which the question reaches (all ``None``: not measured).
    """

    note_id: str
    label: str
    phrased: bool = True
    why_not_phrased: str = ""
    probes: int = 0
    wordings: int = 0
    trust: float = 1.0
    secret: bool = False
    volatile: bool = False
    expiring: bool = False
    ended: bool = False
    upcoming: bool = False
    contradicted: bool = False
    age_hours: float = 0.0
    unchanged_hours: float = 0.0
    uses: int = 0
    use_days: int = 0
    tokens: int = 0
    retrievability: float = 1.0
    functional: bool = True
    importance: float = 0.5
    known: float | None = None
    resists: float | None = None
    interference: float | None = None
    promoted: bool = False
    stale_edit: bool = False
    capacity_left: int = 1


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one candidate, and why: the gates that failed, or the parts of its score."""

    note_id: str
    label: str
    action: Action
    score: float
    reasons: tuple[str, ...]
    method: str = "grace"
    parts: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.action}: {self.label} ({'; '.join(self.reasons)})"


class Policy(Protocol):
    """Any object with these two methods can stand in for the default."""

    def decide(self, signals: Signals) -> Decision: ...
    def explain(self, signals: Signals) -> str: ...


class Gate(NamedTuple):
    """A hard condition: its name, whether signals pass it, and what to say when they do not.

    ``ends`` marks the gates that also end an existing edit; the others only bar the way in.
    """

    name: str
    passes: Callable[[Signals, ConsolidationSettings], bool]
    why: Callable[[Signals, ConsolidationSettings], str]
    ends: bool = False


GATES: tuple[Gate, ...] = (
    Gate("phrased", lambda s, c: s.phrased, lambda s, c: s.why_not_phrased or "no question can be made of it"),
    Gate("secret", lambda s, c: not s.secret, lambda s, c: "holds a secret: never written into weights", ends=True),
    Gate(
        "trust",
        lambda s, c: s.trust >= c.min_trust,
        lambda s, c: f"source not trusted enough ({s.trust:.2f} < {c.min_trust:.2f})",
        ends=True,
    ),
    Gate("volatile", lambda s, c: not s.volatile, lambda s, c: "volatile: such facts change too often", ends=True),
    Gate("valid", lambda s, c: not s.ended, lambda s, c: "no longer valid", ends=True),
    Gate("begun", lambda s, c: not s.upcoming, lambda s, c: "not valid yet"),
    Gate("lasting", lambda s, c: not s.expiring, lambda s, c: "has an end date"),
    Gate("undisputed", lambda s, c: not s.contradicted, lambda s, c: "another note contradicts it", ends=True),
    Gate(
        "age",
        lambda s, c: s.age_hours >= c.min_age_hours,
        lambda s, c: f"too young ({s.age_hours:.0f} h < {c.min_age_hours:.0f} h)",
    ),
    Gate(
        "unchanged",
        lambda s, c: s.unchanged_hours >= c.min_unchanged_hours,
        lambda s, c: f"changed {s.unchanged_hours:.0f} h ago (< {c.min_unchanged_hours:.0f} h)",
    ),
    Gate("used", lambda s, c: s.uses >= c.min_uses, lambda s, c: f"used {s.uses} times (< {c.min_uses})"),
    Gate("probes", lambda s, c: s.probes >= 1, lambda s, c: "no held-out phrasing to verify it with"),
    Gate(
        "wordings",
        lambda s, c: s.wordings >= c.min_wordings,
        lambda s, c: (
            f"{s.wordings} held-out wordings that are not of its own template (< {c.min_wordings}): its generality cannot be measured"
        ),
    ),
    Gate(
        "unknown",
        lambda s, c: s.known is None or s.known < KNOWN,
        lambda s, c: f"the model knows it already ({(s.known or 0) * 100:.0f} % of the probes)",
    ),
    Gate("capacity", lambda s, c: s.capacity_left > 0, lambda s, c: "the side memory is full"),
)


class DefaultPolicy:
    """Hard gates, then a score; pure, so that every decision can be asked for its reasons."""

    def __init__(self, settings: ConsolidationSettings | None = None) -> None:
        self.settings = settings or ConsolidationSettings()

    def decide(self, signals: Signals) -> Decision:
        """``promote``, ``keep`` (as it is: note or edit) or ``demote``."""
        parts = self.parts(signals)
        score = sum(parts.values())
        failed = [gate for gate in GATES if not gate.passes(signals, self.settings)]
        if signals.promoted:
            return self._promoted(signals, score, parts, failed)
        if failed:
            reasons = tuple(gate.why(signals, self.settings) for gate in failed)
            return self._made(signals, "keep", score, reasons, parts)
        if score < PROMOTE_FROM:
            return self._made(
                signals, "keep", score, (f"worth too little yet ({score:.2f} < {PROMOTE_FROM:.2f})",), parts
            )
        return self._made(signals, "promote", score, self._merits(signals), parts)

    def _promoted(self, signals: Signals, score: float, parts: Mapping[str, float], failed: Sequence[Gate]) -> Decision:
        ending = [gate.why(signals, self.settings) for gate in failed if gate.ends]
        if signals.stale_edit:
            ending.insert(0, "its note says something else now")
        if not ending and score < DEMOTE_BELOW:
            ending = [f"no longer worth its place ({score:.2f} < {DEMOTE_BELOW:.2f})"]
        if ending:
            return self._made(signals, "demote", score, tuple(ending), parts)
        return self._made(signals, "keep", score, ("in the weights already",), parts)

    @staticmethod
    def _made(
        s: Signals, action: Action, score: float, reasons: tuple[str, ...], parts: Mapping[str, float]
    ) -> Decision:
        return Decision(s.note_id, s.label, action, round(score, 4), reasons, parts=parts)

    @staticmethod
    def _merits(signals: Signals) -> tuple[str, ...]:
        said = [f"used {signals.uses} times on {signals.use_days} days"]
        if signals.tokens:
            said.append(f"cost {signals.tokens} prompt tokens")
        if signals.known is not None:
            said.append("the model does not know it")
        if signals.resists:
            said.append("and overlooks its note in the prompt")
        if not signals.wordings:
            said.append("its generality cannot be measured")
        return tuple(said)

    def parts(self, s: Signals) -> dict[str, float]:
        """The score, part by part. Days count more than uses: a burst is one need, a habit is many."""
        return {
            "use": 0.25 * math.log1p(s.uses),
            "spacing": 0.25 * math.log1p(s.use_days),
            "retrievability": 0.2 * s.retrievability,
            "stability": 0.15 if s.functional else 0.05,
            "tokens": min(0.3, 0.05 * math.log1p(s.tokens / 10)),
            "importance": 0.2 * (s.importance - 0.5),
            "resistance": 0.1 * (s.resists or 0.0),
            "interference": -0.3 * (s.interference or 0.0),
        }

    def explain(self, signals: Signals) -> str:
        """The decision in words: action, reasons, and the parts of the score."""
        decision = self.decide(signals)
        parts = ", ".join(f"{name} {value:+.2f}" for name, value in decision.parts.items() if value)
        return f"{decision}\nscore {decision.score:.2f} = {parts}"
