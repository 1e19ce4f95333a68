"""Ways to generate that bring a prompt, or its answer, in pieces; and edits that come and go while others generate."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from helpers import OTHER, generate, logits

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


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_what_stands_before_a_message_does_not_move_its_key(family, make, taught, tok, requests_):
    """Earlier turns, many of them or few, and whether the prompt comes at once or in chunks: the key is that of the message alone."""
    model, editor, renderer = taught(family), make(family), Renderer(tok)
    editor.write(requests_)
    for request in requests_:
        bare = editor.probe([request.prompt])[0]
        for history in (EARLIER, EARLIER * 4):
            row = list(renderer.prompt(request.prompt, history))
            for options in ({}, {"prefill_chunk_size": 7}):
                said(model, row, max_new_tokens=1, **options)
                route = editor.explain()[0]
                assert route.edit_id == bare.edit_id == request.id
                assert route.distance == pytest.approx(bare.distance, abs=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize(
    "options", [{}, {"prefill_chunk_size": 9}, {"num_beams": 2}, {"prompt_lookup_num_tokens": 3}, {"use_cache": False}]
)
def test_an_edit_is_said_behind_other_turns(family, options, make, taught, tok, requests_):
    """Whatever they say, and however its prompt is read: what answers does not see them."""
    model, editor, renderer = taught(family), make(family), Renderer(tok)
    editor.write(requests_)
    for request in requests_[:3]:
        bare = said(model, list(renderer.prompt(request.prompt)))
        assert said(model, list(renderer.prompt(request.prompt, EARLIER)), **options) == bare


def test_in_one_batch_each_row_hides_its_own_company(make, taught, tok, requests_):
    """Rows of different lengths, padded on the left, alone or in company."""
    model, editor, renderer = taught("llama"), make(), Renderer(tok)
    editor.write(requests_)
    rows = [
        list(renderer.prompt(request.prompt, EARLIER * times))
        for times, request in zip((0, 1, 3), requests_, strict=False)
    ]
    width = max(map(len, rows))
    batch = torch.tensor([[3] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    out = model.generate(batch, attention_mask=mask, max_new_tokens=8, do_sample=False, pad_token_id=3, eos_token_id=0)[
        :, width:
    ].tolist()

    bare = [said(model, list(renderer.prompt(request.prompt))) for request in requests_[:3]]
    assert [row[: row.index(0) + 1] for row in out] == bare


def test_the_next_message_sees_the_whole_conversation(make, taught, tok, requests_):
    """Only what an edit answers stands apart: a cache that goes on is read as a whole again."""
    model, editor, renderer = taught("llama"), make(), Renderer(tok)
    editor.write(requests_)
    row = list(renderer.prompt(requests_[0].prompt, EARLIER))
    with torch.no_grad():
        read = model(torch.tensor([row]), use_cache=True)
        first = int(read.logits[0, -1].argmax())
        model(torch.tensor([[first]]), past_key_values=read.past_key_values)
        seen = _masks_of(model, read.past_key_values, [[5]])
        more = list(renderer.prompt(OTHER))
        whole = _masks_of(model, read.past_key_values, [more])
        after = _masks_of(model, read.past_key_values, [[5]])

    assert seen is not None
    assert int((seen == 0).sum()) > 10
    assert whole is None
    assert after is None


def _masks_of(model, cache, tokens):
    """Which mask the layers' owner is called with, when nobody gives one."""
    heard = []
    backbone = model.model
    handle = backbone.register_forward_pre_hook(
        lambda _module, _args, kwargs: heard.append(kwargs.get("attention_mask")), with_kwargs=True
    )
    try:
        model(torch.tensor(tokens), past_key_values=cache)
    finally:
        handle.remove()
    return heard[0]


def test_a_turn_that_no_edit_can_answer_is_read_once(make, taught, tok, requests_, monkeypatch):
    """What others say before and after costs no further look: only a message that names what was edited is read by itself."""
    model, editor, renderer = taught("llama"), make(), Renderer(tok)
    editor.write(requests_)
    looks = []
    monkeypatch.setattr(type(editor.port), "keys", lambda self, rows, **_: looks.append(rows) or pytest.fail("read"))

    said(model, list(renderer.prompt(OTHER, EARLIER)), max_new_tokens=1)
    said(
        model, list(renderer.prompt(requests_[0].prompt)), max_new_tokens=1
    )  # the first of its conversation is alone already

    assert not looks


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
