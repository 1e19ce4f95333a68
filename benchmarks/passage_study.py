"""How long the passages of a long note should be, on LoCoMo with several turns as one note: cosines alone, no ranking.

python -m benchmarks.passage_study --data locomo.json [--out benchmarks/results/passage_study.json]

Compared are one vector for the whole note (the model reads its first 256 tokens), the mean of its passages' vectors, and the nearest
vector of whole and passages, for passages of several lengths.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agentmem.notes.passages import passages
from benchmarks.locomo import Conversation, in_long_notes, load
from benchmarks.vector_cache import CachedEmbedder

TURNS = (3, 5, 10, 20)
SIZES = (160, 240, 320, 480, 640)
Vectors = npt.NDArray[np.float32]


def ways(texts: Sequence[str], embedder: CachedEmbedder) -> dict[str, list[Vectors]]:
    """By what is compared, the vectors of each note: the nearest of them counts."""
    whole = embedder.embed(list(texts))
    made: dict[str, list[Vectors]] = {"whole": [vector[None] for vector in whole]}
    for size in SIZES:
        parts = [
            embedder.embed(part) if (part := passages(text, size)) else vector[None]
            for text, vector in zip(texts, whole, strict=True)
        ]
        made[f"mean of passages of {size}"] = [
            part.mean(axis=0, keepdims=True) / np.linalg.norm(part.mean(axis=0)) for part in parts
        ]
        made[f"whole and passages of {size}"] = [
            np.vstack((vector[None], part)) for vector, part in zip(whole, parts, strict=True)
        ]
    return made


def measure(conversation: Conversation, embedder: CachedEmbedder) -> dict[str, list[tuple[float, ...]]]:
    """For each way a row (recall@1, @5, @10) per question."""
    notes = [turn.id for turn in conversation.turns]
    asked = embedder.embed([question.text for question in conversation.questions])
    found = {}
    for way, vectors in ways([turn.text for turn in conversation.turns], embedder).items():
        ends = np.cumsum([0, *(len(each) for each in vectors)])[:-1]
        nearest = np.maximum.reduceat(np.concatenate(vectors) @ asked.T, ends)
        order = np.argsort(-nearest, axis=0)[:10].T
        found[way] = [
            _shares([notes[at] for at in best], q.evidence)
            for best, q in zip(order, conversation.questions, strict=True)
        ]
    return found


def _shares(found: Sequence[str], evidence: Sequence[str]) -> tuple[float, ...]:
    return tuple(len(set(found[:k]) & set(evidence)) / len(evidence) for k in (1, 5, 10))


def run(
    conversations: Sequence[Conversation], embedder: CachedEmbedder, say: Callable[[str], None]
) -> dict[str, dict[str, object]]:
    """Every length of notes, every way."""
    report: dict[str, dict[str, object]] = {}
    for turns in TURNS:
        notes = [in_long_notes(conversation, turns) for conversation in conversations]
        rows: dict[str, list[tuple[float, ...]]] = {}
        for each in notes:
            for way, found in measure(each, embedder).items():
                rows.setdefault(way, []).extend(found)
        length = float(np.mean([len(turn.text) for each in notes for turn in each.turns]))
        say(f"{turns} turns, {length:.0f} characters")
        means = {way: [round(float(value), 3) for value in np.mean(found, axis=0)] for way, found in rows.items()}
        for way, values in means.items():
            say(f"  {way:32} R@1 {values[0]:.3f}  R@5 {values[1]:.3f}  R@10 {values[2]:.3f}")
        report[str(turns)] = {"characters": round(length), "recall at 1, 5, 10": means}
    return report


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, default=None, help="keep vectors here, so that a second run is quick")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    with CachedEmbedder.open(options.vectors) as embedder:
        report = run(load(options.data), embedder, print)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
