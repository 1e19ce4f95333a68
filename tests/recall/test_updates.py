"""What is marked as an update of an older note stands before it, if it fits nearly as well; nothing else moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentmem import Memory
from agentmem.notes.clock import ManualClock
from agentmem.recall.updates import FIRST, MARKED, UPDATED, AmongRanked, updated

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
OLD = "Our standup is at nine in the small kitchen."
NEW = "Half past ten for the standup from Monday."


def _marks(pairs: list[tuple[int, int]], sure: float = 1.0) -> AmongRanked:
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    none = np.zeros(len(pairs), dtype=bool)
    return AmongRanked(ends[:, 0], ends[:, 1], np.ones(len(pairs)), none, none, np.full(len(pairs), sure))


def test_the_newer_stands_right_before_the_older() -> None:
    """One that hardly fits does not, one that stands before already gains nothing, and of several older ones the best counts."""
    scores = np.array([1.0, 1.0 - UPDATED / 2, 1.0 - 2 * UPDATED, 1.2])

    gained = updated(scores, _marks([(1, 0), (2, 0), (3, 0), (1, 2)]))

    assert (scores + gained)[1] > 1.0
    assert gained[[0, 2, 3]].tolist() == [0.0, 0.0, 0.0]
    assert (scores + updated(scores, _marks([(1, 0), (1, 3)])))[1] < 1.2  # the best one is too far away
    assert updated(scores, _marks([])).tolist() == [0.0] * 4
    assert not updated(scores, _marks([(1, 0)], sure=0.6)).any()  # and half a doubt is too much for that distance
    assert updated(scores, _marks([(1, 0)], sure=0.9))[1] > 0.0


def test_among_the_first_a_sure_mark_orders_however_far_apart_they_are() -> None:
    """Behind them it lifts nothing that hardly fits, and no doubtful mark does."""
    scores = np.array([2.0, 1.0, 0.1, *(1.5 for _ in range(FIRST - 3)), 0.0])

    assert (scores + updated(scores, _marks([(2, 0)])))[2] > 2.0
    assert not updated(scores, _marks([(len(scores) - 1, 0)])).any(), "it is not among the first"
    assert not updated(scores, _marks([(2, 0)], sure=MARKED - 0.1)).any()


@given(
    st.lists(st.floats(-1, 2), min_size=2, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=12),
)
def test_a_mark_lifts_a_little_and_lowers_nothing(scores: list[float], pairs: list[tuple[int, int]]) -> None:
    among = _marks([(a, b) for a, b in pairs if a != b and max(a, b) < len(scores)])

    gained = updated(np.array(scores), among)

    assert (gained >= 0).all()
    assert (gained <= UPDATED + 0.01).all()


def test_a_marked_update_is_found_first_and_says_why() -> None:
    """Without the mark the older one has more words of the question; who asks about that time gets what held then."""
    clock = ManualClock(START)
    with Memory(None, clock=clock) as memory:
        old = memory.remember(OLD, occurred_at=START, facts=False)
        clock.advance(days=20)
        new = memory.remember(NEW, occurred_at=clock.now(), facts=False)
        question = "Is our standup at nine?"
        before = memory.recall(question)
        memory.link(new.id, old.id, kind="updates", reason="said so")
        after, then = memory.recall(question), memory.recall(f"{question[:-1]} on March 1, 2026?")

    assert [hit.note.id for hit in before][:2] == [old.id, new.id]
    assert [hit.note.id for hit in after][:2] == [new.id, old.id]
    assert after[0].reasons["updates"] > 0
    assert then[0].note.id == old.id
    assert timedelta(days=20) == after[0].note.occurred_at - after[1].note.occurred_at
