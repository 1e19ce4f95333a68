"""The drift meter, the strategies, and what happens when the model under the edits is another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from agentmem import Fact, Memory
from agentmem.consolidation.policy import DefaultPolicy, Signals
from agentmem.consolidation.strategies import AlwaysPolicy, MostFrequentPolicy, NeverPolicy
from agentmem.errors import InvalidArgument, PackMismatch
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock

PLAYS = "What instrument does Oren Dorrell play?"


@pytest.fixture(scope="module")
def model() -> tuple[object, object]:
    torch.set_num_threads(1)
    return load_small_model()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory(tmp_path: Path, model: tuple[object, object], clock: ManualClock) -> Iterator[Memory]:
    with Memory(tmp_path / "m", embedder="hash", model=model, clock=clock) as opened:
        yield opened


def tell(memory: Memory, subject: str, relation: str, value: str, **options: object) -> str:
    fact = Fact(subject, relation, value)
    receipt = memory.remember(f"{subject} {relation} {value}.", user="ana", fact=fact, **options)  # type: ignore[arg-type]
    memory.reinforce(str(receipt.id), user="ana")
    return str(receipt.id)


def test_status_counts_what_waits_what_is_written_and_what_the_notes_overtook(memory: Memory) -> None:
    note = tell(memory, "Oren Dorrell", "plays", "cello")
    before = memory.status(user="ana")
    assert (before.edits, before.waiting, before.ok) == (0, (note,), True)

    report = memory.consolidate(user="ana")
    assert [o.note_id for o in report.promoted] == [note], report
    after = memory.status(user="ana")
    assert (after.edits, after.waiting, after.stale, after.pack) == (1, (), (), report.pack)
    assert after.base is not None
    assert after.base == after.attached

    verified = memory.verify(user="ana")
    assert (verified.asked, verified.reliability, verified.failed) == (1, 1.0, {})
    (run,) = memory.jobs()
    assert (run.promoted, run.failed, run.demoted, run.pack) == (1, 0, 0, report.pack)

    memory.update(note, "Oren Dorrell plays viola.", user="ana")
    overtaken = memory.status(user="ana")
    # An update takes the edit out at once; if it ever only marked it, the meter would have to show it.
    assert overtaken.edits == 0 or overtaken.stale == (note,)


def test_a_pack_that_went_missing_is_seen_served_around_and_rebuilt(
    tmp_path: Path, model: tuple[object, object], clock: ManualClock
) -> None:
    place = tmp_path / "m"
    with Memory(place, embedder="hash", model=model, clock=clock) as memory:
        tell(memory, "Oren Dorrell", "plays", "cello")
        assert memory.consolidate(user="ana").promoted
    for pack in place.glob("weights-*/*"):
        pack.write_bytes(b"not a pack")

    with Memory(place, embedder="hash", model=model, clock=clock) as memory:
        assert "damaged" in memory.status(user="ana").trouble
        answer = memory.ask(PLAYS, user="ana")
        assert answer.source == "notes"
        assert any("cannot be served" in warning for warning in answer.warnings)
        with pytest.raises(PackMismatch, match="damaged") as caught:
            memory.consolidate(user="ana")
        assert "rebuild" in str(caught.value.hint)

        assert memory.rebuild("weights") == 1
        assert memory.status(user="ana").ok
        assert memory.ask(PLAYS, user="ana", use="weights").text == "cello."


def test_edits_of_another_base_model_are_rewritten_on_the_new_one(
    tmp_path: Path, model: tuple[object, object], clock: ManualClock
) -> None:
    place = tmp_path / "m"
    with Memory(place, embedder="hash", model=model, clock=clock) as memory:
        tell(memory, "Oren Dorrell", "plays", "cello")
        assert memory.consolidate(user="ana").promoted
    other, tokenizer = load_small_model()
    with torch.no_grad():
        other.model.layers[0].mlp.down_proj.weight.mul_(1.02)

    with Memory(place, embedder="hash", model=(other, tokenizer), clock=clock) as memory:
        memory.attach(other, tokenizer)
        drifted = memory.status(user="ana")
        assert drifted.base_changed
        assert not drifted.ok
        assert memory.ask(PLAYS, user="ana").source == "notes"
        memory.rebuild("weights")
        assert memory.status(user="ana").ok
        assert memory.ask(PLAYS, user="ana", use="weights").text == "cello."


def test_another_base_model_is_known_before_it_is_first_asked(
    tmp_path: Path, model: tuple[object, object], clock: ManualClock
) -> None:
    """One that is here is looked at; one that has to be loaded is not, and that is said; the pack's own is none adrift."""
    place = tmp_path / "m"
    with Memory(place, embedder="hash", model=model, clock=clock) as memory:
        tell(memory, "Oren Dorrell", "plays", "cello")
        assert memory.consolidate(user="ana").promoted
    other, tokenizer = load_small_model()
    with torch.no_grad():
        other.model.layers[0].mlp.down_proj.weight.mul_(1.02)

    with Memory(place, embedder="hash", model=(other, tokenizer), clock=clock) as memory:
        drifted = memory.status(user="ana")
        assert not memory._parts.weights.attached
        assert drifted.base_changed
        assert "another base model" in str(drifted)
    with Memory(place, embedder="hash", model=model, clock=clock) as memory:
        assert str(memory.status(user="ana")) == "1 edit, none adrift"
    with Memory(place, embedder="hash", model="small", clock=clock) as memory:
        unknown = memory.status(user="ana")
        assert unknown.unloaded
        assert not memory._parts.weights.attached
        assert "shows with the first answer" in str(unknown)
        memory.ask(PLAYS, user="ana")
        assert str(memory.status(user="ana")) == "1 edit, none adrift"


def test_the_policy_can_be_replaced_and_explains_itself(memory: Memory) -> None:
    note = tell(memory, "Oren Dorrell", "plays", "cello")
    assert memory.explain(note, user="ana").startswith("promote")
    memory.policy = NeverPolicy()
    assert not memory.consolidate(user="ana").outcomes
    assert memory.explain(note, user="ana").startswith("keep")
    chatter = str(memory.remember("What a lovely day it is today!", user="ana").id)
    assert "no fact" in memory.explain(chatter, user="ana")


@pytest.mark.parametrize("sample", [0, -1, True, "many"])
def test_a_wrong_sample_is_refused(memory: Memory, sample: object) -> None:
    with pytest.raises(InvalidArgument):
        memory.verify(sample)  # type: ignore[arg-type]


def test_strategies_order_by_use_and_take_changed_facts_out() -> None:
    rare, often = Signals(note_id="a", label="a", uses=1), Signals(note_id="b", label="b", uses=5, trust=0.1)
    assert AlwaysPolicy().decide(rare).action == "promote"
    assert AlwaysPolicy().decide(often).score > AlwaysPolicy().decide(rare).score
    assert (MostFrequentPolicy(3).decide(rare).action, MostFrequentPolicy(3).decide(often).action) == (
        "keep",
        "promote",
    )
    stale = Signals(note_id="c", label="c", uses=9, promoted=True, stale_edit=True)
    assert NeverPolicy().decide(stale).action == "demote"


def test_what_only_the_model_can_tell_moves_the_score() -> None:
    plain = DefaultPolicy().decide(Signals(note_id="a", label="a", uses=3, use_days=2, probes=2))
    deaf = DefaultPolicy().decide(Signals(note_id="a", label="a", uses=3, use_days=2, probes=2, known=0.0, resists=1.0))
    near = DefaultPolicy().decide(Signals(note_id="a", label="a", uses=3, use_days=2, probes=2, interference=0.9))
    assert near.score < plain.score < deaf.score
    assert "overlooks its note" in "; ".join(deaf.reasons)


def test_a_newer_fact_takes_the_old_one_out_of_the_weights_at_once(memory: Memory, clock: ManualClock) -> None:
    tell(memory, "Oren Dorrell", "plays", "cello")
    assert memory.consolidate(user="ana").promoted
    clock.advance(days=1)

    newer = memory.remember("Oren Dorrell plays viola.", user="ana", fact=Fact("Oren Dorrell", "plays", "viola"))

    assert newer.status == "superseded"
    assert memory.edits(user="ana") == []
    assert memory.check().ok
    answer = memory.ask(PLAYS, user="ana")
    assert (answer.source, answer.edits) == ("notes", ())
