"""What stands first: the parts of a score, seen through recall()."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem import Memory
from agentmem.notes.clock import ManualClock
from agentmem.notes.columns import FacetColumns
from agentmem.notes.rows import Facets
from agentmem.recall.echoes import Alike
from agentmem.recall.query import QueryView
from agentmem.recall.rank import SMALL_SCOPE, calibrated
from agentmem.recall.updates import interference
from agentmem.recall.weights import RankingWeights

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
CHAT = (
    ("Ben", "Good morning!"),
    ("Ana", "I am so tired today."),
    ("Ben", "What breed is your new dog?"),
    ("Ana", "He is a corgi, and he snores."),
    ("Ben", "Funny!"),
    ("Ana", "My sister has a garden full of tulips."),
)


def _told(memory: Memory) -> list[str]:
    items = [
        {"content": text, "actor": who, "session": "s1", "occurred_at": START + timedelta(minutes=place)}
        for place, (who, text) in enumerate(CHAT)
    ]
    return [str(receipt.id) for receipt in memory.remember_many(items, progress=False)]


def _order(ranking: RankingWeights, query: str) -> list[str]:
    with Memory(None, embedder="hash", ranking=ranking) as memory:
        _told(memory)
        return [hit.note.content for hit in memory.recall(query, k=len(CHAT))]


def test_a_question_that_has_all_the_words_is_held_back() -> None:
    """Somebody's own question fits a query best and answers nothing; its weight says how much that counts. One that is the query itself,
    nearly, does not stand first anyway.
    """
    asked = "What breed is your new dog?"
    places = [
        _order(RankingWeights(question=malus, asked=0.0), "How old is the new dog, and what is it good for?").index(
            asked
        )
        for malus in (0.0, 0.1, 2.0)
    ]

    assert places[0] == 0
    assert places == sorted(places)
    assert _order(RankingWeights(question=0.0), "What breed is your dog?").index(asked) > 0
    assert places[-1] == len(CHAT) - 1


@pytest.mark.parametrize("end", ["? ", "?\n", "?"])
def test_what_tells_something_before_it_asks_is_not_held_back(end: str) -> None:
    """A long turn that ends in a question holds what it told; a greeting before the question changes nothing."""
    told = "My new dog is a corgi from the shelter by the river, he is two years old, he snores at night, and he chases every bicycle that comes past our house."
    with Memory(None, embedder="hash") as memory:
        memory.remember_many(
            [f"{told} He is lovely. What should I feed him{end}", f"Good morning! What breed is the dog{end}"],
            progress=False,
        )
        parts = {
            hit.note.content[:4]: hit.reasons.get("question", 0.0)
            for hit in memory.recall("What breed is the dog?", k=5)
        }

    assert parts == {"My n": 0.0, "Good": -RankingWeights().question}


def test_a_hit_says_that_it_only_asks() -> None:
    """The malus is one of the reasons, by name, and equals its weight."""
    with Memory(None, embedder="hash", ranking=RankingWeights(question=0.2)) as memory:
        _told(memory)
        parts = {
            hit.note.content: hit.reasons
            for hit in memory.recall("How old is the new dog, and what is it good for?", k=5)
        }

    assert parts["What breed is your new dog?"]["question"] == pytest.approx(-0.2)
    assert "question" not in parts["He is a corgi, and he snores."]


def test_activation_flows_forward_more_than_back() -> None:
    """Of the two neighbours of a hit the later one gets more: it may answer, the earlier one cannot."""
    with Memory(None, embedder="hash") as memory:
        _told(memory)
        lifted = {
            hit.note.content: hit.reasons.get("links", 0.0) for hit in memory.recall("What breed is the dog?", k=5)
        }

    assert lifted["He is a corgi, and he snores."] > lifted["I am so tired today."] > 0


def _versions(memory: Memory, clock: ManualClock, **options: object) -> list[str]:
    """Where the ladder was, month by month, and one old fact that nothing resembles; returns the ids, oldest first."""
    ids = [str(memory.remember("My grandmother was born in a mill near Faro.", **options).id)]
    for place in ("shed", "attic", "garage", "cellar"):
        clock.advance(days=30)
        ids.append(str(memory.remember(f"I put the long ladder into the {place} today.", **options).id))
    clock.advance(days=1)
    return ids


def test_of_several_versions_the_newest_stands_first() -> None:
    """The curve decides among notes that say nearly the same; turned off, the words alone decide."""
    clock = ManualClock()
    with Memory(None, embedder="hash", clock=clock) as memory:
        ids = _versions(memory, clock)
        hits = memory.recall("Where did I put the long ladder?", k=5)
        oldest = memory.why_not("Where did I put the long ladder?", ids[1], k=1)

    assert [hit.note.id for hit in hits[:4]] == ids[:0:-1]
    assert "interference" not in hits[0].reasons
    lost = [hit.reasons["interference"] for hit in hits[1:4]]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] < 0
    assert "mostly by interference (0.000 against -" in oldest.reason


def test_a_practised_version_stands_before_a_newer_one() -> None:
    """What was used again and again is stronger than what was only said later."""
    clock = ManualClock()
    with Memory(None, embedder="hash", clock=clock) as memory:
        ids = _versions(memory, clock)
        clock.advance(days=60)
        for _ in range(5):
            clock.advance(days=10)
            memory.reinforce(ids[2])

        assert memory.recall("Where did I put the long ladder?")[0].note.id == ids[2]


def test_an_old_note_without_a_rival_loses_nothing() -> None:
    """However old it is, what nothing else says is not held back."""
    clock = ManualClock()
    with Memory(None, embedder="hash", clock=clock) as memory:
        ids = _versions(memory, clock)
        clock.advance(days=2000)
        memory.remember("I put the long ladder beside the mill today.")
        first = memory.recall("Where was my grandmother born?")[0]

    assert first.note.id == ids[0]
    assert "interference" not in first.reasons


def test_an_archived_version_is_held_back_when_asked_for() -> None:
    """With faded=True the active version still stands before those that have faded."""
    clock = ManualClock()
    with Memory(None, embedder="hash", clock=clock) as memory:
        ids = _versions(memory, clock)
        assert set(memory.fade().ids) >= set(ids[1:4])
        found = [hit.note.id for hit in memory.recall("Where did I put the long ladder?", faded=True)]

    assert found[0] == ids[4]
    assert set(ids[1:]) <= set(found)


def _facet(row: int, at: int = 0, asks: bool = False, actor: str | None = None) -> Facets:
    return Facets(row, 1, actor, None, at, 10, 0.5, 1.0, 1.0, 5.0, 0, 0, False, None, None, None, None, asks)


def _lost(
    facets: list[Facets], base: list[float], strength: list[float], cosine: float = 1.0, **options: object
) -> list[float]:
    n, columns = len(facets), FacetColumns(facets)
    query = QueryView("x", spans=options.pop("spans", ()))
    alike = Alike(np.arange(n), np.full((n, n), cosine))
    return interference(columns, np.array(base), np.array(strength), alike, query, **options).tolist()


def test_who_is_a_rival_and_who_is_not() -> None:
    """Unlike notes, notes that fit much worse, of another actor, that ask, that no longer hold, or of another time than asked for are none."""
    pair = [_facet(1), _facet(2)]

    assert _lost(pair, [0.5, 0.5], [0.4, 1.0]) == pytest.approx([0.6, 0.0])
    assert _lost(pair, [0.5, 0.5], [0.4, 1.0], cosine=0.5) == [0.0, 0.0]
    assert _lost(pair, [0.9, 0.5], [0.4, 1.0]) == [0.0, 0.0]
    assert _lost([_facet(1, actor="Ana"), _facet(2, actor="Ben")], [0.5, 0.5], [0.4, 1.0]) == [0.0, 0.0]
    assert _lost([_facet(1), _facet(2, asks=True)], [0.5, 0.5], [0.4, 1.0]) == [0.0, 0.0]
    assert _lost(pair, [0.5, 0.5], [0.4, 1.0], ended=np.array([False, True])) == [0.0, 0.0]
    assert _lost([_facet(1, at=15), _facet(2, at=30)], [0.5, 0.5], [0.4, 1.0], spans=((10, 20),)) == [0.0, 0.0]
    assert _lost([_facet(1, at=15), _facet(2, at=16)], [0.5, 0.5], [0.4, 1.0], spans=((10, 20),))[0] > 0
    assert _lost([_facet(1)], [0.5], [0.4]) == [0.0]
    none = Alike(np.empty(0, np.int64), np.empty((0, 0)))
    assert interference(FacetColumns(pair), np.ones(2), np.ones(2), none, QueryView("x")).tolist() == [0.0, 0.0]


@given(values=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1), st.booleans()), min_size=1, max_size=12))
def test_interference_is_bounded_and_spares_the_strongest(values: list[tuple[float, float, bool]]) -> None:
    """It lies in [0, 1], and the strongest memory of all loses nothing."""
    facets = [_facet(row, asks=asks) for row, (_, _, asks) in enumerate(values)]
    strength = [r for _, r, _ in values]
    lost = _lost(facets, [b for b, _, _ in values], strength)

    assert all(0 <= value <= 1 for value in lost)
    assert lost[strength.index(max(strength))] == 0


@pytest.mark.parametrize("asked", ["{q}\n\n{paste}", "{paste}\n\n{q}"])
def test_a_question_is_found_at_either_end_of_a_pasted_document(memory: Memory, asked: str) -> None:
    """What of it was searched for is said; the query itself stays whole."""
    _told(memory)
    paste = "Lorem ipsum dolor sit amet. " * 4_000
    query = asked.format(q="What is in the garden of my sister? Are there tulips?", paste=paste)

    found = memory.recall(query, k=1)

    assert found[0].note.content == CHAT[-1][1]
    assert (found.query, found.degraded) == (query, False)
    assert f"{len(query):,}" in str(found.plan["query"])
    assert memory.why_not(query, found[0].note.id).rank == 1


def test_a_long_question_reaches_the_model_whole(clock: ManualClock) -> None:
    """Only what is searched for is cut: whoever pastes a document wants an answer about all of it."""
    heard: list[str] = []

    def model(messages: Sequence[Mapping[str, str]]) -> str:
        heard.append(messages[-1]["content"])
        return "Yes."

    question = "word " * 3_000 + "Is that all?"
    with Memory(None, embedder="hash", clock=clock, llm=model) as memory:
        memory.ask(question)

    assert heard == [question]


def test_a_name_of_several_words_is_one_word(memory: Memory) -> None:
    """What is told of Ana Delgado says more of her than what another Delgado and another Ana do."""
    memory.remember("Victor Delgado has a hobby, curling.")
    memory.remember("Ana Winter has a hobby, chess.")
    hers = memory.remember("Ana Delgado spends free time on running.").id

    found = memory.recall("What is Ana Delgado's hobby?")

    text = {hit.note.id: hit.reasons.get("text", 0.0) for hit in found}
    assert all(text[hers] > 1.2 * other for note, other in text.items() if note != hers)


FILMS = ("My favourite film is Amelie.", "My favorite movie is now Alien.", "Update: my favorite movie is Heat.")


def test_the_present_value_answers_in_the_words_of_a_former_one(memory: Memory, clock: ManualClock) -> None:
    """However well the words of the former ones fit; and each of them stays where it is found."""
    told = []
    for text in FILMS:
        clock.advance(days=30)
        told.append(str(memory.remember(text).id))
    amelie, alien, heat = told
    assert memory.get(alien).valid_to is not None

    found = memory.recall("What is my favourite film?")

    assert found.hits[0].note.id == heat
    assert found.hits[0].reasons["successor"] > 0
    assert {amelie, alien} <= {hit.note.id for hit in found}
    assert (
        "successor"
        not in memory.recall("What is my favourite film?", as_of=memory.get(alien).valid_from).hits[0].reasons
    )


def test_who_asks_about_a_time_gets_what_was_said_then(memory: Memory) -> None:
    memory.remember(FILMS[0], occurred_at="2026-01-10")
    memory.remember(FILMS[2], occurred_at="2026-02-20")

    assert memory.recall("What was my favourite film in January 2026?").hits[0].note.content == FILMS[0]


def test_a_possessive_asks_for_the_one_it_is_of(memory: Memory) -> None:
    """Notes that say "Wagner's" are not preferred to those that say "Wagner"."""
    hers = memory.remember("Clara Wagner likes karate most of all hobbies.").id
    memory.remember("The guitar of the Wagner's is for sale, Clara heard.")

    assert memory.recall("Clara Wagner's hobbies")[0].note.id == hers


@given(st.integers(0, 10_000_000), st.integers(0, 10_000_000))
def test_a_word_tells_less_among_more_notes(some: int, others: int) -> None:
    """In a scope of one conversation nothing changes; beyond, a point of full text counts for less the more notes there are, never for
    nothing, and nothing else does.
    """
    weights = RankingWeights()
    fewer, more = (calibrated(weights, notes) for notes in sorted((some, others)))

    assert 0 < more.text <= fewer.text <= weights.text
    assert (fewer == weights) == (min(some, others) <= SMALL_SCOPE)
    assert replace(more, text=weights.text) == weights


@pytest.mark.parametrize(
    "order",
    [
        order if place % 5 == 0 else pytest.param(order, marks=pytest.mark.slow)
        for place, order in enumerate(permutations(range(4)))
    ],
)
def test_of_values_told_in_any_order_the_newest_stands_first(order: tuple[int, ...]) -> None:
    """Three values and the first one again: whichever was told to the memory last, they stand from the newest to the oldest."""
    told = ["third", "fourth", "fifth", "third"]
    with Memory(None) as memory:
        for place in order:
            memory.remember(
                f"The office is on the {told[place]} floor.",
                occurred_at=START + timedelta(days=30 * place),
                merge=False,
            )
        hits = memory.recall("Which floor is the office on?")

        assert [(hit.note.occurred_at - START).days // 30 for hit in hits][:1] == [3]
        assert [hit.note.content for hit in hits][:2] == [
            f"The office is on the {told[3]} floor.",
            f"The office is on the {told[2]} floor.",
        ]


def test_requests_for_what_a_note_tells_stand_behind_it() -> None:
    """Asked before without a question mark, in nearly the words of the query, it is no answer."""
    asked = ("Tell me when the swimming pool closes please",)
    with Memory(None) as memory:
        memory.remember("The pool shuts at nine on weekdays.", actor="user", occurred_at=START)
        for day, words in enumerate(asked, 1):
            memory.remember(words, actor="user", session=f"s{day}", occurred_at=START + timedelta(days=day))
        assert memory.recall("When does the swimming pool close?")[0].note.content.startswith("The pool shuts")


def test_a_prompt_has_what_tells_and_not_what_was_asked() -> None:
    """An agent that stores every turn finds its own questions; they take no room in a prompt, unless they are wanted there."""
    asked = "Which database do we use for the invoices?"
    with Memory(None) as memory:
        memory.remember({"role": "user", "content": "The invoices live in Postgres."}, session="s0")
        for number in range(1, 4):
            memory.remember(
                {"role": "user", "content": f"{asked[:-1]}{'?' * number}"}, session=f"s{number}", merge=False
            )
        found = memory.recall(asked, k=5)

        memory.remember(
            {"role": "user", "content": "We adopted a kitten called Mimi. What do kittens eat?"}, session="s4"
        )
        assert "Mimi" in memory.recall("What do kittens eat?").context()
        assert len(found) == 4
        assert "Which database" not in found.context()
        assert "Postgres" in found.context()
        assert "Which database" in found.context(questions=True)
