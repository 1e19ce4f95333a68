"""What is forgotten is gone from every place, and stays gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agentmem import Memory, Scope
from agentmem.errors import InvalidArgument, UnknownNote
from agentmem.notes.clock import ManualClock


def test_the_receipt_names_the_places_and_the_probes(memory: Memory) -> None:
    """A receipt says from where how much was removed, and that nothing was found afterwards."""
    memory.remember("Ana plays the harp in Porto.")
    doomed = memory.remember("Ana lives in Porto by the river.")

    receipt = memory.forget(str(doomed.id))

    assert receipt.ids == (doomed.id,)
    assert {receipt.places[p] for p in ("notes", "full text", "vectors")} == {1}
    assert receipt.probes
    assert receipt.gone
    assert [h.note.content for h in memory.recall("river Porto")] == ["Ana plays the harp in Porto."]
    with pytest.raises(UnknownNote):
        memory.get(str(doomed.id))


def test_a_dry_run_removes_nothing(memory: Memory) -> None:
    """See before you do."""
    doomed = memory.remember("Ana lives in Porto.")
    receipt = memory.forget(str(doomed.id), dry_run=True)

    assert receipt.dry_run
    assert receipt.places["notes"] == 1
    assert not receipt.gone
    assert memory.get(str(doomed.id)).content == "Ana lives in Porto."


def test_a_dry_run_names_what_the_real_one_touches(tmp_path: Path, clock: ManualClock) -> None:
    """Place by place, with the same counts: what was derived, asked, put under a key, superseded, and the user's name."""
    with Memory(tmp_path / "m", embedder="hash", clock=clock) as memory:
        porto = memory.remember("Ana lives in Porto.", user="ana", idempotency_key="k1")
        memory.update(str(porto.id), content="Ana lives in Porto by the river.", user="ana")
        memory.remember("Ana plays the harp in Porto.", user="ana", derived_from=[str(porto.id)])
        memory.put(["people"], "ana", {"city": "Porto"}, user="ana")
        memory.reinforce([str(porto.id)], question="Where does Ana live?", answer="In Porto.", user="ana")
        memory.remember("Ana lives in Rome.", user="ana")
        before = memory.stats(user="ana"), [hit.note.id for hit in memory.recall("Porto", user="ana")]
        for what in ([str(porto.id)], {"content": {"$exists": True}}):
            planned = memory.forget(what, user="ana", dry_run=True)
            assert (memory.stats(user="ana"), [hit.note.id for hit in memory.recall("Porto", user="ana")]) == before
            assert memory.check(deep=True).ok

            done = memory.forget(what, user="ana")

            assert planned.places == done.places
            assert (planned.ids, planned.derived) == (done.ids, done.derived)
            before = memory.stats(user="ana"), [hit.note.id for hit in memory.recall("Porto", user="ana")]
        assert {name for name, count in done.places.items() if count} >= {"notes", "vectors", "records", "names"}


def test_a_dry_run_of_a_read_only_memory_says_that_it_only_looked(tmp_path: Path) -> None:
    """Nothing can be tried there; what a read tells is told."""
    with Memory(tmp_path / "m", embedder="hash") as memory:
        id = str(memory.remember("Ana lives in Porto.").id)
    with Memory(tmp_path / "m", embedder="hash", read_only=True) as memory:
        planned = memory.forget(id, dry_run=True)

    assert (planned.places["notes"], planned.places["vectors"]) == (1, 1)
    assert "read-only" in planned.warnings[0]


def test_a_filter_forgets_all_that_it_fits(memory: Memory) -> None:
    """Whole sessions, tags or sources can be forgotten at once."""
    memory.remember_many(["We met Ben.", "We had soup."], session="monday")
    memory.remember("We had fish.", session="tuesday")

    receipt = memory.forget({"session": "monday"})

    assert receipt.places["notes"] == 2
    assert [n.content for n in memory.notes()] == ["We had fish."]


def test_a_filter_takes_what_is_the_scopes_own_and_an_id_what_it_names(memory: Memory) -> None:
    """Who asks for all of Ana's takes nothing from Ben, unless told to; a note that is named is meant."""
    mine = memory.remember("Ana lives in Porto.", user="ana", agent="bot").id
    office = str(memory.remember("The office is closed on Fridays.").id)
    bots = memory.remember("Customers like short answers.", agent="bot").id
    everything = {"kind": {"$exists": True}}

    planned = memory.forget(everything, user="ana", agent="bot", dry_run=True)
    wider = memory.forget(everything, user="ana", agent="bot", shared=True, dry_run=True)
    done = memory.forget(everything, user="ana", agent="bot")

    assert planned.ids == done.ids == (mine,)
    assert set(wider.ids) == {mine, office, bots}
    assert not wider.warnings
    assert ": 2; shared=True" in planned.warnings[0]
    assert memory.forget(office, user="ben").ids == (office,)
    assert memory.forget(everything, user="nobody").ids == ()
    assert memory.forget(everything, agent="bot").ids == (bots,)


def test_where_nobody_is_named_what_is_shared_is_ones_own(memory: Memory) -> None:
    """A memory of one person needs no word for it."""
    office = memory.remember("The office is closed on Fridays.").id

    assert memory.forget({"kind": "episodic"}).ids == (office,)


def test_within_a_session_a_filter_takes_what_was_said_in_it(tmp_path: Path) -> None:
    """What belongs to no session is seen in every one, and is no session's to forget."""
    with Memory(tmp_path / "m", embedder="hash", scope=Scope(user="ana", session="monday")) as memory:
        monday = memory.remember("We had soup.").id
        with Memory(tmp_path / "m", embedder="hash", scope=Scope(user="ana")) as whole:
            lasting = whole.remember("I live in Porto.").id
        assert {note.id for note in memory.notes()} == {monday, lasting}

        assert set(memory.forget({"kind": "episodic"}, shared=True, dry_run=True).ids) == {monday, lasting}
        assert memory.forget({"kind": "episodic"}).ids == (monday,)


@pytest.mark.parametrize("what", [{}, [], 17, None, [3]])
def test_forgetting_nothing_in_particular_is_refused(memory: Memory, what: object) -> None:
    """An empty filter or something that names no note is an error, not everything and not nothing."""
    memory.remember("Ana lives in Porto.")
    with pytest.raises(InvalidArgument) as caught:
        memory.forget(what)  # type: ignore[arg-type]

    assert caught.value.hint
    assert len(memory.notes()) == 1


def test_one_unknown_id_among_several_forgets_none(memory: Memory) -> None:
    """The ids are looked up before anything is removed."""
    known = str(memory.remember("Ana lives in Porto.").id)
    with pytest.raises(UnknownNote):
        memory.forget([known, "no such note"])

    assert memory.get(known).content == "Ana lives in Porto."


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_note_of_somebody_else_is_as_unknown_to_forget_as_one_that_never_was(memory: Memory, dry_run: bool) -> None:
    """The first such id is named, the error is that of `get`, and nothing is removed."""
    mine, theirs = memory.remember("Ana rows.", user="ana").id, memory.remember("Ben sails.", user="ben").id
    assert mine
    assert theirs

    with pytest.raises(UnknownNote) as caught:
        memory.forget([mine, theirs, "nobody's"], user="ana", dry_run=dry_run)
    with pytest.raises(UnknownNote) as got:
        memory.get(theirs, user="ana")

    assert (caught.value.message, caught.value.hint) == (got.value.message, got.value.hint)
    assert memory.get(mine, user="ana").content == "Ana rows."


def test_a_late_write_of_what_was_forgotten_is_refused(memory: Memory, clock: ManualClock) -> None:
    """An import or a background save that happened before the forgetting does not bring the note back."""
    said = clock.now()
    note = memory.remember("My door code is 4711.", occurred_at=said)
    clock.advance(hours=1)
    memory.forget(str(note.id))
    clock.advance(hours=1)

    late = memory.remember("my door code is 4711", occurred_at=said)
    anew = memory.remember("My door code is 4711.")

    assert late.status == "rejected"
    assert anew.status == "stored"


def test_a_retry_of_a_forgotten_write_is_refused(memory: Memory) -> None:
    """An idempotency key that was used for a forgotten note stays used."""
    note = memory.remember("My door code is 4711.", idempotency_key="save-1")
    memory.forget(str(note.id))

    assert memory.remember("My door code is 4711.", idempotency_key="save-1").status == "rejected"


def test_former_words_are_forgotten_with_the_note(memory: Memory, clock: ManualClock) -> None:
    """The history of a note goes with it, and its former words do not come back late either."""
    said = clock.now()
    note = memory.remember("The code is 4711.", occurred_at=said)
    memory.update(str(note.id), "The code is 0815.")
    assert [v.content for v in memory.history(str(note.id))] == ["The code is 4711.", "The code is 0815."]
    memory.forget(str(note.id))

    assert memory.remember("The code is 4711.", occurred_at=said).status == "rejected"


def test_no_byte_of_a_forgotten_note_stays_in_the_directory(open_memory: Callable[..., Memory], tmp_path: Path) -> None:
    """Neither text nor words, in no file: database, write-ahead log, full text, index."""
    memory = open_memory(scope=Scope(user="ana"))
    memory.remember_many([f"plain note number {i}" for i in range(300)])
    doomed = memory.remember("The zyxwvutian treasure lies under the quombledore.")
    memory.flush()
    memory.forget(str(doomed.id))
    memory.close()

    needles = (b"zyxwvutian", b"quombledore", str(doomed.id).encode())
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    hits = [(p.name, n) for p in files for n in needles if n in p.read_bytes().lower() and n != needles[2]]
    assert files
    assert hits == []


def test_faded_notes_can_be_recalled_on_request(memory: Memory, clock: ManualClock) -> None:
    """Fading re-ranks and archives; it never makes a memory unreachable."""
    faint = memory.remember("A passing remark about the weather in Leeds.", importance=0.1)
    memory.remember("My passport number is in the blue folder.", importance=0.9)
    clock.advance(days=2000)

    foreseen = memory.fade(dry_run=True)
    assert foreseen.ids == (faint.id,)
    memory.fade()

    assert faint.id not in [h.note.id for h in memory.recall("weather in Leeds")]
    assert memory.recall("weather in Leeds", faded=True)[0].note.id == faint.id
    assert "faded" in memory.why_not("weather in Leeds", str(faint.id)).reason
    memory.reinforce(str(faint.id))
    assert memory.recall("weather in Leeds")[0].note.id == faint.id


def test_a_forgetting_that_could_not_scrub_says_so_and_is_finished_by_the_next(
    open_memory: Callable[..., Memory], tmp_path: Path
) -> None:
    """The notes are gone whoever reads at the time; a receipt that raised instead could never be had again."""
    memory = open_memory()
    secret, other = (
        memory.remember("The door code is 4711.").id,
        memory.remember("The dustbin is emptied on Mondays.").id,
    )
    memory._parts.core.store._db.outside("PRAGMA busy_timeout=20")  # type: ignore[attr-defined]
    with closing(sqlite3.connect(tmp_path / "memory" / "notes.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM note").fetchone()
        receipt = memory.forget(str(secret))

    assert [note.id for note in memory.notes()] == [other]
    assert receipt.ids == (secret,)
    assert not receipt.gone
    assert "the next forget() or flush() goes on" in receipt.warnings[0]
    assert any("not finished" in problem for problem in memory.check().problems)
    assert memory.forget(str(other)).gone
    assert not any(b"4711" in path.read_bytes() for path in (tmp_path / "memory").rglob("*") if path.is_file())


def test_a_use_of_a_note_that_is_gone_may_be_passed_over(memory: Memory) -> None:
    """An agent that draws on notes while another forgets one still gets the others counted."""
    kept, doomed = (str(memory.remember(text).id) for text in ("Ana lives in Porto.", "Ben plays the cello."))
    memory.forget(doomed)
    before = memory.get(kept).state

    with pytest.raises(UnknownNote):
        memory.reinforce([kept, doomed])
    assert memory.get(kept).state == before

    memory.reinforce([kept, doomed], or_gone=True)
    assert memory.get(kept).state != before
