"""A time that a query names finds notes by itself: those said in it, and those that tell of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentmem import Memory
from agentmem.notes.clock import ManualClock
from agentmem.notes.note import Scope
from tests.former import TELLING, undo

SUNDAY = datetime(2024, 3, 17, 10, 0, tzinfo=UTC)
DAY = 86_400_000_000


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "m", embedder="hash", clock=ManualClock(SUNDAY)) as opened:
        yield opened


def days(memory: Memory) -> dict[int, list[tuple[int, int]]]:
    """The spans that each note tells of, in days from the Sunday."""
    with memory._parts.core.store.read() as tx:
        midnight = int(SUNDAY.replace(hour=0).timestamp() * 1_000_000)
        told = tx.times.of(tx.notes.select_all())
    return {row: [((a - midnight) // DAY, (b - midnight) // DAY) for a, b in spans] for row, spans in told.items()}


# -- what notes tell of ---------------------------------------------------------------------------------------


def test_a_note_keeps_the_days_that_it_tells_of(memory: Memory) -> None:
    """Read of its words against when it was said; new words bring new days, and a rebuild changes nothing."""
    receipt = memory.remember("Yesterday I went bowling.", user="ana")
    memory.remember("I like bowling.", user="ana")
    memory.remember(
        "On March 10 we swam, and the day before yesterday, too.", user="ana", occurred_at="2024-03-18T09:00Z"
    )
    assert days(memory) == {1: [(-1, 0)], 3: [(-7, -6), (-1, 0)]}

    memory.update(receipt.id, "Three days ago I went bowling.", user="ana")
    assert days(memory)[1] == [(-3, -2)]
    assert memory.rebuild("times") == 3
    assert days(memory) == {1: [(-3, -2)], 3: [(-7, -6), (-1, 0)]}
    memory.update(receipt.id, "I went bowling.", user="ana")
    assert 1 not in days(memory)


def test_forgetting_a_note_leaves_no_day_that_it_told_of(memory: Memory) -> None:
    """The receipt names the place and counts what was there; by that day nothing of it is found any more."""
    id = memory.remember("Yesterday I went bowling, and on March 3 I swam.", user="ana").id
    receipt = memory.forget(id, user="ana")

    assert receipt.gone
    assert receipt.places["times"] == 2
    assert days(memory) == {}
    with memory._parts.core.store.read() as tx:
        assert tx.times.count() == 0


def test_an_import_tells_of_the_same_days(memory: Memory, tmp_path: Path) -> None:
    """A file has words and moments, and the days follow from them."""
    memory.remember("Yesterday I went bowling.", user="ana", occurred_at="2023-01-05T09:00Z")
    memory.export(tmp_path / "x.jsonl", user="ana")
    with Memory(None, embedder="hash") as other:
        other.load_export(tmp_path / "x.jsonl")
        assert days(other) == days(memory)


def test_a_store_from_before_gets_its_days_when_it_is_opened(memory: Memory) -> None:
    """As if its notes had been written now; and again where other rules had read them."""
    memory.remember_many(["Yesterday I went bowling.", "I like bowling.", "We moved in May 2021."], user="ana")
    before = days(memory)
    with memory._parts.core.store._db.transaction(write=True):
        undo(memory._parts.core.store._db.run, TELLING)
    path = memory.path
    assert path is not None
    memory.close()

    with Memory(path, embedder="hash") as again:
        assert days(again) == before
        assert again.check().ok
    with closing(sqlite3.connect(path / "notes.db")) as connection, connection:
        connection.execute("UPDATE telling SET start = start - 5")
        connection.execute("UPDATE meta SET value = 'of old' WHERE key = 'times'")
    with Memory(path, embedder="hash", read_only=True) as again:
        assert days(again) == before
    with Memory(path, embedder="hash") as again:
        assert days(again) == before


def test_days_lie_under_their_owner(memory: Memory) -> None:
    """Nobody's day finds another's note."""
    memory.remember("Yesterday I went bowling.", user="ana")
    memory.remember("Yesterday I went bowling.", user="ben")
    with memory._parts.core.store.read() as tx:
        owner = tx.notes.owner(Scope(user="ana"))
        assert owner is not None
        midnight = int(SUNDAY.replace(hour=0).timestamp() * 1_000_000)
        assert tx.times.told((owner,), (midnight - DAY, midnight), 9) == [1]
        assert tx.times.told((owner,), (midnight - DAY, midnight - DAY // 2 - 1), 9) == []
