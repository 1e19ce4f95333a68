"""What was asked before, what was replied to it, and what repeats a note do not crowd out the note itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agentmem import Memory
from agentmem.extract.asking import LONGEST, MARKED, ONLY_ASKS, Asking

TOLD = (
    ("My sister Nora moved from Leeds to a houseboat in Bristol.", "How lovely! Houseboats are cosy."),
    ("The dentist wants to see me on Tuesday at eight.", "I have noted the appointment."),
    ("I gave up coffee, it keeps me awake; green tea in the morning now.", "Good for you!"),
    ("We run the billing service on port 8431 since the move.", "Understood, port 8431."),
    ("Our cat Pepper eats nothing but the salmon pouches.", "Pepper knows what is good."),
    ("Karel lent me his drill, he needs it back by the end of the month.", "I will remind you."),
)
ASKED = (
    ("Where does Nora live these days?", "Nora lives on a houseboat in Bristol."),
    ("Which port does billing listen on?", "The billing service listens on port 8431."),
    ("what do I drink in the mornings again", "Green tea, since coffee kept you awake."),
    ("need to know what Pepper eats", "Pepper eats only the salmon pouches."),
)
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def exchange(memory: Memory, number: int, said: str, reply: str) -> None:
    """A turn of the user and one of an assistant, a day after the one before, in a conversation of their own."""
    at = START + timedelta(days=number)
    memory.remember_many(
        [
            {"content": said, "actor": "user", "session": f"s{number}", "occurred_at": at},
            {"content": reply, "actor": "assistant", "session": f"s{number}", "occurred_at": at + timedelta(seconds=9)},
        ],
        progress=False,
    )


@pytest.fixture(scope="module")
def asked_often() -> Iterator[Memory]:
    """A memory to which everything was told once, and of which each question was asked six times."""
    with Memory(None) as memory:
        for number, (said, reply) in enumerate(TOLD):
            exchange(memory, number, said, reply)
        for time_ in range(6):
            for number, (question, reply) in enumerate(ASKED):
                exchange(memory, 10 + 10 * time_ + number, question, reply)
        yield memory


@pytest.mark.parametrize(
    ("question", "note"),
    [(ASKED[0][0], TOLD[0][0]), (ASKED[1][0], TOLD[3][0]), (ASKED[2][0], TOLD[2][0]), (ASKED[3][0], TOLD[4][0])],
)
def test_what_was_asked_before_is_no_answer(asked_often: Memory, question: str, note: str) -> None:
    """With a question mark or without, asked six times: what was told stands first, and what repeats it behind."""
    found = [hit.note.content for hit in asked_often.recall(question, k=8)]

    assert found[0] == note
    replies = dict(ASKED)
    assert replies[question] not in found or found.index(replies[question]) > 0


@pytest.mark.parametrize("question", [question for question, _ in ASKED])
def test_a_prompt_holds_each_thing_once(asked_often: Memory, question: str) -> None:
    """Six equal notes take one of the first places."""
    found = [hit.note.content for hit in asked_often.recall(question, k=5)]

    assert len(set(found)) == len(found)


def test_one_text_said_often_leaves_the_other_places_to_others(asked_often: Memory) -> None:
    """Of six copies of a question and of its reply none stands before what else was told."""
    found = [hit.note.content for hit in asked_often.recall(ASKED[0][0], k=40)]

    first_copy = next(place for place, text in enumerate(found) if text in found[:place])
    assert {said for said, _ in TOLD} <= set(found[:first_copy])


def test_what_is_said_again_is_still_found_behind_everything_else(asked_often: Memory) -> None:
    """A copy has no place among the first, and yet every one is there for whoever reads on."""
    found = [hit.note.content for hit in asked_often.recall(ASKED[0][0], k=60)]

    assert found.count(ASKED[0][0]) == 6


def test_what_is_told_in_the_words_of_the_query_is_found() -> None:
    """A note is not put away for being what one searches for."""
    with Memory(None) as memory:
        for number, (said, reply) in enumerate(TOLD):
            exchange(memory, number, said, reply)
        for said, _ in TOLD:
            assert memory.recall(said)[0].note.content == said


def test_a_question_that_somebody_else_answered_leads_to_the_answer() -> None:
    """Between people the turn after a question tells what was asked; only what an assistant replies repeats."""
    with Memory(None) as memory:
        turns = [("Bo", "Where did you two meet?"), ("Ana", "At a dance class in Ghent."), ("Bo", "How romantic.")]
        memory.remember_many(
            [{"content": text, "actor": actor, "session": "s"} for actor, text in turns], progress=False
        )

        assert memory.recall("Where did you two meet?", k=2)[0].note.content == turns[1][1]


def test_an_assistants_reply_that_nobody_told_is_found() -> None:
    """What repeats no note is the only place where it stands."""
    with Memory(None) as memory:
        exchange(memory, 0, "What should I read about tides?", "Try 'The Sea Around Us' by Rachel Carson.")
        exchange(memory, 1, "I painted the fence green.", "Nice!")

        found = [hit.note.content for hit in memory.recall("Which book about tides did you recommend?", k=2)]
        assert found[0].startswith("Try ")


ONLY = (
    "Write me a polite letter to the landlord about the mould.",
    "which day did the plumber come",
    "remind me what we said about the roof",
    "And what was it that Karel lent me?",
)
TELLING = (
    "From now on answer me in Dutch, please, I am trying to learn it.",
    "The plumber came yesterday and changed the valve.",
    "Always mention the price when I ask about tools.",
    "I got the job in Graz! Which train should I take on Monday?",
    "Ana's sister lives in Oslo.",
)


@pytest.mark.parametrize("text", ONLY)
def test_what_only_asks_is_told_with_and_without_a_question_mark(text: str) -> None:
    assert ONLY_ASKS.likely(text) > 0.5


@pytest.mark.parametrize("text", TELLING)
def test_what_tells_while_it_asks_is_no_mere_question(text: str) -> None:
    assert ONLY_ASKS.likely(text) < 0.5


def test_of_a_language_that_was_not_learnt_the_end_tells() -> None:
    assert ONLY_ASKS.likely("¿Cuándo tengo la próxima cita con la dentista?") == MARKED
    assert ONLY_ASKS.likely("La dentista quiere verme el martes a las ocho de la mañana.") == 0.0
    assert ONLY_ASKS.likely("いつ歯医者に行きますか？") == MARKED
    assert ONLY_ASKS.likely("") == ONLY_ASKS.likely("\n ") == 0.0
    assert ONLY_ASKS.likely("what was it again " + "x" * LONGEST) == 0.0


def test_weights_are_read_as_they_were_written() -> None:
    some = Asking.parse("5.5\t-1.0\t2.0\t-0.5\nwhat was\t3.5\t2.25\n")
    assert Asking.parse(some.written()) == some
