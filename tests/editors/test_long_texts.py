"""What is longer than a model's context: refused by name, and no reason to stop what else is to be done."""

from __future__ import annotations

from typing import Any

import pytest
import tiny

from agentmem.editors import EditRequest, make_editor
from agentmem.editors.evaluation import answer, fitting
from agentmem.errors import InvalidArgument
from agentmem.wiring import _greedy_answers

LONG = "Where does Ana live? " * 80
BACKGROUND = tuple(
    tuple(way.format(name) for way in tiny.HOME)
    for name in ("Otto", "Pia", "Rosa", "Sven", "Tara", "Udo", "Vera", "Walt")
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny.tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    """Its positions are a table of 256: token 257 has none."""
    return tiny.untrained("gpt2", len(tokenizer))


@pytest.mark.parametrize("method", ["grace", "wise", "rome", "lora"])
@pytest.mark.parametrize(("prompt", "target"), [(LONG, "Rome."), ("Where does Ana live?", "Rome. " * 200)])
def test_an_edit_longer_than_the_context_is_refused_by_name(
    model: Any, tokenizer: Any, method: str, prompt: str, target: str
) -> None:
    options: dict[str, Any] = {} if method == "lora" else {"background": BACKGROUND}
    editor = make_editor(method, model, tokenizer, **options)
    before = editor.state_hash()
    with pytest.raises(InvalidArgument, match="at most 256") as caught:
        editor.write([EditRequest(prompt, target, subject="Ana")])

    assert caught.value.hint
    assert editor.state_hash() == before


def test_a_prompt_longer_than_the_context_has_no_answer_and_stops_no_others(model: Any, tokenizer: Any) -> None:
    """A night's work asks about many notes; one of them may be a page long."""
    short = "Where does Ana live?"
    alone = answer(model, tokenizer, [short], max_new_tokens=6)
    with pytest.raises(InvalidArgument, match="at most 256"):
        answer(model, tokenizer, [short, LONG], max_new_tokens=6)
    assert fitting(model, tokenizer, [LONG, short]) == [1]

    assert _greedy_answers(model, tokenizer, [LONG, short, LONG], 6) == ["", *alone, ""]


def test_a_prompt_near_the_end_of_the_context_leaves_the_others_their_room(model: Any, tokenizer: Any) -> None:
    from agentmem.editors.prompts import Renderer

    text, short = "Ana", "Where does Ana live?"
    while len(Renderer(tokenizer).prompt(f"{text} Ana")) < 255:
        text += " Ana"
    said = answer(model, tokenizer, [short, text], max_new_tokens=12)

    assert said[0] == answer(model, tokenizer, [short], max_new_tokens=12)[0]


@pytest.mark.parametrize(
    "request_",
    [
        EditRequest(None, "Rome."),  # type: ignore[arg-type]
        EditRequest("Where does Ana live?", 5),  # type: ignore[arg-type]
        EditRequest("Where does Ana live?", "Rome.", paraphrases="Where is Ana?"),  # type: ignore[arg-type]
        EditRequest("Where does Ana live?", "Rome.", paraphrases=(None,)),  # type: ignore[arg-type]
    ],
)
def test_a_request_that_is_not_made_of_texts_is_refused(model: Any, tokenizer: Any, request_: EditRequest) -> None:
    editor = make_editor("grace", model, tokenizer, background=BACKGROUND)
    with pytest.raises(InvalidArgument, match="must be texts") as caught:
        editor.write([request_])

    assert caught.value.hint


def test_every_family_names_its_context_somewhere() -> None:
    """MPT says ``max_seq_len``; what has no end says -1, or nothing."""
    from types import SimpleNamespace as Named

    from agentmem.llm.local_model import context_length

    named = (
        {"max_position_embeddings": 8},
        {"n_positions": 8},
        {"max_seq_len": 8},
        {"max_position_embeddings": -1},
        {},
    )
    assert [context_length(Named(config=Named(**names))) for names in named] == [8, 8, 8, None, None]
