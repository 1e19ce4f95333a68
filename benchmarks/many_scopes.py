"""Recall over PostgreSQL with many scopes in one store: the first recall of a scope in a process, the next ones, what a scope costs in memory and on disk.

    python -m benchmarks.many_scopes [--sizes 10x1000 100x1000 1000x1000] [--touch 200] [--url postgresql://…]

A size is scopes x notes in each. The notes are those of `benchmarks.scale`, written table by table; everything after that goes through the public
interface, in a process of its own for each size. The embedder's time is not counted. Appended to ``benchmarks/results/many_scopes.json``.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from agentmem import Memory
from benchmarks.postgres import served
from benchmarks.scale import BATCH, Corpus, build, queries, timed

__all__: list[str] = []

ROUNDS = 3


def resident() -> float:
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def percentiles(values: list[float]) -> dict[str, float]:
    return {
        "p50": round(statistics.median(values), 2),
        "p95": round(float(np.percentile(values, 95)), 2),
    }


def fill(url: str, scopes: int, notes: int) -> dict[str, Any]:
    """Write the store, and look how large it became."""
    corpus = Corpus()
    with Memory(url, embedder=corpus) as memory:
        speed = build(memory, corpus, scopes * notes, scopes, bulk=True)
        with memory._parts.core.store.write() as tx:
            tx.outbox.clear()  # the index is asked from `exact_limit` on only
    return {"rows_per_s_in_bulk": round(speed), "bytes_per_note": sizes(url, scopes * notes)}


def sizes(url: str, notes: int) -> dict[str, int]:
    """Bytes on disk for each note: of the whole, and of the largest tables with their indexes."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        found = connection.execute(
            "SELECT relname, pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = 'agentmem' AND relkind = 'r' ORDER BY 2 DESC"
        ).fetchall()
    each = {str(name): round(size / notes) for name, size in found}
    return {"all": sum(each.values())} | {name: size for name, size in each.items() if size >= 10}


def recalls(url: str, scopes: int, notes: int, touch: int) -> dict[str, Any]:
    """Recall in `touch` scopes that this process has not seen, and in those it has seen."""
    corpus = Corpus()
    asked = list(queries(corpus, scopes * notes, 20))
    for text, vector in asked:
        corpus.know([text], vector[None])
    rng = random.Random(1)
    users = [f"u{n}" for n in rng.sample(range(scopes), min(touch, scopes))]
    begun = time.perf_counter()
    with Memory(url, embedder=corpus) as memory:
        opened = time.perf_counter() - begun
        memory.recall(asked[0][0], user=users[0])
        before = resident()
        first = [timed(lambda u=user: memory.recall(rng.choice(asked)[0], user=u))[0] for user in users[1:]]
        held = resident() - before
        again, used = [], []
        for _ in range(ROUNDS):
            for user in rng.sample(users, len(users)):
                cpu = time.process_time()
                again.append(timed(lambda u=user: memory.recall(rng.choice(asked)[0], user=u))[0])
                used.append(1000 * (time.process_time() - cpu))
        texts, vectors = corpus.make(scopes * notes + BATCH, 100)
        corpus.know(texts, vectors)
        wrote = [
            timed(lambda t=text, u=user: memory.remember(t, user=u))[0]
            for text, user in zip(texts, users * 100, strict=False)
        ]
        other = [
            timed(lambda u=user: memory.recall(rng.choice(asked)[0], user=u))[0]
            for user in rng.sample(users, min(50, len(users)))
        ]
    return {
        "open_s": round(opened, 3),
        "scopes_touched": len(users),
        "first_recall_of_a_scope_ms": percentiles(first),
        "recall_ms": percentiles(again),
        "recall_cpu_ms": percentiles(used),
        "recall_after_writes_ms": percentiles(other),
        "remember_ms": percentiles(wrote),
        "held_mb_per_scope": round(held / max(len(first), 1), 3),
        "resident_mb": round(resident()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["10x1000", "100x1000", "1000x1000"])
    parser.add_argument("--touch", type=int, default=200)
    parser.add_argument("--url")
    parser.add_argument("--of", nargs=2, help=argparse.SUPPRESS)  # the process that asks: an address, a size
    given = parser.parse_args()
    if given.of:
        scopes, notes = map(int, given.of[1].split("x"))
        print(json.dumps(recalls(given.of[0], scopes, notes, given.touch)))
        return
    target = Path(__file__).parent / "results" / "many_scopes.json"
    found = json.loads(target.read_text("utf-8")) if target.exists() else {}
    for size in given.sizes:
        scopes, notes = map(int, size.split("x"))
        with served(given.url) as url:
            filled = fill(url, scopes, notes)
            command = [sys.executable, "-m", "benchmarks.many_scopes", "--of", url, size, "--touch", str(given.touch)]
            asked = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found[size] = {"scopes": scopes, "notes": scopes * notes} | filled | json.loads(asked)
        print(json.dumps(found[size], indent=1), flush=True)
        target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
