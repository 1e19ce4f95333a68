"""What an edit may answer: questions about its own subject, for users whose own notes do not say otherwise, with its own words."""

from __future__ import annotations

import pytest

from agentmem import Fact, Memory, Scope
from agentmem.ask.mention import is_about
from agentmem.llm.small_model import load_small_model


@pytest.fixture(scope="module")
def model():
    return load_small_model()


def learnt(memory, text, fact, **options):
    memory.reinforce(memory.remember(text, fact=fact, **options).id, **options)
    return memory.consolidate()


@pytest.mark.parametrize(
    "fact",
    [
        Fact("Ida Moor", "lives in", "Rome", question="Hello"),
        Fact("Ida Moor", "lives in", "Rome", question="Where does Bo Varga live?"),
        Fact("Ida Moor", "lives in", "Rome", question="Where does Bo Moor live?"),
        Fact("Ida Moor", "lives in", "Rome", question="Which city does she call home?"),
        Fact("Ida Moor", "lives in", "Rome", paraphrases=("Where does Bo Varga live?",)),
        Fact("What is the capital of France", "lives in", "Rome"),
        Fact("the", "lives in", "Rome"),
        Fact("user", "lives in", "Rome", question="Where does Ida live?"),
    ],
    ids=str,
)
def test_a_question_that_does_not_name_the_subject_is_no_key(model, fact):
    with Memory(None, model=model, scope=Scope(user="u")) as memory:
        report = learnt(memory, "Ida Moor lives in Rome.", fact)
        assert not report.promoted
        assert memory.edits() == []


def test_a_users_own_note_counts_more_than_a_shared_edit(model):
    with Memory(None, model=model) as memory:
        assert learnt(memory, "Ines Varga lives in Porto.", Fact("Ines Varga", "lives in", "Porto")).promoted
        memory.remember("Ines Varga lives in Lima.", user="a", fact=Fact("Ines Varga", "lives in", "Lima"))

        asked = memory.ask("Where does Ines Varga live?", user="a")

        assert asked.source != "weights"
        assert memory.ask("Where does Ines Varga live?", user="b").source == "weights"


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("Where does Ines Varga live?", True),
        ("Which city does ines varga call home?", True),
        ("What is Ines Varga's home city?", True),
        ("What is the home of Ines Varga?", True),
        ("Where's Ines Varga living?", True),
        ("Tell me where Ines Varga lives.", True),
        ("Where do Ines Varga's parents live?", False),
        ("Where do the neighbours of Ines Varga live?", False),
        ("Where does the other Ines Varga live?", False),
        ("Where does everyone except Ines Varga live?", False),
        ("Where does Ines Varga Jr. live?", False),
        ("Where does Ines Varga, the elder, live?", False),
        ("Where does Ines Varga II live?", False),
        ("Where do Ines Varga's parents live, and where does Ines Varga live?", True),
    ],
)
def test_who_is_mentioned_is_not_always_who_is_asked_about(question, about):
    known = (
        "Where does Ines Varga live?",
        "Which place does Ines Varga call home?",
        "What is Ines Varga's home city?",
        "She lives in Porto.",
    )
    assert is_about(question, "Ines Varga", known) == about


def test_an_answer_that_is_not_the_edits_own_is_not_given_as_the_weights(model):
    with Memory(None, model=model) as memory:
        assert learnt(memory, "Bo Lindqvist plays the cello.", Fact("Bo Lindqvist", "plays", "the cello")).promoted
        for asked in (
            "What instrument does Bo Lindqvist hate?",
            "Which instrument did Bo Lindqvist give up?",
            "What instrument does Bo Lindqvist play?",
        ):
            answer = memory.ask(asked)
            assert answer.source != "weights" or "cello" in answer.text
