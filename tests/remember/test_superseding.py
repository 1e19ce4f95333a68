"""Which of several values of one fact holds when: whatever the order in which they were told."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from agentmem import Fact, Memory
from agentmem.notes.clock import ManualClock

TOLD = (("Porto", 2020), ("Faro", 2022), ("Lisbon", 2024), ("Rome", 2025))


def _year(memory: Memory, year: int) -> list[str]:
    return [n.fact.object for n in memory.notes(as_of=datetime(year, 6, 1, tzinfo=UTC)) if n.fact]


@pytest.mark.parametrize("told", list(itertools.permutations(TOLD)))
def test_the_order_of_telling_does_not_matter(told: tuple[tuple[str, int], ...]) -> None:
    """Each value holds from its own beginning to that of the next one, and at every moment there is one."""
    with Memory(None, embedder="hash", clock=ManualClock()) as memory:
        for city, year in told:
            memory.remember(f"Ana lives in {city}.", occurred_at=datetime(year, 1, 1, tzinfo=UTC))

        assert [_year(memory, year) for year in (2020, 2021, 2022, 2023, 2024, 2025)] == [
            ["Porto"], ["Porto"], ["Faro"], ["Faro"], ["Lisbon"], ["Rome"],
        ]  # fmt: skip


def test_an_end_that_was_said_does_not_shield_from_a_newer_value(memory: Memory) -> None:
    """A lease until 2030 ends when she moves out in 2025."""
    memory.remember("Ana lives in Porto.", occurred_at="2024-01-01", valid_to="2030-01-01")
    memory.remember("Ana lives in Lisbon.", occurred_at="2025-01-01")

    assert _year(memory, 2024) == ["Porto"]
    assert _year(memory, 2026) == ["Lisbon"]


def test_a_span_in_the_past_is_not_stretched(memory: Memory) -> None:
    """What ended before the present value began ended then, not later."""
    memory.remember("Ana lives in Lisbon.", occurred_at="2024-01-01")
    memory.remember("Ana lives in Porto.", occurred_at="2020-01-01", valid_to="2021-01-01")

    assert _year(memory, 2020) == ["Porto"]
    assert _year(memory, 2022) == []


def test_the_turns_of_one_conversation_are_in_order(memory: Memory) -> None:
    """Messages handed over together have one time, and still the later one is the newer."""
    porto, lisbon = memory.remember(
        [{"role": "user", "content": "I live in Porto."}, {"role": "user", "content": "I live in Lisbon."}]
    ).items

    assert lisbon.superseded == (porto.id,)
    assert [n.id for n in memory.notes() if n.valid_to is None] == [lisbon.id]


def test_what_is_said_often_becomes_no_hub(memory: Memory) -> None:
    """Links to notes that say the same, or the contrary at the same moment, are capped like all others."""
    day = datetime(2026, 1, 1, tzinfo=UTC)
    same = memory.remember_many(
        [{"content": "I live in Porto.", "occurred_at": day.replace(hour=i)} for i in range(20)]
    )
    other = memory.remember_many(
        [
            {"content": f"It reads {i}.", "fact": Fact("The meter", "reads", str(i)), "occurred_at": day}
            for i in range(20)
        ]
    )

    def most(receipts: list, kind: str) -> int:  # type: ignore[type-arg]
        return max(sum(link.kind == kind for link in receipt.links) for receipt in receipts)

    assert most(same, "supports") == 8
    assert most(other, "contradicts") == 8


def _lives(memory: Memory, *cities: str) -> list[str]:
    return [
        str(memory.remember(f"Ana lives in {city}.", occurred_at=f"{2020 + i}-01-01").id)
        for i, city in enumerate(cities)
    ]


def _open(memory: Memory) -> list[str]:
    return [note.content for note in memory.notes() if note.valid_to is None]


@pytest.mark.parametrize("gone", [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
def test_what_a_forgotten_note_had_closed_holds_again(memory: Memory, gone: tuple[int, ...]) -> None:
    """The notes that remain stand as if the forgotten ones had never been told."""
    cities = ["Porto", "Faro", "Lisbon"]
    ids = _lives(memory, *cities)

    for place in gone:
        memory.forget(ids[place])

    expected: list[str] = []
    for place, city in enumerate(cities):
        expected = expected if place in gone else [city]
        assert _year(memory, 2020 + place) == expected
    assert len(_open(memory)) == 1


def test_forgetting_the_newest_brings_the_former_answer_back(memory: Memory, clock: ManualClock) -> None:
    """A mistake that is forgotten takes no true statement along."""
    _, wrong = _lives(memory, "Porto", "Lisbon")

    memory.forget(wrong)

    assert "Porto" in memory.recall("Where does Ana live?").context()


def test_new_words_let_go_of_what_the_old_ones_had_closed(memory: Memory) -> None:
    """A note that turns out to be about somebody else closes nothing any more, and a second correction closes again."""
    _, wrong = _lives(memory, "Porto", "Lisbon")

    memory.update(wrong, "Ben lives in Lisbon.")
    assert _open(memory) == ["Ana lives in Porto.", "Ben lives in Lisbon."]
    memory.update(wrong, "Ana lives in Lisbon.")

    assert _open(memory) == ["Ana lives in Lisbon."]


def test_new_words_that_nothing_overrules_hold_again(memory: Memory) -> None:
    """A note that had been superseded and now says something else has not ended."""
    former, _ = _lives(memory, "Porto", "Lisbon")

    memory.update(former, "Ben lives in Porto.")

    assert _open(memory) == ["Ben lives in Porto.", "Ana lives in Lisbon."]


def test_another_value_in_new_words_changes_nobody_elses_history(memory: Memory) -> None:
    """What the note closed before and closes still gets no further versions."""
    porto, lisbon = _lives(memory, "Porto", "Lisbon")
    before = memory.history(porto)

    memory.update(lisbon, "Ana lives in Rome.")

    assert memory.history(porto) == before
    assert _open(memory) == ["Ana lives in Rome."]


@pytest.mark.parametrize(
    ("first", "second", "over"),
    [
        ("desk", "desk", True),
        ("desk", None, True),  # everybody who sees the first sees the second
        ("desk", "shop", False),
        (None, "shop", False),  # the desk would lose what holds, and find nothing in its place
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_what_one_agent_was_told_ends_nothing_for_those_who_do_not_see_it(memory, first, second, over, late):
    """In whichever order it is told."""
    told = [("I live in Porto.", first, "2026-01-01"), ("I live in Graz.", second, "2026-02-01")]
    for words, agent, at in reversed(told) if late else told:
        memory.remember(words, user="ana", agent=agent, occurred_at=at)

    (porto,) = [note for note in memory.notes(user="ana") if "Porto" in note.content]
    assert (porto.valid_to is not None) is over


def test_what_ended_for_one_agent_holds_for_another(memory):
    memory.remember("I live in Porto.", user="ana", agent="desk", occurred_at="2026-01-01")
    memory.remember("I no longer live in Porto.", user="ana", agent="shop", occurred_at="2026-02-01")

    assert memory.recall("Where do I live?", user="ana", agent="desk")[0].note.valid_to is None


def test_forgetting_what_one_agent_was_told_changes_nothing_for_another(memory):
    memory.remember("I live in Porto.", user="ana", agent="desk", occurred_at="2026-01-01")
    graz = memory.remember("I live in Graz.", user="ana", agent="shop", occurred_at="2026-02-01")
    memory.forget(graz.id, user="ana")

    assert [note.valid_to for note in memory.notes(user="ana")] == [None]
