"""Prompts and targets are tokenised as a conversation will show them, with the stop token at the end."""

from __future__ import annotations

import pytest
import tiny

from agentmem.editors.prompts import Renderer
from agentmem.errors import InvalidArgument


def test_chat_pair_ends_with_the_templates_stop(tok):
    """With a template the target is what the assistant says, closed by the template's own end token."""
    pair = Renderer(tok).pair("Where does Ana live?", "Rome.")

    assert tok.decode(pair.prompt) == "<|user|>Where does Ana live?<|end|><|assistant|>"
    assert tok.decode(pair.labels) == "Rome.<|end|>"


def test_plain_pair_ends_with_eos(plain_tok):
    """Without a template the target follows a space and ends with eos."""
    pair = Renderer(plain_tok).pair("Ana lives in", "Rome.")

    assert plain_tok.decode(pair.prompt + pair.labels) == "Ana lives in Rome.<|end|>"
    assert plain_tok.decode(pair.prompt) == "Ana lives in"


def test_stop_is_trained_when_pad_equals_eos(tok):
    """The end token is a label even where the pad token is the same one."""
    same = tiny.tokenizer()
    same.pad_token = same.eos_token

    assert Renderer(same).pair("Hi", "Rome.").labels[-1] == same.eos_token_id


def test_stop_differs_from_eos_when_the_template_says_so():
    """A template's own end token is used, not the tokenizer's eos; trailing newlines are not part of the answer."""
    made = tiny.tokenizer()
    made.chat_template = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|pad|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    renderer = Renderer(made)

    assert made.decode(renderer.pair("Hi", "Rome.").labels) == "Rome.<|pad|>"
    assert made.decode(renderer.opening) == "<|assistant|>"


def test_template_that_rewrites_the_prompt_falls_back():
    """When the generation prompt is no prefix of the whole conversation, prompt and answer are joined plainly."""
    made = tiny.tokenizer()
    made.chat_template = "{% for m in messages %}{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>ok {% endif %}"

    assert made.decode(Renderer(made).pair("Hi", "Rome.").labels) == "Rome.<|end|>"


def test_what_the_template_writes_before_an_answer_is_not_learnt():
    """An empty block of thoughts before the last answer (Qwen3) is no part of the target: it would be said, and judged, with it."""
    made = tiny.tokenizer()
    made.chat_template = tiny.TEMPLATE.replace(
        "{{ m.content }}",
        "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}",
    )
    renderer = Renderer(made)

    assert made.decode(renderer.pair("Hi", "Rome.").labels) == "Rome.<|end|>"
    assert made.decode(renderer.pair("Hi", "Rome.", [("Hi", "Hello.")]).labels) == "Rome.<|end|>"
    assert made.decode(renderer.opening) == "<|assistant|>"


def test_history_comes_before_the_prompt(tok):
    """Earlier turns are rendered in front."""
    prompt = Renderer(tok).prompt("And Bo?", [("Hi", "Hello.")])

    assert tok.decode(prompt) == "<|user|>Hi<|end|><|assistant|>Hello.<|end|><|user|>And Bo?<|end|><|assistant|>"


@pytest.mark.parametrize(("prompt", "target"), [("", "Rome."), ("Hi", " ")])
def test_empty_texts_are_refused(tok, prompt, target):
    """Nothing can be learnt from nothing."""
    with pytest.raises(InvalidArgument):
        Renderer(tok).pair(prompt, target)
