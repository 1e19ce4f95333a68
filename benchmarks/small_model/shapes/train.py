"""Teach the small model to read notes of any shape: more words, two more layers, and a further course beside its world.

python -m benchmarks.small_model.shapes.train --out build/any_shape --tokens 40000000

It goes on from the model that ships. New layers begin as ones that change nothing, new tokens near words that mean the like.
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
from benchmarks.small_model.shapes.notes import Writer
from benchmarks.small_model.shapes.probes import SHAPE_PROBES
from benchmarks.small_model.shapes.recipe import LAYERS, LONG_MIXTURE, MERGES, RATES, STAGES
from benchmarks.small_model.shapes.strangers import StrangersNotes, read_facts
from benchmarks.small_model.shapes.vocabulary import (
    common_words,
    more_merges,
    vectors_for,
    with_merges,
    word_counts,
)
from benchmarks.small_model.train import Trainer, main

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["ShapesTrainer", "grown"]

_LOOK = 120


def grown(model: LlamaForCausalLM, vectors: torch.Tensor, layers: int) -> LlamaForCausalLM:
    """Return the model with further tokens and with layers on top that change nothing yet.

    Args:
        vectors: Of the new tokens, shape `(n, width)`.
        layers: How many layers the result has.
    """
    config = type(model.config)(**model.config.to_dict())
    config.vocab_size += len(vectors)
    config.num_hidden_layers = layers
    larger = LlamaForCausalLM(config).float()
    state = {name: tensor.float() for name, tensor in model.state_dict().items()}
    table = torch.cat([state["model.embed_tokens.weight"], vectors])
    state["model.embed_tokens.weight"] = state["lm_head.weight"] = table
    larger.load_state_dict(state, strict=False)
    for layer in larger.model.layers[model.config.num_hidden_layers :]:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    return larger


class ShapesTrainer(Trainer):
    """Goes on from the model that ships, with more to read."""

    def start(self, seed: int) -> tuple[PreTrainedTokenizerFast, LlamaForCausalLM]:
        """Return the larger tokenizer and the grown model."""
        model, tokenizer = load_small_model()
        self.facts = read_facts()
        texts = [text for fact in self.facts for text in (fact.text, *fact.asks, *fact.elsewhere)]
        core = tokenizer.backend_tokenizer
        merges = more_merges(core, word_counts(core, texts), MERGES)
        wider = with_merges(tokenizer, merges)
        known = model.get_input_embeddings().weight.detach().float()
        vectors = vectors_for(wider, known, torch.Generator().manual_seed(seed))
        return wider, grown(model, vectors, LAYERS)

    def source(self, rng: Random) -> RowSource:
        """Return rows of the world and of notes of any shape."""
        self.schedule = Schedule(rates=RATES)
        sources = Sources(Writer(common_words()), StrangersNotes(self.facts))
        core = self.tokenizer.backend_tokenizer
        return RowSource(self.world, core, self.schedule, rng, STAGES, LONG_MIXTURE, sources)

    def figures(self) -> dict[str, float]:
        """Measure a sample of what is held out, besides the world."""
        found = super().figures()
        for name, make in SHAPE_PROBES.items():
            found[name] = exact(self.model, self.tokenizer, make(Random(f"quick {name}"), _LOOK))
        return found


if __name__ == "__main__":
    main(ShapesTrainer, __doc__, tokens=40_000_000)
