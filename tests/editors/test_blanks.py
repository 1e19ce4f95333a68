"""Blanks around targets and prompts, as data sets of the field have them, cost no edit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny

from agentmem.editors import EditRequest
from agentmem.editors.core.requests import named
from agentmem.editors.evaluation import answer
from agentmem.editors.prompts import Renderer

BLANKS = (" {}", "{}\n", " \t{} ")
REQUESTS = tuple(
    EditRequest(tiny.HOME[0].format(name), f"{tiny.TOWNS[(i + 3) % 6]}.", subject=name, id=f"e{i}")
    for i, name in enumerate(tiny.NAMES[:3])
)


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("words", [True, False])
def test_a_blank_before_the_target_is_no_token_of_it(chat, words):
    """Whatever a tokenizer makes of a blank, a target that comes in has the same tokens with and without."""
    renderer, plain = Renderer(tiny.tokenizer(chat=chat, words=words)), REQUESTS[0]
    labels = {
        renderer.pair(request.prompt, request.target).labels
        for request in (plain, *(named(replace(plain, target=blanks.format(plain.target))) for blanks in BLANKS))
    }

    assert len(labels) == 1


@pytest.mark.parametrize("blanks", BLANKS)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_facts_with_blanks_around_their_targets_are_said(make, taught, tok, architecture, blanks):
    """All of them are learnt, and said as if they had been written without."""
    editor = make(architecture)
    receipts = editor.write([replace(request, target=blanks.format(request.target)) for request in REQUESTS])

    assert [receipt.status for receipt in receipts] == ["written"] * 3
    assert answer(taught(architecture), tok, [r.prompt for r in REQUESTS]) == [r.target for r in REQUESTS]


@pytest.mark.parametrize("blanks", BLANKS)
def test_blanks_around_a_message_are_no_part_of_the_question(make, taught, tok, blanks):
    """A prompt with blanks around it has the key of the prompt, and is answered when it is asked without them."""
    editor, plain = make(), make()
    editor.write([replace(request, prompt=blanks.format(request.prompt)) for request in REQUESTS])
    said = answer(taught("llama"), tok, [request.prompt for request in REQUESTS])
    editor.detach()
    plain.write(REQUESTS)

    assert said == [request.target for request in REQUESTS]
    assert (editor.state.keys == plain.state.keys).all()
