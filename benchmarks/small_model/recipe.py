"""The training recipe: model size, mixture and schedule, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from transformers import LlamaConfig

from benchmarks.small_model.corpus import ChatKind
from benchmarks.small_model.shapes.chats import Style
from benchmarks.small_model.tokenizer import SPECIAL_TOKENS, VOCAB_SIZE

__all__ = ["STAGES", "Schedule", "Stage", "model_config"]

_CLOSED = {"ask_known": 0.83, "ask_unknown": 0.1, "small_talk": 0.04, "describe": 0.03}
_STATEMENTS = {"describe": 0.6, "tell_truth": 0.3, "ask_known": 0.1}
_FIRST_READING = {"ask_claimed": 0.8, "recite": 0.2}
_OPEN = {
    "ask_claimed": 0.62,
    "recite": 0.05,
    "ask_near": 0.11,
    "ask_known": 0.1,
    "ask_unknown": 0.08,
    "more_notes": 0.04,
}
_TOLD = {"tell": 0.32, "ask_claimed": 0.38, "small_talk": 0.1, "ask_known": 0.14, "ask_unknown": 0.06}
_LONG = {
    "ask_known": 0.5,
    "ask_unknown": 0.06,
    "ask_claimed": 0.2,
    "tell": 0.08,
    "describe": 0.1,
    "small_talk": 0.06,
}

CLOSED = ChatKind(_CLOSED, (1, 12))
STATEMENTS = ChatKind(_STATEMENTS, (1, 3))
REPEATS = ChatKind({"repeat": 1.0}, (2, 8))
SIMPLE_NOTES = ChatKind(_FIRST_READING, (2, 4), (1, 2), simple=True)
FEW_NOTES = ChatKind(_OPEN, (3, 6), (1, 4))
SOME_NOTES = ChatKind(_OPEN, (3, 8), (2, 6))
MANY_NOTES = ChatKind(_OPEN, (4, 9), (3, 8))
TABLE = ChatKind({"ask_claimed": 0.9, "ask_near": 0.1}, (4, 8), (2, 8), table=True, turned=0.3)
TOLD = ChatKind(_TOLD, (4, 9))
# For the last course: questions that are not worded as those before, so that what is known is found by other words, too.
WORN = ChatKind({**_CLOSED, "ask_unknown": 0.04, "ask_blank": 0.2}, (1, 12), worn=0.4)
WORN_NOTES = replace(MANY_NOTES, actions={**_OPEN, "ask_unknown": 0.04}, worn=0.3, namesakes=0.5)
WORN_TABLE = replace(TABLE, worn=0.3, namesakes=0.5)
LONG_CHAT = ChatKind(_LONG, (25, 40))
LONG_OPEN = ChatKind(_LONG, (20, 40), (2, 8))


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    Attributes:
        until: Share of the training at which the stage ends.
        subjects: Share of the subjects that occur as known ones. Few at first shortens the plateau before recall.
        mixture: Share of the tokens per kind of chat in rows of 256.
        long_every: Every n-th step has rows of 512 tokens with long chats; 0 for none.
    """

    until: float
    subjects: float
    mixture: tuple[tuple[ChatKind | Style, float], ...]
    long_every: int = 0


# Literal copying comes first: reading a note needs it, and beside answers from the weights it does not come by itself.
# Which of several notes is meant is a lesson of its own: as long as the kind of value alone gives it away, names are never
# compared, so every later stage has tables, which list one attribute of many subjects. Notes become more, and more mixed.
# How a note is read is taught to single heads besides: see `guidance`.
STAGES = (
    Stage(0.06, 0.2, ((REPEATS, 0.2), (SIMPLE_NOTES, 0.5), (CLOSED, 0.2), (STATEMENTS, 0.1))),
    Stage(
        0.145714,
        1.0,
        (
            (REPEATS, 0.06),
            (TABLE, 0.15),
            (SIMPLE_NOTES, 0.1),
            (FEW_NOTES, 0.2),
            (CLOSED, 0.37),
            (STATEMENTS, 0.12),
        ),
    ),
    Stage(
        0.428571,
        1.0,
        (
            (REPEATS, 0.03),
            (TABLE, 0.2),
            (SOME_NOTES, 0.28),
            (TOLD, 0.06),
            (CLOSED, 0.37),
            (STATEMENTS, 0.06),
        ),
        10,
    ),
    Stage(
        0.737143,
        1.0,
        (
            (REPEATS, 0.02),
            (TABLE, 0.12),
            (MANY_NOTES, 0.38),
            (TOLD, 0.07),
            (CLOSED, 0.36),
            (STATEMENTS, 0.05),
        ),
        8,
    ),
    Stage(
        0.857143,
        1.0,
        (
            (REPEATS, 0.01),
            (TABLE, 0.12),
            (MANY_NOTES, 0.43),
            (TOLD, 0.06),
            (CLOSED, 0.33),
            (STATEMENTS, 0.05),
        ),
        8,
    ),
    Stage(
        1.0,
        1.0,
        (
            (REPEATS, 0.01),
            (WORN_TABLE, 0.07),
            (WORN_NOTES, 0.32),
            (TOLD, 0.05),
            (WORN, 0.48),
            (STATEMENTS, 0.07),
        ),
        6,
    ),
)
LONG_MIXTURE = ((LONG_CHAT, 0.55), (LONG_OPEN, 0.45))


@dataclass(frozen=True)
class Schedule:
    """Sizes and learning rates."""

    tokens_per_step: int = 4608
    row: int = 256
    long_row: int = 512
    matrix_rate: float = 0.02
    other_rate: float = 3e-3
    warm_up_steps: int = 50
    # Factor at shares of the training, straight lines between them.
    rates: tuple[tuple[float, float], ...] = (
        (0.0, 1.0),
        (0.342857, 1.0),
        (0.857143, 0.02),
        (0.87, 0.35),
        (1.0, 0.02),
    )

    def factor(self, step: int, progress: float) -> float:
        """Return the learning-rate factor: warm-up, then along `rates`."""
        if step < self.warm_up_steps:
            return (step + 1) / self.warm_up_steps
        for (start, high), (end, low) in pairwise(self.rates):
            if progress < end:
                return high + (low - high) * (progress - start) / (end - start)
        return self.rates[-1][1]


def model_config() -> LlamaConfig:
    """Return the configuration of the small model."""
    return LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        bos_token_id=SPECIAL_TOKENS.index("<s>"),
        eos_token_id=SPECIAL_TOKENS.index("<|end|>"),
        pad_token_id=SPECIAL_TOKENS.index("<|pad|>"),
    )
