"""What of the recalled notes reaches a prompt: real embeddings, real recall."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentmem import Fact, Memory, Settings
from agentmem.ask.present import about_others, presentable
from agentmem.recall.weights import RankingWeights

UNNAMED = RankingWeights().unnamed


@pytest.fixture(scope="module")
def memory() -> Iterator[Memory]:
    with Memory(None) as memory:
        for content, actor in (
            ("Ana Duarte lives in Porto.", "user"),
            ("Bert plays the cello in the town orchestra.", "user"),
            ("I moved to Riga last year.", "Clara"),
            ("My dentist is Dr. Weiss.", "user"),
            ("Where does Ana live?", "user"),
            ("Oxford.", "assistant"),
        ):
            memory.remember(content, actor=actor, user="u")
        assert any(note.fact and note.fact.object == "Porto" for note in memory.notes(user="u"))
        yield memory


def presented(memory: Memory, query: str, unnamed: float = UNNAMED, k: int = 5) -> set[str]:
    found = presentable(memory.recall(query, user="u", k=10), k, unnamed=unnamed)
    return {note.content for note in found.notes}


@pytest.mark.parametrize(
    "query",
    [
        "Where was Brontë Airlines founded?",
        "What does Zoltan Fekete have for breakfast?",
        "Remind me: who painted the Mona Lisa?",
    ],
)
def test_notes_about_others_stay_out(memory: Memory, query: str) -> None:
    """None is about whom the question names, and none comes near to it."""
    assert len(memory.recall(query, user="u")) > 3
    assert presented(memory, query) == set()
    assert presented(memory, query, unnamed=0.0)


@pytest.mark.parametrize(
    ("query", "answering"),
    [
        ("Where does Ana live?", "Ana Duarte lives in Porto."),
        ("What does Berthold play?", "Bert plays the cello in the town orchestra."),
        ("To which city did Clara move?", "I moved to Riga last year."),
        ("who is my dentist?", "My dentist is Dr. Weiss."),
        ("Hey Alexa, what was my dentist's name again?", "My dentist is Dr. Weiss."),
        ("in which city is the flat?", "Ana Duarte lives in Porto."),
    ],
)
def test_one_mention_lets_all_in(memory: Memory, query: str, answering: str) -> None:
    """By name, short or long, by who spoke, or because the question names nobody or is about who asks."""
    assert answering in presented(memory, query)


def test_a_short_name_is_mentioned_by_what_somebody_has() -> None:
    """ "Kim's knee" is about Kim, however short the name: a question about Kim gets the note."""
    with Memory(None) as memory:
        memory.remember("The rent for Eva's studio went up again.", user="u")
        memory.remember("Kim’s knee was operated on.", user="u")

        for query in ("Why is Eva short of money?", "Why does Kim limp?"):
            assert not about_others(query, memory.recall(query, user="u").hits)


@pytest.mark.parametrize(
    ("query", "others"),
    [
        ("Who is the mayor of Porto?", True),  # a statement is about its subject
        ("I forgot: about Lemsten: who is the mayor?", True),
        ("Tell me about Zoltan.", True),
        ("Tell me about Ana.", False),
        ("Did I tell Zoltan about it?", False),
        ("Is there a letter for me, Zoltan?", False),
        ("what do people eat?", False),
    ],
)
def test_whether_notes_are_about_others(memory: Memory, query: str, others: bool) -> None:
    assert about_others(query, memory.recall(query, user="u", k=10).hits) is others


def test_what_comes_near_needs_no_name(memory: Memory) -> None:
    """Somebody may be remembered under another name."""
    found = memory.recall("Does Roberta play the cello in an orchestra?", user="u", k=3)

    assert about_others(found.query, found.hits)
    assert presentable(found, 3, unnamed=UNNAMED).hits == found.hits


def test_questions_and_bare_replies_stay_out(memory: Memory) -> None:
    said = presented(memory, "Where does Ana live?", k=10)

    assert {"Oxford.", "Where does Ana live?"}.isdisjoint(said)


def test_what_the_prompt_shows_is_not_shown_twice(memory: Memory) -> None:
    found = memory.recall("Where does Ana live?", user="u", k=10)
    best = presentable(found, 1).hits[0].note

    assert best.id not in {n.id for n in presentable(found, 10, shown=[best.id]).notes}


def test_a_model_keeps_its_own_answer_when_the_notes_are_about_others() -> None:
    """The shipped model knows the fact; five notes about other people do not talk it out of it."""
    from agentmem.evaluation.world import World, answer

    world = World.generate()
    fact = next(f for f in world.facts if f.relation == "headquarters")
    question = world.questions(fact)[0]
    with Memory(None, model="small", settings=Settings()) as memory:
        for other in [f for f in world.facts if f.kind == "person"][:5]:
            memory.remember(world.statements(other)[0], user="u")
        said = memory.ask(question, user="u")

    assert (said.text, said.source, said.notes) == (answer(fact.value), "model", ())


@pytest.fixture(scope="module")
def family() -> Iterator[Memory]:
    with Memory(None) as memory:
        for name, work in (
            ("Rosa Salazar", "potter"),
            ("Leila Salazar", "florist"),
            ("Mrs Salazar", "teacher"),
            ("Rosa", "baker"),
        ):
            memory.remember(f"{name} works as a {work}.", fact=Fact(name, "works as", work), user="u")
        memory.remember("Leila Salazar is Rosa Salazar's sister.", user="u")
        yield memory


FLORIST = "Leila Salazar works as a florist."


@pytest.mark.parametrize(
    ("query", "florist"),
    [
        ("What does Rosa Salazar do for a living?", False),
        ("Which company does Rosa Salazar work for?", False),
        ("What does Rosa Salazar's sister do?", True),
        ("What does the younger sister of Rosa Salazar do?", True),
        ("What do Rosa Salazar and Leila do?", True),
        ("What does Leila Salazar do?", True),
        ("What do the Salazars do?", True),
        ("What does Otto Salazar do?", True),
    ],
)
def test_a_namesake_stays_out_when_something_is_told_of_the_one_who_is_named(
    family: Memory, query: str, florist: bool
) -> None:
    shown = presented(family, query)
    assert (FLORIST in shown) == florist
    assert "Leila Salazar is Rosa Salazar's sister." in shown, "what mentions both stays"
    assert {"Rosa works as a baker.", "Mrs Salazar works as a teacher."} & shown, "who may be the same person stays"


def test_without_the_rule_about_others_namesakes_stay(family: Memory) -> None:
    assert FLORIST in presented(family, "What does Rosa Salazar do for a living?", unnamed=0.0)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("We adopted a kitten called Mimi. What do kittens eat?", True),
        ("Thanks!\nWe adopted a kitten called Mimi.\nWhat do kittens eat?", True),
        ("Wow, that's great! Which kitten did you adopt?", False),
        ("Which kitten did we adopt? Was it Mimi?", False),
    ],
)
def test_what_tells_something_before_it_asks_reaches_the_prompt(content: str, shown: bool) -> None:
    with Memory(None, embedder="hash") as memory:
        memory.remember(content, actor="user", user="u")
        found = memory.recall("Which kitten did we adopt?", user="u")
        assert presentable(found, 5).notes == (found.notes if shown else ())
