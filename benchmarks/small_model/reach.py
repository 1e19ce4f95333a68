"""Tell the tokens apart that training never showed the shipped model.

python -m benchmarks.small_model.reach --model build/small_model --out agentmem/data/small_model

Tokens that never occur are all moved alike, away from every state: a quarter of the vocabulary ended within .003 of one direction (cosine). To such
a model "$" is "@", and none of them can be its first choice, whatever stands before the output layer (Demeter et al. 2020, "Stolen probability";
Grivas et al. 2022: unargmaxable tokens), so that no edit could make it say a price or an address. Here each of these vectors, which are input and output
in one, gets a direction of its own besides: a random one, by a fixed seed, short beside what keeps it from being said unasked. All others stay as they are, bit for bit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

__all__ = ["apart", "leads"]

STEPS, RATE, SHARPNESS = 60, 0.1, 20.0
LEAST, LENGTH, SEED = 0.05, 0.3, 0


def leads(vectors: Tensor, tokens: Tensor) -> Tensor:
    """By how much each of ``tokens`` leads over every other for the state of unit length that suits it best, per unit of the others' mean length.

    Args:
        vectors: [vocabulary, d_model] of the output layer.
    """
    states = vectors[tokens].clone().requires_grad_()
    optimiser = torch.optim.Adam([states], lr=RATE)
    for _ in range(STEPS):
        units = states / states.norm(dim=1, keepdim=True)
        loss = cross_entropy(SHARPNESS * units @ vectors.T, tokens)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        logits = states / states.norm(dim=1, keepdim=True) @ vectors.T
        own = logits.gather(1, tokens[:, None]).squeeze(1)
        return (own - logits.scatter(1, tokens[:, None], float("-inf")).amax(1)) / vectors.norm(dim=1).mean()


def apart(vectors: Tensor) -> tuple[Tensor, int]:
    """The vectors, those of unreachable tokens and of their like with a direction of their own, and how many these are."""
    unseen = (leads(vectors, torch.arange(len(vectors))) < LEAST).nonzero().flatten()
    own = torch.randn(len(unseen), vectors.shape[1], generator=torch.Generator().manual_seed(SEED))
    own *= LENGTH * vectors.norm(dim=1).median() / own.norm(dim=1, keepdim=True)
    told = vectors.clone()
    told[unseen] += own
    return told, len(unseen)


def main() -> None:
    """Parse the command line, change the vectors, write the model; one that was changed before stays as it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
    weight = model.get_output_embeddings().weight.detach()
    vectors, count = apart(weight)
    weight.copy_(vectors)
    everything = torch.arange(len(vectors))
    left = int((leads(vectors.to(torch.bfloat16).float(), everything) <= 0).sum())
    print(f"{count} vectors got a direction of their own; {left} tokens are unreachable")
    model.to(torch.bfloat16).save_pretrained(options.out)


if __name__ == "__main__":
    main()
