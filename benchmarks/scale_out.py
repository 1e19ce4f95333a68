"""What one process and two do over one database, and what follows for many users: arithmetic on what was measured.

    python -m benchmarks.scale_out [--scopes 10] [--seconds 20] [--url postgresql://…]
    python -m benchmarks.scale_out --plan --users 10000000 --notes 200

The first measures recalls and writes per second by one and by two processes over the same PostgreSQL, in turn, three times, and writes
``benchmarks/results/scale_out.json``. The second reads that and the results of ``many_scopes`` and ``many_edits``, says what so many users need, and
which of its numbers are assumed.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentmem import Memory
from agentmem.embedding.embedders import HashEmbedder
from benchmarks.postgres import WORDS, served, text

__all__: list[str] = []

RESULTS = Path(__file__).parent / "results"
ROUNDS = 3
SCOPE = 1_000


def fill(url: str, scopes: int) -> None:
    with Memory(url, embedder=HashEmbedder()) as memory:
        for scope in range(scopes):
            memory.remember_many(
                [text(scope * SCOPE + number) for number in range(SCOPE)], user=f"u{scope}", progress=False
            )


def work(url: str, kind: str, number: int, scopes: int, begins: float, seconds: float) -> int:
    """Recall, or remember, for one user after another for so long; how often that was."""
    rng, done = random.Random(number), 0
    with Memory(url, embedder=HashEmbedder()) as memory:
        for scope in range(scopes):
            memory.recall("violin", user=f"u{scope}")
        while time.time() < begins:  # all begin together
            time.sleep(0.005)
        while time.time() < begins + seconds:
            user = f"u{rng.randrange(scopes)}"
            if kind == "recall":
                memory.recall(" ".join(rng.choices(WORDS, k=3)), user=user, k=10)
            else:
                memory.remember(text(rng.randrange(10**9)), user=user)
            done += 1
    return done


def rate(url: str, kind: str, processes: int, scopes: int, seconds: float) -> float:
    """Calls per second of so many processes together."""
    begins = time.time() + 6 + scopes * 0.2
    command = [sys.executable, "-m", "benchmarks.scale_out", "--work", url, kind]
    running = [
        subprocess.Popen(
            [*command, str(number), str(scopes), str(begins), str(seconds)], stdout=subprocess.PIPE, text=True
        )
        for number in range(processes)
    ]
    return sum(int(process.communicate()[0]) for process in running) / seconds


def measure(url: str, scopes: int, seconds: float) -> dict[str, Any]:
    fill(url, scopes)
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for kind in ("recall", "remember"):
            for processes in (1, 2):
                found.setdefault(f"{kind}, {processes}", []).append(
                    round(rate(url, kind, processes, scopes, seconds), 1)
                )
    middle = {name: statistics.median(values) for name, values in found.items()}
    return {
        "scopes": scopes,
        "notes": scopes * SCOPE,
        "calls per second": found,
        "median": middle,
        "two over one": {
            kind: round(middle[f"{kind}, 2"] / middle[f"{kind}, 1"], 2) for kind in ("recall", "remember")
        },
    }


@dataclass(frozen=True)
class Users:
    """What is assumed of the users."""

    users: int
    notes: int
    active: float = 0.1
    recalls: int = 20
    writes: int = 10
    edits: float = 5.0
    peak: float = 4.0


def plan(given: Users) -> list[tuple[str, str, str]]:
    """(what, how much, from what)."""
    scopes = json.loads((RESULTS / "many_scopes.json").read_text("utf-8"))["1000x1000"]
    learnt = json.loads((RESULTS / "many_edits.json").read_text("utf-8"))
    edits = learnt[max(learnt, key=int)]
    active = given.users * given.active
    recalls, writes = (active * each * given.peak / 86_400 for each in (given.recalls, given.writes))
    disk = given.users * given.notes * scopes["bytes_per_note"]["all"]
    held = scopes["held_mb_per_scope"] / SCOPE * given.notes
    writer = 1_000 / scopes["remember_ms"]["p50"]
    cpu = scopes["recall_cpu_ms"]["p50"] / 1_000
    per_edit = edits["cpu seconds per edit"]
    return [
        ("notes", f"{given.users * given.notes:,.0f}", "assumed"),
        ("disk, before copies", f"{disk / 1e12:.1f} TB", f"{scopes['bytes_per_note']['all']} bytes a note, measured"),
        ("recalls per second at the peak", f"{recalls:,.0f}", f"{given.recalls} a day of {given.active:.0%} of the users, times {given.peak:g}"),
        ("cores for them, without the embedder", f"{recalls * cpu:,.0f}", f"{1_000 * cpu:.1f} ms, measured"),
        ("writes per second at the peak", f"{writes:,.0f}", f"{given.writes} a day"),
        ("writers, each with a schema of its own", f"{-(-writes // writer):,.0f} or more", f"{writer:.0f} a second each, measured"),
        ("memory for those who are active in an hour", f"{active / 8 * held / 1e3:,.0f} GB", f"{held:.2f} MB a scope, measured; an eighth of the day's users"),
        ("edits after a year, if everybody learns", f"{given.users * given.edits * 12:,.0f}", f"{given.edits:g} a month each; measured up to {max(learnt, key=int)} in one pack"),
        ("processor seconds a night for 1,000 users", f"{1_000 * given.active * given.edits / 30 * per_edit:,.1f}", "the same, if only the active learn"),
        ("processor hours a night for edits", f"{active * given.edits / 30 * per_edit / 3_600:,.0f}", f"{per_edit} s an edit of the shipped model, measured; {given.edits:g} a month each"),
    ]  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scopes", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--url")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--users", type=int, default=10_000_000)
    parser.add_argument("--notes", type=int, default=200)
    parser.add_argument("--work", nargs=6, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.work:
        url, kind, number, scopes, begins, seconds = given.work
        print(work(url, kind, int(number), int(scopes), float(begins), float(seconds)))
        return
    if given.plan:
        print("| what | how much | from |\n| --- | --- | --- |")
        for line in plan(Users(given.users, given.notes)):
            print(f"| {' | '.join(line)} |")
        return
    with served(given.url) as url:
        found = measure(url, given.scopes, given.seconds)
    print(json.dumps(found, indent=1))
    (RESULTS / "scale_out.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
