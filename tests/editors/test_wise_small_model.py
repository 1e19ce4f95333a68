"""WISE on the shipped model: counterfactual facts of the generated world, asked by free generation."""

from __future__ import annotations

from random import Random

import pytest

from agentmem.editors import EditRequest, make_editor
from agentmem.editors.evaluation import Case, answer, evaluate
from agentmem.evaluation.world import World
from agentmem.evaluation.world import answer as as_answer
from agentmem.llm.small_model import load_small_model


@pytest.fixture(scope="module")
def small():
    return load_small_model()


def test_edits_are_said_in_other_words_and_nothing_else_changes(small, background):
    """Ten facts the model knew otherwise: said when asked, also in wordings never seen; other answers are kept."""
    (model, tok), world, rng = small, World.generate(), Random(3)
    facts = rng.sample([fact for fact in world.facts if fact.kind == "person"], 10)
    edited = {fact.subject for fact in facts}
    cases, requests = [], []
    for fact in facts:
        prompt, *others = rng.sample(world.questions(fact), 4)
        target = as_answer(world.counterfactual(fact, rng))
        stranger = rng.choice([s for s in world.subjects(fact.kind) if s not in edited])
        sibling = next(f for f in world.facts_about(fact.subject) if f not in facts)
        requests.append(EditRequest(prompt, target, fact.subject, tuple(others)))
        cases.append(
            Case(prompt, target, tuple(rng.sample(world.questions(fact, held_out=True), 2)),
                 (prompt.replace(fact.subject, stranger), world.question(sibling, rng)))
        )  # fmt: skip
    before = answer(model, tok, [case.prompt for case in cases])
    editor = make_editor("wise", model, tok, background=background)
    receipts = editor.write(requests)
    report = evaluate(model, tok, cases, editor=editor)

    assert all(receipt.ok for receipt in receipts)
    assert report.reliability == 1.0, report.wrong
    assert report.generality >= 0.75, report.wrong
    assert report.locality >= 0.95, report.wrong

    editor.delete([receipt.id for receipt in receipts])
    assert answer(model, tok, [case.prompt for case in cases]) == before
