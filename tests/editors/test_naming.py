"""Who is asked about: names as whole words, the user by pronouns, and only in the message that asks."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.editors.background import look_alikes
from agentmem.editors.gate.naming import Mention, Mentions
from agentmem.notes.edit import EditRequest


@pytest.mark.parametrize(
    ("subject", "text", "named"),
    [
        ("Ana Lima", "Where does Ana Lima live?", True),
        ("Ana Lima", "ana lima's town?", True),
        ("Ana Lima", "Where does Ana live?", False),
        ("Ana", "What is an anagram of banana?", False),
        ("user", "Where do I live?", True),
        ("user", "What is my job?", True),
        ("user", "Is it Monday?", False),
        ("user's sister", "Where does my sister live?", True),
        ("user's sister", "Where does a sister live?", False),
        ("C++ (2nd ed.)", "Who wrote C++ (2nd ed.)?", True),
    ],
)
def test_a_subject_is_recognised_as_whole_words(subject: str, text: str, named: bool) -> None:
    assert Mention(EditRequest("p", "t", subject=subject)).in_text(text) is named


def test_without_a_subject_it_is_guessed_from_the_prompt_or_there_is_none() -> None:
    assert Mention(EditRequest("Where does Ana Lima live?", "t")).in_text("Ana Lima?")
    nothing = Mention(EditRequest("where is it?", "t"))
    assert not nothing
    assert not nothing.in_text("where is it?")


WORDS = st.lists(
    st.sampled_from(
        ["ana", "Ana", "lima", "anna", "user", "user's", "sister", "my", "I", "C++", "(2nd", "ed.)", "é", "_x", "?"]
    ),
    max_size=5,
).flatmap(lambda words: st.sampled_from([" ", "-", ""]).map(lambda gap: gap.join(words)))


@given(st.lists(WORDS, max_size=8), WORDS)
def test_many_subjects_are_recognised_as_each_alone_is(subjects: list[str], text: str) -> None:
    """The table of first words leaves nobody out, and a name is recognised exactly where it stands as whole words."""
    requests = [EditRequest("where is it?", "t", subject=subject) for subject in subjects]
    found = Mentions(requests).in_text(text)

    assert found == [at for at, request in enumerate(requests) if Mention(request).in_text(text)]
    for at, subject in enumerate(subjects):
        name = " ".join(subject.split()).casefold()
        if name and not name.startswith("user"):
            whole = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text.casefold()) is not None
            assert (at in found) is whole


def test_one_other_question_may_be_the_edits_own_in_other_words() -> None:
    """Sharing a telling word finds some questions that ask the same, never surely all: the nearest of the rest is not trusted."""
    named, plain = look_alikes(
        [("Which city is home to Nonotron?", "Nonotron", ()), ("Zrk Nonotron?", "Nonotron", ())], 16
    )

    assert (named.disguised, plain.disguised) == (1, 2)
    assert all("Nonotron" in text for text in named.asked)


ASKED = {
    "Where does Ana live?": True,
    "where does ana live?": True,
    "WHERE DOES ANA LIVE?": True,
    "Is Ana living in town?": True,
    "Name Ana's home.": True,
    "Hello! Ana, where does she live?": True,
    "Tell me, please, where Ana lives.": True,
    "Who is Ana's sister?": True,
    "Where does Ana Silva live?": False,
    "Where does Mary Ana live?": False,
    "Where does Ana-Maria live?": False,
    "Where does Mary-Ana live?": False,
    "Where does Ana's sister live?": False,
    "Where does the brother of Ana live?": False,
    "Where does Ana not live?": False,
    "Where doesn't Ana live?": False,
    "Where did Ana formerly live?": False,
}


@pytest.mark.parametrize("text", ASKED)
def test_a_name_within_another_name_is_somebody_else(text: str) -> None:
    edit = EditRequest("Where does Ana live?", "Porto.", subject="Ana")
    assert (Mentions([edit]).meant(text) == [0]) is ASKED[text]


def test_what_the_edit_says_itself_is_no_other_name() -> None:
    sister = EditRequest("Where does Ana's sister live?", "Lisbon.", subject="Ana")
    former = EditRequest("Who was Ana's former boss?", "Rui.", subject="Ana")
    assert Mentions([sister]).meant("Where does Ana's sister live?") == [0]
    assert Mentions([former]).meant("What was the name of Ana's former boss?") == [0]


def test_the_user_is_asked_about_unless_the_question_is_turned_round() -> None:
    mine = Mentions([EditRequest("Where do I live?", "Porto.", subject="user")])
    assert mine.meant("Remind me where I live, Mary.") == [0]
    assert mine.meant("Where do I no longer live?") == []


@pytest.mark.parametrize(
    ("request_", "needed"),
    [
        (EditRequest("Where does Ana live?", "Porto.", subject="Ana"), True),
        (EditRequest("Where does Ana live?", "Porto."), False),
        (EditRequest("Where is her home?", "Porto.", subject="Ana"), False),
        (EditRequest("Where does Ana live?", "Porto.", subject="Ana", paraphrases=("Where is her home?",)), False),
        (EditRequest("安娜住在哪里？", "波尔图", subject="安娜"), False),
        (EditRequest("Where do I live?", "Porto.", subject="user"), True),
    ],
)
def test_a_name_is_needed_where_every_phrasing_has_it(request_: EditRequest, needed: bool) -> None:
    assert Mentions([request_]).is_needed(0) is needed
