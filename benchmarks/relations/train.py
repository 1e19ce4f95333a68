"""Train the reader of two statements, on a CPU; leave one author out to measure it.

python -m benchmarks.relations.train --cross abcde --out build/relations    # five times without one author, to measure
python -m benchmarks.relations.train --out build/relations                  # with all of them: what ships
python -m benchmarks.relations.train --out build/more --pairs benchmarks/strangers/pairs*.jsonl --begin build/relations/reader.pt --all-of m,p    # and more of new authors
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from agentmem.embedding.embedders import make_embedder
from agentmem.embedding.relation_model import RELATIONS
from benchmarks.relations.model import Reader
from benchmarks.relations.pairs import (
    PAIRS,
    Pair,
    area_under_curve,
    by_chance,
    mostly_of,
    read_chats,
    read_pairs,
    restated,
)
from benchmarks.relations.templates import template_pairs

__all__ = ["fit", "logits"]

BATCH, POOL, RATE, HEAD_RATE, WARM_UP, SMOOTHING = 32, 512, 1e-4, 1e-3, 0.1, 0.05
EPOCHS, TEMPLATES = 3, 8000


def begun(templates: int, seed: int, kept: Path) -> Reader:
    """A reader that knows what templates say: the same whoever is left out later, so it is made once."""
    torch.manual_seed(seed)
    reader = Reader()
    if templates and not kept.exists():
        rng = Random(seed)
        _train(reader, [Pair(*each) for each in template_pairs(templates, rng)], 1, rng)
        torch.save(reader.state_dict(), kept)
    if templates:
        reader.load_state_dict(torch.load(kept, weights_only=True))
    return reader


def _go_on(file: Path) -> Reader:
    reader = Reader()
    reader.go_on_from(file)
    return reader


def fit(reader: Reader, pairs: Sequence[Pair], *, epochs: int = EPOCHS, seed: int = 0) -> Reader:
    """The reader, trained on ``pairs``."""
    torch.manual_seed(seed)
    _train(reader, pairs, epochs, Random(seed))
    return reader.eval()


def _train(reader: Reader, pairs: Sequence[Pair], epochs: int, rng: Random) -> None:
    groups = [
        {"params": list(reader.layers.parameters()), "lr": RATE},
        {"params": list(reader.head.parameters()), "lr": HEAD_RATE},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = epochs * math.ceil(len(pairs) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share(step / steps))
    reader.train()
    for epoch in range(epochs):
        began, total = time.monotonic(), 0.0
        for batch in _batches(pairs, rng):
            with torch.autocast("cpu", torch.bfloat16):
                found = reader([pair.texts for pair in batch])
            wanted = torch.tensor([reader.labels.index(pair.is_) for pair in batch])
            loss = functional.cross_entropy(found.float(), wanted, label_smoothing=SMOOTHING)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
            total += loss.item() * len(batch)
        print(f"  epoch {epoch + 1}: loss {total / len(pairs):.3f}, {time.monotonic() - began:.0f} s", flush=True)


def _share(done: float) -> float:
    """Of the learning rate: up, then down to nothing."""
    return min(done / WARM_UP, max(0.0, (1 - done) / (1 - WARM_UP)))


def _batches(pairs: Sequence[Pair], rng: Random) -> Iterator[list[Pair]]:
    """Each pair once, beside others of its length."""
    order, batches = rng.sample(list(pairs), len(pairs)), []
    for start in range(0, len(order), POOL):
        pool = sorted(order[start : start + POOL], key=_length)
        batches += [pool[at : at + BATCH] for at in range(0, len(pool), BATCH)]
    rng.shuffle(batches)
    yield from batches


def logits(reader: Reader, pairs: Sequence[Pair]) -> Any:
    """Shape (pairs, labels), in the order of the pairs."""
    found = np.zeros((len(pairs), len(reader.labels)), dtype=np.float32)
    order = sorted(range(len(pairs)), key=lambda place: _length(pairs[place]))
    with torch.no_grad():
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            found[places] = reader([pairs[place].texts for place in places]).numpy()
    return found


def _length(pair: Pair) -> int:
    return len(pair.before) + len(pair.later)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, nargs="+", default=PAIRS)
    parser.add_argument("--cross", default="", help="leave out each of these authors in turn")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--templates", type=int, default=TEMPLATES)
    parser.add_argument("--chance", type=int, default=3200, help="neighbours by chance")
    parser.add_argument(
        "--each", type=int, default=1, help="so many of them for each statement, as far as there are any"
    )
    parser.add_argument("--chats", type=int, default=2, help="neighbours for each message of a chat")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--begin", type=Path, help="a reader to go on from, one that was trained here or one that ships"
    )
    parser.add_argument("--all-of", default="", help="with --begin: all pairs of these authors, and some of the others")
    parser.add_argument(
        "--beside", type=float, default=1.0, help="with --all-of: pairs of the others for each of these"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    start = lambda: _go_on(args.begin) if args.begin else begun(args.templates, args.seed, args.out / "templates.pt")  # noqa: E731
    start()
    pairs, options = read_pairs(args.pairs), {"epochs": args.epochs, "seed": args.seed}
    rng, embedder = Random(args.seed), make_embedder(None)
    beside = by_chance(pairs, args.each, rng, embedder)
    pairs += restated(pairs) + rng.sample(beside, min(len(beside), args.chance)) + read_chats(args.chats, rng, embedder)
    if args.begin:
        authors = args.all_of.split(",")
        pairs = mostly_of(lambda pair: pair.author in authors, pairs, args.beside, rng)
    print(f"{len(pairs)} pairs", flush=True)
    for author in args.cross:
        held = [pair for pair in pairs if pair.author == author]
        found = logits(fit(start(), [pair for pair in pairs if pair.author != author], **options), held)
        np.save(args.out / f"without_{author}.npy", found)
        print(f"without {author}: {figures(found, held)}", flush=True)
    if not args.cross:
        torch.save(fit(start(), pairs, **options).state_dict(), args.out / "reader.pt")


def figures(found: Any, pairs: Sequence[Pair]) -> str:
    chances = np.exp(found) / np.exp(found).sum(1, keepdims=True)
    wanted = np.array([RELATIONS.index(pair.is_) for pair in pairs])
    area = area_under_curve(chances[:, 1], wanted == 1)
    return f"right {(found.argmax(1) == wanted).mean():.3f}, area under the curve of replaces {area:.3f}"


if __name__ == "__main__":
    main()
