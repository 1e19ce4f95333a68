"""A time that a query names finds notes by itself: those said in it, and those that tell of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentmem import Memory
from agentmem.notes.clock import ManualClock
from agentmem.notes.note import Scope
from agentmem.recall.result import Recollection
from agentmem.recall.weights import RankingWeights
from tests.former import TELLING, undo

SUNDAY = datetime(2024, 3, 17, 10, 0, tzinfo=UTC)
DAY = 86_400_000_000
DID = (
    "went bowling with Tom",
    "cooked a curry",
    "fixed the roof",
    "read about whales",
    "paid the rent",
    "met Maria at the lake",
)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "m", embedder="hash", clock=ManualClock(SUNDAY)) as opened:
        yield opened


def days(memory: Memory) -> dict[int, list[tuple[int, int]]]:
    """The spans that each note tells of, in days from the Sunday."""
    with memory._parts.core.store.read() as tx:
        midnight = int(SUNDAY.replace(hour=0).timestamp() * 1_000_000)
        told = tx.readings.times(tx.notes.select_all())
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
    assert memory.rebuild("readings") == 3  # notes
    assert days(memory) == {1: [(-3, -2)], 3: [(-7, -6), (-1, 0)]}
    memory.update(receipt.id, "I went bowling.", user="ana")
    assert 1 not in days(memory)


def test_forgetting_a_note_leaves_no_day_that_it_told_of(memory: Memory) -> None:
    """The receipt names the place and counts what was there; by that day nothing of it is found any more."""
    id = memory.remember("Yesterday I went bowling, and on March 3 I swam.", user="ana").id
    receipt = memory.forget(id, user="ana")

    assert receipt.gone
    assert receipt.places["readings"] == 2
    assert days(memory) == {}
    with memory._parts.core.store.read() as tx:
        assert not tx.readings.kept([1])


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
        connection.execute("UPDATE meta SET value = 'of old' WHERE key = 'readings'")
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
        assert tx.readings.told((owner,), (midnight - DAY, midnight), 9) == [1]
        assert tx.readings.told((owner,), (midnight - DAY, midnight - DAY // 2 - 1), 9) == []


def test_what_asks_tells_of_no_time(memory: Memory) -> None:
    """ "What did I do yesterday?" is a question, and the answer before it tells of its day all the same."""
    memory.remember("I swam on March 3. What did I do yesterday?", user="ana")
    assert days(memory) == {1: [(-14, -13)]}


# -- what a named time finds ----------------------------------------------------------------------------------


def of_a_year(memory: Memory, user: str = "ana") -> None:
    """Two notes a day, from March 2023 on, all of which could as well be of any other day."""
    start = SUNDAY - timedelta(days=365)
    items = [
        {
            "content": f"I {DID[number % len(DID)]} and {DID[(number * 5 + 3) % len(DID)]}.",
            "occurred_at": start + timedelta(hours=12 * number),
        }
        for number in range(2 * 365)
    ]
    memory.remember_many(items, user=user, progress=False)


@pytest.fixture(scope="module")
def year() -> Iterator[Memory]:
    """To read from."""
    with Memory(None, embedder="hash", clock=ManualClock(SUNDAY)) as opened:
        of_a_year(opened)
        yield opened


def said_on(found: Recollection) -> list[str]:
    return [f"{hit.note.occurred_at:%Y-%m-%d}" for hit in found]


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("What did I do on February 10, 2024?", "2024-02-10", "2024-02-10"),
        ("what happened on the 10th of February", "2024-02-10", "2024-02-10"),
        ("2024-02-10?", "2024-02-10", "2024-02-10"),
        ("How was my day yesterday?", "2024-03-16", "2024-03-16"),
        ("what happened last Tuesday", "2024-03-12", "2024-03-12"),
        ("Tell me about everything three days ago.", "2024-03-14", "2024-03-14"),
        ("What went on over the last weekend of July?", "2023-07-29", "2023-07-30"),
        ("What was going on at Christmas?", "2023-12-25", "2023-12-25"),
        ("What did I do in December?", "2023-12-01", "2023-12-31"),
        ("What took place at the end of November?", "2023-11-21", "2023-11-30"),
        ("What was there the week before last?", "2024-02-26", "2024-03-03"),
    ],
)
def test_who_asks_for_a_time_alone_gets_its_notes_first(year: Memory, query: str, first: str, last: str) -> None:
    """Whatever the words of other notes, and though no word of the query is in those of that day."""
    wanted = sum(first <= f"{note.occurred_at:%Y-%m-%d}" <= last for note in year.notes(user="ana"))
    found = said_on(year.recall(query, user="ana", k=10))

    assert all(first <= day <= last for day in found[: min(wanted, 10)]), found


def test_a_note_is_of_the_day_that_it_tells_of(memory: Memory) -> None:
    """Said a day or a month later; and who tells of yesterday tells little of today."""
    of_a_year(memory)
    memory.remember("Yesterday I flew a kite.", user="ana", occurred_at="2024-02-11T09:00Z")
    memory.remember("On February 10 I lost a shoe.", user="ana", occurred_at="2024-03-12T09:00Z")
    memory.remember("Last Friday I saw a fox.", user="ana", occurred_at="2024-02-10T09:00Z")
    found = [hit.note.content for hit in memory.recall("What did I do on February 10, 2024?", user="ana", k=5)]

    assert {"Yesterday I flew a kite.", "On February 10 I lost a shoe."} <= set(found[:4])
    assert found[4] == "Last Friday I saw a fox."


def test_a_time_lifts_and_content_decides() -> None:
    """Of many notes about a roof the one of that month is first; and of many notes of that month the one about the roof."""
    memory = Memory(None, clock=ManualClock(SUNDAY))
    of_a_year(memory)
    memory.remember("Tom says that the roof needs new slates.", user="ana", occurred_at="2023-10-05T09:00Z")
    memory.remember("Tom says that the garden needs water.", user="ana", occurred_at="2023-10-06T09:00Z")
    for month in (4, 5, 6, 7, 8):
        memory.remember(
            f"Tom says that the roof needs new slates, {month} of them.",
            user="ana",
            occurred_at=f"2023-0{month}-05T09:00Z",
        )
    first, *others = memory.recall("What does Tom say of slates for the roof in October 2023?", user="ana", k=6)

    assert first.note.content == "Tom says that the roof needs new slates."
    assert all("slates" in hit.note.content for hit in others)
    assert first.reasons["time"] > 0
    memory.close()


def test_which_friday_is_meant_the_question_says_and_the_note(tmp_path: Path) -> None:
    """What was told of last Friday on the Tuesday after it, and of the coming one, are told apart."""
    wednesday = datetime(2024, 3, 20, 10, 0, tzinfo=UTC)
    with Memory(tmp_path / "m", embedder="hash", clock=ManualClock(wednesday)) as memory:
        tuesday = wednesday - timedelta(days=1)
        memory.remember("On Friday we ate at the lake with Tom.", user="ana", occurred_at=tuesday)
        memory.remember("On Friday we are eating in town with Tom.", user="ana", occurred_at=tuesday)
        for n in range(20):
            memory.remember(f"Tom and I ate together, {DID[n % 6]} {n}", user="ana", occurred_at="2024-01-05T10:00Z")

        was = memory.recall("Where did we eat with Tom on Friday?", user="ana")
        comes = memory.recall("Where will we eat with Tom on Friday?", user="ana")

    assert "lake" in was[0].note.content
    assert "town" in comes[0].note.content


def test_a_time_that_holds_every_note_changes_nothing(year: Memory) -> None:
    """It rules out nothing, so it is worth nothing; and no more notes are looked at for it."""
    found = year.recall("Who went bowling between 2020 and 2024?", user="ana", k=9)

    assert all(hit.reasons.get("time", 0.0) < 0.01 for hit in found)
    assert all("bowling" in hit.note.content for hit in found)
    assert "of the time" not in found.plan


def test_before_and_since_open_a_time(year: Memory) -> None:
    """What was before March is of none of its days, and what was since then of all."""
    before = said_on(year.recall("What happened before April 2023?", user="ana", k=9))
    since = said_on(year.recall("What happened since last Tuesday?", user="ana", k=9))

    assert all(day < "2023-04-01" for day in before)
    assert all(day >= "2024-03-12" for day in since)


def test_a_time_finds_within_what_may_be_seen(memory: Memory) -> None:
    """Notes of somebody else, of another day's filter, or archived do not come for their day."""
    of_a_year(memory)
    memory.remember("I flew a kite.", user="ben", occurred_at="2024-02-10T09:00Z")
    memory.remember("I flew a kite.", user="ana", occurred_at="2024-02-10T09:00Z", tags=["kite"])
    query = "What did I do on February 10, 2024?"

    assert len(memory.recall(query, user="ben", k=9)) == 1
    found = memory.recall(query, user="ana", k=9, where={"tags": "kite"})
    assert [hit.note.content for hit in found] == ["I flew a kite."]
    assert len({hit.note.scope.user for hit in memory.recall(query, user="ana", k=9)}) == 1


def test_without_its_weight_a_time_comes_by_words_alone(tmp_path: Path) -> None:
    """The null control: with `time=0` the notes of a day are not the first."""
    ranking = RankingWeights(time=0)
    with Memory(tmp_path / "m", embedder="hash", clock=ManualClock(SUNDAY), ranking=ranking) as memory:
        of_a_year(memory)
        found = said_on(memory.recall("What did I do on February 10, 2024?", user="ana", k=2))

    assert found != ["2024-02-10"] * 2
