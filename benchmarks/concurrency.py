"""What the lanes of an AsyncMemory gain: recalls beside each other, and beside a write.

python -m benchmarks.concurrency [--notes 5000] [--recalls 50] [--turns 9] [--out benchmarks/results/concurrency.json]

``recalls``: so many recalls at once, with one thread for reads and with several, in turn, each time with questions that were not
asked before. Once with the packaged embedder, and once with vectors that are looked up (``looked up``): what is left then is SQL,
numpy and Python, of which only numpy runs beside anything, and the store takes one transaction at a time. ``beside``: how long a
recall takes while 600 notes are stored in one call, and while a language model takes a second to answer, with one thread for
everything (as it was) and with the lanes. Medians of the turns; a ratio is that of its own turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from agentmem import AsyncMemory
from agentmem.aio import THREADS
from agentmem.embedding.embedders import make_embedder
from agentmem.runtime.lanes import Lane
from benchmarks.scale import Corpus

WRITTEN = 600
ANSWER = 1.0  # seconds


class Bench:
    """A store of notes, and questions that come once."""

    def __init__(self, memory: AsyncMemory, corpus: Corpus, notes: int, looked_up: bool) -> None:
        self.memory, self.corpus, self.looked_up = memory, corpus, looked_up
        self._next = notes

    def texts(self, count: int) -> list[str]:
        """Texts that the memory does not know yet."""
        found, vectors = self.corpus.make(self._next, count)
        self._next += count
        if self.looked_up:
            self.corpus.know(found, vectors)
        return found

    def lanes(self, reads: int, *, one: bool = False) -> None:
        """So many threads for reads; or one for everything."""
        for lane in set(self.memory._lanes.values()):
            lane.end()
        made = {name: Lane(name, reads if name == "reads" else count) for name, count in THREADS.items()}
        self.memory._lanes = dict.fromkeys(made, Lane("all", 1)) if one else made

    async def recalls(self, count: int, reads: int) -> float:
        """Seconds for ``count`` recalls at once."""
        self.lanes(reads)
        queries = self.texts(count)
        begun = time.perf_counter()
        await asyncio.gather(*(self.memory.recall(query, k=10) for query in queries))
        return time.perf_counter() - begun

    async def beside(self, work: Coroutine[Any, Any, object], *, one: bool) -> float:
        """Milliseconds of a recall (median) while something else is done."""
        self.lanes(THREADS["reads"], one=one)
        queries, took = iter(self.texts(2_000)), []
        doing = asyncio.create_task(work)
        await asyncio.sleep(0.02)
        while not doing.done():
            asked = time.perf_counter()
            await self.memory.recall(next(queries), k=10)
            took.append(time.perf_counter() - asked)
        await doing
        return statistics.median(took) * 1000


def _slowly(_: object) -> str:
    time.sleep(ANSWER)
    return "It is so."


async def measure(notes: int, recalls: int, turns: int, *, looked_up: bool) -> dict[str, Any]:
    corpus = Corpus()
    embedder: Any = corpus if looked_up else make_embedder(None)
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncMemory(Path(folder) / "m", embedder=embedder, llm=_slowly) as memory:
            bench = Bench(memory, corpus, 0, looked_up)
            await memory.remember_many(bench.texts(notes), progress=False)
            await bench.recalls(5, 1)
            found: dict[str, list[float]] = defaultdict(list)
            for _ in range(turns):
                found["one"].append(await bench.recalls(recalls, 1))
                found["pool"].append(await bench.recalls(recalls, THREADS["reads"]))
            for one, name in ((True, "one thread"), (False, "lanes")) * 3:
                writing = memory.remember_many(bench.texts(WRITTEN), progress=False)
                found[f"write, {name}"].append(await bench.beside(writing, one=one))
                found[f"answer, {name}"].append(await bench.beside(memory.ask("Is it so?", use="nothing"), one=one))
    ratios = [one / pool for one, pool in zip(found["one"], found["pool"], strict=True)]
    return {
        "one_thread_s": round(statistics.median(found["one"]), 4),
        f"{THREADS['reads']}_threads_s": round(statistics.median(found["pool"]), 4),
        "times_as_fast": round(statistics.median(ratios), 2),
        "times_as_fast_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "recall_beside_ms": {
            name: round(statistics.median(found[name]), 1)
            for name in ("write, one thread", "write, lanes", "answer, one thread", "answer, lanes")
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=5_000)
    parser.add_argument("--recalls", type=int, default=50)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--out", type=Path)
    said = parser.parse_args()
    result = {
        "notes": said.notes, "recalls": said.recalls, "turns": said.turns, "processors": os.cpu_count(),
        "embedded": asyncio.run(measure(said.notes, said.recalls, said.turns, looked_up=False)),
        "looked up": asyncio.run(measure(said.notes, said.recalls, said.turns, looked_up=True)),
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    if said.out is not None:
        said.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
