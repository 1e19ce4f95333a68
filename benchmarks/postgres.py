"""Throughput of the same memory in SQLite and in PostgreSQL, side by side on one machine.

    python -m benchmarks.postgres --notes 1000 [--url postgresql://…]

Without an address a server is started from the wheel of the tests, with ``fsync`` as it comes. Texts are embedded by hashing, so that what is measured is
the store. Prints one table and writes ``benchmarks/results/postgres.json``.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentmem import Memory
from agentmem.embedding.embedders import HashEmbedder

WORDS = (
    "river lamp garden stone letter violin harbour winter bread mirror engine forest clock paper glass tower".split()
)
WRITER = """
import sys
from benchmarks.postgres import memory, text
with memory(sys.argv[1]) as opened:
    for number in range(int(sys.argv[3])):
        opened.remember(text(int(sys.argv[2]) * 100_000 + number), user=f"u{sys.argv[2]}")
"""


def text(number: int) -> str:
    rng = random.Random(number)
    return f"{' '.join(rng.choices(WORDS, k=12))} number {number}"


def memory(place: str) -> Memory:
    return Memory(place, embedder=HashEmbedder())


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(place: str, notes: int, writers: int) -> dict[str, float]:
    found: dict[str, float] = {}
    with memory(place) as opened:
        found["remember_many, notes/s"] = notes / timed(
            lambda: opened.remember_many([text(n) for n in range(notes)], user="ana", progress=False)
        )
        each = [timed(lambda n=n: opened.remember(text(notes + n), user="ana")) for n in range(200)]
        found["remember, ms (median)"] = 1000 * statistics.median(each)
        rng = random.Random(1)
        opened.recall("violin", user="ana")
        asked = [timed(lambda: opened.recall(" ".join(rng.choices(WORDS, k=3)), user="ana", k=10)) for _ in range(200)]
        found["recall, ms (median)"] = 1000 * statistics.median(asked)
        ids = [note.id for note in opened.notes(user="ana", limit=20)]
        found["forget, ms (median)"] = 1000 * statistics.median(
            [timed(lambda id=id: opened.forget(id, user="ana")) for id in ids]
        )
    with memory(place) as opened:
        found["first recall after opening, ms"] = 1000 * timed(
            lambda: opened.recall("violin harbour", user="ana", k=10)
        )
    share = 100
    command = [sys.executable, "-c", WRITER, place]
    began = time.perf_counter()
    running = [subprocess.Popen([*command, str(number), str(share)]) for number in range(writers)]
    if any(process.wait() for process in running):
        raise RuntimeError("a writer failed")
    found[f"{writers} processes with their start, notes/s"] = writers * share / (time.perf_counter() - began)
    return found


@contextmanager
def served(url: str | None) -> Any:
    if url is not None:
        yield url
        return
    from tests.stores.postgres.server import Server

    server = Server()
    try:
        yield server.url()
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=1000)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--url")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(given.url) as url:
        results = {
            name: measure(place, given.notes, given.writers)
            for name, place in (("SQLite", str(Path(folder) / "memory")), ("PostgreSQL", url))
        }
    print(f"| {given.notes} notes | SQLite | PostgreSQL |\n| --- | --- | --- |")
    for name in results["SQLite"]:
        print(f"| {name} | {results['SQLite'][name]:.1f} | {results['PostgreSQL'][name]:.1f} |")
    target = Path(__file__).parent / "results" / "postgres.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"notes": given.notes, "writers": given.writers, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
