"""What each part of recall is worth on data of different nature, beside plain cosine and plain BM25.

python -m benchmarks.recall_parts --data FOLDER [--parts text reply …] [--out benchmarks/results/recall_parts.json]

A part that helps on one kind of data and costs on the others was tuned to that kind. Every part is switched off by its weight, one at a
time; nothing is chosen here. Of BEAM, summaries and what cannot be known are left out.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmem import Memory
from agentmem.notes.protocols import Embedder
from agentmem.recall.weights import RankingWeights
from benchmarks.plain import Search, by_cosine, by_words
from benchmarks.recall_sets import Asked, Scope, load
from benchmarks.vector_cache import CachedEmbedder

PARTS = ("text", "spread", "actor", "length", "session", "time", "answer", "question", "reply", "asked", "newer", "repeated",
    "successor", "interference", "retrievability")  # fmt: skip
DEPTH = 20
Row = tuple[float, float, float]
"""Recall at 10, at 1, and the reciprocal rank of the first answer."""


def ours(scope: Scope, embedder: Embedder, ranking: RankingWeights | None = None) -> tuple[Memory, Search]:
    """agentmem with a note for each item."""
    memory = Memory(None, embedder=embedder, ranking=ranking)
    places: dict[str, list[int]] = defaultdict(list)
    for place, receipt in enumerate(memory.remember_many(list(scope.items), progress=False)):
        places[str(receipt.id)].append(place)

    def search(question: str) -> list[int]:
        hits = memory.recall(question, k=DEPTH, user=scope.name)
        return [place for hit in hits for place in places[str(hit.note.id)]][:DEPTH]

    return memory, search


def plain_cosine(scope: Scope, embedder: Embedder) -> Search:
    """The nearest by the vector of the whole text."""
    return by_cosine([item["content"] for item in scope.items], embedder, DEPTH)


def measured(questions: Sequence[Asked], search: Search) -> list[tuple[Asked, Row, bool | None]]:
    """Of each question its figures, and of an update whether what was said last stands before what was said first."""
    found = []
    for question in questions:
        places = search(question.text)
        wanted = set(question.answers)
        first = next((1 / rank for rank, place in enumerate(places, 1) if place in wanted), 0.0)
        row = (len(wanted & set(places[:10])) / len(wanted), len(wanted & set(places[:1])) / len(wanted), first)
        rank = {place: number for number, place in reversed(list(enumerate(places)))}
        fresh = None
        if question.updated and question.original:
            fresh = min(rank.get(p, DEPTH) for p in question.updated) < min(
                rank.get(p, DEPTH) for p in question.original
            )
        found.append((question, row, fresh))
    return found


def figures(found: Sequence[tuple[Asked, Row, bool | None]]) -> dict[str, float]:
    """Means."""
    r10, r1, mrr = np.mean([row for _, row, _ in found], axis=0)
    report = {"r10": round(float(r10), 4), "r1": round(float(r1), 4), "mrr": round(float(mrr), 4)}
    updates = [fresh for *_, fresh in found if fresh is not None]
    return report | ({"update first": round(float(np.mean(updates)), 4)} if updates else {})


def run(scopes: Sequence[Scope], embedder: Embedder, parts: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """By way and group of data; BEAM by ability as well."""
    ways: dict[str, Callable[[Scope], tuple[Memory | None, Search]]] = {
        "agentmem": lambda scope: ours(scope, embedder),
        "cosine": lambda scope: (None, plain_cosine(scope, embedder)),
        "BM25": lambda scope: (None, by_words([item["content"] for item in scope.items], DEPTH)),
    }
    for part in parts:
        ranking = RankingWeights(**{part: 0.0})
        ways[f"without {part}"] = lambda scope, ranking=ranking: ours(scope, embedder, ranking)  # type: ignore[misc]
    report: dict[str, dict[str, dict[str, float]]] = {}
    for way, make in ways.items():
        groups = defaultdict(list)
        for scope in scopes:
            memory, search = make(scope)
            for found in measured(scope.questions, search):
                groups[scope.group].append(found)
                if scope.group == "BEAM":
                    groups[f"BEAM, {found[0].kind}"].append(found)
            if memory is not None:
                memory.close()
        report[way] = {group: figures(found) for group, found in groups.items()}
    return report


def show(report: dict[str, dict[str, dict[str, float]]]) -> None:
    """Recall at 10 by way and group."""
    groups = [group for group in report["agentmem"] if not group.startswith("BEAM, ")]
    table = Table("recall@10", *groups)
    for way, found in report.items():
        table.add_row(way, *(f"{found[group]['r10']:.3f}" for group in groups))
    Console(width=160).print(table)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--vectors", type=Path, default=None, help="keep vectors here, so that a second run is quick")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    scopes = list(load(options.data))
    with CachedEmbedder.open(options.vectors) as embedder:
        report = run(scopes, embedder, options.parts)
    show(report)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
