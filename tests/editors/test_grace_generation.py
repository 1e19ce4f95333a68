"""Ways to generate that bring a prompt, or its answer, in pieces; and edits that come and go while others generate."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from helpers import generate, logits

from agentmem.editors.hooks import taps
from agentmem.editors.prompts import Renderer

EARLIER = (("What pet has Lea?", "A cat."), ("Where does Kai live?", "Porto."))


def said(model, ids, **options):
    """The generated ids, cut at the stop token."""
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 3, "eos_token_id": 0} | options
    tokens = torch.tensor([ids])
    row = model.generate(tokens, attention_mask=torch.ones_like(tokens), **options)[0, len(ids) :].tolist()
    return row[: row.index(0) + 1] if 0 in row else row


@pytest.mark.parametrize("history", [(), EARLIER], ids=["first", "later"])
def test_chunks_of_any_size_make_no_difference(history, make, taught, tok, requests_):
    """Also when the last chunk is a lone token, or the name of the subject stood in an earlier one."""
    model, editor, renderer = taught("llama"), make(), Renderer(tok)
    editor.write(requests_)
    for request in requests_[:2]:
        ids = list(renderer.prompt(request.prompt, history))
        whole, route = said(model, ids), editor.explain()[0].edit_id
        for size in (3, 5, len(ids) - 1):
            assert said(model, ids, prefill_chunk_size=size) == whole
            assert editor.explain()[0].edit_id == route


def test_assisted_decoding_on_sliding_windows(make, taught, tok, requests_):
    """A cache that can be cut back holds more than its window; an edit is written into all of it."""
    model, editor = taught("gemma2"), make("gemma2")
    editor.write(requests_)
    for request in requests_:
        wanted = generate(model, tok, [request.prompt])
        assert editor.explain()[0].edit_id == request.id
        assert generate(model, tok, [request.prompt], prompt_lookup_num_tokens=3) == wanted


def test_hooks_taken_off_amid_a_forward_leave_nothing_to_stumble_over(make, taught, tok, requests_):
    """The last edit goes while another thread's prompt is read, and a new one comes: the next tokens are the base's."""
    model, editor = taught("llama"), make()
    base = generate(model, tok, [requests_[0].prompt])
    editor.write(requests_[:1])
    layers = editor.port.structure.layers

    def drop(_module, _args):
        """What another thread does at this moment."""
        if editor.edits():
            editor.delete([requests_[0].id])

    handle = layers[0].register_forward_pre_hook(drop)
    try:
        first = generate(model, tok, [requests_[0].prompt], max_new_tokens=1)
    finally:
        handle.remove()
    assert taps(), "the forward was not interrupted where it should be"
    with editor.port.holding(editor.layer):  # what a writer's own forwards need
        assert generate(model, tok, [requests_[0].prompt]) == base
    assert first[0][:1] == base[0][:1]


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_of_an_edited_model_is_the_base(way, make, taught, tok, requests_):
    """Edits live beside the model: what is copied, or sent to another process, is the model alone."""
    model, editor = taught("llama"), make()
    base = logits(model, tok, [requests_[0].prompt])
    editor.write(requests_[:1])
    twin = copy.deepcopy(model) if way == "deepcopy" else pickle.loads(pickle.dumps(model))

    assert torch.equal(logits(twin, tok, [requests_[0].prompt]), base)
    assert not torch.equal(logits(model, tok, [requests_[0].prompt]), base)
    other = make(model=twin, calibration=editor.calibrate())
    other.load(editor.dump())
    assert torch.equal(logits(twin, tok, [requests_[0].prompt]), logits(model, tok, [requests_[0].prompt]))
