"""What a caller turns off: reading facts, taking equal words for one note. And what `update` changes besides words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentmem import Fact, Memory, Scope
from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import EditRow

# -- facts=False ---------------------------------------------------------------------------------------------------


def test_no_fact_is_read_when_the_caller_says_so(memory: Memory, clock: ManualClock) -> None:
    """Two values of one relation stay two notes that hold."""
    first = memory.remember("Ana lives in Porto.", facts=False)
    clock.advance(days=1)
    second = memory.remember("Ana lives in Rome.", facts=False)

    assert (first.status, second.status, second.superseded) == ("stored", "stored", ())
    assert [note.fact for note in memory.notes()] == [None, None]
    assert all(note.valid_to is None for note in memory.notes())


def test_nothing_is_ended_by_words_that_are_not_read(memory: Memory, clock: ManualClock) -> None:
    porto = memory.remember("I live in Porto.").id
    clock.advance(days=1)

    memory.remember("I don't live in Porto any more.", facts=False)

    assert memory.get(str(porto)).valid_to is None


def test_a_fact_that_is_given_counts_all_the_same(memory: Memory) -> None:
    note = memory.get(str(memory.remember("She is by the sea now.", fact=("Ana", "lives in", "Porto"), facts=False).id))

    assert note.fact == Fact("Ana", "lives in", "Porto")


def test_items_and_messages_may_say_so_themselves(memory: Memory) -> None:
    memory.remember_many([{"content": "I live in Porto.", "facts": False}, {"content": "I work as a nurse."}])
    memory.remember([{"role": "user", "content": "My dog is called Rex."}], facts=False)

    assert [note.fact is None for note in memory.notes()] == [True, False, True]


def test_new_words_are_read_only_if_wanted(memory: Memory) -> None:
    id = str(memory.remember("Ana lives in Porto.", facts=False).id)

    memory.update(id, "Ana lives in Rome.", facts=False)
    assert memory.get(id).fact is None

    memory.update(id, "Ana lives in Graz.")
    assert memory.get(id).fact is not None


# -- merge=False ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", ["The blue bicycle stands in the cellar.", "the blue bicycle stands in the cellar"])
def test_equal_words_are_two_notes_when_the_caller_says_so(memory: Memory, again: str) -> None:
    first = memory.remember("The blue bicycle stands in the cellar.")
    assert memory.remember(again).status == "merged"

    second = memory.remember(again, metadata={"turn": 2}, merge=False)

    assert second.status == "stored"
    assert second.id != first.id
    assert memory.get(str(second.id)).metadata == {"turn": 2}
    assert memory.check().ok


def test_equal_words_of_one_call_are_as_many_notes(memory: Memory) -> None:
    receipts = memory.remember_many(["yes"] * 3, merge=False)

    assert len({receipt.id for receipt in receipts}) == len(memory.notes()) == 3
    memory.rebuild("graph")
    assert memory.check().ok


def test_an_agent_may_repeat_what_was_said(memory: Memory) -> None:
    """A history of a conversation holds every turn, also one that repeats another's."""
    memory.remember("The office opens at nine.", actor="Ana")

    turns = memory.remember([{"role": "assistant", "content": "The office opens at nine."}], merge=False)

    assert turns.status == "stored"


def test_a_repeated_key_still_stores_nothing(memory: Memory) -> None:
    first = memory.remember("yes", merge=False, idempotency_key="turn-1")

    again = memory.remember("yes", merge=False, idempotency_key="turn-1")

    assert again.id == first.id
    assert len(memory.notes()) == 1


@pytest.mark.parametrize("wrong", [{"facts": None}, {"facts": 0}, {"merge": "no"}, {"merge": 1}])
def test_wrong_switches_are_refused(memory: Memory, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument) as error:
        memory.remember("x", **wrong)

    assert error.value.hint
    assert memory.notes() == []


# -- update --------------------------------------------------------------------------------------------------------


def test_tags_importance_and_metadata_change_and_all_else_stays(memory: Memory) -> None:
    other = str(memory.remember("The boat is by the river.").id)
    id = str(memory.remember("The blue bicycle is in the cellar.", tags=["old"], metadata={"a": 1}).id)
    memory.link(id, other, reason="both mine")
    before = memory.get(id)

    receipt = memory.update(id, tags=["new"], importance=0.9, metadata={"b": [2]})

    note = memory.get(id)
    assert receipt.status == "stored"
    assert (note.tags, note.importance, note.metadata, note.version) == (("new",), 0.9, {"b": [2]}, 2)
    assert (note.content, note.created_at, note.fact) == (before.content, before.created_at, before.fact)
    assert memory.why_linked(id, other)
    assert memory.recall("bicycle", where={"tags": "new"})[0].note.id == id
    assert memory.check().ok


def test_words_and_the_rest_change_in_one_version(memory: Memory) -> None:
    id = str(memory.remember("The blue bicycle is in the cellar.", metadata={"a": 1}).id)

    memory.update(id, "The red boat is on the lake.", tags=["lake"], metadata={})

    note = memory.get(id)
    assert (note.content, note.tags, note.metadata, note.version) == ("The red boat is on the lake.", ("lake",), {}, 2)
    assert [version.content[:8] for version in memory.history(id)] == ["The blue", "The red "]
    assert memory.check(deep=True).ok


def test_an_edit_goes_along_when_the_words_stay(memory: Memory) -> None:
    """Further tags do not make an edit look overtaken."""
    id = str(memory.remember("It is by the river now.", fact=Fact("The office", "located in", "Porto")).id)
    with memory._parts.core.store.write() as tx:
        tx.ledger.put_edit(EditRow("e", id, 1, "grace", "active", 1, {"prompt": "?", "target": "Porto"}))

    memory.update(id, tags=["work"])

    assert [edit.target for edit in memory.edits()] == ["Porto"]
    with memory._parts.core.store.read() as tx:
        assert tx.ledger.edits()[0].note_version == memory.get(id).version == 2


def test_the_same_again_is_no_new_version(memory: Memory) -> None:
    id = str(memory.remember("The boat.", tags=["a"]).id)

    assert memory.update(id, "The boat.", tags=["a"]).status == "merged"
    assert memory.get(id).version == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"content": ""}, {"content": 3}, {"importance": 2.0}, {"tags": 3}, {"metadata": {"a": {1}}},
        {"metadata": [1]}, {"metadata": {"a": float("nan")}}, {"tags": ["a"], "facts": None},
    ],
)  # fmt: skip
def test_wrong_changes_are_refused_and_change_nothing(memory: Memory, wrong: dict[str, Any]) -> None:
    id = str(memory.remember("The boat.", tags=["a"], metadata={"x": 1}).id)
    before = memory.get(id)

    with pytest.raises((InvalidArgument, InvalidNote)) as error:
        memory.update(id, **wrong)

    assert error.value.hint
    assert memory.get(id) == before


def test_what_was_done_is_not_restated(memory: Memory) -> None:
    id = str(memory.experience.record("open", "a door", "push", 1.0, None).id)

    with pytest.raises(InvalidArgument):
        memory.update(id, metadata={"task": "other"})
    assert memory.update(id, tags=["door"]).status == "stored"


# -- users ---------------------------------------------------------------------------------------------------------


def test_users_are_those_who_have_notes(memory: Memory) -> None:
    memory.remember("The office opens at nine.")
    memory.remember("My dog is Rex.", user="zoe")
    memory.remember("My cat is Tom.", user="ana", agent="helper")
    memory.remember("I answer shortly.", agent="helper")
    gone = memory.remember("I was here.", user="gone")

    memory.forget(str(gone.id), user="gone")

    assert memory.users() == [Scope(), Scope(agent="helper"), Scope(user="ana"), Scope(user="zoe")]


def test_a_bound_memory_knows_of_its_own_alone(tmp_path: Path) -> None:
    with Memory(tmp_path / "m", embedder="hash") as everybody:
        everybody.remember("My dog is Rex.", user="ana")
        everybody.remember("My cat is Tom.", user="ben")
    with Memory(tmp_path / "m", embedder="hash", scope=Scope(user="ana", session="monday")) as memory:
        assert memory.users() == [Scope(user="ana")]
    with Memory(tmp_path / "m", embedder="hash", scope=Scope(user="cleo")) as memory:
        assert memory.users() == []
