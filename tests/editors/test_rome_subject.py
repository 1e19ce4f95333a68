"""Where the subject ends: the token at which a fact is looked up."""

from __future__ import annotations

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.editors.prompts import Renderer
from agentmem.editors.rome.subject import locate, subject_of
from agentmem.errors import InvalidArgument

CHAT, PLAIN = Renderer(tiny.tokenizer()), Renderer(tiny.tokenizer(chat=False))


@pytest.mark.parametrize("renderer", [CHAT, PLAIN], ids=["chat", "plain"])
@pytest.mark.parametrize(
    ("prompt", "subject", "head", "rest"),
    [
        ("Where does Ana live?", "Ana", "Where does Ana", " live?"),
        ("Ana lives in", "Ana", "Ana", " lives in"),
        ("Is Anabel a friend of Ana?", "Ana", "Is Anabel a friend of Ana", "?"),
        ("What is Ana's job, and is Ana old", "Ana", "What is Ana's job, and is Ana", " old"),
        ("Where was Zoë Müller-Łoś born?", "Zoë Müller-Łoś", "Where was Zoë Müller-Łoś", " born?"),
        ("Who leads N.A.S.A.?", "N.A.S.A.", "Who leads N.A.S.A.", "?"),
    ],
)
def test_the_head_ends_with_the_last_mention(renderer, prompt, subject, head, rest):
    """With a template and without, as a whole word where there is one, whatever the letters."""
    found = locate(renderer, prompt, subject)
    decode = renderer.tokenizer.decode

    assert found.head + found.rest == renderer.prompt(prompt)
    assert decode(found.head).endswith(head)
    assert not decode(found.head[:-1]).endswith(head)
    assert decode(found.rest).startswith(rest)


@settings(max_examples=60, deadline=None)
@given(
    subject=st.text(st.characters(categories=["Lu", "Ll"]), min_size=1, max_size=12),
    after=st.sampled_from(["?", "'s town", " lives where?", "", ", please"]),
    before=st.sampled_from(["", "What is it? ", "Hello! "]),
)
def test_any_subject_is_found_and_nothing_is_lost(subject, after, before):
    """The two parts are the whole prompt, and the first shows the subject while it lacks it by a token less."""
    prompt = f"{before}of {subject}{after}"
    for renderer in (CHAT, PLAIN):
        found = locate(renderer, prompt, subject)
        assert found.head + found.rest == renderer.prompt(prompt)
        assert f"of {subject}" in renderer.tokenizer.decode(found.head)
        assert not renderer.tokenizer.decode(found.head[:-1]).endswith(f"of {subject}")


def test_a_subject_is_guessed_from_capitals_or_asked_for():
    """The longest run of capitalised words, else an error that says how to name it."""
    assert subject_of("Where does Ines Varga live?", None) == "Ines Varga"
    assert subject_of("Where does Ines Varga live?", "Ines") == "Ines"
    with pytest.raises(InvalidArgument, match="No subject"):
        subject_of("where is it?", None)
    with pytest.raises(InvalidArgument, match="does not stand") as caught:
        subject_of("Where does Ana live?", "Bo")
    assert caught.value.hint
