"""The chats that the small model is trained on: what they say agrees with itself, and held-out words stay held out."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from agentmem.evaluation.world import UNKNOWN_ANSWER, World, relation
from agentmem.evaluation.world.people import PERSON_RELATIONS
from benchmarks.small_model import recipe
from benchmarks.small_model.corpus import ChatKind, Conversation, _worn, make_chat

KINDS = {name: kind for name, kind in vars(recipe).items() if isinstance(kind, ChatKind)}


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate()


def test_a_worn_question_keeps_whom_it_is_about() -> None:
    rng = Random(1)
    worn = [_worn("Where does Ines Varga live these days?", "Ines Varga", rng) for _ in range(200)]
    assert all("Ines Varga" in text and text.endswith("?") for text in worn)
    assert len(set(worn)) > 50, "words are missing, or in another order"
    mine = [_worn("Which city do I call my home?", "user", rng) for _ in range(200)]
    assert all({"I", "my"} <= set(text.rstrip("?").split()) for text in mine)


def test_a_worn_question_is_never_one_that_is_held_out(world: World) -> None:
    """Leaving words out can lead from one wording to another."""
    facts = [fact for fact in world.facts if fact.relation in ("occupation", "headquarters")][:1]
    chat = Conversation(world, Random(2), facts, recipe.WORN)
    held_out = {
        text.replace("{s}", facts[0].subject) for text in relation(facts[0].relation).all_questions(held_out=True)
    }
    question = f"What kind of work does {facts[0].subject} do?"
    assert facts[0].relation == "occupation"
    assert not held_out & {chat._worn(question, facts[0]) for _ in range(400)}
    assert held_out & {_worn(question, facts[0].subject, chat.rng) for _ in range(400)}, "without care it happens"


def test_a_blank_is_filled_with_what_it_left_out(world: World) -> None:
    kind = ChatKind({"ask_blank": 1.0}, (6, 6))
    for seed in range(30):
        turns = make_chat(kind, world, world.facts, Random(seed))
        asked = [(a.content, b.content) for a, b in pairwise(turns) if "..." in a.content]
        assert asked
        for question, reply in asked:
            assert reply.rstrip(".").lower() not in question.lower().split("...")[1]
            assert any(f"{fact.value}." == reply and fact.subject in question for fact in world.facts)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_answers_are_of_the_world_or_of_what_the_chat_says(world: World, name: str) -> None:
    """No answer comes from nowhere, and none is given in words that are held out."""
    held_out = [wording.partition("{s}")[0] for item in PERSON_RELATIONS for wording in item.questions.held_out]
    held_out = [start for start in held_out if len(start.split()) > 2]
    trained = {start for item in PERSON_RELATIONS for start in item.questions.trained}
    held_out = [start for start in held_out if not any(start in other for other in trained)]
    values = {fact.value for fact in world.facts}
    for seed in range(8):
        said = ""
        for turn in make_chat(KINDS[name], world, world.facts, Random(seed)):
            reply = turn.content.rstrip(".")
            if turn.role == "assistant" and turn.sought is not None:
                assert turn.content == UNKNOWN_ANSWER or reply in values or reply.lower() in said.lower()
            if turn.role == "user":
                assert not any(start in turn.content for start in held_out)
            said += f" {turn.content}"


def test_the_learning_rate_follows_its_course() -> None:
    schedule = recipe.Schedule()
    assert schedule.factor(0, 0.0) == pytest.approx(1 / schedule.warm_up_steps)
    assert [schedule.factor(1000, at) for at, _ in schedule.rates[1:]] == pytest.approx(
        [rate for _, rate in schedule.rates[1:]]
    )
    assert schedule.factor(1000, 0.6) == pytest.approx(0.51, abs=0.001)
    assert all(early.until < late.until for early, late in pairwise(recipe.STAGES))
    assert all(sum(share for _, share in stage.mixture) == pytest.approx(1) for stage in recipe.STAGES)
