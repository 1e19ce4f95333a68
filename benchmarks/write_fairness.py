"""How long writers wait for each other: eight processes, and four threads of one process against one other.

    python benchmarks/write_fairness.py --rounds 3 [--against DIRECTORY_OF_ANOTHER_CHECKOUT]

Each round runs every checkout once, in turns, on fresh directories. Prints p50, p99, max (milliseconds) and writes a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
WRITER = HERE / "tests" / "attack" / "writer.py"


def race(checkout: Path, writers: list[tuple[str, int, int, float]]) -> list[dict[str, object]]:
    """Run writers (name, threads, writes, seconds) at once on one fresh memory; what each of them says."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    with tempfile.TemporaryDirectory() as directory:
        children = [
            subprocess.Popen(
                [sys.executable, str(WRITER), f"{directory}/memory", name, str(threads), str(writes), str(seconds)],
                cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for name, threads, writes, seconds in writers
        ]  # fmt: skip
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        return [json.loads(child.communicate()[0]) for child in children]


def told(found: list[dict[str, object]]) -> dict[str, object]:
    """Percentiles and throughput over all calls of these writers."""
    took = sorted(t for each in found for t in each["took"])  # type: ignore[attr-defined]
    span = max(float(str(each["ended"])) for each in found) - min(float(str(each["began"])) for each in found)
    at = {
        name: round(1000 * took[min(len(took) - 1, int(share * len(took)))], 1)
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    errors = sum(len(each["errors"]) for each in found)  # type: ignore[arg-type]
    return at | {
        "max": round(1000 * took[-1], 1), "p99/p50": round(at["p99"] / at["p50"], 1), "writes": len(took), "errors": errors,
        "per second": round(len(took) / span, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--writes", type=int, default=500)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    checkouts = {"here": HERE} | ({"against": given.against} if given.against else {})
    for number in range(given.rounds):
        for name, checkout in checkouts.items():
            eight = race(checkout, [(f"w{n}", 1, given.writes, 1e9) for n in range(8)])
            print(json.dumps({"round": number, "checkout": name, "eight processes": told(eight)}), flush=True)
            crowd, alone = race(checkout, [("crowd", 4, 1_000_000, 12.0), ("alone", 1, 1_000_000, 12.0)])
            print(
                json.dumps({"round": number, "checkout": name, "crowd": told([crowd]), "alone": told([alone])}),
                flush=True,
            )


if __name__ == "__main__":
    main()
