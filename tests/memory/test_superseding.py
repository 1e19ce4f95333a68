"""Which of several values of one fact holds when: whatever the order in which they were told."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from agentmem import Fact, Memory
from agentmem.clock import ManualClock

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
    same = memory.remember_many([{"content": "I live in Porto.", "occurred_at": day.replace(hour=i)} for i in range(20)])
    other = memory.remember_many([{"content": f"It reads {i}.", "fact": Fact("The meter", "reads", str(i)), "occurred_at": day} for i in range(20)])

    def most(receipts: list, kind: str) -> int:  # type: ignore[type-arg]
        return max(sum(link.kind == kind for link in receipt.links) for receipt in receipts)

    assert most(same, "supports") == 8
    assert most(other, "contradicts") == 8
