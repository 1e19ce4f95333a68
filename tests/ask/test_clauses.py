"""A message is taken apart into what it asks, each with its time and polarity; what asks nothing stays whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.ask.clauses import clauses
from agentmem.extract.english.names import named


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("Where does Ana live?", ["Where does Ana live?"]),
        ("where does ana live", ["where does ana live"]),
        ("Where does Ana live, and what is her hobby?", ["Where does Ana live?", "What is Ana's hobby?"]),
        ("Where does Ana live? And who is her boss?", ["Where does Ana live?", "Who is Ana's boss?"]),
        ("where does ana live and where does she work", ["Where does ana live?", "Where does ana work?"]),
        ("When and where does the party start?", ["When does the party start?", "Where does the party start?"]),
        ("What are my name and birthday?", ["What are my name?", "What are my birthday?"]),
        ("What is the age and nationality of Ana?", ["What is the age of Ana?", "What is the nationality of Ana?"]),
        ("Where do Ana and Ben live?", ["Where does Ana live?", "Where does Ben live?"]),
        ("Kestrel: which port, and who owns it?", ["Which port, about Kestrel?", "Who owns Kestrel?"]),
        ("How old are Ana's twins, and where does she work?", ["How old are Ana's twins?", "Where does Ana work?"]),
        ("Tell me where Ana lives and when she was born.", ["Where Ana lives?", "When Ana was born?"]),
        ("Do you know the answer? Where does Ana live?", ["Do you know the answer? Where does Ana live?"]),
        ("Can you tell me when Dr. Falk has lunch?", ["Can you tell me when Dr. Falk has lunch?"]),
        ("I left my key at home. Where is the spare one?", ["I left my key at home. Where is the spare one?"]),
        ("Who bakes and sells bread?", ["Who bakes and sells bread?"]),
        ("Which is better, tea or coffee, and why?", ["Which is better, tea or coffee?", "Why?"]),
    ],
)
def test_each_thing_that_is_asked_is_a_question_that_stands_alone(message: str, asked: list[str]) -> None:
    """Pronouns are replaced by whom they mean; a message that asks one thing is passed on as it is."""
    assert [clause.text for clause in clauses(message)] == asked
    assert all(clause.asks for clause in clauses(message))


@pytest.mark.parametrize(
    "message", ["I live in Porto.", "Thanks!", "My sister Ines moved to Rome and likes it.", "", "…"]
)
def test_what_asks_nothing_is_not_checked(message: str) -> None:
    (clause,) = clauses(message)

    assert clause.text == message
    assert not clause.asks


@pytest.mark.parametrize(
    ("message", "sense"),
    [
        ("Where does Ana live?", "holds"),
        ("Where does Ana live now?", "holds"),
        ("Where was Ana born?", "holds"),
        ("What should I take before breakfast?", "holds"),
        ("What do I have to do before the exam?", "holds"),
        ("Why doesn't the printer work?", "holds"),
        ("Doesn't Ana live in Porto?", "holds"),
        ("I don't remember where Ana lives. Where does she?", "holds"),
        ("I can't recall where Ana lives", "holds"),
        ("What is the name of the man who does not eat meat?", "holds"),
        ("Ana lives in Porto, doesn't she?", "holds"),
        ("Where does Ana not live?", "denied"),
        ("What doesn't Ana eat?", "denied"),
        ("who isnt coming to the party", "denied"),
        ("Where did Ana live before?", "held"),
        ("Where did Ana live before she moved?", "held"),
        ("Where did Ana use to live?", "held"),
        ("What was Ana's former employer?", "held"),
        ("Where does Ana no longer live?", "held"),
        ("what was my previous phone number", "held"),
        ("What was my old address?", "held"),
        ("Where is my old aunt?", "holds"),
    ],
)
def test_which_time_and_polarity_a_question_asks_for(message: str, sense: str) -> None:
    """A "not" counts where what is asked is what is not so: not in a confirmation, a reason, an aside or a relative clause."""
    assert clauses(message)[-1].sense == sense


@pytest.mark.parametrize(
    ("message", "topic", "kin"),
    [
        ("Where does Ana Delgado live?", "Ana Delgado", ""),
        ("where does eric live", "eric", ""),
        ("what does mr pettigrew keep", "pettigrew", ""),
        ("Where does my older sister live?", "my older sister", "sister"),
        ("What car does Mr Okafor's wife drive?", "Okafor's wife", "wife"),
        ("Who is Ana's sister?", "Ana", ""),
        ("What is the version on db-prod-7?", "db-prod-7", ""),
    ],
)
def test_whom_a_question_is_about(message: str, topic: str, kin: str) -> None:
    """By capitals, by titles, by the place of a name; a relative who is asked for is nobody who is asked about."""
    who = named(clauses(message)[0])

    assert (who.topic, who.kin) == (topic, kin)


@given(st.text(max_size=200))
def test_any_text_is_taken_apart_without_loss(text: str) -> None:
    """Nothing raises, there is always something to answer, and one thing that is asked is the message itself."""
    found = clauses(text)

    assert found
    assert len(found) > 1 or found[0].text == text
    assert all(isinstance(named(clause).topic, str) for clause in found)
