"""What is found of a life that was told in passing, after every question had been asked before, and when much has changed.

python -m benchmarks.life benchmarks/strangers/life/*.jsonl [--asked 0 1 3 10] [--updates marked] [--out benchmarks/results/life.json]

A life is ten weeks of one user with an assistant, written by somebody who saw neither the code nor its rules (see
`benchmarks/strangers/README.md`). Everything is stored as an agent stores it: each turn of the user and each reply a note, in its
conversation, with its time. Then every question is asked so many times, in two wordings by turns, and question and reply are
stored as well; afterwards each is recalled once more, in a wording that was stored (``same``) and, asked once or less, in one that was not.

hit@1, hit@5: a turn of the user that answers is the first, or among the first five.
recall@10: the share of the turns that answer, among the first ten.
stale: of the questions about what has changed, those where a turn that is out of date stands before every one that answers.

Plain cosine over the same notes is measured beside.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmem import Memory, Settings
from agentmem.notes.clock import ManualClock
from agentmem.notes.protocols import Embedder
from benchmarks.plain import by_cosine
from benchmarks.vector_cache import CachedEmbedder

__all__ = ["Figures", "Life", "Question", "figures", "ours", "run", "told"]

START = datetime(2024, 6, 3, tzinfo=UTC)
DEPTH = 10
Search = Callable[[str], list[str]]
"""From a question to the ids of turns of the user, best first; "" stands for any other note."""


@dataclass(frozen=True)
class Question:
    """Two wordings of a question, the turns that answer it, those that would mislead, and the reply it gets."""

    text: str
    again: str
    answers: tuple[str, ...]
    stale: tuple[str, ...]
    reply: str
    at: datetime


@dataclass(frozen=True)
class Life:
    """What one user told, with the replies, and what he asks afterwards."""

    name: str
    turns: tuple[dict[str, Any], ...]
    questions: tuple[Question, ...]

    @classmethod
    def load(cls, path: Path) -> Life:
        """Read a file of JSON lines."""
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        asked = tuple(
            Question(
                line["ask"], line["again"], tuple(line["answers"]), tuple(line["stale"]), line["reply"], _moment(line)
            )
            for line in lines
            if "ask" in line
        )
        return cls(path.stem, tuple(line for line in lines if "ask" not in line), asked)

    @property
    def end(self) -> datetime:
        """After everything that was told and asked."""
        return max([*(q.at for q in self.questions), *map(_moment, self.turns)]) + timedelta(days=1)


def _moment(line: dict[str, Any]) -> datetime:
    hour, minute = (int(part) for part in line["time"].split(":"))
    return START + timedelta(days=int(line["day"]) - 1, hours=hour, minutes=minute)


def told(life: Life, asked: int) -> list[tuple[str, dict[str, Any]]]:
    """What is stored, in order: (id of a turn of the user, or "", and the item)."""
    items = []
    for line in life.turns:
        at = _moment(line)
        shared = {"session": line["talk"], "user": life.name}
        items.append((line["id"], {"content": line["text"], "actor": "user", "occurred_at": at, **shared}))
        if line["reply"].strip():
            later = at + timedelta(seconds=10)
            items.append(("", {"content": line["reply"], "actor": "assistant", "occurred_at": later, **shared}))
    for time_ in range(asked):
        for number, question in enumerate(life.questions):
            at = question.at + timedelta(minutes=time_)
            shared = {"session": f"asked {number} {time_}", "user": life.name}
            text = question.again if time_ % 2 else question.text
            items.append(("", {"content": text, "actor": "user", "occurred_at": at, **shared}))
            later = at + timedelta(seconds=10)
            items.append(("", {"content": question.reply, "actor": "assistant", "occurred_at": later, **shared}))
    return sorted(items, key=lambda item: item[1]["occurred_at"])


def ours(life: Life, asked: int, embedder: Embedder, settings: Settings | None = None) -> tuple[Memory, Search]:
    """agentmem with a note for each turn."""
    memory = Memory(None, embedder=embedder, settings=settings, clock=ManualClock(life.end))
    items = told(life, asked)
    receipts = memory.remember_many([item for _, item in items], progress=False)
    turns: dict[str, str] = {}
    for receipt, (turn, _) in zip(receipts, items, strict=True):
        if turn or str(receipt.id) not in turns:
            turns[str(receipt.id)] = turn

    def search(question: str) -> list[str]:
        return [turns[str(hit.note.id)] for hit in memory.recall(question, k=DEPTH, user=life.name)]

    return memory, search


def plain_cosine(life: Life, asked: int, embedder: Embedder) -> Search:
    """The nearest by cosine, of every turn."""
    items = told(life, asked)
    search = by_cosine([item["content"] for _, item in items], embedder, DEPTH)
    return lambda question: [items[place][0] for place in search(question)]


@dataclass(frozen=True)
class Figures:
    """Means over questions."""

    hit1: float
    hit5: float
    recall10: float
    stale: float
    questions: int


def figures(found: Sequence[tuple[Question, list[str]]]) -> Figures:
    """Of what was found for each question."""
    hits = [[turn in question.answers for turn in turns] for question, turns in found]
    ahead = []
    for question, turns in found:
        if question.stale:
            places = {turn: place for place, turn in reversed(list(enumerate(turns)))}
            ahead.append(
                min(places.get(t, DEPTH) for t in question.stale) < min(places.get(t, DEPTH) for t in question.answers)
            )
    return Figures(
        float(np.mean([any(hit[:1]) for hit in hits])),
        float(np.mean([any(hit[:5]) for hit in hits])),
        float(np.mean([len(set(question.answers) & set(turns)) / len(question.answers) for question, turns in found])),
        float(np.mean(ahead)) if ahead else 0.0,
        len(found),
    )


def run(
    lives: Sequence[Life], asked: Sequence[int], embedder: Embedder, settings: Settings | None = None
) -> dict[str, Figures]:
    """By way and number of times asked."""
    report: dict[str, list[tuple[Question, list[str]]]] = {}
    for life in lives:
        for times in asked:
            memory, mine = ours(life, times, embedder, settings)
            theirs = plain_cosine(life, times, embedder)
            for name, search in (("agentmem", mine), ("cosine", theirs)):
                report.setdefault(f"{name}, asked {times}", []).extend((q, search(q.text)) for q in life.questions)
                if times < 2:
                    report.setdefault(f"{name}, asked {times}, other words", []).extend(
                        (q, search(q.again)) for q in life.questions
                    )
            memory.close()
    return {name: figures(found) for name, found in report.items()}


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lives", type=Path, nargs="+")
    parser.add_argument("--asked", type=int, nargs="+", default=[0, 1, 3, 10])
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument(
        "--updates", choices=("rules", "marked"), default="rules", help="how replacements are found out"
    )
    parser.add_argument("--vectors", type=Path, default=None, help="keep vectors here, so that a second run is quick")
    options = parser.parse_args()
    lives = [Life.load(path) for path in options.lives]
    started = time.process_time()
    with CachedEmbedder.open(options.vectors) as embedder:
        found = run(lives, options.asked, embedder, Settings(remember={"updates": options.updates}))
    table = Table("", "hit@1", "hit@5", "recall@10", "stale ahead", title=f"{len(lives)} lives")
    for name, value in found.items():
        table.add_row(name, *(f"{number:.3f}" for number in (value.hit1, value.hit5, value.recall10, value.stale)))
    Console().print(table)
    if options.out is not None:
        report = {
            "lives": {life.name: {"turns": len(life.turns), "questions": len(life.questions)} for life in lives},
            "cpu_seconds": round(time.process_time() - started),
            "figures": {name: vars(value) for name, value in found.items()},
        }
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
