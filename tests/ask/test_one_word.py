"""A question that differs from another in one word of matter asks for something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.ask.one_word import one_word_apart

KNOWN = "Who waters the tomatoes on Sundays?"


@pytest.mark.parametrize(
    "asked",
    [
        "Who sells the tomatoes on Sundays?",
        "who waters the orchids on sundays",
        "Who waters the tomatoes on Fridays?",
    ],
)
def test_another_word_asks_for_another_thing(asked: str) -> None:
    assert one_word_apart(KNOWN, asked)
    assert one_word_apart(asked, KNOWN)


@pytest.mark.parametrize(
    "asked",
    [
        KNOWN,
        "Who waetrs the tomatoes on Sundays?",  # a slip
        "Who waters the tomato on Sundays?",  # another ending
        "Who waters the toms on Sundays?",  # cut short
        "Who waters our tomatoes on Sundays?",  # a word without matter
        "On Sundays, who waters the tomatoes?",  # another order
        "Whose turn is it with the can on Sundays?",  # other words altogether
        "Who waters the tomatoes?",
        "",
    ],
)
def test_the_same_in_other_words_is_not_refused(asked: str) -> None:
    assert not one_word_apart(KNOWN, asked)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_are_told_apart_alike_from_either_side(one: str, other: str) -> None:
    assert one_word_apart(one, one) is False
    assert one_word_apart(one, other) == one_word_apart(other, one)
