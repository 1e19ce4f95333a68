"""GRACE on the shipped small model, which really knows facts: a sample of benchmarks/editing."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agentmem.editors import EditRequest, make_editor
from agentmem.editors.background import background_groups
from agentmem.editors.evaluation import Case, answer, evaluate
from agentmem.evaluation.world import World
from agentmem.evaluation.world import answer as as_answer

SHIPPED = Path(__file__).parents[2] / "agentmem" / "data" / "small_model"
EDITS = 16


@pytest.fixture(scope="module")
def shipped():
    model = AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(SHIPPED), World.generate()


@pytest.fixture(scope="module")
def written(shipped):
    """An editor with counterfactual facts, and the cases that check them."""
    model, tokenizer, world = shipped
    rng, cases, requests = Random(3), [], []
    facts = rng.sample(world.facts, EDITS)
    for fact in facts:
        prompt, *others = rng.sample(world.questions(fact), 3)
        target = as_answer(world.counterfactual(fact, rng))
        stranger = rng.choice([s for s in world.subjects(fact.kind) if s not in {f.subject for f in facts}])
        sibling = rng.choice([f for f in world.facts_about(fact.subject) if f not in facts])
        untouched = (prompt.replace(fact.subject, stranger), world.question(sibling, rng))
        requests.append(EditRequest(prompt, target, fact.subject, tuple(others), note_id=f"n{len(requests)}"))
        cases.append(Case(prompt, target, tuple(rng.sample(world.questions(fact, held_out=True), 2)), untouched))
    editor = make_editor("grace", model, tokenizer, background=background_groups()[:300])
    receipts = editor.write(requests)
    yield editor, cases, receipts
    editor.detach()


def test_facts_are_learnt_generalise_and_touch_nothing_else(shipped, written):
    """Counterfactual facts are said in words never seen in training, and other questions keep their answers."""
    model, tokenizer, _ = shipped
    editor, cases, receipts = written
    report = evaluate(model, tokenizer, cases, editor=editor)

    assert sum(receipt.ok for receipt in receipts) >= EDITS - 1
    assert report.reliability >= 0.9
    assert report.generality >= 0.6
    assert report.locality >= 0.99


def test_forgetting_one_fact_brings_the_old_answer_back(shipped, written):
    """Inside a shadow: a deleted fact's prompt has the base's answer again, and the others stay."""
    model, tokenizer, _ = shipped
    editor, cases, receipts = written
    kept, gone = [i for i, receipt in enumerate(receipts) if receipt.ok][:2]
    prompts = [cases[kept].prompt, cases[gone].prompt]
    with editor.silence():
        base = answer(model, tokenizer, prompts)
    before = editor.state_hash()
    with editor.shadow():
        editor.delete([receipts[gone].id])
        assert answer(model, tokenizer, prompts) == [cases[kept].target, base[1]]
        assert editor.state_hash() != before
    assert editor.state_hash() == before
    assert answer(model, tokenizer, prompts) == [cases[kept].target, cases[gone].target]
