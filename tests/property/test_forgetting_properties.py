"""Promises of every forgetting curve, over any history of uses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.notes.curves import CURVES, GRADES, curve, due
from agentmem.notes.note import MemoryState

START = datetime(2026, 1, 1, tzinfo=UTC)

curves = st.sampled_from(CURVES).map(curve)
spans = st.floats(-400, 36_500, allow_nan=False)
later = st.floats(0, 36_500, allow_nan=False)
successes = st.sampled_from(GRADES[1:])
states = st.builds(
    MemoryState,
    stability=st.floats(0.001, 36_500),
    difficulty=st.floats(1, 10),
    last_review=st.just(START),
    recalls=st.integers(0, 100),
)


def at(days: float) -> datetime:
    return START + timedelta(days=days)


@given(model=curves, history=st.lists(st.tuples(spans, st.sampled_from(GRADES)), max_size=8), when=spans)
@settings(max_examples=300, deadline=None)
def test_strength_is_a_probability_after_any_history(model, history, when):
    """Whatever happened and whatever the clock did, the strength is in [0, 1] and the state in its bounds."""
    state = model.initial(START)
    for day, grade in history:
        state = model.review(state, at(day), grade)

    assert 0.0 <= model.retrievability(state, at(when)) <= 1.0
    assert 0.001 <= state.stability <= 36_500
    assert 1 <= state.difficulty <= 10
    assert state.recalls == len(history)


@given(model=curves, state=states, a=spans, b=spans)
@settings(max_examples=300, deadline=None)
def test_strength_never_rises_while_time_passes(model, state, a, b):
    """Without a use, a later moment never has more strength than an earlier one."""
    early, late = sorted((a, b))

    assert model.retrievability(state, at(late)) <= model.retrievability(state, at(early))


@given(model=curves, state=states)
@settings(deadline=None)
def test_strength_is_whole_at_the_moment_of_use(model, state):
    """At its last review a note is fully there."""
    assert model.retrievability(state, START) == 1.0


@given(model=curves, state=states, wait=later, grade=successes, after=later)
@settings(max_examples=300, deadline=None)
def test_a_recall_never_weakens(model, state, wait, grade, after):
    """More recalls, slower decay: at every later moment a recalled note is at least as strong as an unrecalled one."""
    recalled = model.review(state, at(wait), grade)

    moment = at(wait + after)
    assert recalled.stability >= state.stability
    assert model.retrievability(recalled, moment) >= model.retrievability(state, moment)


@given(model=curves, gaps=st.lists(st.floats(0, 30), min_size=2, max_size=10), after=st.floats(0, 1000))
@settings(max_examples=200, deadline=None)
def test_more_recalls_mean_slower_decay(model, gaps, after):
    """Strength after the same wait grows with the number of recalls before it."""
    state, day = model.initial(START), 0.0
    strengths = []
    for gap in gaps:
        day += gap
        state = model.review(state, at(day))
        strengths.append(model.retrievability(state, at(day + after)))

    assert all(b >= a - 1e-12 for a, b in pairwise(strengths))


@given(model=curves, state=states, wait=later)
@settings(max_examples=200, deadline=None)
def test_better_grades_never_leave_less(model, state, wait):
    """After the same wait: again <= hard <= good <= easy in stability."""
    left = [model.review(state, at(wait), grade).stability for grade in GRADES]

    assert left == sorted(left)


@given(model=curves, state=states, level=st.floats(0.05, 0.95))
@settings(max_examples=100, deadline=None)
def test_due_lies_on_the_crossing(model, state, level):
    """Just before the due moment the strength is above the level, at it no more."""
    moment = due(state, model, level)
    if moment is None:
        assert model.retrievability(state, at(36_500)) > level
    else:
        assert model.retrievability(state, moment) <= level
        before = max(moment - timedelta(seconds=2), START)
        assert model.retrievability(state, before) >= level


@given(state=states, wait=st.floats(1, 2000), grade=st.sampled_from(GRADES))
@settings(max_examples=200, deadline=None)
def test_review_forgets_nothing_it_was_given(state, wait, grade):
    """A review returns a new state and leaves the old one as it was."""
    before = (state.stability, state.difficulty, state.last_review, state.recalls)
    curve("fsrs6").review(state, at(wait), grade)

    assert (state.stability, state.difficulty, state.last_review, state.recalls) == before
