"""Teach the small model to read notes of any shape: two more layers, and a further course beside its world.

python -m benchmarks.small_model.shapes.train --out build/any_shape

It goes on from the model that ships, with its tokens. New layers begin as copies of the one that reads, and change nothing.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import torch
from transformers import LlamaForCausalLM

from agentmem.llm.small_model import load_small_model
from benchmarks.small_model.quick import exact
from benchmarks.small_model.recipe import Schedule
from benchmarks.small_model.rows import RowSource
from benchmarks.small_model.shapes.chats import Sources
from benchmarks.small_model.shapes.deeds import DeedsWriter
from benchmarks.small_model.shapes.notes import Writer
from benchmarks.small_model.shapes.probes import SHAPE_PROBES
from benchmarks.small_model.shapes.recipe import LAYERS, LONG_MIXTURE, RATES, STAGES
from benchmarks.small_model.shapes.strangers import StrangersNotes, read_facts
from benchmarks.small_model.shapes.vocabulary import common_words
from benchmarks.small_model.train import Trainer, main

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["ShapesTrainer", "grown"]

_LOOK = 120
_READING = 3
"""The layer of the model that ships whose heads were taught to read (:mod:`benchmarks.small_model.guidance`)."""


def grown(model: LlamaForCausalLM, layers: int) -> LlamaForCausalLM:
    """Return the model with so many layers; those on top are copies of the one that reads notes, and change nothing yet.

    Depth by copied layers: Kim et al. 2023, "SOLAR 10.7B". A head that looks at the right note from the start has half of its lesson behind it.
    """
    config = type(model.config)(**model.config.to_dict())
    config.num_hidden_layers = layers
    larger = LlamaForCausalLM(config).float()
    larger.load_state_dict({name: tensor.float() for name, tensor in model.state_dict().items()}, strict=False)
    reading = larger.model.layers[_READING].state_dict()
    for layer in larger.model.layers[model.config.num_hidden_layers :]:
        layer.load_state_dict(reading)
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    return larger


class ShapesTrainer(Trainer):
    """Goes on from the model that ships, with more to read."""

    def start(self, seed: int) -> tuple[PreTrainedTokenizerFast, LlamaForCausalLM]:  # noqa: ARG002 - nothing is drawn
        """Return the tokenizer and the grown model."""
        model, tokenizer = load_small_model()
        return tokenizer, grown(model, LAYERS)

    def source(self, rng: Random) -> RowSource:
        """Return rows of the world and of notes of any shape."""
        self.schedule = Schedule(rates=RATES)
        writer = Writer(common_words())
        sources = Sources(writer, StrangersNotes(read_facts()), DeedsWriter(writer))
        core = self.tokenizer.backend_tokenizer
        return RowSource(self.world, core, self.schedule, rng, STAGES, LONG_MIXTURE, sources)

    def figures(self) -> dict[str, float]:
        """Measure a sample of what is held out, besides the world."""
        found = super().figures()
        for name, make in SHAPE_PROBES.items():
            found[name] = exact(self.model, self.tokenizer, make(Random(f"quick {name}"), _LOOK))
        return found


if __name__ == "__main__":
    main(ShapesTrainer, __doc__, tokens=34_000_000)
