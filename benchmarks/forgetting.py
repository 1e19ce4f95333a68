"""What a forgetting curve is good for, and what it costs: a simulated year of use, with and without it.

python -m benchmarks.forgetting [--seeds 3] [--vectors FILE] [--out benchmarks/results/forgetting.json]

A person notes where things are (they move), which bakery they like (asked about often), and facts that are said once and needed ten
months later, among chatter. The clock is injected; embeddings and settings are the shipped ones. Whoever asks during the year
reinforces the note that answered, when it was among the first ten. At the end of the year each class is asked:

* recent: the last of many places of a thing; repeated: the one of eighteen that was asked about again and again;
* neglected: said once in the first quarter, never used. The curve may cost these one point at most.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agentmem import Memory, Settings
from agentmem.clock import ManualClock
from agentmem.protocols import Embedder
from agentmem.settings import ForgettingSettings
from benchmarks.simulated_year import END, START, Year, make_year
from benchmarks.vector_cache import CachedEmbedder

__all__ = ["ARMS", "Arm", "live", "measure"]

K = 10


@dataclass(frozen=True)
class Arm:
    """One way to live the year: settings, whether fade() runs every 30 days, and whether the last questions ask for faded notes too."""

    forgetting: ForgettingSettings = field(default_factory=ForgettingSettings)
    fades: bool = False
    faded: bool = False


ARMS = {
    "no curve": Arm(ForgettingSettings(curve="none")),
    "curve": Arm(),
    "curve, faded monthly": Arm(fades=True),
    "curve, faded monthly, asked with faded=True": Arm(fades=True, faded=True),
    "curve, at most 1000 active": Arm(ForgettingSettings(capacity=1000), fades=True),
    "curve, at most 1000 active, asked with faded=True": Arm(ForgettingSettings(capacity=1000), fades=True, faded=True),
}


def live(year: Year, memory: Memory, clock: ManualClock, *, fades: bool) -> dict[str, str]:
    """Say and ask everything in its time; returns the id of each note that has a key."""
    ids: dict[str, str] = {}
    next_fade = START + timedelta(days=30)
    for event in year.events:
        while fades and event.at >= next_fade:
            clock.set(next_fade)
            memory.fade()
            next_fade += timedelta(days=30)
        clock.set(event.at)
        if event.question:
            hits = memory.recall(event.question, k=K)
            used = [hit for hit in hits if hit.note.id == ids[event.answer]]
            if used:
                memory.reinforce(used)
            continue
        id = memory.remember(event.text, occurred_at=event.at).id
        if event.key and id is not None:
            ids[event.key] = id
    return ids


def measure(year: Year, arm: Arm, embedder: Embedder) -> dict[str, object]:
    """Recall@10 and mean reciprocal rank by class, and how many notes there are and how many are active."""
    clock = ManualClock(START)
    began = time.perf_counter()
    with Memory(None, embedder=embedder, clock=clock, settings=Settings(forgetting=arm.forgetting)) as memory:
        ids = live(year, memory, clock, fades=arm.fades)
        clock.set(END)
        if arm.fades:
            memory.fade()
        found: dict[str, object] = {}
        for name, questions in year.final.items():
            places = []
            for question, key in questions:
                hits = [hit.note.id for hit in memory.recall(question, k=K, faded=arm.faded)]
                places.append(hits.index(ids[key]) + 1 if ids[key] in hits else None)
            found[name] = {
                "recall@10": sum(place is not None for place in places) / len(places),
                "mrr@10": sum(1 / place for place in places if place) / len(places),
                "questions": len(places),
            }
        active = len(memory.notes(faded=False))
        return found | {"notes": len(memory.notes()), "active": active, "seconds": time.perf_counter() - began}


def _mean(runs: list[dict[str, object]]) -> dict[str, object]:
    first = runs[0]
    return {
        key: _mean([run[key] for run in runs]) if isinstance(value, dict)  # type: ignore[misc]
        else round(sum(run[key] for run in runs) / len(runs), 4)  # type: ignore[misc]
        for key, value in first.items()
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
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
    means = {name: _mean(found) for name, found in runs.items()}
    table = Table("arm", "recent", "repeated", "neglected", "notes", "active", title=f"recall@{K}, mean of {given.seeds} years")
    for name, values in means.items():
        cells = [f"{values[c]['recall@10']:.3f}" for c in ("recent", "repeated", "neglected")]  # type: ignore[index]
        table.add_row(name, *cells, f"{values['notes']:.0f}", f"{values['active']:.0f}")
    Console().print(table)
    if given.out is not None:
        raw = {"means": means, "runs": runs, "seeds": given.seeds, "settings": Settings().forgetting.model_dump()}
        given.out.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
