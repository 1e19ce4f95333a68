"""The training recipe: model size, mixture and schedule, as data."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import LlamaConfig

from benchmarks.small_model.corpus import ChatKind
from benchmarks.small_model.tokenizer import SPECIAL_TOKENS, VOCAB_SIZE

__all__ = ["FIRST", "STAGES", "Schedule", "Stage", "model_config"]

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
_LOOKED_UP = {"ask_claimed": 0.84, "ask_absent": 0.13, "ask_near": 0.03}
_MIXED = {
    "ask_claimed": 0.56,
    "ask_absent": 0.18,
    "ask_near": 0.08,
    "ask_known": 0.08,
    "recite": 0.03,
    "ask_unknown": 0.04,
    "more_notes": 0.03,
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
TABLE = ChatKind({"ask_claimed": 0.95, "ask_near": 0.05}, (3, 6), (2, 5), simple=True, table=True)
LONG_TABLE = ChatKind({"ask_claimed": 0.9, "ask_near": 0.1}, (4, 8), (3, 8), simple=True, table=True)
ANY_TABLE = ChatKind({"ask_claimed": 0.9, "ask_near": 0.1}, (4, 8), (3, 8), table=True)
PAIRS = ChatKind({"pairs": 1.0}, (1, 2))
FLIPPED_ONE = ChatKind(_LOOKED_UP, (1, 3), (1, 1), flipped=1.0, invented=0.15)
FLIPPED_FEW = ChatKind(_LOOKED_UP, (2, 5), (1, 3), flipped=0.75, invented=0.2)
FLIPPED_TABLE = ChatKind(_LOOKED_UP, (3, 7), (2, 5), table=True, flipped=0.6, invented=0.25)
HARD_TABLE = ChatKind(_LOOKED_UP, (4, 8), (3, 8), table=True, flipped=0.2, invented=0.25)
HARD_NOTES = ChatKind(_MIXED, (4, 9), (3, 8), flipped=0.2, invented=0.15, revised=0.25)
FLIPPED_PAIRS = ChatKind({"pairs": 1.0}, (1, 2), flipped=0.5, invented=0.2)
TOLD = ChatKind(_TOLD, (4, 9))
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
    mixture: tuple[tuple[ChatKind, float], ...]
    long_every: int = 0


# The first course takes this share of the training; the second starts with a raised learning rate.
FIRST = 18 / 25.7

# Literal copying comes first: reading a note needs it, and beside answers from the weights it does not come by itself.
# Which of several notes is meant is a lesson of its own: as long as the kind of value alone gives it away, names are
# never compared, so the fourth stage lists one attribute of many subjects. Notes then become more, and more mixed.
# The second course teaches what the first leaves undone: sentences with the value before the subject (a different way
# of reading: the subject's position has to fetch the value), values that are names of people or occur nowhere else,
# newer notes that replace older ones, and questions that only seem to be answered by a note.
STAGES = (
    Stage(FIRST * 0.0622, 0.2, ((REPEATS, 0.25), (SIMPLE_NOTES, 0.45), (CLOSED, 0.2), (STATEMENTS, 0.1))),
    Stage(
        FIRST * 0.1778,
        1.0,
        ((REPEATS, 0.06), (SIMPLE_NOTES, 0.2), (FEW_NOTES, 0.28), (CLOSED, 0.34), (STATEMENTS, 0.12)),
    ),
    Stage(FIRST * 0.2226, 1.0, ((REPEATS, 0.03), (SOME_NOTES, 0.42), (TOLD, 0.08), (CLOSED, 0.4), (STATEMENTS, 0.07)), 10),
    Stage(
        FIRST * 0.3614,
        1.0,
        ((TABLE, 0.45), (PAIRS, 0.15), (REPEATS, 0.08), (SIMPLE_NOTES, 0.08), (CLOSED, 0.2), (STATEMENTS, 0.04)),
    ),
    Stage(
        FIRST * 0.44,
        1.0,
        ((LONG_TABLE, 0.37), (SOME_NOTES, 0.14), (PAIRS, 0.07), (REPEATS, 0.05), (CLOSED, 0.32), (STATEMENTS, 0.05)),
    ),
    Stage(
        FIRST * 0.5836,
        1.0,
        ((LONG_TABLE, 0.16), (SOME_NOTES, 0.3), (PAIRS, 0.02), (REPEATS, 0.02), (TOLD, 0.07), (CLOSED, 0.39),
         (STATEMENTS, 0.04)),
        10,
    ),
    Stage(
        FIRST * 0.8618,
        1.0,
        ((ANY_TABLE, 0.12), (MANY_NOTES, 0.42), (REPEATS, 0.01), (TOLD, 0.08), (CLOSED, 0.33), (STATEMENTS, 0.04)),
        8,
    ),
    Stage(
        FIRST,
        1.0,
        ((ANY_TABLE, 0.16), (MANY_NOTES, 0.5), (REPEATS, 0.01), (TOLD, 0.06), (CLOSED, 0.23), (STATEMENTS, 0.04)),
        8,
    ),
    Stage(
        19.2 / 25.7,
        1.0,
        ((FLIPPED_ONE, 0.35), (FLIPPED_FEW, 0.25), (FLIPPED_PAIRS, 0.08), (HARD_NOTES, 0.1), (CLOSED, 0.2),
         (STATEMENTS, 0.02)),
    ),
    Stage(
        20.7 / 25.7,
        1.0,
        ((FLIPPED_FEW, 0.15), (FLIPPED_TABLE, 0.28), (FLIPPED_PAIRS, 0.04), (HARD_TABLE, 0.1), (HARD_NOTES, 0.18),
         (CLOSED, 0.22), (STATEMENTS, 0.03)),
        12,
    ),
    Stage(
        1.0,
        1.0,
        ((FLIPPED_TABLE, 0.1), (HARD_TABLE, 0.1), (HARD_NOTES, 0.38), (REPEATS, 0.01), (TOLD, 0.06), (CLOSED, 0.31),
         (STATEMENTS, 0.04)),
        8,
    ),
)
LONG_MIXTURE = ((LONG_CHAT, 0.55), (LONG_OPEN, 0.45))


@dataclass(frozen=True)
class Schedule:
    """Sizes and learning rates."""

    tokens_per_step: int = 6144
    row: int = 256
    long_row: int = 512
    matrix_rate: float = 0.02
    other_rate: float = 3e-3
    warm_up_steps: int = 50
    decay_from: float = 0.36
    final_rate: float = 0.02
    second_rate: float = 0.6
    second_decay_from: float = 0.35

    def factor(self, step: int, progress: float) -> float:
        """Return the learning-rate factor: warm-up, flat, linear down to `final_rate`; then once more from half."""
        if step < self.warm_up_steps:
            return (step + 1) / self.warm_up_steps
        if progress < FIRST:
            return self._fall(1.0, self.decay_from, progress / FIRST)
        return self._fall(self.second_rate, self.second_decay_from, (progress - FIRST) / (1.0 - FIRST))

    def _fall(self, start: float, decay_from: float, progress: float) -> float:
        left = max(0.0, 1.0 - progress) / (1.0 - decay_from)
        return start if progress < decay_from else self.final_rate + (start - self.final_rate) * left


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
