"""What a head on the two vectors alone would know: logistic regression, one author left out at a time.

python -m benchmarks.relations.baseline --open open_testpairs.jsonl
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agentmem.embedding.minilm import MiniLM
from agentmem.embedding.relation_model import RELATIONS
from agentmem.embedding.weights_files import packaged_minilm
from benchmarks.relations.pairs import Pair, area_under_curve, read_open, read_pairs, recall_at

STRENGTH = 0.001
REPLACES = RELATIONS.index("replaces")


class Features:
    """[u, v, |u - v|, u * v] of the sentence vectors; and how well the tokens of either find one in the other (Khattab & Zaharia 2020)."""

    def __init__(self, pairs: list[Pair]) -> None:
        model = MiniLM(packaged_minilm())
        texts = sorted({text for pair in pairs for text in pair.texts}, key=len)
        self._tokens: dict[str, Any] = {}
        self._vectors: dict[str, Any] = {}
        for start in range(0, len(texts), 32):
            part = texts[start : start + 32]
            self._tokens |= dict(zip(part, model.tokens(part), strict=True))
            self._vectors |= dict(zip(part, model.encode(part), strict=True))

    def of(self, pair: Pair, *, late: bool) -> Any:
        u, v = (self._vectors[text] for text in pair.texts)
        vectors = np.concatenate([u, v, np.abs(u - v), u * v])
        return np.concatenate([vectors, self._late(pair)]) if late else vectors

    def _late(self, pair: Pair) -> Any:
        before, later = (self._tokens[text] for text in pair.texts)
        products = before @ later.T
        best = [np.quantile(products.max(axis), [0, 0.25, 0.5, 0.75, 1]) for axis in (0, 1)]
        first, second = (set(re.findall(r"\d+", text)) for text in pair.texts)
        return np.concatenate(
            [*best, [len(before), len(later), len(first & second), len(first - second), len(second - first)]]
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--open", type=Path, required=True)
    args = parser.parse_args()
    pairs, other = read_pairs(), read_open(args.open)
    features = Features([*pairs, *other])
    authors, wanted = np.array([p.author for p in pairs]), np.array([RELATIONS.index(p.is_) for p in pairs])
    truth = np.array([p.is_ == "replaces" for p in other])
    for late in (False, True):
        given, asked = (np.stack([features.of(p, late=late) for p in some]) for some in (pairs, other))
        found = np.zeros((len(pairs), len(RELATIONS)))
        for author in sorted(set(authors)):
            kept = authors != author
            found[~kept] = _fitted(given[kept], wanted[kept]).predict_proba(given[~kept])
        chance = _fitted(given, wanted).predict_proba(asked)[:, REPLACES]
        held = found[:, REPLACES]
        print(
            f"vectors{' and tokens' if late else ''}: authors left out: right {(found.argmax(1) == wanted).mean():.3f}, "
            f"area {area_under_curve(held, wanted == REPLACES):.3f}, recall at .99 {recall_at(0.99, held, wanted == REPLACES)[0]:.3f}; "
            f"other hands: area {area_under_curve(chance, truth):.3f}, right at .4 {((chance >= 0.4) == truth).mean():.3f}"
        )


def _fitted(given: Any, wanted: Any) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=500)).fit(given, wanted)


if __name__ == "__main__":
    main()
