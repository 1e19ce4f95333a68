"""What else could lift recall: signals that the ranking does not use, and weights learnt instead of set, on LoCoMo.

python -m benchmarks.recall_study --data locomo.json [--out benchmarks/results/recall_study.json]

The default ranking gives the first hundred notes of every question with the parts of their scores; what is studied orders
these anew. Whatever is chosen from data (a weight, or all of them) is chosen on the other conversations, never on the one
that is measured. Signals:

maxsim: late interaction (ColBERT, Khattab and Zaharia 2020, Eq. 3) with MiniLM's token vectors, mean over the question's
answered: how near the turn before it comes to the question, if that turn asks.
dated: the question asks when, and the note speaks of a day.
entities: the share of the question's names (speakers aside) that the note has.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from agentmem import Memory
from agentmem.embedding.minilm import MiniLM
from agentmem.embedding.weights_files import packaged_minilm
from benchmarks.locomo import Conversation, load
from benchmarks.vector_cache import CachedEmbedder

DEPTH = 100
PARTS = (
    "semantic", "text", "links", "session", "answers", "length", "retrievability", "importance", "actor", "time", "question",
    "superseded", "untrusted", "interference",
)  # fmt: skip
SIGNALS = ("maxsim", "answered", "dated", "entities")
GRID = (0.0, 0.03, 0.06, 0.1, 0.2, 0.3, 0.5, 0.8)
Values = npt.NDArray[np.float64]
_NAME = re.compile(r"(?<![.?!] )(?<!^)\b[A-Z][a-z]+")
_DAY = re.compile(
    r"\b(yesterday|today|tonight|last|next|ago|week(end)?|month|year|(mon|tues|wednes|thurs|fri|satur|sun)day)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Asked:
    """One question: parts and signals of its candidates, which of them answer it, and how many there are in all."""

    conversation: str
    parts: Values
    signals: Values
    gold: npt.NDArray[np.bool_]
    wanted: int


def collect(conversation: Conversation, embedder: CachedEmbedder, encoder: MiniLM) -> list[Asked]:
    """Every question of a conversation with its candidates."""
    name = conversation.name
    turns = {turn.id: (place, turn) for place, turn in enumerate(conversation.turns)}
    texts = [turn.text for turn in conversation.turns]
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    tokens: dict[int, Values] = {}
    for start in range(0, len(order), 32):
        chunk = order[start : start + 32]
        tokens |= dict(zip(chunk, encoder.tokens([texts[i] for i in chunk]), strict=True))
    vectors = embedder.embed(texts)
    asks = [text.rstrip().endswith("?") for text in texts]
    speakers = {turn.speaker for turn in conversation.turns}
    with Memory(None, embedder=embedder) as memory:
        receipts = memory.remember_many(conversation.items(), progress=False)
        place_of: dict[str, list[int]] = {}
        for place, receipt in enumerate(receipts):
            place_of.setdefault(str(receipt.id), []).append(place)
        found = []
        for question in conversation.questions:
            hits = memory.recall(question.text, k=DEPTH, user=name)
            places = [(place, hit) for hit in hits for place in place_of[hit.note.id]]
            parts = np.array([[hit.reasons.get(part, 0.0) for part in PARTS] for _, hit in places])
            query = encoder.tokens([question.text])[0]
            vector = embedder.embed([question.text])[0]
            names = set(_NAME.findall(question.text)) - speakers
            when = question.text.lower().startswith(("when", "what date", "what day", "which month", "which year"))
            signals = np.array([
                [
                    float((query @ tokens[p].T).max(axis=1).mean()),
                    float(vectors[p - 1] @ vector) if p and asks[p - 1] else 0.0,
                    float(when and bool(_DAY.search(texts[p]))),
                    sum(n in texts[p] for n in names) / len(names) if names else 0.0,
                ]
                for p, _ in places
            ])  # fmt: skip
            gold_places = {turns[turn][0] for turn in question.evidence}
            gold = np.array([p in gold_places for p, _ in places])
            found.append(Asked(name, parts, signals, gold, len(question.evidence)))
    return found


def figures(asked: Sequence[Asked], scores: Sequence[Values]) -> dict[str, float]:
    """Recall at 5 and 10, and the mean reciprocal rank of the first answer among the first twenty."""
    rows = []
    for item, score in zip(asked, scores, strict=True):
        ranked = item.gold[np.argsort(-score, kind="stable")]
        first = next((1 / place for place, right in enumerate(ranked[:20], 1) if right), 0.0)
        rows.append((ranked[:5].sum() / item.wanted, ranked[:10].sum() / item.wanted, first))
    r5, r10, mrr = np.mean(rows, axis=0)
    return {"r5": round(float(r5), 4), "r10": round(float(r10), 4), "mrr": round(float(mrr), 4)}


def with_signal(asked: Sequence[Asked], signal: int) -> tuple[list[Values], list[float]]:
    """The default plus a signal, its weight chosen on the other conversations by R@10 + R@5 + MRR."""
    names = sorted({item.conversation for item in asked})
    chosen = {}
    for name in names:
        others = [item for item in asked if item.conversation != name]
        worth = [
            sum(figures(others, [i.parts.sum(1) + weight * i.signals[:, signal] for i in others]).values())
            for weight in GRID
        ]
        chosen[name] = GRID[int(np.argmax(worth))]
    return [i.parts.sum(1) + chosen[i.conversation] * i.signals[:, signal] for i in asked], [
        chosen[name] for name in names
    ]


def learnt(asked: Sequence[Asked], signals: bool) -> tuple[list[Values], dict[str, list[float]]]:
    """A linear ranker per held-out conversation: softmax over candidates, the mass of the right ones, ridge."""
    names = sorted({item.conversation for item in asked})
    weights = {}
    for name in names:
        weights[name] = _fit([item for item in asked if item.conversation != name and item.gold.any()], signals)
    scores = [_features(item, signals) @ weights[item.conversation] for item in asked]
    return scores, {name: [round(float(w), 3) for w in weights[name]] for name in names}


def _features(item: Asked, signals: bool) -> Values:
    return np.concatenate([item.parts, item.signals], axis=1) if signals else item.parts


def _fit(items: Sequence[Asked], signals: bool, ridge: float = 1e-3, sharpness: float = 12.0) -> Values:
    tables = [torch.from_numpy(_features(item, signals)) for item in items]
    right = [torch.from_numpy(item.gold) for item in items]
    # The weights of the default are the start, and what the ridge pulls towards.
    start = torch.cat([torch.ones(len(PARTS)), torch.zeros(len(SIGNALS) if signals else 0)]).double()
    weight = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weight], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimiser.zero_grad()
        losses = [
            -(torch.log_softmax(sharpness * (t @ weight), 0)[r]).logsumexp(0)
            for t, r in zip(tables, right, strict=True)
        ]
        loss = torch.stack(losses).mean() + ridge * (weight - start).square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return weight.detach().numpy()


def study(asked: Sequence[Asked]) -> dict[str, Any]:
    """The default, each part switched off, each signal added, and learnt weights."""
    default = [item.parts.sum(1) for item in asked]
    report: dict[str, Any] = {
        "questions": len(asked),
        "among the first 100": round(float(np.mean([i.gold.sum() / i.wanted for i in asked])), 4),
        "default": figures(asked, default),
        "without": {
            part: figures(asked, [s - i.parts[:, n] for s, i in zip(default, asked, strict=True)])
            for n, part in enumerate(PARTS)
        },
        "with": {},
    }
    for number, name in enumerate(SIGNALS):
        scores, weights = with_signal(asked, number)
        report["with"][name] = figures(asked, scores) | {"weights": weights}
    for name, signals in (("learnt weights", False), ("learnt weights, all signals", True)):
        scores, found = learnt(asked, signals)
        report[name] = figures(asked, scores) | {"weights": found}
    report["features"] = [*PARTS, *SIGNALS]
    return report


def main() -> None:
    """Parse the command line, study, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--vectors", type=Path, default=None, help="keep vectors here, so that a second run is quick")
    options = parser.parse_args()
    torch.set_num_threads(1)
    encoder = MiniLM(packaged_minilm())
    with CachedEmbedder.open(options.vectors) as embedder:
        asked = [item for conversation in load(options.data) for item in collect(conversation, embedder, encoder)]
    report = study(asked)
    text = json.dumps(report, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
