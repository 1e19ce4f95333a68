"""Models whose layers keep a state in place of keys and values, alone or among layers of attention."""

from __future__ import annotations

import pytest
import torch
from helpers import OTHER, generate, logits

from agentmem.editors.prompts import Renderer

LONGER = tuple(pytest.param(kind, marks=pytest.mark.slow) for kind in ("recurrent_gemma", "qwen3_next"))
KINDS = ("mamba", "lfm2", "nemotron_h", *LONGER)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_is_said_with_a_cache_without_one_and_in_a_batch(kind, make, taught, tok, requests_):
    model, editor = taught(kind), make(kind)
    quiet = logits(model, tok, [OTHER])
    receipts = editor.write(requests_)
    assert all(receipt.ok for receipt in receipts), receipts

    asked = [request.prompt for request in requests_]
    wanted = [list(Renderer(tok).pair(request.prompt, request.target).labels) for request in requests_]
    assert [generate(model, tok, [text])[0] for text in asked] == wanted
    assert [generate(model, tok, [text], use_cache=False)[0] for text in asked] == wanted
    assert generate(model, tok, asked) == wanted
    assert torch.equal(logits(model, tok, [OTHER]), quiet)


@pytest.mark.parametrize("kind", ["lfm2", LONGER[1]])
def test_a_prompt_read_in_two_pieces_carries_the_edit(kind, make, taught, tok, requests_):
    """The second piece goes on from a state that has read the first, and is run once more with the edit from there."""
    model, editor, renderer = taught(kind), make(kind), Renderer(tok)
    editor.write(requests_)
    for request in requests_:
        ids = torch.tensor([renderer.prompt(request.prompt)])
        with torch.no_grad():
            cache = model(ids[:, :5], use_cache=True).past_key_values
            follow = model(ids[:, 5:], past_key_values=cache, use_cache=True).logits[0, -1]
            said = int(follow.argmax())
            after = int(model(torch.tensor([[said]]), past_key_values=cache, use_cache=True).logits[0, -1].argmax())
        assert editor.explain()[0].edit_id == request.id
        assert (said, after) == tuple(renderer.pair(request.prompt, request.target).labels[:2])


@pytest.mark.parametrize("kind", KINDS)
def test_a_deleted_edit_leaves_the_base_bit_for_bit(kind, make, taught, tok, requests_):
    model, editor = taught(kind), make(kind)
    asked = [request.prompt for request in requests_]
    base, empty = logits(model, tok, asked), editor.state_hash()
    editor.write(requests_)
    assert not torch.equal(logits(model, tok, asked), base)
    editor.delete([request.id for request in requests_])

    assert editor.state_hash() == empty
    assert torch.equal(logits(model, tok, asked), base)
