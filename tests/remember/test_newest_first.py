"""The newest notes can be had without the older ones, and counts of somebody from a memory that is bound to nobody."""

from __future__ import annotations

import pytest

from agentmem import Memory
from agentmem.errors import InvalidArgument
from agentmem.notes.clock import ManualClock


def test_the_newest_notes_come_first_when_asked_for(memory: Memory, clock: ManualClock):
    for word in ("one", "two", "three"):
        memory.remember(f"The word is {word}.", user="ana")
        clock.advance(hours=1)

    found = memory.notes(user="ana", newest=True, limit=2)

    assert [note.content for note in found] == ["The word is three.", "The word is two."]
    assert [note.content for note in memory.notes(user="ana", newest=True, offset=2)] == ["The word is one."]
    with pytest.raises(InvalidArgument, match="newest"):
        memory.notes(user="ana", newest="yes")  # type: ignore[arg-type]


def test_counts_of_somebody_count_nobody_else(memory: Memory):
    memory.remember("Ana lives in Porto.", user="ana")
    memory.remember("Ben lives in Rome.", user="ben")
    memory.remember("Ben keeps bees.", user="ben")

    assert memory.stats(user="ana")["notes"] == 1
    assert "bytes" not in memory.stats(user="ana")
    assert memory.stats()["notes"] == 3
