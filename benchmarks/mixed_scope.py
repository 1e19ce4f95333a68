"""One large scope that holds everything against many small ones: what is lost when a user's chats, documents and dialogues lie in one memory.

python -m benchmarks.mixed_scope --data FOLDER [--vectors FILE] [--out benchmarks/results/mixed_scope.json]

The same items and questions as in `benchmarks/recall_parts.py`, each kind of data in scopes of its own, all chats of BEAM in one scope (about a
million tokens), all conversations of LoCoMo in one, and everything in one. Conversations keep their names and times; nothing tells which of
the data a question is about. Plain cosine beside.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmem.notes.protocols import Embedder
from benchmarks.recall_parts import Row, figures, measured, ours, plain_cosine
from benchmarks.recall_sets import Asked, Scope, load
from benchmarks.vector_cache import CachedEmbedder

LEFT_OUT = ("LoCoMo, texts alone",)
"""The same conversations once more."""


def one_of(name: str, scopes: Sequence[Scope]) -> tuple[Scope, dict[str, str]]:
    """All items in one scope, and of which kind of data each question is."""
    items: list[dict[str, Any]] = []
    questions: list[Asked] = []
    group: dict[str, str] = {}
    for scope in scopes:
        before = len(items)
        for item in scope.items:
            session = {"session": f"{scope.name} {item['session']}"} if item.get("session") else {}
            items.append(item | session | {"user": name})
        for question in scope.questions:
            moved = replace(
                question,
                answers=_moved(question.answers, before),
                updated=_moved(question.updated, before),
                original=_moved(question.original, before),
            )
            questions.append(moved)
            group[moved.text] = scope.group
    return Scope(name, name, tuple(items), tuple(questions)), group


def _moved(places: Iterable[int], by: int) -> tuple[int, ...]:
    return tuple(place + by for place in places)


def run(scopes: Sequence[Scope], embedder: Embedder) -> dict[str, dict[str, Any]]:
    """By what shares a scope: the figures of each kind of data, milliseconds a recall, notes, peak memory."""
    beam = [scope for scope in scopes if scope.group == "BEAM"]
    locomo = [scope for scope in scopes if scope.group == "LoCoMo"]
    apart = {scope.name: [scope] for scope in scopes}
    return {
        "each by itself": _of(list(apart.values()), embedder),
        "LoCoMo in one": _of([locomo], embedder),
        "BEAM in one": _of([beam], embedder),
        "everything in one": _of([list(scopes)], embedder),
    }


def _of(together: Sequence[Sequence[Scope]], embedder: Embedder) -> dict[str, Any]:
    groups: dict[str, list[tuple[Asked, Row, bool | None]]] = defaultdict(list)
    cosine: dict[str, list[tuple[Asked, Row, bool | None]]] = defaultdict(list)
    notes, spent = 0, []
    for scopes in together:
        scope, group = one_of("mixed", scopes)
        memory, search = ours(scope, embedder)
        for question in scope.questions:
            started = time.perf_counter()
            groups[group[question.text]] += measured([question], search)
            spent.append(1000 * (time.perf_counter() - started))
        for found in measured(scope.questions, plain_cosine(scope, embedder)):
            cosine[group[found[0].text]].append(found)
        notes += len(scope.items)
        memory.close()
    return {
        "notes": notes,
        "milliseconds": round(float(np.median(spent)), 2),
        "peak memory MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "agentmem": {name: figures(found) for name, found in groups.items()},
        "cosine": {name: figures(found) for name, found in cosine.items()},
    }


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, default=None, help="keep vectors here, so that a second run is quick")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    scopes = [scope for scope in load(options.data) if scope.group not in LEFT_OUT]
    with CachedEmbedder.open(options.vectors) as embedder:
        report = run(scopes, embedder)
    table = Table("recall@10", "notes", "ms", *sorted({scope.group for scope in scopes}))
    for name, found in report.items():
        for way in ("agentmem", "cosine"):
            figures_ = [f"{found[way][group]['r10']:.3f}" if group in found[way] else "" for group in sorted({scope.group for scope in scopes})]  # fmt: skip
            table.add_row(f"{name}, {way}", str(found["notes"]), str(found["milliseconds"]), *figures_)
    Console(width=160).print(table)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
