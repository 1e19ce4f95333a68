"""Ways to generate that bring a prompt, or its answer, in pieces; and edits that come and go while others generate."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest
import torch
from helpers import OTHER, generate, logits, said
from transformers import StaticCache

from agentmem.editors.hooks import taps
from agentmem.editors.prompts import Renderer

EARLIER = (("What pet has Lea?", "A cat."), ("Where does Kai live?", "Porto."))


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


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
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


@pytest.mark.parametrize("family", ["gpt2", "opt"])
@pytest.mark.parametrize("size", [None, 4, 9, -1])
@pytest.mark.parametrize("told", [True, False], ids=["told where", "not told"])
def test_where_positions_are_learnt_a_late_message_is_read_as_the_first(
    family, size, told, make, taught, tok, requests_
):
    """Message and answer stand where the model was trained: the very logits of the bare prompt, step by step, in any pieces."""
    model, editor, renderer = taught(family), make(family), Renderer(tok)
    editor.write(requests_)
    row = list(renderer.prompt(requests_[0].prompt, EARLIER * 3))
    answer = list(renderer.pair(requests_[0].prompt, requests_[0].target).labels)
    first = list(renderer.prompt(requests_[0].prompt))

    late = stepped(model, row, answer, size=size, told=told)
    assert editor.explain()[0].edit_id == requests_[0].id
    assert torch.allclose(late, stepped(model, first, answer), atol=1e-4)
    base = stepped(model, list(renderer.prompt(OTHER, EARLIER * 3)), answer, size=size, told=told)
    with editor.silence():
        assert torch.equal(
            base, stepped(model, list(renderer.prompt(OTHER, EARLIER * 3)), answer, size=size, told=told)
        )


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_in_a_cache_of_fixed_size_it_is_read_as_the_first_too(family, make, taught, tok, requests_):
    model, editor, renderer = taught(family), make(family), Renderer(tok)
    editor.write(requests_[:1])
    answer = list(renderer.pair(requests_[0].prompt, requests_[0].target).labels)
    late, first = (list(renderer.prompt(requests_[0].prompt, history)) for history in (EARLIER * 3, ()))
    fixed = StaticCache(config=model.config, max_cache_len=200)

    assert torch.allclose(stepped(model, late, answer, cache=fixed), stepped(model, first, answer), atol=1e-4)


@torch.no_grad()
def stepped(model, row, answer, *, size=None, told=False, cache=None):
    """[len(answer), vocabulary] logits of an answer behind a prompt, token by token; ``size``: of the pieces in which the prompt is read."""
    size = len(row) - 1 if size == -1 else size
    read, found = int(cache.get_seq_length()) if cache is not None else 0, []
    cuts = [row[read:][at : at + (size or len(row))] for at in range(0, len(row) - read, size or len(row))]
    for piece in [*cuts, *([token] for token in answer[:-1])]:
        where = {"position_ids": torch.arange(read, read + len(piece))[None]} if told else {}
        out = model(torch.tensor([piece]), past_key_values=cache, use_cache=True, **where)
        cache, read = out.past_key_values, read + len(piece)
        found.append(out.logits[0, -1])
    return torch.stack(found[len(cuts) - 1 :])


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
@pytest.mark.parametrize("then", [OTHER, "Where does Bo live?"], ids=["no edit", "another edit"])
@pytest.mark.parametrize("size", [None, 5])
def test_a_conversation_on_a_kept_cache_is_the_one_read_anew(family, then, size, make, taught, tok, requests_):
    """What was answered apart is part of the conversation when the next turn comes: message and answer are read in it then."""
    model, editor, renderer = taught(family), make(family), Renderer(tok)
    editor.write(requests_)
    asked = requests_[0]
    row = list(renderer.prompt(asked.prompt, EARLIER))
    longer = list(renderer.prompt(then, [*EARLIER, (asked.prompt, asked.target)]))
    with torch.no_grad():
        cache = model(torch.tensor([row]), use_cache=True).past_key_values
        for token in renderer.pair(asked.prompt, asked.target).labels[:-1]:
            model(torch.tensor([[token]]), past_key_values=cache)
        kept = stepped(model, longer, [0], size=size, cache=cache)
        routed = editor.explain()[0].edit_id
        anew = model(torch.tensor([longer]), use_cache=True)

    assert routed == editor.explain()[0].edit_id == ("e1" if then != OTHER else None)
    assert torch.allclose(kept[0], anew.logits[0, -1], atol=1e-4)
    for ours, theirs in zip(cache.layers, anew.past_key_values.layers, strict=True):
        assert torch.allclose(ours.keys, theirs.keys, atol=1e-4)
        assert torch.allclose(ours.values, theirs.values, atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_draft_that_guesses_the_next_turn_is_no_turn(family, make, taught, tok, requests_):
    """What was guessed beyond the end of an answer does not bring its company back."""
    model, editor, renderer = taught(family), make(family), Renderer(tok)
    editor.write(requests_[:1])
    answer = list(renderer.pair(requests_[0].prompt, requests_[0].target).labels)
    row = list(renderer.prompt(requests_[0].prompt, EARLIER))
    draft = [*answer, *renderer.prompt(OTHER), *answer[:1]]
    with torch.no_grad():
        cache = model(torch.tensor([row]), use_cache=True).past_key_values
        checked = model(torch.tensor([draft]), past_key_values=cache).logits[0, : len(answer) - 1]

    assert torch.allclose(checked, stepped(model, row, answer)[1:], atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_in_a_padded_batch_each_kept_row_is_put_back_where_it_stands(family, make, taught, tok, requests_):
    """One row is answered apart, the other by nobody: behind the next turn both are what they are when all is read at once."""
    model, editor, renderer = taught(family), make(family), Renderer(tok)
    editor.write(requests_)
    asked = requests_[0]
    told, more = renderer.pair(asked.prompt, asked.target).labels[:-1], renderer.prompt(OTHER)
    rows = [
        (*renderer.prompt(asked.prompt, EARLIER), *told, *more),
        (*renderer.prompt(OTHER, EARLIER[:1]), *told, *more),
    ]
    width = max(map(len, rows))
    batch = torch.tensor([(3,) * (width - len(row)) + row for row in rows])
    mask = torch.tensor([(0,) * (width - len(row)) + (1,) * len(row) for row in rows])
    where = (mask.cumsum(-1) - 1).clamp(min=0)
    first = width - len(told) - len(more)
    steps = [0, *range(first, width - len(more)), width - len(more), width]
    cache = None
    with torch.no_grad():
        for start, end in itertools.pairwise(steps):
            kept = model(
                batch[:, start:end],
                attention_mask=mask[:, :end],
                position_ids=where[:, start:end],
                past_key_values=cache,
                use_cache=True,
            )
            cache = kept.past_key_values
            if start == 0:
                assert [route.edit_id for route in editor.explain()] == [asked.id, None]
        anew = model(batch, attention_mask=mask, position_ids=where)

    assert torch.allclose(kept.logits[:, -1], anew.logits[:, -1], atol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt"])
def test_in_one_batch_each_row_hides_its_own_company(family, make, taught, tok, requests_):
    """Rows of different lengths, padded on the left, alone or in company."""
    model, editor, renderer = taught(family), make(family), Renderer(tok)
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
    """Which mask the layers' owner is called with at last, when nobody gives one."""
    heard = []
    backbone = model.model
    handle = backbone.register_forward_pre_hook(
        lambda _module, _args, kwargs: heard.append(kwargs.get("attention_mask")), with_kwargs=True
    )
    try:
        model(torch.tensor(tokens), past_key_values=cache)
    finally:
        handle.remove()
    return heard[-1]


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
