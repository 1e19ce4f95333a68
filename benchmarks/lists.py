"""How much of what has several answers is found: by how many hits are asked for, and with ``k="all"``.

python -m benchmarks.lists --data locomo.json [--vectors vectors.npz] [--out benchmarks/results/lists.json]

Of the questions of LoCoMo whose answer is spread over several turns ("Which games did John play?"), and of the others, the share of
the turns that answer which is found, and how many hits there were to read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmem import Memory
from agentmem.notes.protocols import Embedder
from benchmarks.locomo import Conversation, load
from benchmarks.vector_cache import CachedEmbedder

COUNTS = (10, 20, 50, 200, "all")


def found(conversation: Conversation, embedder: Embedder) -> list[dict[str, Any]]:
    """Of each question, by count of hits asked for, the share of its turns that is found and the number of hits."""
    rows = []
    with Memory(None, embedder=embedder) as memory:
        turns: dict[str, set[str]] = {}
        for receipt, turn in zip(
            memory.remember_many(conversation.items(), progress=False), conversation.turns, strict=True
        ):
            turns.setdefault(str(receipt.id), set()).add(turn.id)
        for question in conversation.questions:
            wanted, row = set(question.evidence), {"several": len(set(question.evidence)) > 1}
            for k in COUNTS:
                hits = memory.recall(question.text, k=k, user=conversation.name)
                there = set().union(*(turns[hit.note.id] for hit in hits)) if hits else set()
                row[str(k)] = len(wanted & there) / len(wanted), len(hits)
            rows.append(row)
    return rows


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, default=None, help="keep vectors here, so that a second run is quick")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with CachedEmbedder.open(options.vectors) as embedder:
        for conversation in load(options.data):
            rows += found(conversation, embedder)
    table, figures = Table("k", "several turns", "hits", "one turn", "hits", title=f"{len(rows)} questions"), {}
    for k in map(str, COUNTS):
        means = [np.mean([row[k] for row in rows if row["several"] is several], axis=0) for several in (True, False)]
        figures[k] = {
            name: {"recall": round(float(share), 4), "hits": round(float(hits), 1)}
            for name, (share, hits) in zip(("several turns", "one turn"), means, strict=True)
        }
        table.add_row(
            k,
            *(
                f"{number:.3f}" if place % 2 == 0 else f"{number:.1f}"
                for place, number in enumerate(np.concatenate(means))
            ),
        )
    Console().print(table)
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
