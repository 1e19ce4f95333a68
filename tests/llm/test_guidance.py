"""What attention is taught to look at while the small model is trained."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from agentmem.llm.small_model import small_model_path
from benchmarks.small_model import guidance
from benchmarks.small_model.corpus import MYSELF, Stated, Turn
from benchmarks.small_model.guidance import COPY, FOUND, MATTER, READER, SAYING, SUBJECT, VALUE, Guide, Guides
from benchmarks.small_model.rows import encode_turns

NOTES = (
    "Notes:\n- [2025-01-02 user] Ines Varga lives in Porto.\n- [2025-01-03 user] Tea is what Leo Adler likes.\n"
    "- [2025-01-04 Dora Lopez] I play the lute.\n- [2025-01-05 user] I live in Lyon."
)
STATED = (
    Stated(("Ines Varga", "city"), "Ines Varga lives in Porto.", "Ines Varga", "Porto"),
    Stated(("Leo Adler", "drink"), "Tea is what Leo Adler likes.", "Leo Adler", "tea"),
    Stated(("Dora Lopez", "instrument"), "I play the lute.", "Dora Lopez", "lute"),
    Stated((MYSELF, "city"), "I live in Lyon.", MYSELF, "Lyon"),
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(small_model_path())


class Chat:
    """An encoded chat whose guides can be read."""

    def __init__(self, turns: list[Turn], tokenizer: PreTrainedTokenizerFast, limit: int = 400) -> None:
        self.tokens, _, self.guides = encode_turns(turns, tokenizer.backend_tokenizer, limit)
        self.tokenizer = tokenizer

    def seen(self, lesson: int) -> list[tuple[str, str]]:
        """The text up to each query of a lesson (its last 12 characters), and what it should look at."""
        chosen = [guide for guide in self.guides if guide.lesson == lesson]
        return [(self._text(0, guide.query + 1)[-12:], self._targets(guide)) for guide in chosen]

    def _targets(self, guide: Guide) -> str:
        ids = guide.targets if guide.lesson == SAYING else [self.tokens[at] for at in guide.targets]
        return str(self.tokenizer.decode(ids)).strip()

    def _text(self, start: int, stop: int) -> str:
        return str(self.tokenizer.decode(self.tokens[start:stop]))


def _asked(question: str, named: str, reply: str, sought: tuple[str, str]) -> list[Turn]:
    return [Turn("user", question, 0.1, named=named), Turn("assistant", reply, 1.0, sought=sought)]


@pytest.fixture
def chat(tokenizer: PreTrainedTokenizerFast) -> Chat:
    turns = [
        Turn("system", NOTES, 0.0, STATED),
        *_asked("Where does Ines Varga live?", "Ines Varga", "Porto.", ("Ines Varga", "city")),
        *_asked("What does Leo Adler drink?", "Leo Adler", "tea.", ("Leo Adler", "drink")),
        *_asked("Where do I live?", MYSELF, "Lyon.", (MYSELF, "city")),
        *_asked("Where does Vera Lin live?", "Vera Lin", "I do not know.", ("Vera Lin", "city")),
    ]
    return Chat(turns, tokenizer)


def test_the_end_of_a_note_looks_at_whom_it_is_about_and_at_its_value(chat: Chat) -> None:
    """Wherever they stand: behind, before, or in front of the note, where its speaker is named."""
    ends = [("es in Porto.", "Ines Varga"), ("Adler likes.", "Leo Adler"), ("ay the lute.", "Dora Lopez"), ("ive in Lyon.", "user")]  # fmt: skip
    assert chat.seen(SUBJECT)[:4] == ends
    assert [value for _, value in chat.seen(VALUE)] == ["Porto", "Tea", "lute", "Lyon"]


def test_the_end_of_a_note_says_the_value_as_an_answer_would(chat: Chat) -> None:
    assert [said for _, said in chat.seen(SAYING)] == ["Porto", "tea", "lute", "Lyon"]


def test_where_an_answer_begins_it_looks_at_who_is_asked_about_and_at_the_note_that_answers(
    chat: Chat,
) -> None:
    assert [name for _, name in chat.seen(SUBJECT)[4:]] == ["Ines Varga", "Leo Adler", "I", "Vera Lin"]
    queries = [guide.query for guide in chat.guides if guide.lesson == READER]
    assert all(chat.tokens[at] == chat.tokenizer.convert_tokens_to_ids("<|assistant|>") for at in queries)
    ends = [guide.query for guide in chat.guides if guide.lesson == VALUE]
    looked = [guide.targets for guide in chat.guides if guide.lesson == READER]
    assert looked == [(ends[0],), (ends[1],), (ends[3],), (0,)], "nothing is known of Vera Lin: the start of the chat"


def test_a_note_and_a_question_look_at_the_words_that_tell_what_matter_it_is(chat: Chat) -> None:
    """Not at little words, at whom it is about or at the value; a word of several tokens is looked at where it begins."""
    ends = [guide.query for guide in chat.guides if guide.lesson == VALUE]
    matters = {guide.query: chat._targets(guide) for guide in chat.guides if guide.lesson == MATTER}
    assert [matters.get(end) for end in ends] == ["lives", "likes", "play", "live"]
    asked = [words for query, words in matters.items() if query not in ends]
    assert len(asked) == 4
    assert all(word.startswith(seen) for word, seen in zip(("live", "drink", "live", "live"), asked, strict=True))


def test_of_several_values_in_one_note_that_is_looked_at_which_was_asked_for(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """At the note's end nobody knows which it will be: it says and looks at none."""
    text = "Ines Varga bought the boat in Porto."
    what, where = ("Ines Varga", "bought what"), ("Ines Varga", "bought where")
    stated = (Stated(what, text, "Ines Varga", "the boat", ((where, "Porto"),)),)
    turns = [
        Turn("system", text, 0.0, stated),
        *_asked("Where did Ines Varga buy it?", "Ines Varga", "Porto.", where),
        *_asked("What did Ines Varga buy?", "Ines Varga", "the boat.", what),
    ]
    chat = Chat(turns, tokenizer)
    assert chat.seen(VALUE) == chat.seen(SAYING) == []
    found = [guide for guide in chat.guides if guide.lesson == FOUND]
    assert [len(guide.targets) for guide in found] == [1, 1]
    assert [chat.tokens[guide.targets[0]] for guide in found] == [chat.tokens[guide.query + 1] for guide in found]
    assert [
        value.startswith(chat._targets(guide)) for value, guide in zip(("Porto", "the boat"), found, strict=True)
    ] == [True, True]


def test_without_notes_nobody_looks_for_one(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = Chat(_asked("Where does Ines Varga live?", "Ines Varga", "Porto.", ("Ines Varga", "city")), tokenizer)
    assert chat.seen(READER) == []
    assert [name for _, name in chat.seen(SUBJECT)] == ["Ines Varga"]


def test_the_newest_of_two_notes_answers(tokenizer: PreTrainedTokenizerFast) -> None:
    stated = tuple(
        Stated(("Ines Varga", "city"), f"Ines Varga lives in {city}.", "Ines Varga", city) for city in ("Porto", "Lyon")
    )
    turns = [
        Turn("system", "\n".join(each.text for each in stated), 0.0, stated),
        *_asked("Where does Ines Varga live?", "Ines Varga", "Lyon.", ("Ines Varga", "city")),
    ]
    chat = Chat(turns, tokenizer)
    ends = [guide.query for guide in chat.guides if guide.lesson == VALUE]
    assert [guide.targets for guide in chat.guides if guide.lesson == READER] == [(ends[1],)]


def test_what_is_said_again_is_followed_token_by_token(tokenizer: PreTrainedTokenizerFast) -> None:
    text = "Zertonova makes lutes in Lyon."
    turns = [Turn("user", f"Repeat: {text}", 0.0), Turn("assistant", text, 1.0, copied=True)]
    chat = Chat(turns, tokenizer)
    copied = [guide for guide in chat.guides if guide.lesson == COPY]
    assert len(copied) > 4
    assert all(chat.tokens[guide.targets[0]] == chat.tokens[guide.query + 1] for guide in copied)
    assert all(guide.targets[0] < guide.query for guide in copied)


def test_a_chat_that_is_cut_keeps_no_guides_of_what_is_gone(chat: Chat) -> None:
    turns = [
        *_asked("Where does Ines Varga live?", "Ines Varga", "Porto.", ("Ines Varga", "city")),
        *_asked("Where does Leo Adler live?", "Leo Adler", "Lyon.", ("Leo Adler", "city")),
    ]
    whole = Chat(turns, chat.tokenizer)
    cut = Chat(turns, chat.tokenizer, limit=len(whole.tokens) - 1)
    assert 0 < len(cut.tokens) < len(whole.tokens)
    assert cut.guides
    assert all(guide.query < len(cut.tokens) for guide in cut.guides)


def test_moving_a_chat_moves_what_is_looked_at_but_not_what_is_said() -> None:
    assert Guide(3, READER, (1, 2)).moved(10) == Guide(13, READER, (11, 12))
    assert Guide(3, SAYING, (77,)).moved(10) == Guide(13, SAYING, (77,))


@pytest.mark.parametrize("layers", [5, 7])
def test_the_lessons_are_measured_on_the_attention_that_the_model_computes(layers: int) -> None:
    """Against the weights that transformers itself reports; further layers have second heads, and look where a value begins."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=4
    )  # fmt: skip
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config).eval()
    tokens = torch.randint(0, 40, (2, 12))
    positions = torch.arange(12).expand(2, 12)
    causal = torch.full((12, 12), -1e9).triu(1).expand(2, 1, 12, 12)
    rows = [
        [Guide(8, SUBJECT, (2, 3)), Guide(9, READER, (8,)), Guide(8, SAYING, (17,))],
        [Guide(11, COPY, (4,)), Guide(6, VALUE, (5, 6)), Guide(7, MATTER, (2, 3)), Guide(10, FOUND, (4,))],
    ]
    with guidance.listening(model) as heard:
        out = model(
            tokens,
            attention_mask=causal,
            position_ids=positions,
            output_attentions=True,
            output_hidden_states=True,
        )
    losses = guidance.lesson_losses(model, heard, Guides.of(rows), causal, positions)

    def looked(row: int, heads: list[tuple[int, int]], query: int, *at: int) -> torch.Tensor:
        each = [-torch.log(out.attentions[layer][row, head, query, list(at)]).mean() for layer, head in heads]
        return torch.stack(each).mean() if each else torch.zeros(())

    def said(*before: int) -> torch.Tensor:
        each = [
            torch.log_softmax(model.lm_head(model.model.norm(out.hidden_states[at][0, 8])), -1)[17] for at in before
        ]
        return -torch.stack(each).mean()

    further = layers > 5
    expected = [
        looked(0, [(1, 0), (2, 1), (4, 1)][: 1 + 2 * further], 8, 2, 3),
        looked(1, [(1, 1), (3, 2), (4, 2)], 6, 5) if further else looked(1, [(1, 1)], 6, 5, 6),
        looked(0, [(3, 0), (5, 0)][: 1 + further], 9, 8),
        looked(1, [(3, 1), (5, 1), (6, 1)] if further else [(3, 1)], 11, 4),
        looked(1, [(2, 0), (4, 0)] if further else [], 7, 2, 3),
        looked(1, [(6, 0)] if further else [], 10, 4),
        said(3, 5) if further else said(3),
    ]
    torch.testing.assert_close(losses, torch.stack(expected), rtol=1e-4, atol=1e-5)
    losses.sum().backward()
    assert all(not layer.input_layernorm._forward_hooks for layer in model.model.layers)
