"""The pairs: what was said before, what was said later, and what the later does to the earlier."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from agentmem.embedding.told_parts import about_each_other
from agentmem.notes.protocols import Embedder

__all__ = [
    "PAIRS",
    "Pair",
    "area_under_curve",
    "by_chance",
    "cosines",
    "mostly_of",
    "read_chats",
    "read_open",
    "read_pairs",
    "read_projects",
    "recall_at",
    "restated",
]

PAIRS = tuple(Path(__file__).parent.parent / "strangers" / name for name in ("pairs.jsonl", "pairs_2.jsonl"))
CHATS = PAIRS[0].with_name("chats.jsonl")
NEAR, LIKE = 0.25, 0.65
"""Cosines between which two statements that nobody paired are taken for neighbours by chance."""


@dataclass(frozen=True)
class Pair:
    """``is_`` is one of :data:`agentmem.embedding.relation_model.RELATIONS`; of open pairs only ``replaces`` or ``""``."""

    before: str
    later: str
    is_: str
    author: str = ""
    topic: str = ""

    @property
    def texts(self) -> tuple[str, str]:
        return about_each_other(self.before, self.later)


def read_pairs(paths: Sequence[Path] = PAIRS) -> list[Pair]:
    """Lines with ``before``, ``later``, ``is`` and ``author``."""
    return [
        Pair(line["before"], line["later"], line["is"], line["author"], line["topic"])
        for path in paths
        for line in _lines(path)
    ]


def restated(pairs: Sequence[Pair]) -> list[Pair]:
    """What says the same in other words stands in the same relations: each later statement beside each restatement of what it was written for.

    Pairs that have fewer words in common than those that somebody wrote to go together.
    """
    told: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        told.setdefault((pair.author, pair.before), []).append(pair)
    return [
        Pair(same.later, pair.later, pair.is_, pair.author, pair.topic)
        for group in told.values()
        for same in group
        if same.is_ == "same"
        for pair in group
        if pair.is_ != "same"
    ]


def mostly_of(fresh: Callable[[Pair], bool], pairs: Sequence[Pair], beside: float, rng: Random) -> list[Pair]:
    """All pairs that are fresh, and for each so many of the others, so that nothing of these is forgotten."""
    new, rest = [pair for pair in pairs if fresh(pair)], [pair for pair in pairs if not fresh(pair)]
    return [*new, *rng.sample(rest, min(len(rest), round(beside * len(new))))]


def by_chance(pairs: Sequence[Pair], each: int, rng: Random, embedder: Embedder) -> list[Pair]:
    """Neighbours in meaning that have nothing to do with each other: for each statement up to so many of the same author on another topic.

    In a memory nearly every neighbour of a note is one of these. Who has only read pairs on one topic takes two of three of them for updates.
    """
    found: list[Pair] = []
    for author in sorted({pair.author for pair in pairs}):
        topics = {text: pair.topic for pair in pairs if pair.author == author for text in pair.texts}
        texts = list(topics)
        likeness = cosines(texts, embedder)
        for place, text in enumerate(texts):
            others = np.flatnonzero((likeness[place] >= NEAR) & (likeness[place] <= LIKE))
            apart = [texts[other] for other in others.tolist() if topics[texts[other]] != topics[text]]
            found += [Pair(before, text, "apart", author) for before in rng.sample(apart, min(each, len(apart)))]
    return found


def read_chats(each: int, rng: Random, embedder: Embedder, path: Path = CHATS) -> list[Pair]:
    """Of chats between people: each message with those of the same speaker that it makes untrue, and with up to so many near ones that it leaves
    as they are.
    """
    chats: dict[tuple[str, str], list[Any]] = {}
    for line in _lines(path):
        chats.setdefault((line["chat"], line["who"]), []).append(line)
    found: list[Pair] = []
    for (chat, _), said in chats.items():
        likeness = cosines([line["text"] for line in said], embedder)
        for place, line in enumerate(said):
            over = [other for other in range(place) if said[other]["n"] in line["replaces"]]
            near = [other for other in range(place) if likeness[place, other] >= NEAR and other not in over]
            kept = rng.sample(near, min(each, len(near)))
            found += [Pair(said[other]["text"], line["text"], "replaces", chat[0]) for other in over]
            found += [Pair(said[other]["text"], line["text"], "apart", chat[0]) for other in kept]
    return found


def read_projects(path: Path) -> list[Pair]:
    """Of what one user wrote to an assistant about one thing: each message beside every earlier one, whether it makes that untrue or not."""
    told: dict[str, list[Any]] = {}
    for line in _lines(path):
        told.setdefault(line["chat"], []).append(line)
    return [
        Pair(earlier["text"], line["text"], "replaces" if earlier["n"] in line["replaces"] else "", chat[0])
        for chat, said in told.items()
        for place, line in enumerate(said)
        for earlier in said[:place]
    ]


def cosines(texts: Sequence[str], embedder: Embedder) -> npt.NDArray[np.float32]:
    """How near each text is to each, shape (texts, texts)."""
    vectors = np.asarray(embedder.embed(texts), dtype=np.float32)
    return vectors @ vectors.T


def read_open(path: Path) -> list[Pair]:
    """Lines with ``before``, ``later`` and ``replaced``."""
    return [Pair(line["before"], line["later"], "replaces" if line["replaced"] else "") for line in _lines(path)]


def recall_at(precision: float, chances: Any, truth: Any) -> tuple[float, float]:
    """(recall, threshold) at the lowest threshold from which on the precision is at least this; (0, 1) if there is none."""
    order = np.argsort(-chances, kind="stable")
    hits = np.cumsum(truth[order])
    good = np.flatnonzero(hits / np.arange(1, len(order) + 1) >= precision)
    if not len(good):
        return 0.0, 1.0
    return float(hits[good[-1]] / truth.sum()), float(chances[order][good[-1]])


def area_under_curve(chances: Any, truth: Any) -> float:
    """How often a pair that is one gets a higher chance than one that is none."""
    ranks = np.argsort(np.argsort(chances)) + 1
    yes, no = truth.sum(), (~truth).sum()
    return float((ranks[truth].sum() - yes * (yes + 1) / 2) / (yes * no))


def _lines(path: Path) -> Sequence[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
