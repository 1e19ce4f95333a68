"""A memory that is carried to another place is all there, what was forgotten included, and nobody opens half of one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from agentmem import Fact, Memory
from agentmem.errors import InvalidArgument, StoreCorrupt, StoreError, StoreUnfinished
from agentmem.memory import move
from agentmem.stores.moving import Moved


class Killed(BaseException):
    """The process ends here."""


def killing(step: str, at: int = 1) -> Callable[[str], None]:
    seen: list[str] = []

    def fail(name: str) -> None:
        seen.append(name)
        if seen.count(step) == at:
            raise Killed

    return fail


def fill(place: Path) -> dict[str, str]:
    """A memory with something of everything; ids by what they are."""
    with Memory(place, embedder="hash") as memory:
        dog = memory.remember(
            "My dog is called Rex.", user="ana", session="monday", tags=["pets"], idempotency_key="k1"
        )
        home = memory.remember("Ana lives in Porto.", user="ana", fact=Fact("Ana", "lives in", "Porto"))
        moved = memory.remember("Ana moved to Rome.", user="ana", fact=Fact("Ana", "lives in", "Rome"))
        memory.remember("The office is in Lima.")
        memory.remember("Ben likes tea.", user="ben")
        memory.remember_many([f"Line {number} of a long talk." for number in range(30)], user="ben", session="talk")
        memory.link(dog.id, home.id, "supports", user="ana")
        memory.update(dog.id, content="My dog is called Rex, and he is old.", user="ana")
        memory.reinforce(home.id, question="Where does Ana live?", answer="Porto", user="ana")
        memory.put(("things", "ana"), "colour", {"value": "green"}, user="ana")
        secret = memory.remember("The code of the safe is 4711.", user="ana")
        memory.export(place.with_suffix(".jsonl"), everything=True)
        memory.forget(secret.id, user="ana")
    return {"dog": str(dog.id), "home": str(home.id), "moved": str(moved.id), "secret": str(secret.id)}


def told(place: Path) -> str:
    """All that an export tells, but the moment at which it was made."""
    with Memory(place, embedder="hash") as memory:
        memory.export(place.with_suffix(".out"), everything=True, vectors=True, evidence=True)
        lines = place.with_suffix(".out").read_text("utf-8").splitlines()
    kept = sorted(
        line for line in lines if json.loads(line).get("type") in ("note", "link", "ledger", "edit", "evidence")
    )
    assert len(kept) > 30
    return "\n".join(kept)


def test_everything_is_there(tmp_path: Path) -> None:
    """Notes, versions, links, records, evidence and vectors are the same; recall answers the same; receipts and tombstones hold."""
    ids = fill(tmp_path / "old")
    before = (tmp_path / "old" / "notes.db").read_bytes()
    report = move(tmp_path / "old", tmp_path / "new")

    assert isinstance(report, Moved)
    assert not report.problems
    assert report.passes == 2
    assert (tmp_path / "old" / "notes.db").read_bytes() == before
    assert told(tmp_path / "new") == told(tmp_path / "old")
    with Memory(tmp_path / "old", embedder="hash") as old, Memory(tmp_path / "new", embedder="hash") as new:
        for question, user in (("What is my dog called?", "ana"), ("Where does Ana live?", "ana"), ("tea", "ben")):
            hits = [
                [(hit.note.id, round(hit.score, 5)) for hit in each.recall(question, user=user)] for each in (old, new)
            ]
            assert hits[0]
            assert hits[0] == hits[1]
        assert len(new.history(ids["dog"], user="ana")) == 2
        again = new.remember("My dog is called Rex.", user="ana", session="monday", tags=["pets"], idempotency_key="k1")
        assert str(again.id) == ids["dog"]
        assert new.load_export(tmp_path / "old.jsonl").forgotten == [ids["secret"]]
        assert not [hit for hit in new.recall("code of the safe", user="ana") if "4711" in hit.note.content]
        assert new.check(deep=True).ok
        later = new.remember("Something new.", user="ana")
        assert later.id not in {note.id for note in old.notes(user="ana")}


STEPS = ("move:begun", "move:owner", "move:note", "move:link", "move:vector", "move:pass")


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_move_goes_on(tmp_path: Path, step: str) -> None:
    """Half a memory cannot be opened; the same command ends it, and what changed meanwhile is in it."""
    from agentmem import wiring

    ids = fill(tmp_path / "old")
    with pytest.raises(Killed):
        wiring.move(tmp_path / "old", tmp_path / "new", fail=killing(step))
    with pytest.raises(StoreUnfinished) as refused:
        Memory(tmp_path / "new", embedder="hash")
    assert "agentmem --path" in refused.value.hint
    with pytest.raises(StoreUnfinished):
        move(tmp_path / "new", tmp_path / "third")
    with Memory(tmp_path / "old", embedder="hash") as memory:
        memory.forget(ids["home"], user="ana")
        memory.update(ids["dog"], content="My dog is called Max.", user="ana")
        memory.remember("Ana plays chess.", user="ana")
    report = move(tmp_path / "old", tmp_path / "new")

    assert not report.problems
    assert told(tmp_path / "new") == told(tmp_path / "old")
    with Memory(tmp_path / "new", embedder="hash") as memory:
        assert memory.check(deep=True).ok
        assert ids["home"] not in {note.id for note in memory.notes(user="ana", faded=True)}


def test_what_is_written_while_it_moves(tmp_path: Path) -> None:
    """A pass that found something different is followed by another; a source that never rests is given up, and nothing is opened."""
    from agentmem import wiring

    fill(tmp_path / "old")
    writer = Memory(tmp_path / "old", embedder="hash")
    wrote: list[str] = []

    def write(step: str, most: int = 1) -> None:
        if step == "move:pass" and len(wrote) < most:
            wrote.append(str(writer.remember(f"Meanwhile, number {len(wrote)}.", user="ana").id))

    report = wiring.move(tmp_path / "old", tmp_path / "new", fail=write)
    assert report.passes == 3
    with Memory(tmp_path / "new", embedder="hash") as memory:
        assert memory.get(wrote[0], user="ana").content == "Meanwhile, number 0."
    with pytest.raises(StoreError, match="written all the time"):
        wiring.move(tmp_path / "old", tmp_path / "never", fail=lambda step: write(step, 99))
    writer.close()
    with pytest.raises(StoreUnfinished):
        Memory(tmp_path / "never", embedder="hash")


def test_places_that_are_refused(tmp_path: Path) -> None:
    """No source, a target with notes of its own, the same place twice, another source for a target that is half filled."""
    from agentmem import wiring

    fill(tmp_path / "old")
    with Memory(tmp_path / "other", embedder="hash") as memory:
        memory.remember("Mine.", user="eva")
    with pytest.raises(StoreError, match="no memory"):
        move(tmp_path / "nothing", tmp_path / "new")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(InvalidArgument, match="no empty place"):
        move(tmp_path / "old", tmp_path / "other")
    with pytest.raises(InvalidArgument, match="both"):
        move(tmp_path / "old", tmp_path / "old")
    with pytest.raises(Killed):
        wiring.move(tmp_path / "old", tmp_path / "new", fail=killing("move:note"))
    with pytest.raises(InvalidArgument, match="another memory"):
        move(tmp_path / "other", tmp_path / "new")
    with Memory(tmp_path / "other", embedder="hash") as memory:
        assert [note.content for note in memory.notes(user="eva")] == ["Mine."]


def test_a_tampered_source_is_not_sealed_anew(tmp_path: Path) -> None:
    fill(tmp_path / "old")
    with sqlite3.connect(tmp_path / "old" / "notes.db") as connection:
        connection.execute("UPDATE note SET content = 'Ana lives in Cork.' WHERE content = 'Ana lives in Porto.'")
    connection.close()
    with pytest.raises(StoreCorrupt, match="damaged"):
        move(tmp_path / "old", tmp_path / "new")
    with Memory(tmp_path / "new", embedder="hash") as memory:
        assert memory.notes(user="ana") == []


def test_packs_that_lie_elsewhere_are_asked_for(tmp_path: Path) -> None:
    """Edits whose packs are at a place of their own come along when it is named, and lie with the notes from then on."""
    from agentmem.llm.small_model import load_small_model

    where = "Where does Ilva Quist live?"
    with Memory(tmp_path / "old", embedder="hash", model=load_small_model(), packs=tmp_path / "packs") as memory:
        said = memory.remember("Ilva Quist lives in Porto.", user="ana", fact=Fact("Ilva Quist", "lives in", "Porto"))
        memory.reinforce(str(said.id), user="ana")
        assert [each.note_id for each in memory.consolidate(user="ana").promoted] == [said.id]
    with pytest.raises(InvalidArgument, match="packs"):
        move(tmp_path / "old", tmp_path / "new")
    assert move(tmp_path / "old", tmp_path / "new", packs=tmp_path / "packs").packs == 1
    with Memory(tmp_path / "new", embedder="hash", model=load_small_model()) as memory:
        assert memory.ask(where, user="ana", use="weights").text == "Porto."
        assert memory.forget(str(said.id), user="ana").gone
    with Memory(tmp_path / "old", embedder="hash", model=load_small_model(), packs=tmp_path / "packs") as memory:
        assert memory.ask(where, user="ana", use="weights").text == "Porto."
