"""Consolidation under fire: children that teach facts to the small model are killed at random moments.

The model is loaded once and children are forked from here, so that a round costs a second and not the loading of torch.
After every kill another child opens the directory and reports what it finds. One JSON line per event on standard output;
run as ``python teacher.py DIRECTORY ROUNDS SEED``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from agentmem import Fact, Memory, Scope, Settings
from agentmem.llm.small_model import load_small_model
from agentmem.settings import ConsolidationSettings

FIRST = ["Ilva", "Oren", "Teska", "Maruk", "Tamsin", "Jorun", "Perrin", "Sable"]
LAST = ["Quist", "Dorrell", "Brown", "Ondal", "Roke", "Halse", "Winter", "Moss"]
TOWNS = ["Porto", "Bergen", "Lisbon", "Oslo"]
SETTINGS = Settings(consolidation=ConsolidationSettings(canaries=4, older_edits=2, min_generality=0.0))


def say(**event: object) -> None:
    os.write(1, (json.dumps(event) + "\n").encode())


def open_memory(directory: Path, model: object) -> Memory:
    return Memory(directory, embedder="hash", model=model, scope=Scope(user="ana"), settings=SETTINGS)


def teach(directory: Path, model: object, seed: int, rounds: int = 1_000_000, forgetful: float = 0.5) -> None:
    """Tell, use, consolidate and sometimes forget."""
    rng = random.Random(seed)
    memory = open_memory(directory, model)
    for _ in range(rounds):
        name, town = f"{rng.choice(FIRST)} {rng.choice(LAST)}", rng.choice(TOWNS)
        receipt = memory.remember(f"{name} lives in {town}.", fact=Fact(name, "lives in", town))
        say(remembered=receipt.id)
        memory.reinforce(str(receipt.id))
        report = memory.consolidate(budget=1)  # what earlier children left undone must not pile up
        say(promoted=[o.note_id for o in report.promoted])
        if rng.random() < forgetful:
            say(forgetting=receipt.id)
            memory.forget(str(receipt.id))
            say(forgotten=receipt.id)
    memory.close()


def look(directory: Path, model: object) -> None:
    """Open what the killed child left, attach the model, and report."""
    memory = open_memory(directory, model)
    memory.ask("Where does Ilva Quist live?", use="weights")
    report = memory.check()
    edits = memory.edits()
    editor = memory.editor
    assert editor is not None
    say(
        problems=[p for p in report.problems if "index" not in p],
        notes=[note.id for note in memory.notes()],
        registry=sorted(str(e.note_id) for e in edits),
        live=sorted(str(e.note_id) for e in editor.edits()),
        packs=len(list(directory.glob("weights-*/*"))),
    )
    memory.close()


def in_child(work: Callable[[], None]) -> int:
    """Fork and run ``work``; returns the child's pid. The child never returns."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - reported on standard error and by the status
            traceback.print_exc()
        finally:
            os._exit(status)
    return child


def wait_for_work(pid: int, seconds: float) -> None:
    """Wait until a process has used so much processor time: on a busy machine it gets equally far."""
    while True:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        if (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") >= seconds or fields[0] == "Z":
            return
        time.sleep(0.01)


def main() -> None:
    torch.set_num_threads(1)
    directory, rounds, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    model = load_small_model()
    # The first lesson finishes and is never forgotten, so that later ones find a calibrated pack and are killed in more
    # interesting places.
    _, status = os.waitpid(in_child(lambda: teach(directory, model, 0, rounds=1, forgetful=0.0)), 0)
    assert status == 0, "the first lesson failed"
    for number in range(1, rounds + 1):
        child = in_child(lambda n=number: teach(directory, model, n))  # type: ignore[misc]
        wait_for_work(child, rng.uniform(0.1, 5.0))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        say(killed=number)
        _, status = os.waitpid(in_child(lambda: look(directory, model)), 0)
        say(looked=number, status=status)


if __name__ == "__main__":
    main()
