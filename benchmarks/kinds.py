"""Learn to read off a vector what kind of thing a text is, and say how well that works.

python -m benchmarks.kinds benchmarks/strangers/kinds.jsonl [--save agentmem/data/kinds/kinds.npz] [--out benchmarks/results/kinds.json]

Multinomial logistic regression on the packaged embedder's vectors, the length and a question mark at the end. The figures are those of ten-fold cross validation: every text is
judged by weights that were learnt without it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from agentmem.embedding.embedders import make_embedder
from agentmem.extract.kinds import KINDS, Kinds, features
from agentmem.notes.rows import asks

RIDGES = (1e-3, 3e-4, 1e-4, 3e-5)
FOLDS = 10
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Texts:
    """n of them: [n, dimension] their vectors, [n] lengths, which end as a question, and of which kind they are."""

    vectors: npt.NDArray[np.float32]
    lengths: Values
    asks: npt.NDArray[np.bool_]
    kinds: npt.NDArray[np.int64]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Texts:
        """Some of them."""
        return Texts(self.vectors[chosen], self.lengths[chosen], self.asks[chosen], self.kinds[chosen])

    def judged(self, weights: Values) -> Values:
        """Likelihoods, shape (n, kinds)."""
        return Kinds(weights, "").of(self.vectors, self.lengths, self.asks)


def fit(texts: Texts, ridge: float) -> Values:
    """Weights of shape (dimension + 3, kinds)."""
    read = torch.from_numpy(features(texts.vectors, texts.lengths, texts.asks))
    wanted = torch.from_numpy(texts.kinds)
    weights = torch.zeros(read.shape[1], len(KINDS), dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss: torch.Tensor = torch.nn.functional.cross_entropy(read @ weights, wanted)
        loss = loss + ridge * weights[:-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    found: Values = weights.detach().numpy()
    return found


def judged(texts: Texts, ridge: float) -> Values:
    """Likelihoods of every text, shape (n, kinds), by weights that were learnt without it."""
    folds = np.random.default_rng(0).integers(0, FOLDS, len(texts.kinds))
    found = np.zeros((len(texts.kinds), len(KINDS)))
    for fold in range(FOLDS):
        found[folds == fold] = texts.of(folds == fold).judged(fit(texts.of(folds != fold), ridge))
    return found


def main() -> None:
    """Parse the command line, learn, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--save", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    lines = [json.loads(line) for path in options.texts for line in path.read_text(encoding="utf-8").splitlines()]
    kinds = np.array([KINDS.index(line["kind"]) for line in lines])
    embedder = make_embedder(None)
    words = [line["text"] for line in lines]
    lengths, ends = np.array([len(text) for text in words], dtype=float), np.array([asks(text) > 0 for text in words])
    texts = Texts(embedder.embed(words), lengths, ends, kinds)
    likely = {ridge: judged(texts, ridge) for ridge in RIDGES}
    losses = {ridge: -float(np.log(found[np.arange(len(kinds)), kinds]).mean()) for ridge, found in likely.items()}
    ridge = min(losses, key=losses.__getitem__)
    found = likely[ridge].argmax(axis=1)
    wants = np.isin(kinds, [KINDS.index("task"), KINDS.index("recall")])
    said = likely[ridge][:, [KINDS.index("task"), KINDS.index("recall")]].sum(axis=1) >= 0.5
    report = {
        "texts": len(lines),
        "ridge": ridge,
        "accuracy": round(float((found == kinds).mean()), 4),
        "found": {kind: round(float((found[kinds == n] == n).mean()), 4) for n, kind in enumerate(KINDS)},
        "right": {kind: round(float((kinds[found == n] == n).mean()), 4) for n, kind in enumerate(KINDS)},
        "asking": {"found": round(float(said[wants].mean()), 4), "wrongly": round(float(said[~wants].mean()), 4)},
    }
    print(json.dumps(report, indent=2))
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.save is not None:
        weights = fit(texts, ridge).astype(np.float32)
        np.savez(options.save, weights=weights, fingerprint=np.array(embedder.fingerprint))


if __name__ == "__main__":
    main()
