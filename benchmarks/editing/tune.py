"""The published algorithms at their best: every combination of their own settings on facts that no report uses.

python -m benchmarks.editing.tune --method grace-paper wise-paper --out benchmarks/results/editing_tuned.json

The facts come behind the longest stream of :mod:`benchmarks.editing`, so no tuned figure is reported on what it was tuned on.
What is compared is the mean of reliability, generality in held-out wordings and locality over the streams of ``--edits``; the
best few of the first, shortest stream go on to the next. The result names the settings; ``METHODS`` has them as
"grace-tuned" and "wise-tuned".
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch

from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.wise.config import WiseConfig
from agentmem.evaluation.world import World
from agentmem.llm.small_model import small_model_path
from benchmarks.editing.measuring import Bench
from benchmarks.editing.methods import Editing
from benchmarks.editing.streams import known, load, samples

__all__ = ["GRIDS", "Trial", "best"]

GRIDS: dict[str, tuple[dict[str, object], ...]] = {
    "grace-paper": tuple(
        {"value_layer": layer, "eps_init": eps, "init": init}
        for layer in (1, 2, 3)
        for init in ("cold", "warm")
        for eps in (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 18.0, 22.0, 27.0, 33.0, 40.0)
    ),
    "wise-paper": tuple(
        {"layer": layer, "alpha": 5 * unit, "beta": 20 * unit, "gamma": 10 * unit, "lr": lr}
        for layer, unit, lr in itertools.product((1, 2, 3), (0.1, 0.3, 1.0), (0.1, 0.3, 1.0, 3.0, 10.0, 30.0))
    ),
}  # fmt: skip
"""By method: the settings that are tried."""

_CONFIGS: dict[str, Any] = {"grace-paper": GraceConfig.paper, "wise-paper": WiseConfig.paper}
_KINDS = {"grace-paper": "grace", "wise-paper": "wise"}


@dataclass(frozen=True)
class Trial:
    """One combination on one stream."""

    method: str
    options: dict[str, object]
    edits: int
    reported: int


def run(trial: Trial) -> dict[str, object]:
    """Write, ask, judge: in a process of its own."""
    torch.set_num_threads(1)
    (model, tokenizer), world = load(small_model_path()), World.generate()
    facts = known(model, tokenizer, world, trial.reported + trial.edits, Random(11))[trial.reported :]
    bench = Bench(model, tokenizer, world, samples(world, facts, 0, 12), most=300, chats=0)
    config = _CONFIGS[trial.method](**trial.options)
    method = Editing(model, tokenizer, _KINDS[trial.method], {"config": config}, grows=False)
    row = bench.measure(method, bench.probes(trial.edits))
    judged = {name: row[name] for name in ("reliability", "generality_held_out", "locality", "cpu_seconds_per_edit")}
    mean = sum(float(str(row[name])) for name in ("reliability", "generality_held_out", "locality")) / 3
    return {"method": trial.method, "edits": trial.edits, "options": trial.options, "mean": round(mean, 4), **judged}


def best(rows: list[dict[str, Any]], most: int) -> list[dict[str, object]]:
    """The options of the best rows, the best first."""
    return [row["options"] for row in sorted(rows, key=lambda row: -row["mean"])[:most]]


def main() -> None:
    """Parse the command line, try everything, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", nargs="+", choices=list(GRIDS), default=list(GRIDS))
    parser.add_argument("--edits", type=int, nargs="+", default=[10, 60])
    parser.add_argument(
        "--reported", type=int, default=1000, help="the longest stream of the report, which is left out here"
    )
    parser.add_argument("--most", type=int, default=8, help="combinations that go on to the next stream")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--machine", default="two CPU cores", help="kept with the result")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": options.machine, "best": {}, "rows": []}
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for method in options.method:
            left: list[dict[str, object]] = list(GRIDS[method])
            for edits in options.edits:
                found = []
                for row in pool.map(run, [Trial(method, chosen, edits, options.reported) for chosen in left]):
                    found.append(row)
                    print(json.dumps(row), flush=True)
                report["rows"] += found
                left = best(found, options.most)
            report["best"][method] = left[0]
            if options.out is not None:
                options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
