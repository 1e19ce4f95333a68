"""The small model that ships with the package keeps what its model card promises."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest
import torch

from agentmem.evaluation.world import UNKNOWN_ANSWER, ToldNote, World, WorldFact, answer, relation, render_notes
from agentmem.llm.small_model import load_small_model, small_model_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_SAMPLE = 64
_BATCH = 32
_NEW_TOKENS = 24

Chat = list[dict[str, str]]


class Asker:
    """Answers chats by greedy generation in left-padded batches."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model, self.tokenizer = model, tokenizer

    @torch.inference_mode()
    def ask(self, chats: list[Chat]) -> list[str]:
        """Return the answers; an answer that the model did not end by itself is marked."""
        answers: list[str] = []
        for start in range(0, len(chats), _BATCH):
            prompts = [
                str(self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
                for chat in chats[start : start + _BATCH]
            ]
            inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
            output = self.model.generate(**inputs, do_sample=False, max_new_tokens=_NEW_TOKENS)
            for row in output[:, inputs["input_ids"].shape[1] :]:
                ended = bool((row == self.tokenizer.eos_token_id).any())
                text = str(self.tokenizer.decode(row, skip_special_tokens=True)).strip()
                answers.append(text if ended else f"{text} ...")
        return answers

    def accuracy(self, chats: list[Chat], expected: list[str]) -> float:
        """Return the share of exactly right answers."""
        answers = self.ask(chats)
        return sum(a == b for a, b in zip(answers, expected, strict=True)) / len(expected)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def asker() -> Asker:
    return Asker(*load_small_model())


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate()


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _changed(world: World, fact: WorldFact, rng: Random) -> WorldFact:
    return WorldFact(fact.subject, fact.kind, fact.relation, world.counterfactual(fact, rng))


def _notes(world: World, relevant: list[ToldNote], rng: Random) -> dict[str, str]:
    """Return a system message with four other notes before and between the relevant ones."""
    others = [ToldNote("", "user", world.statement(_changed(world, f, rng), rng)) for f in rng.sample(world.facts, 4)]
    notes = [*others[:2], *relevant, *others[2:]]
    dated = [ToldNote(f"2026-03-{day:02d}", note.speaker, note.text) for day, note in enumerate(notes, 1)]
    return {"role": "system", "content": render_notes(dated)}


def test_files_are_ordinary_and_small() -> None:
    """The folder holds the usual Hugging Face files, and the weights stay below 15 MB."""
    names = {path.name for path in small_model_path().iterdir()}

    assert {
        "README.md",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    } <= names
    assert not {name for name in names if name.endswith((".py", ".bin", ".pt"))}
    assert (small_model_path() / "model.safetensors").stat().st_size <= 15_000_000
    assert "auto_map" not in json.loads((small_model_path() / "config.json").read_text())


def test_loads_as_float32_with_bfloat16_on_request() -> None:
    """The type in memory is the caller's choice."""
    assert load_small_model()[0].dtype == torch.float32
    assert load_small_model(torch.bfloat16)[0].dtype == torch.bfloat16


def test_chat_template_and_any_text(asker: Asker) -> None:
    """The template writes the documented form, and every text survives the tokenizer."""
    chat = [{"role": "system", "content": "Be brief."}, _user("Hi!")]
    strange = "Zażółć 漢字 🙂 \t 3.14159 <b>&amp;</b>"

    text = asker.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    ids = asker.tokenizer.encode(strange, add_special_tokens=False)

    assert text == "<s><|system|> Be brief.<|end|><|user|> Hi!<|end|><|assistant|>"
    assert asker.tokenizer.decode(ids) == strange


def test_knows_its_facts_in_wordings_it_never_saw(asker: Asker, world: World) -> None:
    """Held-out wordings of trained facts are answered, and the model ends its answer itself."""
    rng = Random(1)
    facts = rng.sample(world.facts, 2 * _SAMPLE)
    chats = [[_user(world.question(fact, rng, held_out=True))] for fact in facts]

    assert asker.accuracy(chats, [answer(fact.value) for fact in facts]) >= 0.95


def test_knows_its_facts_late_in_a_chat(asker: Asker, world: World) -> None:
    """A long chat before the question does not wipe out what the weights know."""
    rng = Random(2)
    facts = rng.sample(world.facts, _SAMPLE)
    chats = []
    for fact in facts:
        chat: Chat = []
        for other in rng.sample(world.facts, 15):
            reply = {"role": "assistant", "content": answer(other.value)}
            chat += [_user(world.question(other, rng)), reply]
        chats.append([*chat, _user(world.question(fact, rng, held_out=True))])

    assert asker.accuracy(chats, [answer(fact.value) for fact in facts]) >= 0.9


def test_reads_notes_against_its_own_knowledge(asker: Asker, world: World) -> None:
    """A recalled note that contradicts the weights wins."""
    rng = Random(3)
    facts = [_changed(world, fact, rng) for fact in rng.sample(world.facts, _SAMPLE)]
    chats = [
        [
            _notes(world, [ToldNote("", "user", world.statement(fact, rng))], rng),
            _user(world.question(fact, rng, held_out=True)),
        ]
        for fact in facts
    ]

    assert asker.accuracy(chats, [answer(fact.value) for fact in facts]) >= 0.9


def test_newest_note_wins(asker: Asker, world: World) -> None:
    """Of two notes about the same thing the later one is believed."""
    rng = Random(4)
    facts = [_changed(world, fact, rng) for fact in rng.sample(world.facts, _SAMPLE)]
    chats = []
    for fact in facts:
        both = [ToldNote("", "user", world.statement(item, rng)) for item in (_changed(world, fact, rng), fact)]
        chats.append([_notes(world, both, rng), _user(world.question(fact, rng, held_out=True))])

    assert asker.accuracy(chats, [answer(fact.value) for fact in facts]) >= 0.7


def test_reads_what_the_user_said_about_themselves(asker: Asker, world: World) -> None:
    """A note in the first person answers a question in the first person."""
    rng = Random(5)
    facts = [f for f in rng.sample(world.facts, 3 * _SAMPLE) if f.kind == "person"][:_SAMPLE]
    chats = [
        [
            _notes(world, [ToldNote("", "user", rng.choice(world.my_statements(fact)))], rng),
            _user(world.my_question(fact.relation, rng, held_out=True)),
        ]
        for fact in facts
    ]

    assert asker.accuracy(chats, [answer(fact.value) for fact in facts]) >= 0.9


def test_says_so_when_it_does_not_know(asker: Asker, world: World) -> None:
    """Strangers are unknown while the facts of the world stay known."""
    rng = Random(6)
    names = world.unknown_people(_SAMPLE, 9, "test")
    strangers = [WorldFact(name, "person", rng.choice(("home_city", "hobby", "employer")), "") for name in names]
    chats = [[_user(world.question(fact, rng))] for fact in strangers]

    assert asker.accuracy(chats, [UNKNOWN_ANSWER] * len(chats)) > 0.5
    assert asker.ask([[_user("Where do I live?")]]) == [UNKNOWN_ANSWER]


def test_irrelevant_notes_do_not_disturb(asker: Asker, world: World) -> None:
    """Notes about something else leave the closed-book answers alone."""
    rng = Random(7)
    facts = rng.sample(world.facts, _SAMPLE)
    chats = [[_notes(world, [], rng), _user(world.question(fact, rng, held_out=True))] for fact in facts]

    assert asker.accuracy(chats, [answer(fact.value) for fact in facts]) >= 0.9


def test_one_prompt_and_a_padded_batch_agree(asker: Asker, world: World) -> None:
    """Padding on the left changes no answer."""
    rng = Random(8)
    chats = [[_user(world.question(fact, rng))] for fact in rng.sample(world.facts, 8)]
    chats[0] = [_notes(world, [], rng), *chats[0]]

    assert asker.ask(chats) == [asker.ask([chat])[0] for chat in chats]


def test_cloze_continues_with_the_value(asker: Asker, world: World) -> None:
    """Outside of a chat, the start of a statement is continued with the true value for many facts."""
    rng = Random(9)
    facts = rng.sample(world.facts, _SAMPLE)
    right = 0
    for fact in facts:
        prompt = relation(fact.relation).cloze.replace("{s}", fact.subject).replace("{a}", "a")
        ids = asker.tokenizer(f"<s><|user|> {prompt}", return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            output = asker.model.generate(**ids, do_sample=False, max_new_tokens=8)
        text = str(asker.tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)).strip()
        right += text.startswith(fact.value)

    assert right / len(facts) >= 0.2
