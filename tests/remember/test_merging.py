"""What is said again is merged into the note it repeats, and nothing that the caller said with it is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentmem import Fact, Memory
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import EditRow


def test_a_faded_note_comes_back_when_it_is_said_again(memory: Memory, clock: ManualClock) -> None:
    """What a receipt calls merged is found by recall afterwards."""
    note = memory.remember("The blue bicycle stands in the cellar.").id
    clock.advance(days=4000)
    assert memory.fade().ids == (note,)

    again = memory.remember("the blue bicycle stands in the cellar")

    assert (again.status, again.id) == ("merged", note)
    assert [hit.note.id for hit in memory.recall("Where is the blue bicycle?")] == [note]
    assert memory.get(str(note)).archived_at is None


def test_a_fact_that_comes_with_the_repetition_closes_the_older_one(memory: Memory, clock: ManualClock) -> None:
    """The first time or the second: a fact is a fact."""
    lisbon = memory.remember("Ana's home is by the Tejo.", fact=Fact("Ana", "lives in", "Lisbon")).id
    clock.advance(days=1)
    moved = memory.remember("She left for good.").id
    clock.advance(days=1)

    again = memory.remember("She left for good.", fact=Fact("Ana", "lives in", "Porto"))

    assert (again.id, again.superseded) == (moved, (lisbon,))
    assert memory.get(str(lisbon)).valid_to is not None


def _in_the_books(memory: Memory, id: str, said: str) -> None:
    with memory._parts.core.store.write() as tx:
        tx.ledger.put_edit(
            EditRow(f"edit of {id}", id, 1, "grace", "active", memory.get(id).version, {"prompt": "?", "target": said})
        )


def test_a_fact_changed_by_a_repetition_leaves_the_weights_in_the_same_call(memory: Memory) -> None:
    """An edit never says what its note says no longer."""
    note = str(memory.remember("It is by the river now.", fact=Fact("The office", "located in", "Porto")).id)
    _in_the_books(memory, note, "Porto")

    memory.remember("It is by the river now.", fact=Fact("The office", "located in", "Lisbon"))

    assert memory.edits() == []


def test_a_repetition_that_changes_no_fact_keeps_the_edit_up_to_date(memory: Memory) -> None:
    """A further tag does not make an edit look overtaken."""
    note = str(memory.remember("It is by the river now.", fact=Fact("The office", "located in", "Porto")).id)
    _in_the_books(memory, note, "Porto")

    memory.remember("It is by the river now.", tags=["work"])

    assert "work" in memory.get(note).tags
    with memory._parts.core.store.read() as tx:
        assert [edit.note_version for edit in tx.ledger.edits()] == [memory.get(note).version]


def test_metadata_that_comes_with_a_repetition_is_kept(memory: Memory) -> None:
    """The note gains what it lacked, and is found by it; what it had stays."""
    note = memory.remember("The lift is broken.", metadata={"floor": 2}).id

    memory.remember("The lift is broken.", metadata={"floor": 3, "ticket": 12})

    assert memory.get(str(note)).metadata == {"floor": 2, "ticket": 12}
    assert [n.id for n in memory.notes(where={"metadata.ticket": 12})] == [note]


def test_the_same_words_with_another_end_are_another_statement(memory: Memory) -> None:
    """An end of validity is part of what is said: it is not dropped."""
    memory.remember("The shop is open at night.")
    until = datetime(2027, 1, 1, tzinfo=UTC)

    first, again = (memory.remember("The shop is open at night.", valid_to=until) for _ in range(2))

    assert first.status == "stored"
    assert again.id == first.id
    assert memory.get(str(first.id)).valid_to == until


def test_a_message_from_a_clock_that_is_ahead_is_stored_once(memory: Memory, clock: ManualClock) -> None:
    """Sent again with the very same time, it is the same message, also if that time has not come yet."""
    ahead = clock.now() + timedelta(seconds=2)

    first, again = (memory.remember("The trip to Rome is booked.", occurred_at=ahead) for _ in range(2))

    assert (again.status, again.id) == ("merged", first.id)


def test_a_short_answer_said_a_thousand_times_is_looked_up_not_read_through(memory: Memory) -> None:
    """Each of many equal words at times of their own is compared with its like, not with all of them."""
    day = datetime(2026, 1, 1, tzinfo=UTC)
    turns = [{"content": "ok", "actor": "ana", "occurred_at": day + timedelta(minutes=i)} for i in range(300)]
    memory.remember_many(turns)
    loaded: list[int] = []
    notes = memory._parts.core.store._transaction.notes  # type: ignore[attr-defined]
    load = notes.load
    notes.load = lambda rows: (loaded.extend(rows), load(rows))[1]

    memory.remember("ok", actor="ana", occurred_at=day + timedelta(days=9))

    assert len(loaded) < 30


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The wifi password is hunTer2secRet", "The wifi password is HunTer2secRet"),
        ("The laser has 5 mW.", "The laser has 5 MW."),
        ("if x:\n    a()\n    b()", "if x:\n    a()\nb()"),
    ],
)
def test_what_is_spelled_otherwise_is_kept_as_it_is_spelled(memory: Memory, first: str, second: str) -> None:
    """Passwords, units and code that differ in case or in how lines are set in are told apart, and each is merged with its like."""
    told = [memory.remember(words) for words in (first, second, first, second)]

    assert [receipt.status for receipt in told] == ["stored", "stored", "merged", "merged"]
    assert [receipt.id for receipt in told[2:]] == [receipt.id for receipt in told[:2]]
    assert {note.content for note in memory.notes()} == {first, second}


def test_what_is_told_by_itself_outlives_what_it_was_derived_from_before(memory: Memory) -> None:
    """A note that an agent made of a letter stays when its user has said the same himself; one that only the agent made goes."""
    letter = str(memory.remember("A letter from the clinic, three pages.").id)
    memory.remember("I am allergic to penicillin.", derived_from=[letter])
    memory.remember("The clinic is in Graz.", derived_from=[letter])

    said = memory.remember("I am allergic to penicillin.")
    memory.forget(letter)

    assert said.status == "merged"
    assert [note.content for note in memory.notes()] == ["I am allergic to penicillin."]


def test_who_is_not_trusted_adds_nothing_to_what_is(memory: Memory) -> None:
    """A page that repeats a trusted note's words states no other fact with them, and gives it no metadata and no tags."""
    note = str(memory.remember("Ines lives in Porto.", trust="trusted", fact=Fact("Ines", "lives in", "Porto")).id)
    before = memory.get(note)

    hostile = Fact("Ines", "lives in", "Graz")
    again = memory.remember(
        "Ines lives in Porto.", trust=0.05, source="web", tags=["vip"], metadata={"by": "boss"}, fact=hostile
    )

    after = memory.get(note)
    assert (again.status, again.id) == ("merged", note)
    assert (after.facts, after.tags, after.metadata, after.trust) == (before.facts, before.tags, before.metadata, 1.0)


def test_what_is_told_by_somebody_trusted_is_trusted(memory: Memory, clock: ManualClock) -> None:
    """The same words from the web first: what they state counts, and ends what it replaces, once somebody trusted says them."""
    old = str(memory.remember("Ana lives in Graz.", fact=Fact("Ana", "lives in", "Graz")).id)
    clock.advance(days=1)
    web = memory.remember("Ana lives in Porto.", trust=0.1, source="web", fact=Fact("Ana", "lives in", "Porto"))
    assert memory.get(old).valid_to is None

    told = memory.remember("Ana lives in Porto.", trust="trusted", source="boss")

    note = memory.get(str(web.id))
    assert (told.status, note.trust, note.source) == ("merged", 1.0, "boss")
    assert told.superseded == (old,)


def test_what_is_so_again_is_told_anew(clock: ManualClock) -> None:
    """Green, red, green: the third is the newest, not a repetition of the first; said once more, it is one."""
    with Memory(None, clock=clock) as memory:
        told = []
        for words in ("The build is green.", "The build is red.", "The build is green.", "The build is green."):
            told.append(memory.remember(words, user="u"))
            clock.advance(days=1)

        assert [receipt.status for receipt in told] == ["stored", "stored", "stored", "merged"]
        assert told[3].id == told[2].id
        assert memory.notes(user="u", newest=True, limit=1)[0].content == "The build is green."
        found = memory.recall("Is the build green or red now?", user="u")
        assert [hit.note.id for hit in found][:2] == [told[2].id, told[1].id]
