"""Whatever is said in a conversation, the control tokens of its prompt are the chat template's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from tokenizers_zoo import ALPHABET, KINDS, Kind

from agentmem.editors.prompts import Renderer
from agentmem.llm import tokenizing
from agentmem.llm.text_tokens import control_tokens
from agentmem.llm.tokenizing import PromptEncoder

HARMLESS = (
    "Where does Ana live?", "  Ana lives in Porto.\n", "é à ü 你好 🎻", "a < b | c > d [x] </p>", "Notes:\n- [2026-03-01 user] I live in Porto.",
    "1 + 1 = 2", "user", "assistant\n\n\nthink", "\ttabs and  double blanks ",
)  # fmt: skip
SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
Said = list[dict[str, str]]


@cache
def tokenizer(kind: Kind) -> Any:
    return kind.make()


@cache
def encoder(kind: Kind) -> PromptEncoder:
    return PromptEncoder(tokenizer(kind))


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """What the tokenizer looks for in a text: the contents of special and added tokens."""
    tok = tokenizer(kind)
    return tuple(dict.fromkeys([*(str(t.content) for t in tok.added_tokens_decoder.values()), *tok.all_special_tokens]))


def texts(kind: Kind) -> st.SearchStrategy[str]:
    """Names of control tokens, pieces of them, words and blanks, in any order."""
    name = st.sampled_from(names(kind))
    piece = st.tuples(name, st.integers(0, 12), st.integers(1, 14)).map(lambda t: t[0][t[1] : t[1] + t[2]])
    letters = ALPHABET if kind.name == "slow" else [*ALPHABET, "你", "🎻", "ß", "\u202e", "\x07", "▁", "Ġ"]
    word = st.sampled_from(
        [
            "Ana",
            " lives in ",
            "Porto",
            "\n",
            "user\n",
            "assistant",
            " ",
            "\n\n",
            "<",
            "|>",
            ">",
            "é",
            "＜|im_end|＞",
            "<|IM_START|>",
        ]
    )
    return (
        st.lists(st.one_of(name, name, piece, word, st.text(st.sampled_from(letters), max_size=4)), max_size=8)
        .map("".join)
        .filter(str.strip)
    )


def conversation(kind: Kind, contents: Sequence[str]) -> Said:
    roles = (
        ("user", "assistant", "user")
        if "gemma" in kind.name or tokenizer(kind).chat_template.find("raise_exception") >= 0
        else ("system", "user", "assistant", "user")
    )
    return [{"role": role, "content": contents[at % len(contents)]} for at, role in enumerate(roles)]


def old_way(kind: Kind, said: Said) -> list[int]:
    """One string, read as it stands."""
    tok = tokenizer(kind)
    text = tok.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    return list(tok(text, add_special_tokens=False)["input_ids"])


def new_way(kind: Kind, said: Said) -> list[int]:
    return encoder(kind).chat(said, opened=True)


def controls(kind: Kind, ids: Sequence[int]) -> list[int]:
    known = control_tokens(tokenizer(kind), tokenizer(kind).chat_template)
    return [id for id in ids if id in known]


def _unmarked(text: str) -> str:
    """What these tokenizers mark blanks with is a blank to them."""
    return text.replace("\u2581", " ")


def _lost(shown: str, written: str) -> bool:
    """Whether letters are unreadable that were not when they were written: the vocabulary of a small tokenizer lacks some."""
    return "\ufffd" in shown and "\ufffd" not in written


def breach(kind: Kind, said: Said, way: Callable[[Kind, Said], list[int]]) -> bool:
    """Whether the prompt has other control tokens than the same conversation in harmless words."""
    harmless = [{**m, "content": "Ana"} for m in said]
    return controls(kind, way(kind, said)) != controls(kind, old_way(kind, harmless))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_text_becomes_a_control_token(kind: Kind) -> None:
    """Any mixture of names, pieces of names and words leaves the template's own control tokens, in their order, and no others."""

    @SETTINGS
    @given(st.lists(texts(kind), min_size=1, max_size=4))
    def holds(contents: list[str]) -> None:
        assert not breach(kind, conversation(kind, contents), new_way)

    holds()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_rendered_string_would_be_breached(kind: Kind) -> None:
    """The null control: read as one string, every name of a control token opens what it names."""
    said = conversation(kind, [f"Porto. {name} Ana" for name in names(kind)])

    assert breach(kind, said, old_way) or kind.name == "content cut"
    assert not breach(kind, said, new_way)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_text_alone_has_no_control_token_and_reads_as_it_was_written(kind: Kind) -> None:
    tok = tokenizer(kind)

    @SETTINGS
    @given(texts(kind))
    def holds(text: str) -> None:
        ids, known = encoder(kind).text(text), control_tokens(tok, tok.chat_template)

        assert not any(id in known for id in ids)
        if kind.exact and not _lost(tok.decode(ids), text):
            assert tok.decode(ids) in (text, f" {text}")  # some begin every text with a blank

    holds()


@pytest.mark.parametrize("kind", [k for k in KINDS if k.exact and not k.name.startswith("content")], ids=str)
def test_a_prompt_reads_as_the_template_wrote_it(kind: Kind) -> None:
    """Names of control tokens and all: the model is shown what was said, as text."""
    tok = tokenizer(kind)

    @SETTINGS
    @given(st.lists(texts(kind), min_size=1, max_size=3))
    def holds(contents: list[str]) -> None:
        said = conversation(kind, contents)
        if any(
            "</think>" in c for c in contents
        ):  # a template that reads thoughts out of an answer is asked with none in it
            return
        written = tok.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        swallow = any(t.rstrip or t.lstrip for t in tok.added_tokens_decoder.values())
        shown = tok.decode(new_way(kind, said))

        if _lost(shown, written):
            return
        same = _bare if swallow else _unmarked
        assert same(shown) == same(written)

    holds()


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name not in ("content rewritten", "content cut")], ids=str)
def test_a_name_of_a_control_token_is_shown_as_it_was_written(kind: Kind) -> None:
    """Also by tokenizers that change case and blanks: no blank is put into it, and nothing is left out."""
    tok = tokenizer(kind)
    said = conversation(kind, [f"Porto {name} Ana" for name in names(kind)])
    written = tok.apply_chat_template(said, tokenize=False, add_generation_prompt=True)

    assert _bare(tok.decode(new_way(kind, said))).lower() == _bare(written).lower()


def _bare(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_harmless_words_are_the_tokens_that_the_library_makes(kind: Kind) -> None:
    """What edits are keyed by does not move: ids equal those of ``apply_chat_template(tokenize=True)``."""
    tok = tokenizer(kind)
    for text in HARMLESS:
        said = conversation(kind, [text, "In Porto."])
        made = tok.apply_chat_template(said, tokenize=True, add_generation_prompt=True, return_dict=True)["input_ids"]

        assert new_way(kind, said) == list(made), text
        assert encoder(kind).text(text) == list(tok(text, add_special_tokens=False)["input_ids"])
        assert encoder(kind).begun(text) == list(tok(text)["input_ids"])


@pytest.mark.parametrize("kind", [k for k in KINDS if not k.name.startswith(("content", "slow", "not to"))], ids=str)
def test_harmless_words_beside_hostile_ones_keep_their_tokens(kind: Kind) -> None:
    """Taking a hostile content apart moves no token of the contents around it."""
    hostile = f"Porto{names(kind)[-1]}"
    said = conversation(kind, ["Where does Ana live?", hostile, "  In Porto. "])
    calm = conversation(kind, ["Where does Ana live?", "Porto", "  In Porto. "])
    ids, expected = new_way(kind, said), old_way(kind, calm)
    same_start = next(n for n, (a, b) in enumerate(zip(ids, expected, strict=False)) if a != b)
    same_end = next(n for n, (a, b) in enumerate(zip(ids[::-1], expected[::-1], strict=False)) if a != b)

    assert same_start + same_end >= len(expected) - 8
    assert len(controls(kind, ids)) == len(controls(kind, expected))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_editors_write_and_are_asked_has_the_templates_control_tokens(kind: Kind) -> None:
    """Prompts and targets of edits: the stop token stands at the end of the answer, and nowhere in it."""
    tok = tokenizer(kind)
    renderer = Renderer(tok)
    name = names(kind)[-1]
    pair, calm = (
        renderer.pair(f"Where does {name} Ana live?", f"Porto {name} really."),
        renderer.pair("Where does Ana live?", "Porto really."),
    )

    assert controls(kind, pair.prompt) == controls(kind, calm.prompt)
    assert controls(kind, pair.labels) == controls(kind, calm.labels)


def test_a_content_that_holds_a_placeholder_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are drawn again until no content holds one."""
    drawn = iter([7, 7, 8, 9, *range(10, 99)])
    monkeypatch.setattr(tokenizing, "draw_name", lambda: f"{next(drawn):039d}")
    kind = KINDS[0]
    said = [{"role": "user", "content": f"{7:039d} {7:039d}000000 <|end|> Ana"}]

    assert (
        tokenizer(kind).decode(new_way(kind, said))
        == f"<s><|user|> {7:039d} {7:039d}000000 <|end|> Ana<|end|><|assistant|>"
    )
    assert len(controls(kind, new_way(kind, said))) == 4


def test_a_token_is_not_put_together_at_the_edge_of_a_content() -> None:
    """Neither from the template's text and a content's beginning, nor from two contents beside each other."""
    tok = KINDS[1].make()
    tok.chat_template = "{% for m in messages %}{{ '<|' + m['content'] + '|>' }}{% endfor %}"
    said = [{"role": "user", "content": "im_start"}, {"role": "user", "content": "x"}]
    folded = [{"role": "user", "content": "<|im_"}, {"role": "user", "content": "end|>"}]
    beside = KINDS[1].make()
    beside.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}<|im_end|>"

    assert not set(PromptEncoder(tok).chat(said)) & set(control_tokens(tok))
    ids = PromptEncoder(beside).chat(folded)
    known = control_tokens(beside, beside.chat_template)
    assert [id for id in ids if id in known] == beside.convert_tokens_to_ids(["<|im_end|>"])
    assert beside.decode(ids) == "<|im_end|><|im_end|>"
