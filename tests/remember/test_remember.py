"""What becomes of an item on its way into the memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from agentmem import Fact, Memory, Scope
from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import Selection


def test_a_text_is_stored_and_found_at_once(memory: Memory) -> None:
    """A note is recallable the moment remember() returns."""
    receipt = memory.remember("Ana lives in Porto.")

    assert receipt.status == "stored"
    assert memory.recall("Where does Ana live?")[0].note.id == receipt.id


def test_the_same_words_again_are_the_same_note(memory: Memory, clock: ManualClock) -> None:
    """Repeating a statement without saying when merges it, case and spacing aside."""
    first = memory.remember("The office key is under the mat")
    clock.advance(days=1)
    again = memory.remember("the office  key is under the mat.")

    assert (again.status, again.id) == ("merged", first.id)
    assert len(memory.notes()) == 1


def test_the_same_words_at_another_time_are_another_occurrence(memory: Memory) -> None:
    """Turns of a conversation keep their own time, whatever was said before."""
    day = datetime(2026, 3, 1, tzinfo=UTC)
    ids = {memory.remember("ok", actor="ana", occurred_at=day + timedelta(minutes=i)).id for i in range(3)}

    assert len(ids) == 3


def test_another_actor_saying_it_is_another_note(memory: Memory) -> None:
    """Who said it belongs to what was said."""
    first = memory.remember("I love hiking.", actor="Ana")
    second = memory.remember("I love hiking.", actor="Ben")

    assert first.id != second.id


def test_a_newer_value_closes_the_older_note(memory: Memory, clock: ManualClock) -> None:
    """A functional fact has one value at a time; the old one is closed, not deleted, and can be asked for."""
    old = memory.remember("Ana lives in Porto.", fact=Fact("Ana", "lives in", "Porto"))
    before = clock.now()
    clock.advance(days=30)
    new = memory.remember("Ana lives in Lisbon.", fact=Fact("Ana", "lives in", "Lisbon"))

    assert (new.status, new.superseded) == ("superseded", (old.id,))
    assert memory.get(str(old.id)).valid_to == clock.now()
    assert memory.recall("Where does Ana live?")[0].note.id == new.id
    assert [h.note.id for h in memory.recall("Where does Ana live?", as_of=before)] == [old.id]


def test_a_time_that_is_none_is_a_typed_error(memory: Memory) -> None:
    for wrong in ("yesterday", "", 5, "0001-01-01T00:00:00+14:00"):
        with pytest.raises(InvalidArgument, match="as_of"):
            memory.recall("Where does Ana live?", as_of=wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgument, match="as_of"):
            memory.notes(as_of=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="occurred_at"):
        memory.remember("Ana lives in Porto.", occurred_at="0001-01-01T00:00:00+14:00")
    assert memory.notes() == []


def test_an_untrusted_source_cannot_close_a_trusted_fact(memory: Memory, clock: ManualClock) -> None:
    """What a web page says stands beside what the user said, as a contradiction."""
    memory.remember("Ana lives in Porto.", fact=Fact("Ana", "lives in", "Porto"))
    clock.advance(days=1)
    receipt = memory.remember("Ana lives in Oslo.", fact=Fact("Ana", "lives in", "Oslo"), source="web")

    assert receipt.status == "stored"
    assert [link.kind for link in receipt.links if link.kind == "contradicts"] == ["contradicts"]
    assert all(note.valid_to is None for note in memory.notes())


def test_a_fact_told_late_is_history(memory: Memory, clock: ManualClock) -> None:
    """Learning today what was true long ago does not overrule what is true since."""
    memory.remember("Ana lives in Lisbon.", fact=Fact("Ana", "lives in", "Lisbon"))
    late = memory.remember(
        "Ana lived in Porto.", fact=Fact("Ana", "lives in", "Porto"), occurred_at=datetime(2020, 1, 1, tzinfo=UTC)
    )

    assert memory.get(str(late.id)).valid_to is not None
    assert [n.content for n in memory.notes() if n.valid_to is None] == ["Ana lives in Lisbon."]


def test_turns_of_one_session_are_linked_in_order(memory: Memory) -> None:
    """Neighbours in a conversation explain each other."""
    turns = [
        {"role": "user", "content": "What shall I cook tonight?"},
        {"role": "assistant", "content": "Perhaps a risotto with mushrooms."},
        {"role": "user", "content": "Good, the market has them."},
    ]
    receipt = memory.remember(turns, session="monday")

    kinds = [(link.kind, link.target) for item in receipt.items for link in item.links if link.kind == "next"]
    assert len(receipt.items) == 3
    assert len(kinds) == 2
    assert [note.position for note in memory.notes()] == [0, 1, 2]


def test_recalled_notes_are_never_stored_again(memory: Memory) -> None:
    """An agent that stores its own prompt stores only what is new in it."""
    memory.remember("Ana lives in Porto.")
    block = memory.recall("Where does Ana live?").context()

    echo = memory.remember(block)
    mixed = memory.remember(f"{block}\n\nPlease book a table for two.")

    assert echo.status == "rejected"
    assert memory.get(str(mixed.id)).content == "Please book a table for two."
    assert len(memory.notes()) == 2


def test_an_assistant_repeating_a_note_is_an_echo(memory: Memory) -> None:
    """The agent's own repetition adds nothing to what the user said."""
    memory.remember({"role": "user", "content": "I live in Porto."})
    echo = memory.remember({"role": "assistant", "content": "I live in Porto."})

    assert echo.status == "rejected"


def test_an_idempotency_key_makes_a_retry_harmless(memory: Memory) -> None:
    """A client that died after the write may try again."""
    first = memory.remember("Pay the rent.", idempotency_key="k1", occurred_at="2026-03-01T10:00:00Z")
    again = memory.remember("Pay the rent.", idempotency_key="k1", occurred_at="2026-03-01T10:00:00Z")

    assert again.id == first.id
    assert len(memory.notes()) == 1


def test_items_of_remember_many_may_be_texts_messages_and_mappings(memory: Memory) -> None:
    """One list may mix the three forms, and receipts come in its order."""
    receipts = memory.remember_many(
        [
            "Ana lives in Porto.",
            {"role": "user", "content": "I play chess."},
            {"content": "Ben bakes.", "tags": ["food"]},
        ]
    )

    notes = [memory.get(str(r.id)) for r in receipts]
    assert [n.content for n in notes] == ["Ana lives in Porto.", "I play chess.", "Ben bakes."]
    assert "food" in notes[2].tags


def test_one_bad_item_stores_none(memory: Memory) -> None:
    """A list is checked whole before its first item is written, and the error names the item."""
    with pytest.raises(InvalidNote, match="Item 1"):
        memory.remember_many(["fine", "   ", "fine too"])

    assert memory.notes() == []


def deep(levels: int) -> object:
    """A list in a list in a list."""
    return reduce(lambda inner, _: [inner], range(levels), [])


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("", {}),
        ("  \n ", {}),
        ("x" * 70_000, {}),
        ("\ud800", {}),
        ("a\0b", {}),
        (b"bytes", {}),
        (17, {}),
        ([], {}),
        ("late", {"valid_from": "2026-02-01", "valid_to": "2026-01-01"}),
        ("x", {"kind": "poem"}),
        ("x", {"importance": 7}),
        ("x", {"trust": "absolutely"}),
        ("x", {"trust": 2.0}),
        ("x", {"fact": "Ana lives in Porto"}),
        ("x", {"metadata": {"a": object()}}),
        ("x", {"metadata": {"a": float("nan")}}),
        ("x", {"metadata": {"a": deep(5_000)}}),
        ("x", {"occurred_at": "yesterday-ish"}),
        ("x", {"user": ""}),
        ("x", {"tags": [3]}),
        ({"role": "wizard", "content": "x"}, {}),
        ({"text": "x"}, {}),
    ],
)
def test_bad_input_is_a_typed_error_with_a_cure(memory: Memory, content: object, options: dict[str, object]) -> None:
    """Whatever is wrong is said before anything is written, with a hint."""
    with pytest.raises((InvalidNote, InvalidArgument)) as caught:
        memory.remember(content, **options)  # type: ignore[arg-type]

    assert caught.value.hint
    assert memory.notes() == []


def test_turns_follow_each_other_however_they_are_written(memory: Memory) -> None:
    """One by one or all at once: each turn is linked to the one before, and found by its neighbours' words, not by its own twice."""
    turns = ["We row on Sundays.", "Then take a coat.", "It may rain later."]
    for turn in turns:
        memory.remember(turn, user="ana", session="one by one")
    memory.remember_many(turns, user="ben", session="at once")

    with memory._parts.core.store.read() as tx:
        rows = {
            name: tx.notes.select(Selection(tx.notes.visible_owners(Scope(user=name))[1:])) for name in ("ana", "ben")
        }
        links = {
            name: [(k.source, k.target) for k in tx.links.touching(of) if k.kind == "next"] for name, of in rows.items()
        }
        found = {
            name: {
                word: [
                    of.index(r)
                    for r, _ in memory._parts.core.text.search(tx, [word], tx.notes.visible_owners(Scope(user=name)), 9)
                ]
                for word in ("row", "coat", "rain")
            }
            for name, of in rows.items()
        }
    for name, of in rows.items():
        assert sorted(links[name]) == [(of[0], of[1]), (of[1], of[2])]
    assert found["ana"] == found["ben"]
    assert sorted(found["ana"]["row"]) == [0, 1]


def test_a_key_that_was_used_with_other_words_stores_nothing_and_says_so(memory: Memory) -> None:
    """The second text is not lost behind a receipt that says "stored"."""
    first = memory.remember("Ana lives in Porto.", idempotency_key="k")

    again, other = (
        memory.remember("Ana lives in Porto.", idempotency_key="k"),
        memory.remember("Ana lives in Lisbon.", idempotency_key="k"),
    )

    assert (again.status, again.id) == ("stored", first.id)
    assert (other.status, other.id, bool(other.ok)) == ("rejected", None, False)
    assert "other words" in other.reason
    assert memory.remember("Ana lives in Lisbon.", idempotency_key="k2").ok


def test_a_key_of_a_merged_or_rejected_write_is_known_by_its_own_words(memory: Memory) -> None:
    """A retry repeats what it said, not what the note says it was merged into."""
    memory.remember("Ana lives in Porto.")
    merged = memory.remember("Ana lives in Porto!", idempotency_key="m")
    refused = memory.remember({"role": "system", "content": "Be brief."}, idempotency_key="s")

    assert merged.status == "merged"
    assert memory.remember("Ana lives in Porto!", idempotency_key="m").status == "merged"
    assert memory.remember("Ben cooks fish.", idempotency_key="m").status == "rejected"
    assert refused.status == "rejected"


def test_a_step_with_the_key_of_another_step_is_not_taken_for_it(memory: Memory) -> None:
    first = memory.experience.record("Tidy.", "a mug", "wash it", 1.0, None, idempotency_key="e")

    assert memory.experience.record("Tidy.", "a mug", "wash it", 1.0, None, idempotency_key="e").id == first.id
    assert memory.experience.record("Tidy.", "a mug", "drop it", -1.0, None, idempotency_key="e").status == "rejected"
    assert memory.experience.record("Tidy.", "a mug", "wash it", -1.0, None, idempotency_key="e").status == "rejected"


def test_what_is_kept_of_the_words_of_a_key_cannot_be_guessed_at(tmp_path) -> None:
    """The digest is keyed with the secret of its store: the same words leave another one elsewhere, and an export has none."""
    kept = []
    for name in "ab":
        with Memory(tmp_path / name, embedder="hash") as each:
            id = each.remember("The password is swordfish.", idempotency_key="k").id
            with each._parts.core.store.read() as tx:
                kept.append((tx.keys.get(1, "k") or {})["said"])
            each.export(tmp_path / "a.jsonl")
            assert kept[-1] not in (tmp_path / "a.jsonl").read_text()
            each.forget(str(id))
            with each._parts.core.store.read() as tx:
                assert tx.keys.get(1, "k") is None
    assert kept[0] != kept[1]
