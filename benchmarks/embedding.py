"""How fast and how faithful each embedding backend is, against sentence-transformers on torch.

python -m benchmarks.embedding --data locomo.json [--conversations 2] [--out benchmarks/results/embedding.json]

The backends take turns on the same texts, with one thread each; a figure is the median of processor time, so that other
work on the machine disturbs all of them alike. What carries over to other machines is the ratio to torch in the same run.
Quality is the cosine with torch's vectors, and agentmem's recall@10 on LoCoMo when notes and questions are embedded so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from agentmem.embedding.embedders import CachedEmbedder, make_embedder
from benchmarks.locomo import Conversation, load
from benchmarks.locomo_recall import measure, ours, summary

__all__ = ["quality", "recall", "speed"]

REFERENCE = "torch"
BACKENDS = {
    REFERENCE: {"backend": "torch"},
    "numpy": {"backend": "numpy"},
    "onnx fp32": {"backend": "onnx", "threads": 1},
    "onnx int8": {"spec": "minilm+int8", "threads": 1},
}


def made(name: str) -> CachedEmbedder:
    """A backend, loaded and warm."""
    embedder = make_embedder(**BACKENDS[name])
    embedder.embed(["a first text loads the model"])
    return embedder


def speed(embedders: dict[str, CachedEmbedder], batches: Sequence[Sequence[str]]) -> dict[str, tuple[float, float]]:
    """Median processor and wall milliseconds per batch; the backends take turns, the first one changes."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in embedders}
    for turn, batch in enumerate(batches):
        names = list(embedders)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            embedders[name].clear_cache()
            busy, wall = time.process_time(), time.perf_counter()
            embedders[name].embed(batch)
            spent[name].append((time.process_time() - busy, time.perf_counter() - wall))
    return {name: tuple(1000 * np.median(rows, axis=0)) for name, rows in spent.items()}


def quality(embedders: dict[str, CachedEmbedder], texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Lowest and mean cosine with the reference's vectors."""
    expected = embedders[REFERENCE].embed(texts)
    cosines = {name: (embedder.embed(texts) * expected).sum(axis=1) for name, embedder in embedders.items()}
    return {
        name: {"cosine_min": round(float(c.min()), 6), "cosine_mean": round(float(c.mean()), 6)}
        for name, c in cosines.items()
    }


def recall(conversations: Sequence[Conversation], name: str) -> dict[str, float]:
    """agentmem's recall@10 and MRR with everything embedded by one backend."""
    embedder = made(name)
    rows = [row for c in conversations for row in measure(c, ours(c, embedder))["all"]]
    figures = summary(rows)
    return {"recall_at_10": figures.r10, "mrr": figures.mrr, "questions": figures.questions}


def report(conversations: Sequence[Conversation], rounds: int, recalled: int) -> dict[str, Any]:
    """Everything, as it is written."""
    random = np.random.default_rng(0)
    questions = [q.text for c in conversations for q in c.questions]
    turns = [t.text for c in conversations for t in c.turns]
    singles = [[str(q)] for q in random.choice(questions, 4 * rounds, replace=False)]
    many = [[str(t) for t in random.choice(turns, 64, replace=False)] for _ in range(rounds)]
    embedders = {name: made(name) for name in BACKENDS}
    times = {"batch_1": speed(embedders, singles), "batch_64": speed(embedders, many)}
    figures: dict[str, dict[str, Any]] = {name: {} for name in BACKENDS}
    for batch, spent in times.items():
        for name, (busy, wall) in spent.items():
            figures[name][batch] = {
                "times_torch": round(spent[REFERENCE][0] / busy, 2),
                "times_torch_wall": round(spent[REFERENCE][1] / wall, 2),
                "cpu_ms": round(busy, 2),
            }
    for name, values in quality(embedders, [s[0] for s in singles] + many[0] + many[1]).items():
        figures[name] |= values
    for name in BACKENDS if recalled else ():
        if name != "numpy":
            by_name = {c.name: recall([c], name) for c in conversations[:recalled]}
            total = sum(row["questions"] for row in by_name.values())
            share = sum(row["recall_at_10"] * row["questions"] for row in by_name.values()) / total
            figures[name] |= {"recall_at_10": round(share, 4), "by_conversation": by_name}
    return {
        "machine": platform.machine(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: version(name) for name in ("onnxruntime", "torch", "sentence-transformers", "numpy")},
        "threads": 1,
        "singles": len(singles),
        "batches_of_64": len(many),
        "conversations": [c.name for c in conversations[:recalled]],
        "figures": figures,
    }


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--rounds", type=int, default=5, help="batches of 64; four times as many of 1")
    parser.add_argument("--conversations", type=int, default=2, help="for recall; 0 leaves it out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = report(load(options.data), options.rounds, options.conversations)
    table = Table("backend", "batch 1", "batch 64", "lowest cosine", "recall@10", title="speed as a multiple of torch")
    for name, row in found["figures"].items():
        table.add_row(
            name,
            f"{row['batch_1']['times_torch']:.2f}",
            f"{row['batch_64']['times_torch']:.2f}",
            f"{row['cosine_min']:.6f}",
            f"{row['recall_at_10']:.4f}" if "recall_at_10" in row else "",
        )
    Console().print(table)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
