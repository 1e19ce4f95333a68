"""A night of consolidation by one process, and with two workers of a Ray cluster on the same machine.

    python -m benchmarks.spread_night --facts 120 --workers 2 --rounds 3

The same notes, asked for in the same words, are consolidated in a new place each time, by turns without and with workers; the workers have loaded the
model before. Wall-clock seconds, and the hashes of the packs, which have to be one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import agentmem.wiring
from agentmem import Memory
from agentmem.evaluation.world import World, answer
from agentmem.integrations.ray_models import RayModels
from agentmem.notes.clock import ManualClock
from agentmem.notes.ids import IdMaker
from benchmarks.many_edits import HEARD, told

__all__: list[str] = []

RESULTS = Path(__file__).parent / "results"


def night(folder: Path, count: int, users: int, workers: RayModels | None) -> tuple[float, int, str]:
    """Seconds, edits, and the hash of the pack."""
    world, rng = World.generate(), random.Random(3)
    with Memory(folder, model="small", embedder="hash", clock=ManualClock()) as memory:
        for user, fact in told(5, count, users):
            note = memory.remember(world.statement(fact, rng), user=user, actor="user", merge=False)
            for question in world.questions(fact)[:HEARD]:
                memory.reinforce(str(note.id), user=user, question=question, answer=answer(fact.value))
        memory.ask("Where does nobody live?", user="u0", use="weights", max_tokens=4)  # the model is loaded
        began = time.perf_counter()
        report = memory.consolidate(workers=workers)
        return time.perf_counter() - began, len(report.promoted), str(report.pack)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=120)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    agentmem.wiring.IdMaker = lambda clock: IdMaker(clock, random.Random(7))  # type: ignore[assignment,misc]
    found: dict[str, list[float]] = {"alone": [], "with workers": []}
    packs: set[str] = set()
    edits = 0
    with RayModels("small", workers=given.workers) as workers, tempfile.TemporaryDirectory() as scratch:
        for number in range(given.rounds):
            for name, crew in (("alone", None), ("with workers", workers)):
                seconds, edits, pack = night(Path(scratch) / f"{name} {number}", given.facts, given.users, crew)
                found[name].append(round(seconds, 1))
                packs.add(pack)
    middle = {name: statistics.median(values) for name, values in found.items()}
    result: dict[str, Any] = {
        "facts": given.facts,
        "edits": edits,
        "workers": given.workers,
        "cores": os.cpu_count(),
        "seconds": found,
        "median": middle,
        "times as fast": round(middle["alone"] / middle["with workers"], 2),
        "packs": len(packs),
    }
    print(json.dumps(result, indent=1))
    (RESULTS / "spread_night.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
