"""What the small model is taught to read besides its world: notes of any shape, layers that change nothing yet."""

from __future__ import annotations

from random import Random

import pytest
import torch

from agentmem.evaluation.world import UNKNOWN_ANSWER
from agentmem.llm.small_model import load_small_model
from benchmarks.small_model.shapes.chats import Sources, Style, make_chat
from benchmarks.small_model.shapes.deeds import DeedsWriter
from benchmarks.small_model.shapes.grammar import OTHER, asked, asked_passive, groups, said, said_passive
from benchmarks.small_model.shapes.notes import Writer, forms
from benchmarks.small_model.shapes.probes import SHAPE_PROBES
from benchmarks.small_model.shapes.strangers import MEASURED, TRAINED, StrangersNotes, read_facts
from benchmarks.small_model.shapes.train import grown
from benchmarks.small_model.shapes.vocabulary import common_words


@pytest.fixture(scope="module")
def sources() -> Sources:
    writer = Writer(common_words())
    return Sources(writer, StrangersNotes(read_facts()), DeedsWriter(writer))


def test_a_note_tells_its_value_word_for_word(sources: Sources) -> None:
    rng = Random(1)
    for strange in (0.0, 1.0):
        for _ in range(400):
            note = sources.note(rng, strange)
            assert note.value
            assert note.value.casefold() in note.text.casefold()
            assert not note.name or note.name.casefold() in note.text.casefold()
            asked = note.asks(rng)
            assert asked.text.strip()
            assert asked.key == note.key
            assert "{" not in asked.text + note.text or "{" in note.value
            assert not asked.named or asked.named == note.name
            assert note.elsewhere(rng).key != note.key


def test_a_deed_is_told_with_all_of_its_parts_and_each_is_asked_for_by_itself(sources: Sources) -> None:
    rng = Random(9)
    asked, met_again, given_away = [], 0, 0
    for _ in range(1500):
        note = sources.deeds.note(rng)
        keys = {fact.key for fact in note.facts}
        assert len(keys) == len(note.facts)
        for fact in note.facts:
            assert fact.value.casefold() in note.text.casefold()
            question = fact.asks(rng)
            assert question.key == fact.key
            given_away += fact.value.casefold() in question.text.casefold() and fact.value not in note.name
            asked.append(question.text)
        assert note.elsewhere(rng).key not in keys
        assert {fact.key for fact in note.again(rng).facts} <= keys
        met_again += not keys.isdisjoint(fact.key for fact in note.beside(rng).facts)
    assert given_away < 8, "a number or a short word may be part of another by chance"
    assert met_again < 15, "somebody or something else is drawn, by chance of the same name"
    assert len(set(asked)) > 0.97 * len(asked)


def test_the_grammar_knows_its_verbs() -> None:
    take = next(verb for group in groups() for verb in group.verbs if (verb.base, verb.rest) == ("take", "apart"))
    assert said(take, "perfect", OTHER, "Ana", "the boat") == "Ana has taken apart the boat"
    assert said_passive(take, "past", "the boat") == "the boat was taken apart"
    assert asked(take, "past", OTHER, "Ana", "the boat") == "did Ana take apart the boat"
    assert asked_passive(take, "future", "the boat") == "will the boat be taken apart"
    made = next(verb for group in groups() for verb in group.verbs if (verb.base, verb.rest) == ("be", "made of"))
    assert asked(made, "present", OTHER, "the box") == "is the box made of"
    forms = {verb.base: verb for group in groups() for verb in group.verbs}
    assert [forms[base].past for base in ("plan", "carry", "play", "return")] == [
        "planned",
        "carried",
        "played",
        "returned",
    ]
    assert [forms[base].ing for base in ("wrap", "take", "see")] == ["wrapping", "taking", "seeing"]
    assert [forms[base].third for base in ("fix", "carry", "buy")] == ["fixes", "carries", "buys"]


def test_shapes_and_names_that_are_held_out_are_never_trained_on() -> None:
    rng = Random(2)
    words = common_words()
    trained, held = Writer(words), Writer(words, held_forms=True)
    assert len(trained.forms) >= 30
    assert not {form.told for form in trained.forms} & {form.told for form in held.forms}
    assert len(forms()) == len(trained.forms) + len(held.forms)
    matters = {trained._matter(rng) for _ in range(500)}
    assert not matters & {Writer(words, held_names=True)._matter(rng) for _ in range(500)}
    assert not set(TRAINED) & set(MEASURED)
    told, kept = (
        {verb for group in DeedsWriter(trained, held=held).groups for verb in group.verbs} for held in (False, True)
    )
    assert len(kept) > 60
    assert not told & kept


def test_what_is_asked_is_answered_from_the_notes_and_the_newest_wins(sources: Sources) -> None:
    rng = Random(3)
    style = Style(strange=0.0, renewed=1.0, copied=0.0, unknown=0.0)
    answers = []
    for _ in range(200):
        turns = make_chat(sources, style, rng)
        stated = [
            told for turn in turns for stated in turn.stated for told in ((stated.key, stated.value), *stated.also)
        ]
        for turn in turns:
            if turn.sought is None or not turn.weight:
                continue
            said = turn.content.removesuffix(".")
            told = [value for key, value in stated if key == turn.sought]
            answers.append(said)
            assert turn.content == UNKNOWN_ANSWER if not told else said == told[-1]
    assert len(answers) > 400
    assert sum(f"{said}." == UNKNOWN_ANSWER for said in answers) < 0.1 * len(answers), "what is over, and nothing else"


def test_what_no_note_tells_is_not_known(sources: Sources) -> None:
    rng = Random(4)
    answered = []
    for _ in range(200):
        turns = make_chat(sources, Style(unknown=1.0, copied=0.0), rng)
        told = {
            key for turn in turns for stated in turn.stated for key in (stated.key, *(also for also, _ in stated.also))
        }
        for turn in turns:
            if turn.weight and turn.content != UNKNOWN_ANSWER:
                assert turn.sought in told, "what looks like something else may be told by another note"
                answered.append(turn)
    assert len(answered) < 60


def test_the_notes_of_a_table_tell_one_matter_of_many(sources: Sources) -> None:
    rng = Random(8)
    for _ in range(50):
        turns = make_chat(sources, Style(notes=(3, 6), strange=0.0, table=1.0, renewed=0.0, copied=0.0), rng)
        keys = [stated.key for turn in turns for stated in turn.stated]
        assert len({matter for _, matter in keys}) == 1
        assert len({subject for subject, _ in keys}) == len(keys)


def test_strangers_sentences_come_with_other_values(sources: Sources) -> None:
    rng = Random(5)
    fact = sources.strangers.facts[0]
    told = {sources.strangers.told(fact, rng).value for _ in range(60)}
    assert len(told) > 10
    as_written = StrangersNotes([fact], changed=False).note(rng)
    assert as_written.value == fact.value
    assert as_written.text == fact.text


def test_a_grown_model_says_what_it_said_before() -> None:
    model, tokenizer = load_small_model()
    larger = grown(model, 7).eval()
    ids = torch.tensor([tokenizer.encode("<s><|user|> Where does Ines Varga live?<|end|><|assistant|>")])
    with torch.no_grad():
        before, after = model.float()(ids).logits, larger(ids).logits
    assert larger.config.num_hidden_layers == 7
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SHAPE_PROBES)
def test_probes_can_be_answered_from_what_they_tell(name: str) -> None:
    for probe in SHAPE_PROBES[name](Random(7), 20):
        said = probe.expected.removesuffix(".")
        if probe.expected == UNKNOWN_ANSWER:
            assert "not told" in name
        else:
            assert said.casefold() in probe.messages[0]["content"].casefold()
