"""A memory on a store that knows no SQL: whatever the verbs need is in the contract, and nothing else is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agentmem import Memory
from agentmem.notes.clock import ManualClock
from agentmem.stores.dicts import DictStore

KEY = b"sixteen bytes or more"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["dicts", "sqlite"])
def memory(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[Memory]:
    store = DictStore(clock=clock) if request.param == "dicts" else None
    with Memory(None, embedder="hash", clock=clock, store=store) as opened:
        yield opened


def told(memory: Memory, clock: ManualClock) -> None:
    for user, places in (("ana", ("Porto", "Graz")), ("ben", ("Oslo",))):
        for place in places:
            clock.advance(days=1)
            memory.remember(f"{user.title()} lives in {place}.", user=user, session="t")
    memory.remember_many(
        ["The cellar holds apples.", "The cellar holds apples and pears.", "The attic is empty."], progress=False
    )


def test_remembering_recalling_and_superseding(memory: Memory, clock: ManualClock) -> None:
    told(memory, clock)

    assert "Graz" in memory.recall("Where does Ana live?", user="ana")[0].note.content
    assert not any("Oslo" in hit.note.content for hit in memory.recall("Where does Ben live?", user="ana"))
    former = next(note for note in memory.notes(user="ana") if "Porto" in note.content)
    assert former.valid_to is not None
    assert [version.reason for version in memory.history(former.id, user="ana")][0] == "stored"


def test_updating_reinforcing_fading_and_forgetting(memory: Memory, clock: ManualClock) -> None:
    told(memory, clock)
    id = memory.recall("apples", user="ana")[0].note.id
    memory.reinforce([id], user="ana")
    clock.advance(days=400)
    memory.update(id, "The cellar holds quinces.", user="ana")
    receipt = memory.forget(id, user="ana")

    assert receipt.gone
    assert not any("quinces" in hit.note.content for hit in memory.recall("quinces", user="ana", faded=True))
    assert memory.fade(dry_run=True) is not None


def test_checking_and_rebuilding_find_nothing_to_mend(memory: Memory, clock: ManualClock) -> None:
    told(memory, clock)

    assert memory.check().ok
    for what in ("text", "vectors", "graph"):
        memory.rebuild(what)
    assert memory.check().ok


def test_exports_of_both_stores_hold_the_same(tmp_path: Path) -> None:
    """What leaves one store comes to the other, and leaves that again as it was."""
    lines = {}
    for name in ("dicts", "sqlite"):
        clock = ManualClock()
        with Memory(
            None, embedder="hash", clock=clock, store=DictStore(clock=clock) if name == "dicts" else None
        ) as memory:
            told(memory, clock)
            memory.export(tmp_path / f"{name}.jsonl", everything=True, key=KEY)
            notes = [note for user in ("ana", "ben") for note in memory.notes(user=user)]
            lines[name] = [(note.content, note.valid_to, note.state) for note in notes]
    with Memory(None, embedder="hash", clock=ManualClock(clock.now() + timedelta(days=1))) as other:
        report = other.load_export(tmp_path / "dicts.jsonl", key=KEY)

    assert lines["dicts"] == lines["sqlite"]
    assert report.notes == 6
