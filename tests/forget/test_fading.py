"""What steps back, what is kept from it, and how it comes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Memory, Scope, Settings
from agentmem.errors import InvalidArgument, UnknownNote
from agentmem.notes.clock import ManualClock
from agentmem.settings import ForgettingSettings

TALK = ("We had soup for lunch.", "It rained all afternoon.", "The bus was late again.", "A dog barked next door.")


def _chatter(memory: Memory, clock: ManualClock) -> list[str]:
    """Four passing remarks, a day apart; returns their ids, oldest first."""
    ids = []
    for text in TALK:
        ids.append(str(memory.remember(text).id))
        clock.advance(days=1)
    return ids


def _active(memory: Memory) -> set[str]:
    return {note.id for note in memory.notes(faded=False)}


def _limited(capacity: int | None, clock: ManualClock) -> Memory:
    return Memory(
        None, embedder="hash", clock=clock, settings=Settings(forgetting=ForgettingSettings(capacity=capacity))
    )


def test_what_is_needed_or_stated_does_not_fade(memory: Memory, clock: ManualClock) -> None:
    """Importance, a fact, the user's own link and a recent use each protect; what has none of them goes."""
    soup, rain, bus, dog = _chatter(memory, clock)
    fact = str(memory.remember("Ana lives in Porto.").id)
    vital = str(memory.remember("The blue folder is in the left drawer.", importance=0.9).id)
    memory.link(soup, vital, reason="eaten beside it")
    clock.advance(days=400)
    memory.reinforce(rain)

    report = memory.fade()

    assert set(report.ids) == {bus, dog}
    assert _active(memory) == {soup, rain, fact, vital}
    assert report.kept == 4
    assert all(0 <= strength < 0.7 for _, strength in report.faded)


def test_nothing_young_fades(clock: ManualClock) -> None:
    """The age from which notes may fade holds whatever the capacity says."""
    with _limited(0, clock) as strict:
        _chatter(strict, clock)
        clock.advance(days=20)
        early = strict.fade()
        clock.advance(days=20)

        assert len(early) == 0
        assert len(strict.fade()) == 4


@pytest.mark.parametrize("capacity", [0, 1, 3, 4, 9])
def test_a_capacity_archives_no_more_than_it_must(clock: ManualClock, capacity: int) -> None:
    """The longest unused go first, and only as many as are too many."""
    with _limited(capacity, clock) as memory:
        ids = _chatter(memory, clock)
        clock.advance(days=400)

        assert memory.fade(dry_run=True).ids == tuple(ids[: max(0, 4 - capacity)])
        assert len(_active(memory)) == 4
        memory.fade()
        assert len(_active(memory)) == min(4, capacity)
        assert memory.fade().ids == ()


def test_under_a_capacity_what_matters_more_stays(clock: ManualClock) -> None:
    """Of two notes equally long unused the less important one goes."""
    with _limited(1, clock) as memory:
        light = memory.remember("We had soup for lunch.", importance=0.2).id
        memory.remember("The bus was late again.", importance=0.6)
        clock.advance(days=100)

        assert memory.fade().ids == (light,)


def test_capacity_is_counted_for_each_owner(clock: ManualClock, open_memory: Callable[..., Memory]) -> None:
    """One user's many notes do not push out another's few."""
    limits = Settings(forgetting=ForgettingSettings(capacity=2))
    everyone = open_memory(settings=limits)
    for text in TALK:
        everyone.remember(text, user="ana")
    kept = everyone.remember(TALK[0], user="ben").id
    clock.advance(days=400)

    assert len(everyone.fade(dry_run=True)) == 2
    assert kept not in everyone.fade().ids


@pytest.mark.parametrize("form", ["report", "ids", "one"])
def test_fading_is_undone_exactly(memory: Memory, clock: ManualClock, form: str) -> None:
    """Every archived note is back, and neither its curve nor its uses count the undoing."""
    ids = _chatter(memory, clock)
    clock.advance(days=400)
    states = {id: memory.get(id).state for id in ids}
    report = memory.fade()
    assert set(report.ids) == set(ids)

    what = {"report": report, "ids": list(report.ids), "one": report.ids[0]}[form]
    back = memory.unfade(what)

    assert back == (report.ids[:1] if form == "one" else report.ids)
    assert _active(memory) == set(back)
    assert {id: memory.get(id).state for id in ids} == states
    assert memory.unfade(what) == ()


def test_unfading_what_is_not_there_changes_nothing(open_memory: Callable[..., Memory], clock: ManualClock) -> None:
    """An unknown id, another user's id, or no id at all is a typed error before anything is brought back."""
    ana, ben = open_memory(scope=Scope(user="ana")), open_memory(scope=Scope(user="ben"))
    mine, theirs = str(ana.remember(TALK[0]).id), str(ben.remember(TALK[1]).id)
    clock.advance(days=400)
    assert ana.fade().ids == (mine,)
    assert ben.fade().ids == (theirs,)

    for bad in ([mine, "no such note"], [mine, theirs]):
        with pytest.raises(UnknownNote) as caught:
            ana.unfade(bad)
        assert caught.value.hint
    with pytest.raises(InvalidArgument):
        ana.unfade([3])  # type: ignore[list-item]
    assert _active(ana) == set()
    assert _active(ben) == set()


def test_a_memory_fades_only_what_it_may_see(open_memory: Callable[..., Memory], clock: ManualClock) -> None:
    """Bound to a user, or to one agent of that user, it archives nothing of anybody else."""
    everyone = open_memory()
    notes = {
        (user, agent): str(everyone.remember(f"{user} and {agent} had soup.", user=user, agent=agent).id)
        for user in ("ana", "ben")
        for agent in ("bot", "tool")
    }
    clock.advance(days=400)

    bot = open_memory(scope=Scope(user="ana", agent="bot"))
    assert bot.fade().ids == (notes["ana", "bot"],)
    assert set(open_memory(scope=Scope(user="ana")).fade().ids) == {notes["ana", "tool"]}
    assert len(everyone.fade()) == 2


def test_a_note_stored_as_unimportant_is_forgotten_sooner(memory: Memory, clock: ManualClock) -> None:
    """An importance of 0 is an importance, not the lack of one."""
    least = memory.get(str(memory.remember(TALK[0], importance=0.0).id)).state
    usual = memory.get(str(memory.remember(TALK[1]).id)).state

    assert least.stability < usual.stability


def test_recall_reads_and_does_not_write(memory: Memory, clock: ManualClock) -> None:
    """Being found is no use: strengths are computed from the time of the last review, and nothing is stored."""
    ids = _chatter(memory, clock)
    clock.advance(days=10)
    before = [memory.get(id) for id in ids]
    for _ in range(3):
        assert len(memory.recall("soup and rain and a dog on the bus")) == 4

    assert [memory.get(id) for id in ids] == before


@given(jump=st.sampled_from([-4000, -31, 31, 36_500]), capacity=st.sampled_from([None, 0, 2]))
@settings(max_examples=12, deadline=None)
def test_a_clock_that_jumps_loses_nothing(jump: int, capacity: int | None) -> None:
    """Whatever the clock does, each note is active or archived, and undoing the fading brings all of them back."""
    clock = ManualClock()
    with _limited(capacity, clock) as memory:
        ids = _chatter(memory, clock)
        clock.advance(days=jump)
        report = memory.fade()

        assert report.kept + len(report) == 4
        assert _active(memory) == set(ids) - set(report.ids)
        if jump < 0:
            assert len(report) == 0
        memory.unfade(report)
        assert _active(memory) == set(ids)
