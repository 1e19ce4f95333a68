"""What a forgetting curve is good for, and what it costs: a simulated year of use, with and without it.

python -m benchmarks.forgetting [--seeds 1] [--vectors FILE] [--out benchmarks/results/forgetting.json]

A person notes where things are (they move), which bakery they like (asked about often), and facts that are said once and needed ten
months later, among chatter. The clock is injected; embeddings and settings are the shipped ones. Whoever asks during the year
reinforces the note that answered, when it was among the first ten. At the end of the year each class is asked:

* recent: the last of many places of a thing; repeated: the one of eighteen that was asked about again and again;
* neglected: said once in the first quarter, never used; asked in its own words and in others. The curve may cost these one point at
  most: by default where nothing was archived, with ``faded=True`` where ``fade`` ran.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agentmem import Memory, Settings
from agentmem.notes.clock import ManualClock
from agentmem.notes.protocols import Embedder
from agentmem.recall.weights import RankingWeights
from agentmem.settings import ForgettingSettings
from benchmarks.simulated_year import END, START, Event, Year, make_year
from benchmarks.vector_cache import CachedEmbedder

__all__ = ["ARMS", "Arm", "ask", "live", "measure"]

K = 10


@dataclass(frozen=True)
class Arm:
    """One way to live the year: the settings of forgetting, the weights of recall, and whether fade() runs every 30 days."""

    forgetting: ForgettingSettings = field(default_factory=ForgettingSettings)
    ranking: RankingWeights = field(default_factory=RankingWeights)
    fades: bool = False


ARMS = {
    "no curve": Arm(ForgettingSettings(curve="none")),
    "curve": Arm(),
    "curve, without retrievability": Arm(ranking=RankingWeights(retrievability=0)),
    "curve, without interference": Arm(ranking=RankingWeights(interference=0)),
    "curve, without newer": Arm(ranking=RankingWeights(newer=0)),
    "curve, faded monthly": Arm(fades=True),
    "curve, at most 1000 active": Arm(ForgettingSettings(capacity=1000), fades=True),
}


def live(year: Year, memory: Memory, clock: ManualClock, *, fades: bool) -> dict[str, str]:
    """Say and ask everything in its time; returns the id of each note that has a key."""
    ids: dict[str, str] = {}
    said: list[Event] = []

    def write() -> None:
        items = [{"content": event.text, "occurred_at": event.at} for event in said]
        for event, receipt in zip(said, memory.remember_many(items, progress=False), strict=True):
            if event.key and receipt.id is not None:
                ids[event.key] = receipt.id
        said.clear()

    next_fade = START + timedelta(days=30)
    for event in year.events:
        if fades and event.at >= next_fade:
            write()
            clock.set(next_fade)
            memory.fade()
            next_fade += timedelta(days=30)
        clock.set(event.at)
        if not event.question:
            said.append(event)
            continue
        write()
        used = [hit for hit in memory.recall(event.question, k=K) if hit.note.id == ids[event.answer]]
        if used:
            memory.reinforce(used)
    write()
    return ids


def ask(year: Year, memory: Memory, ids: dict[str, str], *, faded: bool) -> dict[str, dict[str, float]]:
    """Recall@10 and mean reciprocal rank of the last day's questions, by class."""
    found = {}
    for name, questions in year.final.items():
        places = []
        for question, key in questions:
            hits = [hit.note.id for hit in memory.recall(question, k=K, faded=faded)]
            places.append(hits.index(ids[key]) + 1 if ids[key] in hits else 0)
        ranks = [1 / place for place in places if place]
        found[name] = {
            "recall@10": len(ranks) / len(places),
            "mrr@10": sum(ranks) / len(places),
            "questions": float(len(places)),
        }
    return found


def measure(year: Year, arm: Arm, embedder: Embedder) -> dict[str, object]:
    """What is found by default and with faded=True, how many notes there are, and how many of them are active."""
    clock = ManualClock(START)
    began = time.process_time()
    settings = Settings(forgetting=arm.forgetting)
    with Memory(None, embedder=embedder, clock=clock, settings=settings, ranking=arm.ranking) as memory:
        ids = live(year, memory, clock, fades=arm.fades)
        clock.set(END)
        if arm.fades:
            memory.fade()
        found: dict[str, object] = {"default": ask(year, memory, ids, faded=False)}
        if arm.fades:
            found["faded=True"] = ask(year, memory, ids, faded=True)
        counts = {"notes": len(memory.notes()), "active": len(memory.notes(faded=False))}
        return found | counts | {"cpu_seconds": time.process_time() - began}


def _mean(runs: list[dict[str, Any]]) -> dict[str, Any]:
    def mean(key: str, value: object) -> object:
        column = [run[key] for run in runs]
        return _mean(column) if isinstance(value, dict) else round(sum(column) / len(column), 4)

    return {key: mean(key, value) for key, value in runs[0].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--vectors", type=Path, help="keeps embeddings between runs (.npz)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--arms", nargs="*", default=list(ARMS))
    given = parser.parse_args()
    runs: dict[str, list[dict[str, object]]] = {name: [] for name in given.arms}
    with CachedEmbedder.open(given.vectors) as embedder:
        for seed in range(given.seeds):
            year = make_year(seed)
            embedder.embed([event.text or event.question for event in year.events])
            for name in given.arms:
                runs[name].append(measure(year, ARMS[name], embedder))
                Console(stderr=True).print(seed, name, runs[name][-1])
            if given.out is not None:  # after each year, so that a run that is cut short leaves what it measured
                _write(given.out, seed + 1, runs)
    _show({name: _mean(found) for name, found in runs.items()}, given.seeds)


def _write(path: Path, seeds: int, runs: dict[str, list[dict[str, object]]]) -> None:
    shipped = Settings().model_dump(include={"recall", "forgetting"}) | {"ranking": asdict(RankingWeights())}
    means = {name: _mean(found) for name, found in runs.items()}
    path.write_text(
        json.dumps({"seeds": seeds, "settings": shipped, "means": means, "runs": runs}, indent=1) + "\n",
        encoding="utf-8",
    )


def _show(means: dict[str, dict[str, Any]], seeds: int) -> None:
    table = Table(
        "year", "asked", "recent", "repeated", "neglected", "notes", "active", title=f"recall@{K}, mean of {seeds}"
    )
    for name, values in means.items():
        for way in ("default", "faded=True"):
            if way in values:
                cells = [f"{values[way][c]['recall@10']:.3f}" for c in ("recent", "repeated", "neglected")]
                table.add_row(name, way, *cells, f"{values['notes']:.0f}", f"{values['active']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
