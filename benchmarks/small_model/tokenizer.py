"""The tokenizer and the chat template of the small model."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from agentmem.evaluation.world import NOTES_HEADER, UNKNOWN_ANSWER, World, random_date
from agentmem.evaluation.world import names as world_names
from benchmarks.small_model import wording

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CHAT_TEMPLATE", "SPECIAL_TOKENS", "VOCAB_SIZE", "build_tokenizer"]

VOCAB_SIZE = 4096
BOS, SYSTEM, USER, ASSISTANT, END, PAD = (
    "<s>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|pad|>",
)
SPECIAL_TOKENS = (BOS, SYSTEM, USER, ASSISTANT, END, PAD)

# A content starts with a space, so that an answer has the same tokens as the same words inside a sentence.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|> ' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def _sample_text(world: World, rng: Random) -> Iterator[str]:
    for fact in world.facts:
        for _ in range(3):
            yield " " + world.question(fact, rng)
            yield " " + world.statement(fact, rng)
        for sentence in rng.sample(world.my_statements(fact), 1 if fact.kind == "person" else 0):
            yield f"\n- [{random_date(rng)} user] {sentence}"
    # Values and names are what the model has to find and to say, so they are worth whole tokens.
    for value in dict.fromkeys(fact.value for fact in world.facts):
        yield from [f" {value}."] * 40
        yield from [f" {value[:1].upper()}{value[1:]} "] * 15
    for name in (*world_names.FIRST_NAMES, *world_names.LAST_NAMES, *world_names.COMPANY_SUFFIXES):
        yield from [f" {name}"] * 40
    for _ in range(3000):
        yield " " + world_names.invented_word(rng)
    for kind in ("company", "place"):
        for _ in range(400):
            yield " " + world.unknown_name(kind, rng)
    for _ in range(40):
        yield from (NOTES_HEADER, *wording.NOTE_HEADERS, " assistant, untrusted", " note")
        yield from (" " + line for line in (*wording.PERSONAS, *wording.ACKNOWLEDGEMENTS, UNKNOWN_ANSWER))
    for _ in range(10):
        yield from wording.GENERAL_TEXT


def build_tokenizer(world: World, seed: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on text of the world; any other text can be encoded too."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(_sample_text(world, Random(seed)), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=2048,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
