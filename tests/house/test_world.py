"""The generated world: what it promises to training, tests and benchmarks."""

from __future__ import annotations

from random import Random

import pytest

from agentmem.errors import InvalidArgument
from agentmem.evaluation import world as world_package
from agentmem.evaluation.world import (
    NOTES_HEADER,
    RELATIONS,
    UNKNOWN_ANSWER,
    Kind,
    ToldNote,
    World,
    WorldFact,
    WorldRelation,
    answer,
    random_date,
    relation,
    render_notes,
)
from agentmem.evaluation.world.text import fill, lead_in


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate()


def _subset(world: World) -> list[WorldFact]:
    return Random(3).sample(world.facts, 50)


def test_exported_names_are_sorted_and_exist() -> None:
    """Everything in `__all__` can be imported."""
    assert sorted(world_package.__all__) == sorted(set(world_package.__all__))
    assert all(hasattr(world_package, name) for name in world_package.__all__)


def test_same_seed_gives_the_same_world(world: World) -> None:
    """A world depends on its seed alone."""
    assert World.generate().facts == world.facts
    assert World.generate(seed=1).facts != world.facts


def test_size(world: World) -> None:
    """About 500 subjects and 2,600 facts, one per subject and relation."""
    assert (len(world.subjects("person")), len(world.subjects("company")), len(world.subjects("place"))) == (
        290,
        110,
        110,
    )
    assert len(world.subjects()) == len(set(world.subjects())) == 510
    assert len(world.facts) == 2620
    assert len({(fact.subject, fact.relation) for fact in world.facts}) == len(world.facts)


def test_facts_can_be_looked_up(world: World) -> None:
    """Every fact is found by subject and relation, and strangers have none."""
    fact = world.facts[100]

    assert world.fact(fact.subject, fact.relation) == fact
    assert fact in world.facts_about(fact.subject)
    assert world.fact("Nobody At All", fact.relation) is None
    assert world.facts_about("Nobody At All") == ()


@pytest.mark.parametrize("item", RELATIONS, ids=lambda item: item.name)
def test_wordings_are_many_and_held_out_ones_are_never_trained(item: WorldRelation) -> None:
    """Held-out wordings are disjoint from trained ones, and there are enough of both."""
    trained, held_out = set(item.all_questions()), set(item.all_questions(held_out=True))
    told, told_held_out = set(item.all_statements()), set(item.all_statements(held_out=True))

    assert len(trained) >= 12
    assert len(held_out) >= 4
    assert len(told) >= 12
    assert len(told_held_out) >= 3
    assert not trained & held_out
    assert not told & told_held_out
    assert all("{s}" in text for text in trained | held_out)
    assert all("{s}" in text and "{v}" in text for text in told | told_held_out)
    assert item.cloze.count("{s}") == 1
    assert relation(item.name) is item


@pytest.mark.parametrize("item", [item for item in RELATIONS if item.kind == "person"], ids=lambda item: item.name)
def test_people_speak_for_themselves(item: WorldRelation) -> None:
    """Relations of people have first-person wordings, held-out questions among them."""
    mine, held_out = set(item.all_my_questions()), set(item.all_my_questions(held_out=True))

    assert len(mine) >= 4
    assert len(held_out) >= 2
    assert not mine & held_out
    assert len(item.all_my_statements()) >= 5


def test_questions_never_contain_the_value_and_are_whole(world: World) -> None:
    """No placeholder is left, the subject is named, and lead-ins multiply the cores."""
    for fact in _subset(world):
        trained, held_out = world.questions(fact), world.questions(fact, held_out=True)

        assert not set(trained) & set(held_out)
        for question in trained + held_out:
            assert fact.subject in question
            assert "{" not in question
            assert question[0].isupper()
    assert world.question(fact, Random(1)) in trained
    assert world.question(fact, Random(1), held_out=True) in held_out


def test_statements_contain_subject_and_value(world: World) -> None:
    """Third-person statements name both, first-person ones the value."""
    for fact in _subset(world):
        for held_out in (False, True):
            for statement in world.statements(fact, held_out=held_out):
                assert fact.subject in statement
                assert fact.value.lower() in statement.lower()
        assert bool(world.my_statements(fact)) == (fact.kind == "person")
        assert all(fact.value.lower() in text.lower() for text in world.my_statements(fact))


@pytest.mark.parametrize("kind", ["person", "company", "place"])
def test_unknown_names_never_occur_and_splits_are_disjoint(world: World, kind: Kind) -> None:
    """Strangers are no subject and no value, and no test name can be met in training."""
    draw = {
        "person": world.unknown_people,
        "company": world.unknown_companies,
        "place": world.unknown_places,
    }[kind]
    train, test = set(draw(300, 1)), set(draw(300, 2, "test"))

    assert len(train) == len(test) == 300
    assert not train & test
    assert not (train | test) & ({fact.value for fact in world.facts} | set(world.subjects()))
    assert draw(5, 1) == draw(5, 1)


def test_counterfactual_is_another_value_of_the_relation(world: World) -> None:
    """A changed value is plausible and wrong; an invented one occurs nowhere."""
    rng = Random(4)
    for fact in _subset(world):
        value = world.counterfactual(fact, rng)

        assert value != fact.value
        assert value in world.values(fact.relation)
        assert world.invented_value(fact.relation, rng) not in world.values(fact.relation)


def test_notes_are_rendered_with_date_and_speaker() -> None:
    """The block of notes has the form that agentmem writes into prompts."""
    notes = [
        ToldNote("2026-03-01", "user", "Ana Torres lives in Porto."),
        ToldNote("2026-03-04", "Ana Torres", "I work as a nurse.", untrusted=True),
    ]

    assert render_notes(notes) == (
        f"{NOTES_HEADER}\n"
        "- [2026-03-01 user] Ana Torres lives in Porto.\n"
        "- [2026-03-04 Ana Torres, untrusted] I work as a nurse."
    )


def test_small_text_helpers() -> None:
    """Articles, capitals, answers and dates."""
    assert fill("{v} is what {s} does.", "Ana", "chess") == "Chess is what Ana does."
    assert fill("{s} is {a} {v}.", "Ana", "actor") == "Ana is an actor."
    assert lead_in("Tell me, ", "Where is it?", keep_capital=False) == "Tell me, where is it?"
    assert lead_in("Hello! ", "Where is it?", keep_capital=False) == "Hello! Where is it?"
    assert lead_in("Tell me, ", "Ana's job?", keep_capital=True) == "Tell me, Ana's job?"
    assert answer("Porto") == "Porto."
    assert answer(None) == UNKNOWN_ANSWER
    assert len(random_date(Random(1))) == len("2026-03-01")


def test_a_namesake_shares_one_name_and_is_no_stranger_of_the_tests(world: World) -> None:
    """Training may confuse people with their namesakes, but must not meet those that tests ask about."""
    rng = Random(5)
    strangers = set(world.unknown_people(3000, 1, "test"))
    known = set(world.subjects("person"))
    made = [(name, world.namesake(name, rng)) for name in world.subjects("person")[:60] for _ in range(10)]

    assert all(name != other and len(set(name.split()) & set(other.split())) == 1 for name, other in made)
    assert not strangers & {other for _, other in made}
    assert 0.2 < sum(other in known for _, other in made) / len(made) < 0.8


def test_more_strangers_than_there_are_names_are_refused(world: World) -> None:
    """A few thousand names are made of a few hundred parts; whoever asks for more must not wait for ever."""
    with pytest.raises(InvalidArgument, match="only 5,"):
        world.unknown_people(6_000, 1, "test")
