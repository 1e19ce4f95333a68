"""What a plain statement says to hold no longer, and what only sounds like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.extract import said
from agentmem.extract.extractor import Ending, Said

ENDS = {
    "I no longer live in Porto.": ("user", "lives in", "Porto"),
    "I don't live in Porto anymore": ("user", "lives in", "Porto"),
    "I don’t live in Porto any more.": ("user", "lives in", "Porto"),
    "I used to live in Porto.": ("user", "lives in", "Porto"),
    "I moved out of Porto.": ("user", "lives in", "Porto"),
    "Ana doesn't work at Acme any longer.": ("Ana", "works at", "Acme"),
    "Ana used to work for Acme.": ("Ana", "works at", "Acme"),
    "I was laid off from Acme.": ("user", "works at", "Acme"),
    "I'm not a teacher anymore.": ("user", "works as", "teacher"),
    "Ana's no longer a teacher.": ("Ana", "works as", "teacher"),
    "Ana used to be a nurse.": ("Ana", "works as", "nurse"),
    "I stopped playing the guitar.": ("user", "plays", "guitar"),
    "I have stopped driving a Tesla.": ("user", "owns", "Tesla"),
    "I no longer like sushi because it makes me sick.": ("user", "likes", "sushi"),
    "I no longer like fish and chips.": ("user", "likes", "fish and chips"),
    "I graduated from MIT last year.": ("user", "studies at", "MIT"),
    "I'm not vegetarian anymore, I eat fish now.": ("user", "diet", "vegetarian"),
    "I am no longer married to Tom.": ("user", "married to", "Tom"),
    "I got divorced.": ("user", "married to", None),
    "My sister no longer lives in Porto.": ("user's sister", "lives in", "Porto"),
    "My favourite colour is no longer blue.": ("user", "favourite colour", "blue"),
    "Acme is no longer headquartered in Boston.": ("Acme", "headquarters", "Boston"),
    "Ana is no longer the CEO of Acme.": ("Acme", "ceo", "Ana"),
}

ENDS_NOTHING = [
    "I live in Porto.",
    "Do I no longer live in Porto?",
    "If I no longer live in Porto, tell me.",
    "I wish I no longer worked at Acme.",
    "I will no longer work at Acme.",
    "Maybe I no longer live in Porto.",
    "Tom says Ana no longer lives in Porto.",
    "She no longer lives in Porto.",
    "I no longer live there.",
    "I am used to living in Porto.",
    "I got used to living in Porto.",
    "I used to live in Porto and I still do.",
    "I no longer live in Porto. Just kidding!",
    "I no longer live in Porto. No wait, that is wrong.",
    "Translate: I no longer live in Porto.",
    "I left Acme at 6 pm.",
    "I just left Acme.",
    "I left my bag at Acme.",
    "I haven't left Acme.",
    "I did not quit my job.",
    "I live in Porto. Not anymore.",
    "Imagine I no longer lived in Porto.",
    "I want to live in Rome instead of Porto.",
    "I live in Rome instead of there.",
]


@pytest.mark.parametrize("text", ENDS)
def test_an_ending_is_read_off_the_words(text: str) -> None:
    assert said(text) == Said((), (Ending(*ENDS[text]),))


@pytest.mark.parametrize("text", ENDS_NOTHING)
def test_what_only_sounds_like_an_ending_ends_nothing(text: str) -> None:
    assert said(text).ended == ()


@pytest.mark.parametrize(
    "text",
    [
        "I moved from Porto to Rome.",
        "I now live in Rome instead of Porto.",
        "I no longer live in Porto, I moved to Rome.",
        "I used to live in Porto but now I live in Rome.",
        "I don't live in Porto anymore. I moved to Rome.",
    ],
)
def test_what_came_instead_is_read_as_well(text: str) -> None:
    found = said(text)
    assert found.ended == (Ending("user", "lives in", "Porto"),)
    assert [(fact.relation, fact.object) for fact in found.facts] == [("lives in", "Rome")]


def test_who_leaves_a_place_of_work_or_study_leaves_open_which_it_was() -> None:
    """It ends what was noted; nobody is likely to have noted both."""
    assert {(e.relation, e.object) for e in said("I left Acme.").ended} == {
        ("works at", "Acme"),
        ("studies at", "Acme"),
    }
    assert {(e.relation, e.object) for e in said("Ana lost her job.").ended} == {("works at", None), ("works as", None)}


def test_the_speaker_has_a_name() -> None:
    assert said("I no longer live in Porto.", "Caroline").ended == (Ending("Caroline", "lives in", "Porto"),)


@given(st.text(max_size=80), st.sampled_from(list(ENDS)))
def test_no_text_is_too_strange(text: str, ending: str) -> None:
    """Whatever is said, it is read without an error, and what it ends it does not state."""
    for words in (text, f"{text} {ending}", f"{ending} {text}", ending[: len(text)]):
        found = said(words)
        assert not {Ending(fact.subject, fact.relation, fact.object) for fact in found.facts}.intersection(found.ended)
