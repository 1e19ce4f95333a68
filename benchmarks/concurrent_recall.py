"""Recalls of several threads at once: how many a second, in SQLite and in PostgreSQL, reached directly and with a round trip that takes longer.

    python -m benchmarks.concurrent_recall [--before DIRECTORY] [--turns 3] [--seconds 3]

Twenty people with a hundred notes each; each thread asks for one after another, in words of hashed vectors, so that the store is what is measured.
``+ 1 ms``: a proxy on this machine hands on what the server answers a millisecond later, as a network would. ``--before``: another state of this
project, measured in the same turns. Every figure is of a process of its own, one after another in each turn; the medians of the turns are printed and
written to ``benchmarks/results/concurrent_recall.json``, with all single figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
THREADS = (1, 4, 16)
DELAY = 0.001  # seconds
WORKER = """
import itertools, json, random, sys, threading, time
from agentmem import Memory
from agentmem.embedding.embedders import HashEmbedder
place, seconds = sys.argv[1], float(sys.argv[2])
words = "river lamp garden stone letter violin harbour winter bread mirror engine forest clock paper glass tower".split()
people = [f"u{n}" for n in range(20)]
with Memory(place, embedder=HashEmbedder()) as memory:
    if not memory.users():
        rng = random.Random(1)
        for person in people:
            texts = [f"{' '.join(rng.choices(words, k=12))} number {n}" for n in range(100)]
            memory.remember_many(texts, user=person, progress=False)
    for person in people:
        memory.recall("violin", user=person)
    found = {}
    for threads in map(int, sys.argv[3:]):
        turns, counts, until = itertools.count(), [], [0.0]
        def ask(number):
            rng, count = random.Random(number), 0
            while time.perf_counter() < until[0]:
                person = people[next(turns) % len(people)]
                hits = memory.recall(" ".join(rng.choices(words, k=3)), user=person, k=10)
                assert len(hits) == 10 and all(hit.note.scope.user == person for hit in hits)
                count += 1
            counts.append(count)
        running = [threading.Thread(target=ask, args=(n,)) for n in range(threads)]
        began = time.perf_counter()
        until[0] = began + seconds
        for each in running: each.start()
        for each in running: each.join()
        assert len(counts) == threads
        found[threads] = sum(counts) / (time.perf_counter() - began)
print(json.dumps(found))
"""


async def late(socket: str, port_file: str) -> None:
    """A proxy to a socket of a server: what that says arrives later, in its order."""

    async def forward(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
        target.close()

    async def back(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await source.read(65_536):
            loop.call_later(DELAY, target.write, data)
        loop.call_later(2 * DELAY, target.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_unix_connection(socket)
        await asyncio.gather(forward(reader, outer), back(inner, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    Path(port_file).write_text(str(server.sockets[0].getsockname()[1]))  # noqa: ASYNC240 - once, before anything is served
    async with server:
        await server.serve_forever()


@contextmanager
def proxied(folder: Path, scratch: Path) -> Iterator[str]:
    """The address of the server behind the proxy, which is a process of its own."""
    told = scratch / "port"
    code = "import asyncio, sys; from benchmarks.concurrent_recall import late; asyncio.run(late(*sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder / ".s.PGSQL.5432"), str(told)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        while not (told.exists() and told.read_text()):
            if process.poll() is not None:
                raise RuntimeError("the proxy ended")
        yield f"postgresql://postgres@127.0.0.1:{told.read_text()}/postgres?sslmode=disable&gssencmode=disable"
    finally:
        process.terminate()
        process.wait()


def measured(tree: Path, place: str, seconds: float) -> dict[str, float]:
    said = subprocess.run(
        [sys.executable, "-c", WORKER, place, str(seconds), *map(str, THREADS)],
        env={**os.environ, "PYTHONPATH": str(tree)}, cwd=tree, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(said.stdout.splitlines()[-1])
    return found


def main() -> None:
    from tests.stores.postgres.server import Server

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "concurrent_recall.json")
    given = parser.parse_args()
    server = Server()
    try:
        with tempfile.TemporaryDirectory() as scratch, proxied(server.folder, Path(scratch)) as far:
            near = f"postgresql:///postgres?host={quote(str(server.folder))}&user=postgres"
            cases = {"SQLite": (ROOT, str(Path(scratch) / "memory"))}
            for where, url in (("", near), (" + 1 ms", far)):
                if given.before is not None:
                    cases[f"PostgreSQL before{where}"] = given.before, url
                cases[f"PostgreSQL{where}"] = ROOT, url
            cases["PostgreSQL + 1 ms, 16 readers"] = ROOT, f"{far}&agentmem_readers=16"
            figures: dict[str, list[dict[str, float]]] = defaultdict(list)
            for _ in range(given.turns):
                for name, (tree, place) in cases.items():
                    figures[name].append(measured(tree, place, given.seconds))
    finally:
        server.stop()
    medians = {
        name: {n: statistics.median(each[n] for each in turns) for n in turns[0]} for name, turns in figures.items()
    }
    print("| recalls a second, threads | " + " | ".join(map(str, THREADS)) + " |\n| --- |" + " --- |" * len(THREADS))
    for name, found in medians.items():
        print(f"| {name} | " + " | ".join(f"{found[str(n)]:.0f}" for n in THREADS) + " |")
    settings = {"turns": given.turns, "seconds": given.seconds, "people": 20, "notes": 2_000}
    given.out.write_text(json.dumps({**settings, "medians": medians, "turns of each": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
