"""How fast values under keys are: put, get, search by filter and by meaning, delete.

python -m benchmarks.keyed [--records 5000] [--embedder hash] [--out benchmarks/results/keyed.json]

Everything goes through the public interface, on a memory in a directory. The embedder's time is counted: `hash` costs next to nothing, the
packaged one (`--embedder packaged`) about what it costs anybody.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentmem import Memory

__all__ = ["measure"]

PLACES = ("Porto", "Bergen", "Lyon", "Graz", "Kyoto")
THINGS = ("boat", "house", "letter", "recipe", "song", "garden", "violin")
MANY = 100


def value(number: int) -> dict[str, Any]:
    """A value of four fields, two of them texts."""
    text = f"The {THINGS[number % 7]} number {number} is in {PLACES[number % 5]} since {1900 + number % 120}."
    return {"text": text, "place": PLACES[number % 5], "n": number, "done": number % 3 == 0}


def median_ms(work: Callable[[int], object], count: int) -> float:
    """The median of so many calls, in milliseconds."""
    taken = []
    for number in range(count):
        begun = time.perf_counter()
        work(number)
        taken.append(1000 * (time.perf_counter() - begun))
    return round(statistics.median(taken), 3)


def measure(folder: Path, records: int, embedder: str | None, count: int) -> dict[str, Any]:
    """Every figure for one size."""
    with Memory(folder / "memory", embedder=embedder) as memory:
        begun = time.perf_counter()
        for start in range(0, records, MANY):
            memory.put_many([
                {"namespace": ("docs", f"d{n % 10}"), "key": f"k{n}", "value": value(n)} for n in range(start, min(start + MANY, records))
            ])  # fmt: skip
        figures: dict[str, Any] = {"records": records, "embedder": embedder or "packaged"}
        figures["put_many_per_s"] = round(records / (time.perf_counter() - begun))
        first = ("docs", "d0")
        keys = [n for n in range(records) if n % 10 == 0]
        memory.search((), "a boat")  # what is loaded once is loaded
        calls: dict[str, Callable[[int], object]] = {
            "put_ms": lambda n: memory.put(first, f"new{n}", value(records + n)),
            "put_without_text_ms": lambda n: memory.put(first, f"bare{n}", value(n), index=False),
            "put_other_words_ms": lambda n: memory.put(first, f"new{n}", value(2 * records + n)),
            "put_same_words_ms": lambda n: memory.put(first, f"new{n}", {**value(2 * records + n), "done": None}, ttl=60),
            "get_ms": lambda n: memory.get(first, f"k{keys[n % len(keys)]}"),
            "get_and_refresh_ms": lambda n: memory.get(first, f"new{n}", refresh=True),
            "newest_ms": lambda n: memory.search(("docs",), limit=10),
            "newest_of_a_namespace_ms": lambda n: memory.search(first, limit=10),
            "filter_ms": lambda n: memory.search((), filter={"n": keys[n % len(keys)]}, limit=1000),
            "meaning_ms": lambda n: memory.search((), f"the {THINGS[n % 7]} in {PLACES[n % 5]}"),
            "meaning_and_filter_ms": lambda n: memory.search((), f"the {THINGS[n % 7]}", {"place": PLACES[n % 5]}),
            "recall_ms": lambda n: memory.recall(f"the {THINGS[n % 7]} in {PLACES[n % 5]}"),
            "list_namespaces_ms": lambda n: memory.list_namespaces(),
            "delete_ms": lambda n: memory.delete(first, f"new{n}"),
        }  # fmt: skip
        figures |= {
            name: median_ms(call, min(count, 20) if name == "delete_ms" else count) for name, call in calls.items()
        }
        figures["load_average"] = round(os.getloadavg()[0], 1)
    return figures


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=5_000)
    parser.add_argument("--embedder", choices=("hash", "packaged"), default="hash")
    parser.add_argument("--count", type=int, default=60, help="calls of each kind")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        embedder = None if options.embedder == "packaged" else options.embedder
        figures = measure(Path(folder), options.records, embedder, options.count)
    print(json.dumps(figures, indent=2))
    if options.out is not None:
        known = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
        known[f"{options.records}/{options.embedder}"] = figures
        options.out.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
