"""What is said to hold no longer: the notes that state it are closed, and open again when the ending is forgotten."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from agentmem import Memory
from agentmem.errors import InvalidArgument
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import EditRow


@pytest.fixture
def porto(memory: Memory, clock: ManualClock) -> str:
    note = str(memory.remember("I live in Porto.", user="ana").id)
    memory.remember("I live in Porto.", user="ben")
    clock.advance(days=10)
    return note


def test_an_ending_closes_what_it_ends_and_nothing_else(memory: Memory, clock: ManualClock, porto: str) -> None:
    teacher = memory.remember("I am a teacher.", user="ana")
    clock.advance(days=1)
    ended = memory.remember("I don't live in Porto anymore.", user="ana")

    assert (ended.status, ended.superseded, ended.reason) == ("superseded", (porto,), "no longer lives in of user")
    assert [(link.kind, link.reason) for link in ended.links if link.target == porto and link.kind == "supersedes"] == [
        ("supersedes", "user · lives in: “Porto” no longer")
    ]
    assert memory.get(porto, user="ana").valid_to == memory.get(str(ended.id), user="ana").valid_from
    assert memory.get(str(teacher.id), user="ana").valid_to is None
    assert all(note.valid_to is None for note in memory.notes(user="ben"))
    before = memory.recall("Where do I live?", user="ana", as_of=memory.get(porto, user="ana").valid_from)
    assert porto in [hit.note.id for hit in before]


def test_a_value_that_was_left_open_ends_whichever_there_was(memory: Memory, clock: ManualClock) -> None:
    job = memory.remember("I work at Acme.").id
    clock.advance(days=1)
    assert memory.remember("I quit my job.").superseded == (job,)


TOLD = (
    ("I live in Porto.", 2020),
    ("I no longer live in Porto.", 2022),
    ("I live in Lisbon.", 2024),
    ("I moved out of Lisbon.", 2026),
)


@pytest.mark.parametrize("told", list(itertools.permutations(TOLD)))
@pytest.mark.parametrize("together", [True, False])
def test_the_order_of_telling_does_not_matter(told: tuple[tuple[str, int], ...], together: bool) -> None:
    """One by one or in one batch: each holds from its beginning until it is said to have ended."""
    with Memory(None, embedder="hash", clock=ManualClock()) as memory:
        items = [{"content": text, "occurred_at": datetime(year, 1, 1, tzinfo=UTC)} for text, year in told]
        for some in [items] if together else [[item] for item in items]:
            memory.remember_many(some, progress=False)

        held = [
            [n.fact.object for n in memory.notes(as_of=datetime(year, 6, 1, tzinfo=UTC)) if n.fact]
            for year in (2019, 2020, 2021, 2022, 2023, 2024, 2025, 2026)
        ]
        assert held == [[], ["Porto"], ["Porto"], [], [], ["Lisbon"], ["Lisbon"], []]


def test_an_ending_that_is_not_trusted_does_not_end_what_is_told_late(memory: Memory) -> None:
    memory.remember("I no longer live in Porto.", occurred_at="2022-01-01", trust=0.2)
    late = memory.remember("I live in Porto.", occurred_at="2020-01-01")
    assert memory.get(str(late.id)).valid_to is None
    assert [link.kind for link in late.links if link.target == late.id] == ["contradicts"]


def test_what_began_later_is_not_ended(memory: Memory) -> None:
    """An ending that is told late ends what held then, and not what she returned to."""
    first = memory.remember("I live in Porto.", occurred_at="2020-01-01").id
    again = memory.remember("I live in Porto.", occurred_at="2024-01-01").id

    ended = memory.remember("I no longer live in Porto.", occurred_at="2022-01-01")

    assert ended.superseded == (first,)
    assert memory.get(str(again)).valid_to is None


def test_the_turns_of_one_conversation_are_in_order(memory: Memory) -> None:
    """Messages handed over together have one time."""
    said, ended = memory.remember(
        [{"role": "user", "content": "I work at Acme."}, {"role": "user", "content": "I was fired by Acme."}]
    ).items
    assert ended.superseded == (said.id,)


def test_who_says_it_again_says_it_anew(memory: Memory, clock: ManualClock, porto: str) -> None:
    memory.remember("I no longer live in Porto.", user="ana")
    clock.advance(days=10)

    again = memory.remember("I live in Porto.", user="ana")

    assert again.status == "stored"
    assert memory.get(str(again.id), user="ana").valid_to is None
    assert memory.get(porto, user="ana").valid_to is not None


def test_forgetting_the_ending_takes_it_back(memory: Memory, porto: str) -> None:
    ended = memory.remember("I no longer live in Porto.", user="ana").id
    memory.forget(str(ended), user="ana")
    assert memory.get(porto, user="ana").valid_to is None


def test_new_words_for_the_ending_take_it_back_or_leave_it(memory: Memory, porto: str) -> None:
    ended = str(memory.remember("I no longer live in Porto.", user="ana").id)
    memory.update(ended, "I don't live in Porto any more.", user="ana")
    assert memory.get(porto, user="ana").valid_to == memory.get(ended, user="ana").valid_from

    memory.update(ended, "I no longer live in Lisbon.", user="ana")
    assert memory.get(porto, user="ana").valid_to is None


def test_a_note_that_is_changed_into_an_ending_ends(memory: Memory, porto: str) -> None:
    note = str(memory.remember("I bought a house.", user="ana").id)
    assert memory.update(note, "I moved out of Porto.", user="ana").superseded == (porto,)


def test_a_source_that_is_not_trusted_only_speaks_against_it(memory: Memory, porto: str) -> None:
    doubted = memory.remember("I no longer live in Porto.", user="ana", trust=0.2)

    assert doubted.superseded == ()
    assert memory.get(porto, user="ana").valid_to is None
    assert [link.target for link in doubted.links if link.kind == "contradicts"] == [porto]


def test_an_agent_that_says_so_ends_nothing(memory: Memory, porto: str) -> None:
    """What a model says may be invented."""
    memory.remember([{"role": "assistant", "content": "Ana no longer works at Acme."}], user="ana")
    memory.remember([{"role": "assistant", "content": "I no longer live in Porto."}], user="ana")
    assert memory.get(porto, user="ana").valid_to is None


def test_what_ended_leaves_the_weights_in_the_same_call(memory: Memory, porto: str) -> None:
    """An edit never says what its note says no longer."""
    with memory._parts.core.store.write() as tx:
        owner = tx.notes.owner(memory.get(porto, user="ana").scope)
        assert owner is not None
        tx.ledger.put_edit(EditRow("edit", porto, owner, "grace", "active", 1, {"prompt": "?", "target": "Porto"}))

    memory.remember("I no longer live in Porto.", user="ana")

    assert memory.edits(user="ana") == []


def test_a_caller_says_what_ends_where_no_rule_reads_it(memory: Memory, clock: ManualClock) -> None:
    """In other words, another language, or for whichever value there is."""
    home = memory.remember("Ana wohnt in Porto.", fact=("Ana", "lives in", "Porto")).id
    job = memory.remember("Ana arbeitet bei Acme.", fact=("Ana", "works at", "Acme")).id
    clock.advance(days=1)

    one = memory.remember("Ana ist ausgezogen.", ends=("Ana", "lives in", "Porto"))
    assert one.superseded == (home,)
    again = memory.remember("Ana ist ausgezogen.", ends=[("Ana", "lives in", "Porto"), ("Ana", "works at", None)])
    assert (again.status, again.superseded) == ("superseded", (job,))
    memory.forget([str(one.id), str(again.id)])
    assert all(memory.get(str(id)).valid_to is None for id in (home, job))


def test_a_newer_value_and_an_ending_at_once(memory: Memory, clock: ManualClock) -> None:
    job = memory.remember("Ana works at Acme.").id
    clock.advance(days=1)
    items = [
        {"content": "Ana hat neu angefangen.", "fact": ("Ana", "studies at", "MIT"), "ends": ("Ana", "works at", None)}
    ]

    assert memory.remember_many(items, progress=False)[0].superseded == (job,)
    assert [note.fact.object for note in memory.notes() if note.fact and note.valid_to is None] == ["MIT"]


@pytest.mark.parametrize(
    "ends",
    [
        "Porto",
        ("Ana", "lives in"),
        [("Ana", "lives in", "Porto"), "x"],
        ("Ana", None, "Porto"),
        ("Ana", "lives in", 7),
        5,
        [None],
    ],
)
def test_what_ends_must_say_what(memory: Memory, ends: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        memory.remember("Ana has moved out.", ends=ends)  # type: ignore[arg-type]
    assert caught.value.hint
    assert memory.notes() == []


@pytest.mark.parametrize("undo", ["forget", "change"])
def test_an_end_that_was_given_comes_back_with_the_fact(memory: Memory, undo: str) -> None:
    """What is told to end on a day, and is ended earlier by another note, ends on that day again once the other is gone or says something else."""
    until = datetime(2025, 12, 1, tzinfo=UTC)
    porto = str(memory.remember("Lea lives in Porto.", occurred_at="2025-01-01", valid_to=until).id)
    others = [
        str(memory.remember(f"Lea moved to {city}.", occurred_at=day).id)
        for city, day in (("Rome", "2025-08-01"), ("Graz", "2025-06-01"))
    ]
    assert memory.get(porto).valid_to == datetime(2025, 6, 1, tzinfo=UTC)

    for other in others:
        if undo == "forget":
            memory.forget(other)
        else:
            memory.update(other, "Lea likes tea.")

    assert memory.get(porto).valid_to == until
    found = memory.recall("Where does Lea live?", as_of="2026-06-01")
    assert "Lea lives in Porto." not in [hit.note.content for hit in found]
