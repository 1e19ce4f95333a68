"""Duplicates: what hashes alike, what must never be merged, and which texts can be notes at all."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.errors import InvalidNote
from agentmem.remember.duplicates import MAX_BYTES, clean_text, content_hash, same_meaning_possible

DIFFERENT = [
    ("The meeting is at 3 pm", "The meeting is at 4 pm"),
    ("The meeting is at 3 pm", "The meeting is at 3 am"),
    ("Due on May 3", "Due on May 4"),
    ("Due on May 3", "Due on June 3"),
    ("Due on Monday", "Due on Tuesday"),
    ("It costs 3.5 euros", "It costs 35 euros"),
    ("It is -5 degrees", "It is 5 degrees"),
    ("I have two dogs", "I have three dogs"),
    ("Ana likes tea", "Ana does not like tea"),
    ("Ana likes tea", "Ana doesn't like tea"),
    ("Ana likes tea", "Ana never likes tea"),
    ("Ana called me", "Eva called me"),
    ("ana called me", "eva called me"),
    ("Ana loves Tom", "Tom loves Ana"),
    ("ana loves tom", "tom loves ana"),
    ("The dog bit the man", "The man bit the dog"),
    ("I flew from Rome to Paris", "I flew from Paris to Rome"),
    ("I like tea", "You like tea"),
    ("He likes tea", "She likes tea"),
    ("The red car is mine", "The blue car is mine"),
    ("I want tea", "I made tea"),
    ("I lived in Porto", "I live in Porto"),
    ("I live in Porto", "I will live in Porto"),
    ("Call before lunch", "Call after lunch"),
    ("All of them came", "Some of them came"),
    ("He writes C++", "He writes C#"),
    ("Plan A won", "Plan B won"),
    ("You live here?", "You live here."),
    ("See you 🙂", "See you 🙁"),
    ("It costs 5 €", "It costs 5 $"),
    ("I like tea", "I like green tea"),
    ("Room 10:30", "Room 1030"),
    ("The wifi password is hunTer2secRet", "The wifi password is HunTer2secRet"),
    ("The key is swordFish", "The key is swordfisH"),
    ("The laser has 5 mW.", "The laser has 5 MW."),
    ("Delete with rm -r", "Delete with rm -R"),
    ("The commit is 9fA3c1", "The commit is 9Fa3c1"),
    ("I like turkey", "I like Turkey"),
    ("if x:\n    a()\n    b()", "if x:\n    a()\nb()"),
]

ALIKE = [
    ("Ana lives in Porto.", "ana lives in  Porto"),
    ("I live in Porto", "I'm living in Porto"),
    ("She does not like tea", "She doesn't like tea"),
    ("It costs 1,000 euros", "It costs 1000 euros"),
    ("I have two dogs", "I have 2 dogs"),
    ("I really like pizza!", "I like pizza"),
    ("We met yesterday in the park", "We met in the park yesterday"),
    ("Caroline adopted a cat", "Caroline has adopted the cat"),
]


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_differences_that_matter_are_never_merged(a, b):
    """One number, name, denial, person, tense or direction makes another note, whichever comes first."""
    assert not same_meaning_possible(a, b)
    assert not same_meaning_possible(b, a)


@pytest.mark.parametrize(("a", "b"), ALIKE)
def test_what_only_looks_different_may_be_merged(a, b):
    """Case, spacing, inflection, contractions, articles and emphasis leave a merge possible."""
    assert same_meaning_possible(a, b)
    assert same_meaning_possible(b, a)


@given(a=st.text(max_size=60), b=st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_the_veto_is_symmetric_and_admits_itself(a, b):
    """The order of the texts never matters, and a text can always mean what it means."""
    assert same_meaning_possible(a, b) == same_meaning_possible(b, a)
    assert same_meaning_possible(a, a)


@given(a=st.integers(0, 10_000), b=st.integers(0, 10_000))
def test_different_numbers_are_different_notes(a, b):
    """Whatever the numbers, only equal ones may be merged."""
    assert same_meaning_possible(f"The code is {a}", f"the code is {b}.") == (a == b)


@given(text=st.text(max_size=80))
@settings(deadline=None)
def test_the_hash_ignores_form_spacing_and_case(text):
    """Unicode form, outer and repeated spaces and a final full stop do not change the hash."""
    value = content_hash(text)

    assert len(value) == 32
    assert value == content_hash(unicodedata.normalize("NFD", text)) or unicodedata.normalize("NFC", text) != text
    assert value == content_hash(f"  {text}\n")


def test_the_hash_keeps_what_matters():
    """Words, digits and the question mark count; letter case, spaces and the final full stop do not."""
    assert content_hash("Ana  lives in\nPorto.") == content_hash("ANA LIVES IN PORTO")
    assert content_hash("Straße") == content_hash("STRASSE")
    assert content_hash("Is it?") != content_hash("Is it")
    assert content_hash("at 3") != content_hash("at 4")
    assert content_hash("!!!") != content_hash("...")


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "  padded  ",
        "👩‍👩‍👧‍👦",
        "e\u0301",
        "\u202eabc",
        "\U000e0041tag",
        "a" * MAX_BYTES,
        "é" * (MAX_BYTES // 2),
    ],
)
def test_accepted_text_is_returned_as_it_came(text):
    """A valid note is not touched: its bytes come back equal."""
    assert clean_text(text) is text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\n\t",
        "\u2003",
        "a\0b",
        "half \ud83d pair",
        "a" * (MAX_BYTES + 1),
        "é" * (MAX_BYTES // 2 + 1),
        None,
        b"x",
        7,
    ],
)
def test_what_is_no_note_is_refused_with_a_cure(text):
    """Empty, not text, NUL, half characters, too long: a typed error that says what to do."""
    with pytest.raises(InvalidNote) as caught:
        clean_text(text)

    assert caught.value.hint


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("你住在波尔图。", "你住在波尔图？"),
        ("هو هنا", "هو هنا؟"),
        ("राम की किताब", "राम का किताब"),
        ("ฉันมีแมว", "ฉันไม่มีแมว"),
        ("ปู่มา", "ปู่มี"),
    ],
)
def test_signs_and_question_marks_of_other_scripts_count(a, b):
    """What differs in a vowel sign or in asking is another statement, however near an embedder that reads neither finds them."""
    assert not same_meaning_possible(a, b)
