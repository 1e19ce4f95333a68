"""Notes that are used together find each other: how the link grows, how it fades, and what it does to recall."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem import Memory, Scope
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import HALF_LIFE, LinkRow
from agentmem.projections.linking import TOGETHER, aged, link_together
from agentmem.recall.weights import RankingWeights

DAY = 86_400_000_000
STEPS = st.lists(st.tuples(st.integers(-1000, 40_000), st.floats(0.01, 0.99)), max_size=12)


def _together(memory: Memory, a: str, b: str) -> dict[str, object] | None:
    view = memory.graph()
    return view.get_edge_data(a, b) or view.get_edge_data(b, a)


@given(steps=STEPS, later=st.integers(-40_000, 40_000))
def test_the_weight_stays_in_its_bounds_whatever_happens(steps: list[tuple[int, float]], later: int) -> None:
    """Any uses at any times, clocks that jump included: over 0 and at most 1, and never more for having waited."""
    held: LinkRow | None = None
    now = 0
    for days, gain in steps:
        now += days * DAY
        held = link_together(7, 3, held, now, gain)
        assert (held.source, held.target, held.kind) == (3, 7, TOGETHER)
        assert 0 < held.weight <= 1
    if held is not None:
        assert 0 <= aged([held], now + later * DAY)[0].weight <= held.weight


@given(uses=st.integers(2, 30), gap=st.integers(0, 60), gain=st.floats(0.05, 0.9))
def test_every_use_strengthens_and_rest_weakens(uses: int, gap: int, gain: float) -> None:
    """Used at a steady pace the link grows towards a limit; left alone it halves in ninety days."""
    held, weights = None, []
    for number in range(uses):
        held = link_together(1, 2, held, number * gap * DAY, gain)
        weights.append(held.weight)

    assert all(after >= before - 1e-12 for before, after in pairwise(weights))
    assert aged([held], held.used_at + HALF_LIFE)[0].weight == pytest.approx(held.weight / 2)
    assert aged([held._replace(used_at=None)], held.used_at + HALF_LIFE)[0].weight == held.weight


def test_notes_used_together_are_linked_with_a_reason(memory: Memory, clock: ManualClock) -> None:
    """Two notes without a common word are linked by one use, more by a second, less after a year."""
    passport = str(memory.remember("My passport is in the blue folder.").id)
    adapter = str(memory.remember("Sockets in Leeds need three pins.").id)
    assert _together(memory, passport, adapter) is None

    memory.reinforce([passport, adapter])
    once = _together(memory, passport, adapter)
    memory.reinforce([adapter, passport])
    twice = _together(memory, passport, adapter)
    clock.advance(days=365)
    rested = _together(memory, passport, adapter)

    assert once["kind"] == TOGETHER
    assert once["reason"] == "used together, last on 2026-03-02"
    assert 0 < rested["weight"] < once["weight"] < twice["weight"] <= 1


def test_what_was_used_together_is_recalled_together(clock: ManualClock) -> None:
    """A note that shares no word with the question comes along because its companion does; its weight turns it off."""
    places = {}
    for together in (0.0, 0.3):
        ranking = RankingWeights(together=together)
        with Memory(None, embedder="hash", clock=clock, ranking=ranking) as memory:
            passport = memory.remember("My passport is in the blue folder.").id
            adapter = memory.remember("Sockets in Leeds need three pins.").id
            memory.remember_many([f"Lunch number {i} was soup." for i in range(30)], progress=False)
            for _ in range(5):
                memory.reinforce([str(passport), str(adapter)])
            hits = memory.recall("Where is my passport?", k=32)
            places[together] = [hit.note.id for hit in hits].index(adapter)
            via = {hit.note.id: hit.via for hit in hits}
            assert (passport in via[adapter]) == (together > 0)
            assert any(link["kind"] == TOGETHER for _, _, link in memory.graph().edges(data=True)) == (together > 0)

    assert places[0.3] == 1
    assert places[0.0] > 1


def test_a_failed_recall_links_nothing(memory: Memory) -> None:
    """What did not help together does not belong together."""
    ids = [str(memory.remember(text).id) for text in ("Rain in Leeds.", "Soup for lunch.")]
    memory.reinforce(ids, "again")

    assert _together(memory, *ids) is None


def test_a_long_list_links_its_first_notes_only(memory: Memory) -> None:
    """A page of results is not one thought: the number of links of one call is bounded."""
    receipts = memory.remember_many([f"Lunch {i} was dish {i * 7}." for i in range(60)], progress=False)
    memory.reinforce([str(r.id) for r in receipts])
    kinds = [kind for _, _, kind in memory.graph().edges(data="kinds")]

    assert sum(TOGETHER in kind for kind in kinds) == 28


def test_notes_of_two_users_are_never_linked_by_use(open_memory: Callable[..., Memory]) -> None:
    """Whoever serves several users may name notes of several in one call; they stay apart."""
    everyone = open_memory()
    ana = str(everyone.remember("Ana's code is 4711.", user="ana").id)
    ben = str(everyone.remember("Ben's code is 0815.", user="ben").id)
    everyone.reinforce([ana, ben])

    for user in ("ana", "ben"):
        assert open_memory(scope=Scope(user=user)).graph().number_of_edges() == 0


def test_the_link_is_forgotten_with_its_note(memory: Memory) -> None:
    """No link says of a forgotten note that it was used."""
    ids = [str(memory.remember(text).id) for text in ("Rain in Leeds.", "Soup for lunch.")]
    memory.reinforce(ids)
    memory.forget(ids[0])

    assert memory.graph().number_of_edges() == 0
    assert memory.check().ok
