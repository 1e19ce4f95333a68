"""Two tiers of side memory: what moves from one to the other, and what forgetting without the model leaves behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.editors import EditRequest, make_editor, packs
from agentmem.editors.evaluation import answer
from agentmem.editors.tiers import pack as tiers
from agentmem.errors import EditError, PackMismatch, UnknownEdit
from agentmem.notes.note import Scope

FACTS = tuple(
    EditRequest(tiny.HOME[0].format(name), f"{tiny.TOWNS[(i + 3) % 6]}.", subject=name, id=f"e{i}", note_id=f"n{i}")
    for i, name in enumerate(tiny.NAMES[:4])
)


@pytest.fixture
def editor(taught, tok, background, calibrations):
    made = make_editor(
        "tiered", taught("llama"), tok, background=background, calibration=calibrations.get("llama"),
        settled={"shard_size": 2},
    )  # fmt: skip
    calibrations["llama"] = made.calibrate()
    yield made
    made.detach()


def _answers(editor, facts=FACTS):
    return answer(editor.fresh.port.model, editor.fresh.port.tokenizer, [fact.prompt for fact in facts])


TARGETS = [fact.target for fact in FACTS]


def test_settled_facts_are_still_answered_and_take_no_vector(editor):
    editor.write(FACTS)
    keys = editor.fresh.status().keys
    receipts = editor.settle(["e0", "e1"])
    assert [r.ok for r in receipts] == [True, True]
    assert [editor.tier_of(f.id) for f in FACTS] == ["settled", "settled", "fresh", "fresh"]
    assert editor.fresh.status().keys < keys
    assert _answers(editor) == TARGETS
    assert [route.edit_id for route in editor.probe([f.prompt for f in FACTS])] == ["e0", "e1", "e2", "e3"]


def test_one_batch_is_answered_from_both_tiers(editor):
    editor.write(FACTS)
    editor.settle(["e0", "e2"])
    assert _answers(editor) == TARGETS
    assert [route.edit_id for route in editor.explain()] == ["e0", "e1", "e2", "e3"]


def test_the_way_there_leaves_no_trace_in_the_state(editor):
    editor.write(FACTS)
    editor.settle([f.id for f in FACTS])
    at_once = editor.dump()
    editor.delete([f.id for f in FACTS])
    for fact in reversed(FACTS):
        editor.write([fact])
        editor.settle([fact.id])
    assert editor.dump() == at_once


def test_forgetting_without_the_model_takes_the_whole_shard_and_the_rest_waits(editor):
    editor.write(FACTS)
    editor.settle([f.id for f in FACTS])
    shard_mates = [m.cell.ids for m in editor.settled.state.memories if "e1" in m.cell.ids][0]
    rest = packs.drop(editor.dump(), ["e1"])
    assert {r.id for r in packs.list_edits(rest)} == {"e0", "e2", "e3"}
    held = tiers.parse(rest)
    assert {r.id for r in held.waiting} >= set(shard_mates) - {"e1"}
    assert FACTS[1].subject.encode() not in rest
    editor.load(rest)
    waiting = {r.id for r in editor.waiting}
    assert waiting
    assert editor.status().details["tiers"]["waiting"] == len(waiting)
    with editor.silence():
        base = dict(zip((f.id for f in FACTS), _answers(editor), strict=True))
    said = dict(zip((f.id for f in FACTS), _answers(editor), strict=True))
    assert all(said[id] == base[id] for id in {"e1"} | waiting)
    editor.settle()
    assert editor.waiting == ()
    settled = editor.dump()
    editor.delete([f.id for f in FACTS if f.id != "e1"])
    others = [f for f in FACTS if f.id != "e1"]
    editor.write(others)
    editor.settle([f.id for f in others])
    assert settled == editor.dump()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_dropping_without_the_model_never_keeps_a_trace_of_what_was_dropped(packed, data):
    doomed = data.draw(st.sets(st.sampled_from([f.id for f in FACTS]), min_size=1))
    after = tiers.parse(tiers.drop(packed, doomed))
    assert {r.id for r in after.requests} == {f.id for f in FACTS} - doomed
    held = {r.id for part in (after.fresh, after.settled) if part for r in packs.list_edits(part)}
    assert not held & doomed
    assert not held & {r.id for r in after.waiting}
    one_by_one = packed
    for id in sorted(doomed):
        one_by_one = tiers.drop(one_by_one, [id])
    assert one_by_one == after.dump()


@pytest.fixture(scope="module")
def packed(taught, tok, background):
    made = make_editor("tiered", taught("llama"), tok, background=background, settled={"shard_size": 2})
    made.write(FACTS)
    made.settle(["e0", "e1", "e2"])
    made.detach()
    return made.dump()


def test_a_grace_pack_is_the_fresh_tier(editor, tok, background, taught, calibrations):
    grace = make_editor("grace", taught("llama"), tok, background=background, calibration=calibrations["llama"])
    grace.write(FACTS)
    data = grace.dump()
    grace.detach()
    editor.load(data)
    assert _answers(editor) == TARGETS
    assert editor.fresh.dump() == data


def test_saved_and_loaded_with_everything_that_waits(editor, tmp_path):
    editor.write(FACTS)
    editor.settle(["e0", "e1", "e2"])
    editor.load(packs.drop(editor.dump(), ["e0"]))
    sha = editor.save(tmp_path / "pack")
    before = editor.waiting
    editor.delete([r.id for r in editor.edits()])
    editor.load(tmp_path / "pack")
    assert editor.waiting == before
    assert editor.state_hash() == sha


def test_a_shadow_keeps_what_moves_to_itself(editor):
    editor.write(FACTS)
    before = editor.dump()
    with editor.shadow():
        editor.settle([f.id for f in FACTS])
        assert editor.tier_of("e0") == "settled"
        assert _answers(editor) == TARGETS
    assert editor.dump() == before
    with editor.shadow() as shadow:
        editor.settle(["e0"])
        shadow.commit()
    assert editor.tier_of("e0") == "settled"


def test_a_contradiction_between_the_tiers_is_refused(editor):
    editor.write(FACTS)
    editor.settle(["e0"])
    rival = replace(FACTS[0], id="other", target=FACTS[1].target)
    receipt = editor.write([rival])[0]
    assert receipt.status == "failed"
    assert "e0" in receipt.reason
    assert _answers(editor, FACTS[:1]) == TARGETS[:1]


def test_scopes_hold_in_both_tiers(editor):
    mine = [replace(f, scope=Scope(user="ann")) for f in FACTS[:2]]
    editor.write(mine)
    editor.settle(["e0"])
    with editor.silence():
        base = _answers(editor, mine)
    with editor.request(Scope(user="bob")):
        assert _answers(editor, mine) == base
    with editor.request(Scope(user="ann")):
        assert _answers(editor, mine) == TARGETS[:2]


def test_what_a_shard_cannot_learn_stays_fresh(editor, monkeypatch):
    editor.write(FACTS[:2])

    def unlearnable(requests):
        from agentmem.notes.edit import EditReceipt

        return [EditReceipt(r.id, "failed", "not learnt") for r in requests]

    monkeypatch.setattr(editor.settled, "write", unlearnable)
    assert [r.ok for r in editor.settle(["e0"])] == [False]
    assert editor.tier_of("e0") == "fresh"
    assert _answers(editor, FACTS[:2]) == TARGETS[:2]


def test_bad_input_changes_nothing(editor):
    editor.write(FACTS[:2])
    editor.settle(["e0"])
    before = editor.dump()
    with pytest.raises(UnknownEdit):
        editor.settle(["e1", "nobody"])
    with pytest.raises(UnknownEdit):
        editor.delete(["e1", "nobody"])
    with pytest.raises(EditError):
        editor.write([replace(FACTS[0], target="Elsewhere.")])
    with pytest.raises(PackMismatch):
        editor.load(before[:-20])
    with pytest.raises(UnknownEdit):
        packs.drop(before, ["nobody"])
    assert editor.dump() == before


def test_without_edits_the_model_is_its_base(editor):
    model, tok = editor.fresh.port.model, editor.fresh.port.tokenizer
    ids = tok(FACTS[0].prompt, return_tensors="pt").input_ids
    with torch.no_grad():
        base = model(ids).logits
    editor.write(FACTS)
    editor.settle(["e0", "e1"])
    editor.delete([f.id for f in FACTS])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, base)
    assert editor.status().state == "empty"
