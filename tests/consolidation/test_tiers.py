"""The bulk tier in a memory: edits move into shards in a consolidation, and leave them like any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from agentmem import Fact, Memory, Settings
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.settings import ConsolidationSettings

FACTS = (
    ("Ilva Quist", "lives in", "Porto", "Where does Ilva Quist live?"),
    ("Oren Dorrell", "plays", "cello", "What instrument does Oren Dorrell play?"),
    ("Mira Quist", "lives in", "Bergen", "Where does Mira Quist live?"),
)
BULK = Settings(consolidation=ConsolidationSettings(bulk_after=1, canaries=4, older_edits=4))


@pytest.fixture(scope="module")
def memory() -> Iterator[Memory]:
    torch.set_num_threads(1)
    with Memory(None, embedder="hash", model=load_small_model(), clock=ManualClock(), settings=BULK) as opened:
        yield opened


def _tell(memory: Memory, user: str, fact: tuple[str, ...]) -> str:
    subject, relation, value, _ = fact
    note = memory.remember(f"{subject} {relation} {value}.", user=user, fact=Fact(subject, relation, value))
    memory.reinforce(str(note.id), user=user)
    return str(note.id)


def _said(memory: Memory, user: str) -> list[str]:
    return [memory.ask(fact[3], user=user, use="weights").text for fact in FACTS]


def test_the_life_of_a_fact_in_the_bulk_tier(memory: Memory) -> None:
    """Promoted, moved, answered, forgotten with its shard, written anew for those who shared it."""
    notes = [_tell(memory, "ann", fact) for fact in FACTS]
    base = _said(memory, "ann")
    first = memory.consolidate(user="ann")
    assert {o.note_id for o in first.promoted} == set(notes), str(first)
    assert first.settled == (), "what a run writes is proved by use before it moves"

    second = memory.consolidate(user="ann")
    assert len(second.settled) == 2, str(second)
    assert set(second.settled) < set(notes)
    editor = memory.editor
    assert editor is not None
    assert editor.status().details["tiers"] == {"fresh": 1, "settled": 2, "waiting": 0}
    targets = [f"{fact[2]}." for fact in FACTS]
    assert _said(memory, "ann") == targets
    assert _said(memory, "bob") == base, "another user's requests see nothing of it"
    assert memory.check().ok
    assert memory.status().ok

    doomed, mate = (note for note in notes if note in second.settled)
    receipt = memory.forget(doomed, user="ann")
    assert receipt.gone, receipt
    assert any("1 facts shared a shard" in text for text in receipt.warnings), receipt
    after = _said(memory, "ann")
    place, mate_place = notes.index(doomed), notes.index(mate)
    assert after[place] == base[place], "the forgotten fact is the base's word again"
    assert after[mate_place] == base[mate_place], "its neighbour's shard is gone with it …"
    assert memory.status(user="ann").unserved == (mate,)
    assert FACTS[mate_place][2] in memory.recall(FACTS[mate_place][3], user="ann").context(), "… but not its note"

    third = memory.consolidate(user="ann")
    assert mate in third.settled, str(third)
    assert memory.status(user="ann").ok
    assert _said(memory, "ann")[mate_place] == targets[mate_place]
    assert _said(memory, "ann")[place] == base[place]


def test_a_shard_that_would_change_other_answers_is_not_kept(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tier that does harm is rolled back whole; the edits stay where they were."""
    notes = [_tell(memory, "eve", fact) for fact in FACTS[:2]]
    assert len(memory.consolidate(user="eve").promoted) == 2
    editor = memory.editor
    settled = memory.editor.settle  # type: ignore[union-attr]

    def lossy(ids: tuple[str, ...] = ()) -> object:
        first, *rest = settled(ids)
        editor.delete([first.id])  # type: ignore[union-attr]
        return rest

    monkeypatch.setattr(editor, "settle", lossy)
    before = memory.editor.state_hash()  # type: ignore[union-attr]
    report = memory.consolidate(user="eve")
    assert report.settled == ()
    assert report.warnings
    assert memory.editor.state_hash() == before  # type: ignore[union-attr]
    assert {edit.note_id for edit in memory.edits(user="eve")} == set(notes)


def test_when_full_the_clearly_more_useful_fact_takes_the_place_of_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demotion by capacity, with a distance that keeps equals from taking turns."""
    small = Settings(consolidation=ConsolidationSettings(max_edits=1, canaries=2, older_edits=0))
    with Memory(None, embedder="hash", model=load_small_model(), clock=ManualClock(), settings=small) as memory:
        first = _tell(memory, "ann", FACTS[0])
        assert [o.note_id for o in memory.consolidate(user="ann").promoted] == [first]
        second = _tell(memory, "ann", FACTS[1])
        equal = memory.consolidate(user="ann")
        assert not equal.promoted, "as useful as the other: it waits"
        assert not equal.demoted
        clock = memory._parts.core.clock
        assert isinstance(clock, ManualClock)
        for _ in range(6):
            clock.advance(days=1)
            memory.reinforce(second, user="ann")
        swapped = memory.consolidate(user="ann")
        assert [o.note_id for o in swapped.promoted] == [second], str(swapped)
        assert swapped.demoted == (first,)
        assert memory.ask(FACTS[1][3], user="ann", use="weights").text == "cello."
        assert not memory.consolidate(user="ann").promoted


def test_when_full_nothing_leaves_for_a_fact_that_cannot_be_written() -> None:
    """The newcomer fails verification: whom it was to displace stays, answers, and is not asked to leave for it again."""
    small = Settings(consolidation=ConsolidationSettings(max_edits=1, canaries=2, older_edits=1))
    with Memory(None, embedder="hash", model=load_small_model(), clock=ManualClock(), settings=small) as memory:
        first = _tell(memory, "ann", FACTS[0])
        assert [o.note_id for o in memory.consolidate(user="ann").promoted] == [first]
        second = _tell(memory, "ann", FACTS[1])
        clock = memory._parts.core.clock
        assert isinstance(clock, ManualClock)
        for _ in range(6):
            clock.advance(days=1)
            memory.reinforce(second, user="ann")
        editor: Any = memory.editor
        state, write = editor.state_hash(), editor.write
        editor.write = lambda requests: write([replace(request, target="Marseille.") for request in requests])

        assert memory.consolidate(user="ann", dry_run=True).demoted == (first,)
        report = memory.consolidate(user="ann")
        assert ([o.note_id for o in report.failed], report.demoted) == ([second], ())
        assert [str(d.action) for d in report.decisions if d.note_id == first] == ["keep"]
        assert editor.state_hash() == state
        with memory._parts.core.store.read() as tx:
            (failure,) = tx.ledger.entries(event="failed")
        assert failure.details["base"] == editor.status().base_fingerprint
        assert memory.ask(FACTS[0][3], user="ann", use="weights").text == "Porto."
        del editor.write
        again = memory.consolidate(user="ann")
        assert (again.promoted, again.demoted) == ((), ())
