"""Forgets a note in processes that are killed at given steps, and reports what the next open finds.

Run as ``python killed_forget.py DIRECTORY STEPS [WITHOUT]``; one JSON line per step on standard output. Children are forked before anything
has started a thread.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from byte_search import canary, traces
from children import in_child

from agentmem import Fact, Memory, Scope, Settings
from agentmem.settings import IndexSettings
from agentmem.stores.sqlite import beside, scrub

SCOPE = Scope(user="ana")
SETTINGS = Settings(index=IndexSettings(backend="exact"))
rng = random.Random(11)
SECRETS = [canary(rng) for _ in range(6)]


def opened(place: Path) -> Memory:
    return Memory(place, embedder="hash", scope=SCOPE, settings=SETTINGS)


def fill(place: Path) -> None:
    with opened(place) as memory:
        for i in range(40):
            memory.remember_many(
                [
                    f"{i} {j} " + " ".join(rng.choices(["pear", "plum", "fig", "lime"], k=rng.choice([3, 40, 300])))
                    for j in range(3)
                ]
            )
        items = memory.remember([{"role": "user", "content": f"turn {i} of {SECRETS[i]}"} for i in range(3)]).items
        memory.remember(
            f"{SECRETS[3]} lives in {SECRETS[4]}.",
            fact=Fact(SECRETS[3], "lives in", SECRETS[4]),
            idempotency_key=SECRETS[5],
        )
        assert items


def doomed(memory: Memory) -> list[str]:
    return [n.id for n in memory.notes() if any(secret in n.content for secret in SECRETS)]


def forget(place: Path, step: str) -> None:
    memory = opened(place)

    def stop(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    memory._parts.eraser._fail = stop
    memory._parts.scrubber._fail = stop
    if step.startswith("scrubber"):
        memory._parts.core.store._scrub = lambda path, patience: _killed(path, patience, float(step.split()[1]))  # type: ignore[attr-defined]
    memory.forget(doomed(memory))
    raise AssertionError(f"{step} was not reached")


def _killed(path: Path, patience: float, seconds: float) -> scrub.ScrubReport:
    """Kill the process that scrubs after a while, and this one too."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", scrub.__file__, str(path), str(patience)], stdout=subprocess.DEVNULL
    )
    time.sleep(seconds)
    process.kill()
    process.wait()
    os.kill(os.getpid(), signal.SIGKILL)
    return scrub.ScrubReport()


def look(place: Path, step: str, expected: int, killed: bool) -> None:
    with opened(place) as memory:
        there, problems = doomed(memory), memory.check().problems
        others = len(memory.notes()) - len(there)
        left = traces(place, SECRETS, place.with_suffix(".copy"))
    line = {
        "step": step, "killed": killed, "there": bool(there), "others": others, "expected": expected, "problems": list(problems), "traces": left[:5],
    }  # fmt: skip
    os.write(1, (json.dumps(line) + "\n").encode())


def main() -> None:
    root, steps, without = Path(sys.argv[1]), json.loads(sys.argv[2]), len(sys.argv) > 3
    assert beside.scrub_beside
    template = root / "template"
    assert in_child(lambda: fill(template)) == 0
    for step in steps + ([] if without else [f"scrubber {0.02 + 0.015 * i:.3f}" for i in range(6)]):
        place = root / "memory"
        shutil.copytree(template, place)
        killed = os.WIFSIGNALED(in_child(lambda s=step, p=place: forget(p, s)))  # type: ignore[misc]
        if without:
            with sqlite3.connect(place / "notes.db") as books:
                books.execute("DELETE FROM erasing")
        assert in_child(lambda s=step, p=place, k=killed: look(p, s, 120, k)) == 0  # type: ignore[misc]
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
