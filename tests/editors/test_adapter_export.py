"""A LoRA adapter of edits: PEFT reads it, it says what its report claims, and the editor's model is left as it was."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from helpers import OTHER, logits
from test_quantised import InByOut, replaced

from agentmem.editors.evaluation import answer
from agentmem.editors.lora.export import export_adapter
from agentmem.errors import EditError, InvalidArgument

pytestmark = pytest.mark.integrations  # with packages that few have; the default tests need none of them


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_peft_reads_it_and_it_says_what_the_report_claims(architecture, make, taught, tok, requests_, tmp_path):
    """By free generation, with the real library on an untouched copy of the base."""
    peft = pytest.importorskip("peft")
    model, untouched = taught(architecture), copy.deepcopy(taught(architecture))
    editor = make(architecture)
    editor.write(requests_)
    asked = [request.prompt for request in requests_]
    edited = logits(model, tok, asked)
    report = export_adapter(model, tok, editor.edits(), tmp_path, rank=8)

    assert torch.equal(logits(model, tok, asked), edited)
    served = peft.PeftModel.from_pretrained(untouched, str(tmp_path)).eval()
    said = answer(served, tok, asked)
    assert {r.id for r, text in zip(requests_, said, strict=True) if text == r.target} == set(report.said)
    assert report.survived == len(report.said) / 4 >= 0.75
    assert 0.0 <= report.kept <= 1.0
    held = json.loads((tmp_path / "agentmem.json").read_text())
    assert held["edits"] == ["e0", "e1", "e2", "e3"]
    assert held["notes"] == ["n0", "n1", "n2", "n3"]


def test_an_adapter_that_learnt_nothing_says_so(taught, tok, requests_, tmp_path):
    """What survives is measured on the adapter itself."""
    report = export_adapter(taught("llama"), tok, requests_, tmp_path, rank=1, epochs=1)

    assert report.survived < 1.0


def test_the_same_edits_give_the_same_adapter_and_no_trace_of_others(taught, tok, requests_, tmp_path):
    """Rebuilt after a deletion it is the one in which the deleted never was."""
    model = taught("llama")
    base = logits(model, tok, [OTHER])
    one = export_adapter(model, tok, requests_[:2], tmp_path / "a", rank=4, epochs=5)
    export_adapter(model, tok, requests_[:3], tmp_path / "b", rank=4, epochs=5)
    again = export_adapter(model, tok, requests_[1::-1], tmp_path / "b", rank=4, epochs=5)

    assert again.sha256 == one.sha256
    assert (tmp_path / "b" / "agentmem.json").read_text() == (tmp_path / "a" / "agentmem.json").read_text()
    assert torch.equal(logits(model, tok, [OTHER]), base)


def test_what_cannot_be_exported_says_what_can(taught, tok, requests_, tmp_path):
    with pytest.raises(InvalidArgument, match="no edits"):
        export_adapter(taught("llama"), tok, [], tmp_path)
    with pytest.raises(InvalidArgument, match="rank"):
        export_adapter(taught("llama"), tok, requests_, tmp_path, rank=0)
    with pytest.raises(EditError, match="InByOut") as caught:
        export_adapter(replaced(taught("llama"), InByOut), tok, requests_, tmp_path)
    assert "floating point" in caught.value.hint
    assert not list(tmp_path.iterdir())
