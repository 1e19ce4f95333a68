"""Thousands of edits by the real path: notes told, asked for in use, and consolidated in steps that each commit.

    python -m benchmarks.many_edits --facts 10000 --users 50 --step 500 --out benchmarks/results/many_edits.json

Nobody gives a `Fact`: each note is a sentence, and what is learnt comes from how it was asked and answered (`reinforce(id, question=…, answer=…)`,
three wordings each). The night runs in steps (`consolidate(budget=…)`); the process is killed once, half way, without warning, and begins again; a `--folder` of an
earlier run is gone on with. Then a sample is asked from the weights alone, by greedy free generation: in a wording that was heard, in wordings that nobody used, by somebody else, and
questions about what nobody told. The model is the one that ships; its world supplies names and values that contradict what it was trained on.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import fmean, median
from typing import Any

import torch

from agentmem import Memory, Settings
from agentmem.consolidation.verify import same_answer
from agentmem.evaluation.world import World, WorldFact, answer
from agentmem.settings import ConsolidationSettings

__all__: list[str] = []

HEARD = 3
"""Wordings that were asked in use; the rest of those that are known are left for the report."""


MOST = 30_000
"""Facts that the names of the world's strangers are enough for."""


def facts(world: World, count: int, rng: Random) -> list[WorldFact]:
    """Facts about people whom the model never met, several for each."""
    relations = sorted({fact.relation for fact in world.facts if fact.kind == "person"})
    people = world.unknown_people(-(-count // len(relations)), rng.randrange(10**6), "test")
    made = [
        WorldFact(name, "person", relation, rng.choice(world.values(relation)))
        for name in people
        for relation in relations
    ]
    return rng.sample(made, count)


def told(seed: int, count: int, users: int) -> Iterator[tuple[str, WorldFact]]:
    """(user, fact), always the same for one seed; where there are not names enough for all, other users know other people of the same names."""
    world, rng = World.generate(), Random(seed)
    circles = -(-count // MOST)
    for circle in range(circles):
        own = range(circle, users, circles)
        for number, fact in enumerate(facts(world, len(range(circle, count, circles)), rng)):
            yield f"u{own[number % len(own)]}", fact


def opened(folder: Path, count: int) -> Memory:
    torch.set_num_threads(1)
    return Memory(
        folder, model="small", settings=Settings(consolidation=ConsolidationSettings(max_edits=count + 1_000))
    )


def tell(folder: Path, seed: int, count: int, users: int) -> float:
    """Tell and use all of it, from where an earlier process stopped; seconds of this one."""
    world, rng, began = World.generate(), Random(seed + 1), time.perf_counter()
    with opened(folder, count) as memory:
        known = sum(1 for number in range(users) for _ in memory.notes(user=f"u{number}"))
        for at, (user, fact) in enumerate(told(seed, count, users), 1):
            statement = world.statement(fact, rng)
            if at < known:  # the last one may have been told and not used yet
                continue
            receipt = memory.remember(statement, user=user, actor="user")
            for question in world.questions(fact)[:HEARD]:
                memory.reinforce(str(receipt.id), user=user, question=question, answer=answer(fact.value))
    return time.perf_counter() - began


def night(folder: Path, count: int, step: int, log: Path) -> None:
    """Steps until nothing is left to learn, a line for each."""
    held = 0
    if log.exists():
        held = json.loads(log.read_text().splitlines()[-1])["held"]
    with opened(folder, count) as memory:
        while True:
            began, cpu = time.perf_counter(), time.process_time()
            report = memory.consolidate(budget=step)
            held += len(report.promoted)
            line = {
                "promoted": len(report.promoted),
                "failed": len(report.failed),
                "held": held,
                "cpu_s": round(time.process_time() - cpu, 1),
                "s": round(time.perf_counter() - began, 1),
                "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "canaries": report.canaries,
                "locality": report.locality,
                "older_kept": report.older_kept,
                "warnings": list(report.warnings)[:3],
            }
            with log.open("a") as lines:
                lines.write(json.dumps(line) + "\n")
            print(line, flush=True)
            if not report.promoted:
                return


def report(folder: Path, seed: int, count: int, users: int, sample: int) -> dict[str, Any]:
    """What the weights alone say."""
    world, rng = World.generate(), Random(seed + 2)
    began = time.perf_counter()
    with opened(folder, count) as memory:
        memory.ask("Where does nobody live?", user="u0", use="weights", max_tokens=8)
        load = time.perf_counter() - began
        everything = list(told(seed, count, users))
        known = {(user, fact.subject, fact.relation) for user, fact in everything}
        learnt = sum(len(memory.edits(user=f"u{number}")) for number in range(users))
        chosen = rng.sample(everything, min(sample, count))
        heard, other, elsewhere, seconds = [], [], [], []
        for user, fact in chosen:
            wanted = answer(fact.value)
            began = time.perf_counter()
            heard.append(said(memory, world.questions(fact)[0], user, wanted))
            seconds.append(time.perf_counter() - began)
            other.append(said(memory, rng.choice(world.questions(fact, held_out=True)), user, wanted))
            others = [f"u{(int(user[1:]) + step) % users}" for step in range(1, users)]
            other_user = next(each for each in others if (each, fact.subject, fact.relation) not in known)
            elsewhere.append(fired(memory, world.questions(fact)[0], other_user))
        strangers = [world.question(fact, rng) for fact in rng.sample(list(world.facts), min(sample, 300))]
        unrelated = [fired(memory, question, "u0") for question in strangers]
        return {
            "learnt": learnt,
            "asked": len(chosen),
            "reliability": round(fmean(heard), 4),
            "held-out wordings": round(fmean(other), 4),
            "fired for another user": round(fmean(elsewhere), 4),
            "fired for what nobody told": round(fmean(unrelated), 4),
            "answer_ms": round(1000 * median(seconds), 1),
            "open_and_first_answer_s": round(load, 2),
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def said(memory: Memory, question: str, user: str, wanted: str) -> bool:
    return same_answer(memory.ask(question, user=user, use="weights", max_tokens=16).text, wanted)


def fired(memory: Memory, question: str, user: str) -> bool:
    return bool(memory.ask(question, user=user, use="weights", max_tokens=16).edits)


def stepped(arguments: list[str], log: Path, stop_at: int | None) -> None:
    """A night in a process of its own; killed in the step after `stop_at` edits are held."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.many_edits", "--night", *arguments])
    while process.poll() is None:
        time.sleep(2)
        lines = log.read_text().splitlines() if log.exists() else []
        if stop_at is not None and lines and json.loads(lines[-1])["held"] >= stop_at:
            time.sleep(20)  # well into the next step
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            return
    if process.returncode:
        raise RuntimeError("a night failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=1000)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--step", type=int, default=200)
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--night", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.night:
        night(given.folder, given.facts, given.step, given.folder.with_suffix(".log"))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch) / "memory"
        log = folder.with_suffix(".log")
        result: dict[str, Any] = {
            "facts": given.facts,
            "users": given.users,
            "step": given.step,
            "wordings heard": HEARD,
        }
        result["tell_s"] = round(tell(folder, given.seed, given.facts, given.users), 1)
        arguments = ["--facts", str(given.facts), "--step", str(given.step), "--folder", str(folder)]
        stepped(arguments, log, given.facts // 2)
        stepped(arguments, log, None)
        steps = [json.loads(line) for line in log.read_text().splitlines()]
        result["steps"] = steps
        result["cpu seconds per edit"] = round(
            sum(line["cpu_s"] for line in steps) / max(sum(line["promoted"] for line in steps), 1), 3
        )
        result |= report(folder, given.seed, given.facts, given.users, given.sample)
        result["packs_mb"] = round(sum(f.stat().st_size for f in folder.glob("weights-*/**/*") if f.is_file()) / 1e6, 1)
    print(json.dumps(result, indent=1))
    if given.out:
        known = json.loads(given.out.read_text("utf-8")) if given.out.exists() else {}
        known[str(given.facts)] = result
        given.out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
