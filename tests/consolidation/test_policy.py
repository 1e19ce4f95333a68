"""The policy decides from signals alone, and says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.consolidation import DefaultPolicy, Signals
from agentmem.consolidation.policy import DEMOTE_BELOW, GATES, PROMOTE_FROM

GOOD = Signals(
    note_id="n", label="Ana · lives in · Porto", probes=3, uses=5, use_days=3, tokens=100, known=0.0, age_hours=99
)


def test_a_stable_trusted_often_used_unknown_fact_is_promoted() -> None:
    """The case consolidation exists for; the reasons name the merits."""
    decision = DefaultPolicy().decide(GOOD)

    assert decision.action == "promote"
    assert "used 5 times on 3 days" in decision.reasons
    assert decision.score == pytest.approx(sum(decision.parts.values()), abs=1e-3)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"phrased": False, "why_not_phrased": "no subject"}, "no subject"),
        ({"secret": True}, "secret"),
        ({"trust": 0.2}, "trusted"),
        ({"volatile": True}, "volatile"),
        ({"ended": True}, "no longer valid"),
        ({"upcoming": True}, "not valid yet"),
        ({"expiring": True}, "end date"),
        ({"contradicted": True}, "contradicts"),
        ({"uses": 0}, "used 0 times"),
        ({"probes": 0}, "held-out"),
        ({"known": 0.9}, "knows it already"),
        ({"capacity_left": 0}, "full"),
    ],
)
def test_each_gate_alone_keeps_a_fact_a_note(change: dict[str, object], word: str) -> None:
    """However good the rest, one failed gate decides, and is named."""
    decision = DefaultPolicy().decide(replace(GOOD, **change))

    assert decision.action == "keep"
    assert any(word in reason for reason in decision.reasons)


def test_every_gate_is_exercised_above() -> None:
    """Age, rest and wordings of their own are off by default; all other gates have a case."""
    assert {g.name for g in GATES} - {"age", "unchanged", "wordings"} == {
        "phrased", "secret", "trust", "volatile", "valid", "begun", "lasting", "undisputed", "used", "probes", "unknown", "capacity",
    }  # fmt: skip


def test_promotion_and_demotion_have_different_thresholds() -> None:
    """A fact between the two lines stays where it is: hysteresis."""
    policy = DefaultPolicy()
    middling = replace(GOOD, uses=1, use_days=0, tokens=0, retrievability=0.3, functional=False, importance=0.2)
    assert DEMOTE_BELOW < policy.decide(middling).score < PROMOTE_FROM

    assert policy.decide(middling).action == "keep"
    assert policy.decide(replace(middling, promoted=True)).action == "keep"
    assert policy.decide(replace(middling, promoted=True, stale_edit=True)).action == "demote"


_SIGNALS = st.builds(
    Signals,
    note_id=st.just("n"),
    label=st.just("x"),
    probes=st.integers(0, 4),
    trust=st.floats(0, 1),
    secret=st.booleans(),
    volatile=st.booleans(),
    ended=st.booleans(),
    contradicted=st.booleans(),
    uses=st.integers(0, 1000),
    use_days=st.integers(0, 300),
    tokens=st.integers(0, 100_000),
    retrievability=st.floats(0, 1),
    importance=st.floats(0, 1),
    known=st.none() | st.floats(0, 1),
    promoted=st.booleans(),
)


@given(_SIGNALS)
def test_secrets_and_untrusted_facts_are_never_promoted(signals: Signals) -> None:
    """Whatever else holds."""
    policy = DefaultPolicy()
    decision = policy.decide(signals)

    if signals.secret or signals.trust < policy.settings.min_trust:
        assert decision.action == ("demote" if signals.promoted else "keep")
    assert decision.reasons
    assert decision == policy.decide(signals)
    assert policy.explain(signals)


@given(_SIGNALS, st.integers(1, 100))
def test_more_use_never_lowers_the_score(signals: Signals, more: int) -> None:
    """The score grows with uses and with the days they were spread over."""
    policy = DefaultPolicy()
    used = replace(signals, uses=signals.uses + more, use_days=signals.use_days + 1)

    assert policy.decide(used).score >= policy.decide(signals).score
