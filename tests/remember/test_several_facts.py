"""A note that states several things keeps what still holds when one of them ends."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem import Fact, Memory, Note, Scope
from agentmem.consolidation.candidates import Candidate, gather
from agentmem.consolidation.phraser import default_phraser
from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import EditRow
from agentmem.stores.sqlite.where import prepare
from tests.former import FACTS, undo

ENDED = [
    ("I live in Graz and work as a plumber.", "I moved to Linz.", "Graz", "plumber", "- [2026-01-01 user] I work as a plumber."),
    ("I live in Graz. I work as a plumber.", "I no longer live in Graz.", "Graz", "plumber", "] I work as a plumber."),
    ("I'm a nurse and live in Oslo.", "I now work as a barista.", "nurse", "Oslo", "] I live in Oslo."),
    ("I live in Graz, Austria, and I'm allergic to nuts.", "I live in Rome.", "Graz, Austria", "nuts", "] I'm allergic to nuts."),
    ("Ana Lim lives in Porto and works at Acme.", "Ana Lim left Acme.", "Acme", "Porto", "] Ana Lim lives in Porto."),
    (
        "My favourite colour is green and my favourite food is pizza.", "My favourite colour is blue.",
        "green", "pizza", "] My favourite food is pizza.",
    ),
    ("I'm 34, live in Graz and work as a plumber.", "I moved to Linz.", "Graz", "plumber", "] I'm 34 and work as a plumber."),
    (
        "I moved to Graz for love and work as a plumber.", "I moved to Linz.", "Graz", "plumber",
        "] I moved to Graz for love and work as a plumber. (no longer: lives in Graz, since 2026-01-31)",
    ),
]  # fmt: skip


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory(clock: ManualClock) -> Memory:
    return Memory(None, embedder="hash", clock=clock)


def tell(memory: Memory, clock: ManualClock, *texts: str, **options: object) -> list[str]:
    ids = []
    for text in texts:
        ids.append(str(memory.remember(text, user="u", **options).id))  # type: ignore[arg-type]
        clock.advance(days=30)
    return ids


def ended(note: Note) -> dict[str, str | None]:
    return {fact.object: fact.ended_by for fact in note.facts if fact.valid_to is not None}


def holding(memory: Memory) -> set[str]:
    notes = [note for note in memory.notes(user="u") if note.valid_to is None]
    return {fact.object for note in notes for fact in note.facts if fact.valid_to is None}


@pytest.mark.parametrize(("first", "then", "over", "kept", "line"), ENDED)
def test_the_rest_of_a_note_stays(
    memory: Memory, clock: ManualClock, first: str, then: str, over: str, kept: str, line: str
) -> None:
    """One of its facts is over since, and by, the newer note; the other holds, the note does, and a prompt says so."""
    old, new = tell(memory, clock, first, then)
    note, before = memory.get(old, user="u"), memory.history(old, user="u")
    found = memory.recall(first, user="u")

    assert ended(note) == {over: new}
    assert note.valid_to is None
    assert kept in {fact.object for fact in note.facts if fact.valid_to is None}
    assert [version.version for version in before] == [1, 2]
    assert new in before[-1].reason
    assert line in found.context()
    assert "superseded" not in next(hit for hit in found if hit.note.id == old).reasons


@pytest.mark.parametrize(("first", "then", "over", "kept", "line"), ENDED)
def test_forgetting_what_ended_it_brings_it_back(
    memory: Memory, clock: ManualClock, first: str, then: str, over: str, kept: str, line: str
) -> None:
    old, new = tell(memory, clock, first, then)
    memory.forget(new, user="u")
    note = memory.get(old, user="u")

    assert ended(note) == {}
    assert {over, kept} <= holding(memory)
    assert first.rstrip(".") in memory.recall(first, user="u").context()
    assert memory.check().ok


def test_a_note_of_which_nothing_holds_is_over(memory: Memory, clock: ManualClock) -> None:
    """And not before; what told more than its facts never is."""
    both, more = tell(
        memory, clock, "I live in Graz and work as a plumber.", "I live in Graz, work as a plumber and have two kids."
    )
    (moved,) = tell(memory, clock, "I moved to Linz.")
    parts = [memory.get(id, user="u").valid_to for id in (both, more)]
    receipt = memory.remember(
        "I work as a baker, not as a plumber any more.", user="u", facts=[("user", "works as", "baker")]
    )

    assert parts == [None, None]
    assert receipt.superseded == (both,)
    assert receipt.status == "superseded"
    assert f"note {more} keeps what else it says" in receipt.reason
    assert memory.get(both, user="u").valid_to is not None
    assert memory.get(more, user="u").valid_to is None
    memory.forget(moved, user="u")
    assert memory.get(both, user="u").valid_to is None
    assert set(ended(memory.get(both, user="u"))) == {"plumber"}


def test_a_note_that_is_closed_in_part_is_not_told_to_be_superseded(memory: Memory, clock: ManualClock) -> None:
    (old,) = tell(memory, clock, "I live in Graz and work as a plumber.")
    receipt = memory.remember("I moved to Linz.", user="u")

    assert (receipt.status, receipt.superseded) == ("stored", ())
    assert receipt.reason == f"newer lives in of user; note {old} keeps what else it says"


def test_the_same_words_said_again_hold_again(memory: Memory, clock: ManualClock) -> None:
    """Back in Graz: the words do not vanish into a note of which a part was over."""
    first, _ = tell(memory, clock, "I live in Graz and work as a plumber.", "I moved to Linz.")
    again = memory.remember("I live in Graz and work as a plumber.", user="u")

    assert (again.status, again.id != first) == ("superseded", True)
    assert holding(memory) == {"Graz", "plumber"}


def test_told_late_it_ends_where_the_newer_began(memory: Memory) -> None:
    """The order of telling does not matter, for each fact alone."""
    memory.remember("I live in Linz.", user="u", occurred_at="2025-03-01")
    late = memory.remember("I live in Graz and work as a plumber.", user="u", occurred_at="2024-01-01")
    note = memory.get(str(late.id), user="u")

    assert [f"{fact.object} {fact.valid_to and fact.valid_to.date()}" for fact in note.facts] == [
        "Graz 2025-03-01",
        "plumber None",
    ]
    then = memory.recall("Where do I live?", user="u", as_of="2024-06-01").context()
    assert "I live in Graz and work as a plumber." in then


def test_new_words_are_weighed_fact_by_fact(memory: Memory, clock: ManualClock) -> None:
    """What an update says no more ends nothing, what it still says does; and an older note that gains a fact is over for the other alone."""
    old, new = tell(memory, clock, "I live in Graz and work as a plumber.", "I moved to Linz and work as a baker.")
    assert memory.get(old, user="u").valid_to is not None

    memory.update(new, "I moved to Linz.", user="u")
    assert holding(memory) == {"Linz", "plumber"}
    memory.update(old, "I live in Graz, work as a plumber and love chess.", user="u")

    assert set(ended(memory.get(old, user="u"))) == {"Graz"}
    assert holding(memory) == {"Linz", "plumber", "chess"}


def test_a_copy_knows_what_is_over(memory: Memory, clock: ManualClock, tmp_path: Path) -> None:
    """An exported file holds each fact with its end, and the copy goes on from there."""
    old, new = tell(memory, clock, "I live in Graz and work as a plumber.", "I moved to Linz.")
    memory.export(tmp_path / "notes.jsonl", user="u")
    with Memory(None, embedder="hash", clock=clock) as copy:
        copy.load_export(tmp_path / "notes.jsonl", trust="trusted")

        assert copy.get(old, user="u") == memory.get(old, user="u")
        assert copy.load_export(tmp_path / "notes.jsonl", trust="trusted").skipped == 2
        copy.forget(new, user="u")
        assert holding(copy) == {"Graz", "plumber"}


def test_facts_are_given(memory: Memory, clock: ManualClock) -> None:
    """Whatever the words are; one that is told to have ended has, and another may stand beside it from then on."""
    graz = Fact("Ana", "lives in", "Graz", valid_to="2020-01-01")  # type: ignore[arg-type]
    facts = [
        graz,
        ("Ana", "works as", "nurse"),
        {"subject": "Ana", "relation": "speaks", "object": "German", "functional": False},
    ]
    id = str(memory.remember("Of Ana.", user="u", facts=facts).id)  # type: ignore[arg-type]
    given = memory.get(id, user="u")
    clock.advance(days=1)
    memory.remember("Ana works as a barista.", user="u")

    assert [fact.object for fact in given.facts] == ["Graz", "nurse", "German"]
    assert str(given.fact) == "Ana · works as · nurse"
    assert holding(memory) == {"German", "barista"}
    assert memory.notes(user="u", where={"object": "German"}) == [memory.get(id, user="u")]
    assert memory.remember("I live in Porto and work at Acme.", user="v", facts=False).status == "stored"
    assert memory.notes(user="v")[0].facts == ()


def edit_of(memory: Memory, id: str) -> EditRow:
    """An edit in the registry, as a consolidation writes one of a note's fact."""
    with memory._parts.core.store.write() as tx:
        (row,) = tx.notes.rows_of([id]).values()
        (note,) = tx.notes.load([row]).values()
        owner = tx.notes.owners_of([row])[row]
        edit = EditRow("edit-1", id, owner, "grace", "active", note.version, {"prompt": "?", "target": "!"}, "", 0)
        tx.ledger.put_edit(edit)
    return edit


def edits(memory: Memory) -> list[tuple[str, int]]:
    with memory._parts.core.store.read() as tx:
        return [(edit.note_id, edit.note_version) for edit in tx.ledger.edits()]


def candidates(memory: Memory, user: str = "u") -> dict[str, Candidate]:
    core = memory._parts.core
    with core.store.read() as tx:
        owner = tx.notes.owner(Scope(user=user))
        assert owner is not None
        return {candidate.note.id: candidate for candidate in gather(tx, core, (owner,), default_phraser())}


def test_an_edit_leaves_with_the_fact_that_it_says(memory: Memory, clock: ManualClock) -> None:
    """It goes along while another fact of its note ends; and what could be learnt of a note is the first that holds."""
    (old,) = tell(memory, clock, "I live in Graz and work as a plumber.")
    edit_of(memory, old)
    tell(memory, clock, "I now work as a baker.")
    beside = edits(memory)
    asked = candidates(memory)[old].phrased
    tell(memory, clock, "I moved to Linz.")

    assert beside == [(old, 2)]
    assert asked is not None
    assert asked.target == "Graz."
    assert edits(memory) == []
    assert candidates(memory)[old].signals.ended


def test_what_ended_is_no_candidate_though_its_note_holds(memory: Memory, clock: ManualClock) -> None:
    """The next open fact is; without one the policy is told that it has ended."""
    first, _ = tell(memory, clock, "I live in Graz, work as a plumber and have two kids.", "I moved to Linz.")
    (phrased,) = [c.phrased for c in candidates(memory).values() if c.note.id == first]
    tell(memory, clock, "I no longer work as a plumber.")
    left = candidates(memory)[first]

    assert phrased is not None
    assert phrased.target == "plumber."
    assert (left.note.valid_to, left.signals.ended) == (None, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"facts": []}, "0 facts"), ({"facts": [("a", "is in", str(n)) for n in range(17)]}, "17 facts"), ({"facts": "all"}, "a list of facts"),
        ({"facts": [("Ana", "lives in", "Porto"), ("ana", "Lives in", "Porto.")]}, "twice"),
        ({"facts": [("Ana", "lives in", "Porto"), ("Ana", "lives in", "Rome")]}, "contradicts"), ({"facts": [None]}, "must be a Fact"),
        ({"facts": [("Ana", "lives in", "Porto")], "fact": ("Ana", "is", "well")}, "Both"), ({"facts": [("Ana", " ", "Porto")]}, "relation"),
        ({"facts": [Fact("a", "b", "c", ended_by="somebody")]}, "found out"),
        ({"facts": [{"subject": "a", "relation": "b", "object": "c", "valid_from": "2024-01-02", "valid_to": "2024-01-01"}]}, "valid_to"),
    ],
)  # fmt: skip
def test_bad_facts_are_refused_with_the_cure(memory: Memory, options: dict[str, object], said: str) -> None:
    with pytest.raises((InvalidArgument, InvalidNote), match=said) as refused:
        memory.remember("Something.", user="u", **options)  # type: ignore[arg-type]

    assert refused.value.hint
    assert memory.notes(user="u") == []


PLACES, JOBS = ("Graz", "Linz", "Rome"), ("plumber", "nurse")
SAYINGS = st.one_of(
    st.sampled_from(PLACES).map("I live in {}.".format),
    st.sampled_from(JOBS).map("I work as a {}.".format),
    st.tuples(st.sampled_from(PLACES), st.sampled_from(JOBS)).map(
        lambda two: "I live in {} and work as a {}.".format(*two)
    ),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(SAYINGS, st.booleans()), min_size=2, max_size=6))
def test_together_or_apart_the_same_holds(tmp_path: Path, told: list[tuple[str, bool]]) -> None:
    """Of whatever is said, and of it what is not forgotten, the newest home and the newest job hold: together in a note, or each in its own; so they
    do in a copy.
    """
    clock = ManualClock()
    with Memory(None, embedder="hash", clock=clock) as memory, Memory(None, embedder="hash", clock=clock) as copy:
        for text, _ in told:
            memory.remember(text, user="u", merge=False)
            clock.advance(days=1)
        gone = [note.id for note, (_, forgotten) in zip(memory.notes(user="u"), told, strict=True) if forgotten]
        for id in gone:
            memory.forget(id, user="u")
        left = [text for text, forgotten in told if not forgotten]
        newest = {next((w for text in reversed(left) for w in words if w in text), None) for words in (PLACES, JOBS)}

        assert holding(memory) == newest - {None}
        (tmp_path / "notes.jsonl").unlink(missing_ok=True)
        memory.export(tmp_path / "notes.jsonl", user="u")
        copy.load_export(tmp_path / "notes.jsonl", trust="trusted")
        assert copy.notes(user="u") == memory.notes(user="u")
        assert memory.check().ok


def test_a_store_of_one_fact_a_note_is_brought_up_to_date(tmp_path: Path, clock: ManualClock) -> None:
    """Its facts and their seals are what they were, and from now on a note may tell several."""
    with Memory(tmp_path / "m", embedder="hash", clock=clock) as memory:
        old, _ = tell(memory, clock, "Ana lives in Porto.", "I like chess.")
        before = memory.notes(user="u")
    with closing(sqlite3.connect(tmp_path / "m" / "notes.db")) as file, file:
        prepare(file)
        undo(file.execute, FACTS)
    with Memory(tmp_path / "m", embedder="hash", clock=clock) as memory:
        assert memory.notes(user="u") == before
        assert memory.check(deep=True).ok
        (both,) = tell(memory, clock, "I live in Graz and work as a plumber.")
        (moved,) = tell(memory, clock, "I moved to Linz.")
        memory.remember("Ana lives in Rome.", user="u")

        assert ended(memory.get(both, user="u")) == {"Graz": moved}
        assert memory.get(old, user="u").valid_to is not None
        assert memory.check(deep=True).ok


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE fact SET object = 'Rome' WHERE place = 1",
        "UPDATE fact SET valid_to = NULL WHERE row = 1 AND place = 0",
        "UPDATE fact SET ended_by = 'x' WHERE row = 1 AND place = 0",
        "DELETE FROM fact WHERE place = 1",
    ],
)
def test_damage_of_one_of_several_facts_is_named(tmp_path: Path, clock: ManualClock, sql: str) -> None:
    """Also after it was closed, and of one that is gone; the words and the end of each are under a seal."""
    with Memory(tmp_path / "m", embedder="hash", clock=clock) as memory:
        old, _ = tell(memory, clock, "I live in Graz and work as a plumber.", "I moved to Linz.")
        assert memory.check().ok
        with closing(sqlite3.connect(tmp_path / "m" / "notes.db")) as file, file:
            assert file.execute(sql).rowcount == 1

        assert any(old in problem and "is not what was written" in problem for problem in memory.check().problems)
