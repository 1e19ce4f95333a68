"""What the small model is taught to read besides its world: notes of any shape, words it had no token for, layers that change nothing yet."""

from __future__ import annotations

from random import Random

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from agentmem.evaluation.world import UNKNOWN_ANSWER, World
from agentmem.llm.small_model import load_small_model
from benchmarks.small_model.shapes.chats import Sources, Style, make_chat
from benchmarks.small_model.shapes.notes import Writer, forms
from benchmarks.small_model.shapes.probes import SHAPE_PROBES
from benchmarks.small_model.shapes.strangers import MEASURED, TRAINED, StrangersNotes, read_facts
from benchmarks.small_model.shapes.train import grown
from benchmarks.small_model.shapes.vocabulary import (
    common_words,
    more_merges,
    vectors_for,
    with_merges,
    word_counts,
)


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources(Writer(common_words()), StrangersNotes(read_facts()))


@pytest.fixture(scope="module")
def wider() -> PreTrainedTokenizerFast:
    _, tokenizer = load_small_model()
    core = tokenizer.backend_tokenizer
    counts = word_counts(core, ["the kubelet of the Kebabhaus wrote änderungen"], common=3000)
    return with_merges(tokenizer, more_merges(core, counts, 2000))


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


def test_what_is_asked_is_answered_from_the_notes_and_the_newest_wins(sources: Sources) -> None:
    rng = Random(3)
    style = Style(strange=0.0, renewed=1.0, copied=0.0, unknown=0.0)
    answers = []
    for _ in range(200):
        turns = make_chat(sources, style, rng)
        stated = [stated for turn in turns for stated in turn.stated]
        for turn in turns:
            if turn.sought is None or not turn.weight:
                continue
            said = turn.content.removesuffix(".")
            told = [stated.value for stated in stated if stated.key == turn.sought]
            answers.append(said)
            assert turn.content == UNKNOWN_ANSWER if not told else said == told[-1]
    assert len(answers) > 400
    assert sum(f"{said}." == UNKNOWN_ANSWER for said in answers) < 0.1 * len(answers), "what is over, and nothing else"


def test_what_no_note_tells_is_not_known(sources: Sources) -> None:
    rng = Random(4)
    answered = []
    for _ in range(200):
        turns = make_chat(sources, Style(unknown=1.0, copied=0.0), rng)
        told = {stated.key: stated.value for turn in turns for stated in turn.stated}
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


def test_more_merges_leave_the_tokens_of_the_world_alone(wider: PreTrainedTokenizerFast) -> None:
    _, tokenizer = load_small_model()
    world, rng = World.generate(), Random(6)
    texts = [" " + world.statement(fact, rng) for fact in world.facts[:300]]
    assert [wider.encode(text) for text in texts] == [tokenizer.encode(text) for text in texts]
    other = " My dentist moved the appointment because the kitchen flooded: naïve 北京 £3.50 \N{SNOWMAN}"
    assert len(wider.encode(other)) < len(tokenizer.encode(other))
    assert wider.decode(wider.encode(other)) == other
    assert len(wider) == len(tokenizer) + 2000


def test_a_grown_model_says_what_it_said_before(wider: PreTrainedTokenizerFast) -> None:
    model, tokenizer = load_small_model()
    vectors = vectors_for(wider, model.get_input_embeddings().weight.detach().float(), torch.Generator().manual_seed(0))
    larger = grown(model, vectors, 7).eval()
    ids = torch.tensor([tokenizer.encode("<s><|user|> Where does Ines Varga live?<|end|><|assistant|>")])
    with torch.no_grad():
        before, after = model.float()(ids).logits, larger(ids).logits
    assert larger.config.num_hidden_layers == 7
    torch.testing.assert_close(after[..., : before.shape[-1]], before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SHAPE_PROBES)
def test_probes_can_be_answered_from_what_they_tell(name: str) -> None:
    for probe in SHAPE_PROBES[name](Random(7), 20):
        said = probe.expected.removesuffix(".")
        if probe.expected == UNKNOWN_ANSWER:
            assert "not told" in name
        else:
            assert said.casefold() in probe.messages[0]["content"].casefold()
