"""Locate and edit on the shipped model, by greedy free generation."""

from __future__ import annotations

import pytest
import torch

from agentmem.editors import EditRequest, make_editor
from agentmem.editors.evaluation import answer
from agentmem.evaluation.world import World
from agentmem.evaluation.world import answer as as_answer
from agentmem.llm.small_model import load_small_model

RELATION, MOVED = "home_city", 4


@pytest.fixture(scope="module")
def world():
    return World.generate()


def test_emmet_moves_people_and_moves_them_back(world):
    """People's towns are exchanged for others by one joint delta; who was not moved stays where they were, deleting
    one moves only that one back, and deleting all gives the base's bits."""
    model, tokenizer = load_small_model()
    facts = [fact for fact in world.facts if fact.relation == RELATION][: 2 * MOVED]
    asked = [world.questions(fact)[0] for fact in facts]
    base = answer(model, tokenizer, asked, max_new_tokens=8)
    ids = tokenizer(asked[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        bare = model(input_ids=ids).logits
    places = [as_answer(fact.value) for fact in facts]
    requests = [
        EditRequest(asked[i], next(p for p in places[i:] + places if p != base[i]), facts[i].subject, id=f"e{i}")
        for i in range(MOVED)
    ]
    editor = make_editor("emmet", model, tokenizer, layer=0, prefixes=0, essence=1, steps=30, tokens=3000)
    written = [r.id for r in editor.write(requests) if r.ok]

    said = dict(zip(asked, answer(model, tokenizer, asked, max_new_tokens=8), strict=True))
    assert len(written) >= MOVED - 1
    assert all(said[r.prompt] == r.target for r in requests if r.id in written)
    assert [said[text] for text in asked[MOVED:]] == base[MOVED:]
    editor.delete(written[:1])
    back = answer(model, tokenizer, asked[:MOVED], max_new_tokens=8)
    moved = [base[i] if r.id == written[0] or r.id not in written else r.target for i, r in enumerate(requests)]
    assert back == moved
    editor.delete(written[1:])
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, bare)
