"""From facts to questions: natural, several, with held-out probes that no key has seen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentmem.consolidation.phrasing import (
    NotPhrased,
    Phrased,
    paraphrases,
    phrase,
    question,
    requests_for,
    target,
)
from agentmem.extract.relations import RELATIONS
from agentmem.notes.note import Fact, MemoryState, Note

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def note(fact: Fact | None) -> Note:
    return Note(
        id="1",
        content="x",
        occurred_at=NOW,
        created_at=NOW,
        state=MemoryState(1, 5, NOW),
        facts=(fact,) if fact else (),
    )


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (Fact("Ana", "lives in", "Porto"), "Where does Ana live?"),
        (Fact("user", "lives in", "Porto"), "Where do I live?"),
        (Fact("user's sister", "name", "Ana"), "What is my sister's name?"),
        (Fact("user", "favourite food", "pizza"), "What is my favourite food?"),
        (Fact("Ana", "favorite animal", "cat"), "What is Ana's favourite animal?"),
        (Fact("France", "capital", "Paris"), "What is the capital of France?"),
        (Fact("Porto", "river", "Douro"), "Which river flows through Porto?"),
        (Fact("Acme", "founded in", "1987"), "When was Acme founded?"),
        (Fact("Ana", "home city", "Porto"), "Where does Ana live?"),
        (Fact("Ana", "shoe size", "38"), "What is the shoe size of Ana?"),
        (Fact("user", "shoe size", "38"), "What is my shoe size?"),
        (Fact("Ana", "boss", "Tom"), "Who is the boss of Ana?"),
        (Fact("James", "favourite food", "rice"), "What is James' favourite food?"),
        (Fact("Ana", "lives in", "Porto", question="Where's Ana?"), "Where's Ana?"),
    ],
)
def test_questions_are_what_people_ask(fact, expected):
    """Each relation has its natural question; the user is asked about in the first person."""
    assert question(fact) == expected


@pytest.mark.parametrize("subject", ["Ana Silva", "user", "user's sister"])
@pytest.mark.parametrize("name", [*RELATIONS, "favourite tree", "shoe size", "reports to"])
def test_every_relation_has_keys_and_held_out_probes(name, subject):
    """At least four paraphrases for keys and two probes, all different, no probe inside a key."""
    made = phrase(Fact(subject, name, "Porto"))

    assert isinstance(made, Phrased)
    assert len(made.paraphrases) >= 4
    assert len(made.probes) >= 2
    everything = [made.question, *made.paraphrases, *made.probes]
    assert len({text.casefold() for text in everything}) == len(everything)
    assert not [p for p in made.probes for key in (made.question, *made.paraphrases) if p in key]
    assert not any(set("{}[]|") & set(text) for text in everything)
    assert all("Porto" not in text for text in everything)


@pytest.mark.parametrize("name", [*RELATIONS, "shoe size"])
def test_the_first_person_is_grammatical(name):
    """Questions about the user say "do I" and "am I", never "does I" or "is I"."""
    made = phrase(Fact("user", name, "Porto"))

    assert isinstance(made, Phrased)
    text = " ".join((made.question, *made.paraphrases, *made.probes))
    assert not [bad for bad in ("does I", "is I ", "is I?", "user", "I's", "their") if bad in text]


def test_what_the_fact_brings_comes_first():
    """A fact's own question and paraphrases are used before any made by rule."""
    fact = Fact("Ana", "lives in", "Porto", question="Ana's town?", paraphrases=("Town of Ana?", "Where's Ana at?"))
    made = phrase(fact)

    assert isinstance(made, Phrased)
    assert made.question == "Ana's town?"
    assert made.paraphrases[:2] == ("Town of Ana?", "Where's Ana at?")
    assert not {"Town of Ana?", "Where's Ana at?"} & set(made.probes)
    assert paraphrases(fact)[:2] == ["Town of Ana?", "Where's Ana at?"]


def test_the_target_is_the_answer_with_a_full_stop():
    """The object is said as it is, ended once."""
    assert target(Fact("Ana", "lives in", "Porto")) == "Porto."
    assert target(Fact("Ana", "lives in", " Porto. ")) == "Porto."
    assert target(Fact("Ana", "motto", "Carpe diem!")) == "Carpe diem!"


@pytest.mark.parametrize(
    "fact",
    [
        None,
        Fact("", "lives in", "Porto"),
        Fact("Ana", "lives in", "  "),
        Fact("she", "lives in", "Porto"),
        Fact("Ana", "biography", "word " * 40),
        Fact("Ana", "poem", "one\ntwo"),
    ],
)
def test_what_cannot_be_asked_says_why(fact):
    """A note without a usable fact gives a reason in words."""
    made = requests_for(note(fact))

    assert isinstance(made, NotPhrased)
    assert made.reason


def test_a_note_is_phrased_by_its_fact():
    """The request of a note is that of its fact."""
    fact = Fact("Ana", "lives in", "Porto")

    assert requests_for(note(fact)) == phrase(fact)
    assert phrase(fact) == phrase(fact)


@given(
    subject=st.text(min_size=1, max_size=20),
    name=st.text(min_size=1, max_size=20),
    value=st.text(min_size=1, max_size=20),
)
@example(subject="0", name="_", value="0")
@example(subject="0", name="favourite_", value="0")
@settings(max_examples=200, deadline=None)
def test_any_fact_is_phrased_or_refused(subject, name, value):
    """Braces, brackets and backslashes inside a fact stay what they are; nothing raises."""
    made = phrase(Fact(subject, name, value))

    if isinstance(made, Phrased):
        assert len(made.paraphrases) >= 4
        assert len(made.probes) >= 2


def test_braces_in_a_subject_survive():
    """A subject that looks like a template is put in as it is."""
    assert question(Fact("{r} [a|b] \\1", "lives in", "Porto")) == "Where does {r} [a|b] \\1 live?"


@pytest.mark.parametrize(
    "fact",
    [
        Fact("Ana" + " of Porto" * 60, "lives in", "Porto"),
        Fact("Ana", "lives in", "Porto", question="Tell me, " * 60 + "where does Ana live?"),
        Fact("Ana", "lives in", "Porto", paraphrases=("Tell me, " * 60 + "where does Ana live?",)),
    ],
)
def test_a_question_as_long_as_a_text_is_not_asked(fact: Fact) -> None:
    """No model has to read it, so that none can fail to."""
    made = phrase(fact)

    assert isinstance(made, NotPhrased)
    assert "characters" in made.reason
