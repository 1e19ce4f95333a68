"""The LoRA baseline: a function of the set of facts, removable to the bit, honest about what it cannot do."""

from __future__ import annotations

import pytest
import tiny
import torch
from helpers import OTHER, logits

from agentmem.editors import EditRequest, make_editor, packs
from agentmem.errors import EditError, InvalidArgument, PackMismatch, UnknownEdit
from agentmem.notes.note import Scope

HOME = tiny.HOME[0].format("Ana")


@pytest.fixture
def build(taught, tok):
    """Editors on a taught model, detached when the test is over."""
    made = []

    def get(model=None, **options):
        editor = make_editor("lora", model or taught("llama"), tok, **{"rank": 4, "epochs": 40, "lr": 0.02} | options)
        made.append(editor)
        return editor

    yield get
    for editor in made:
        editor.detach()


def test_delete_is_training_on_the_rest(build, taught, tok, requests_):
    """The state after deleting has the hash of an editor that only ever wrote the rest; all deleted is the base."""
    model = taught("llama")
    base = logits(model, tok, [OTHER, HOME])
    one, two = build(), build()
    one.write(requests_[:3])
    two.write([requests_[2]])
    two.write([requests_[0]])
    one.delete(["e1"])

    assert one.state_hash() == two.state_hash()
    two.detach()
    with pytest.raises(UnknownEdit):
        one.delete(["e1"])
    one.delete(["e0", "e2"])
    assert torch.equal(logits(model, tok, [OTHER, HOME]), base)
    assert one.status().state == "empty"


def test_what_cannot_be_learnt_fails_by_receipt(build):
    """A scope, a known answer, a contradiction, too few epochs: a failed receipt with a cure, nothing held."""
    editor = build()
    before = editor.state_hash()
    scoped = editor.write([EditRequest(HOME, "Cairo.", scope=Scope(user="ana"))])[0]
    known = editor.write([EditRequest(HOME, "Porto.")])[0]

    assert (scoped.status, "scope=None" in scoped.reason) == ("failed", True)
    assert (known.status, "says this already" in known.reason) == ("failed", True)
    lazy = build(epochs=1, lr=1e-6)
    assert lazy.write([EditRequest(HOME, "Cairo.")])[0].status == "failed"
    assert (editor.state_hash(), lazy.status().state) == (before, "empty")
    with pytest.raises(InvalidArgument):
        editor.write([EditRequest(HOME, "")])
    with pytest.raises(InvalidArgument, match="Option rang of"):
        build(rang=3)
    with pytest.raises(InvalidArgument, match="layers"):
        build(layer=9)


def test_packs_come_back_and_one_fact_cannot_be_cut_out(build, taught, tok, requests_, tmp_path):
    """A saved adapter gives the same bits; other options refuse it; without the model it can only go as a whole."""
    model, editor = taught("llama"), build()
    editor.write(requests_[:2])
    sha, edited = editor.save(tmp_path / "pack"), logits(model, tok, [HOME])
    editor.detach()
    other = build()
    other.load(tmp_path / "pack")

    assert other.state_hash() == sha
    assert torch.equal(logits(model, tok, [HOME]), edited)
    with pytest.raises(PackMismatch, match="made with"):
        build(rank=2).load(tmp_path / "pack")
    with pytest.raises(EditError, match="without the model"):
        packs.drop(tmp_path / "pack", ["e0"])
    assert packs.list_edits(packs.drop(tmp_path / "pack", ["e0", "e1"])) == ()


def test_a_shadow_is_dropped_or_committed(build, requests_):
    """Inside a shadow the adapter is private; committing makes it everybody's."""
    editor = build()
    before = editor.state_hash()
    with editor.shadow():
        editor.write(requests_[:1])
        inside = editor.state_hash()
    assert editor.state_hash() == before != inside
    with editor.shadow() as shadow:
        editor.write(requests_[:1])
        shadow.commit()
    assert editor.state_hash() == inside
