"""Many notes are reinforced together at the price of one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agentmem import Memory
from agentmem.errors import UnknownNote
from agentmem.notes.clock import ManualClock
from agentmem.stores.sqlite.store import SqliteStore


def test_how_many_notes_are_reinforced_does_not_change_how_many_statements_run() -> None:
    """Ten or forty: they are found, read and written together, in a bound memory, too."""
    seen: list[str] = []
    with Memory(None, embedder="hash", store=SqliteStore(None, tracer=lambda sql, _: seen.append(sql))) as memory:
        told = memory.remember_many([f"Note {n} about thing{n}." for n in range(40)], user="ana", progress=False)
        ids = [str(receipt.id) for receipt in told]

        def statements(some: list[str], user: str | None) -> int:
            memory.reinforce(some, user=user)  # what is known from then on is not asked twice
            seen.clear()
            memory.reinforce(some, user=user)
            return len(seen)

        for user in (None, "ana"):
            assert statements(ids[:10], user) == statements(ids, user)


def test_each_note_keeps_a_curve_of_its_own() -> None:
    """Reinforced together or one by one, notes end with the same states, in the order in which they were named."""
    clock = ManualClock()
    states = []
    for together in (True, False):
        with Memory(None, embedder="hash", clock=clock) as memory:
            told = memory.remember_many([f"Note {n} about thing{n}." for n in range(6)], progress=False)
            ids = [str(receipt.id) for receipt in told]
            start = clock.now()
            for days, some in enumerate((ids[3:], ids[1:5], ids[::-1])):
                clock.advance(days=days)
                for part in [some] if together else [[id] for id in some]:
                    memory.reinforce(part)
            states.append([(memory.get(id).state, memory.get(id).state.last_review - start) for id in ids])

    assert [state[0].stability for state in states[0]] == [state[0].stability for state in states[1]]
    assert [state[0].recalls for state in states[0]] == [1, 2, 2, 3, 3, 2]
    assert {state[1] for state in states[0]} == {timedelta(days=3)}


def test_one_unknown_note_leaves_all_as_they_were() -> None:
    with Memory(None, embedder="hash") as memory:
        told = memory.remember("Ana lives in Porto.", user="ana")
        for user in (None, "ana", "ben"):
            with pytest.raises(UnknownNote, match=str(told.id) if user == "ben" else "none such"):
                memory.reinforce([str(told.id), "none such"], user=user)

        assert memory.get(str(told.id), user="ana").state.recalls == 0
