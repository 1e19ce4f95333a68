"""Editing methods on one stream of counterfactual facts, judged by greedy free generation after the last edit.

python -m benchmarks.editing --method grace wise rome emmet --edits 1 10 100 300 1000 --out benchmarks/results/editing.json

Each edit contradicts what the model says (known subjects), or tells about somebody it never heard of (`--subjects unknown`).
Its prompt and paraphrases are wordings of the model's training, the questions that measure generality are not. Locality is
the share of other questions whose answers stay the same to the letter; "kept" the share of facts outside every stream that
are still answered right, among those that were. Requests that a method refuses count as wrong. Rows go into the file beside
those that are there, in the place of an older row of the same method, subjects, number of edits and of paraphrases.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from pathlib import Path
from random import Random
from typing import Any

import torch

from agentmem.evaluation.world import World
from agentmem.llm.small_model import small_model_path
from benchmarks.editing.measuring import Bench
from benchmarks.editing.methods import METHODS, make_method
from benchmarks.editing.results import merge
from benchmarks.editing.streams import known, load, samples, unknown


def main() -> None:
    """Parse the command line, measure, print, write."""
    options = _options()
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    torch.set_num_threads(1)
    extra = {name: json.loads(value) for name, value in (item.split("=", 1) for item in options.option)}
    (model, tokenizer), world = load(options.model), World.generate()
    weights = hashlib.sha256((options.model / "model.safetensors").read_bytes()).hexdigest()[:12]
    longest, rng = max(options.stream, *options.edits), Random(11)
    facts = (
        known(model, tokenizer, world, longest, rng) if options.subjects == "known" else unknown(world, longest, rng)
    )
    for paraphrases in options.paraphrases:
        stream = samples(world, facts, paraphrases, 12)
        bench = Bench(model, tokenizer, world, stream, options.probes, options.chats)
        streams = {count: bench.probes(count) for count in sorted(options.edits)}
        made: dict[str, Any] = {}
        for name in options.method:
            method = made[name] = make_method(name, model, tokenizer, made, extra)
            each = 0.0
            for count, probes in streams.items():
                if each * count > 60 * options.minutes:
                    print(
                        f"{name} at {count} edits would take {each * count / 60:.0f} minutes: left out",
                        flush=True,
                    )
                    continue
                row = {
                    "method": name,
                    "subjects": options.subjects,
                    **bench.measure(method, probes),
                    "weights": weights,
                }
                each = float(row["cpu_seconds_per_edit"]) if count > 1 else 0.0
                print(json.dumps(row), flush=True)
                if options.out is not None:
                    merge(options.out, row, note=options.note, options=extra)
            if options.keep is not None and hasattr(method, "editor"):
                options.keep.mkdir(parents=True, exist_ok=True)
                method.editor.save(options.keep / f"{name}-{paraphrases}.safetensors")
            method.rest()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=small_model_path())
    parser.add_argument("--method", nargs="+", choices=list(METHODS), default=["grace"])
    parser.add_argument("--edits", type=int, nargs="+", default=[100])
    parser.add_argument(
        "--stream", type=int, default=1000, help="the longest stream, of which shorter ones are the beginning"
    )
    parser.add_argument("--paraphrases", type=int, nargs="+", choices=range(5), default=[0])
    parser.add_argument("--subjects", choices=["known", "unknown"], default="known")
    parser.add_argument("--probes", type=int, default=300, help="per figure, at most")
    parser.add_argument("--chats", type=int, default=0, help="edits that are also asked late in a chat")
    parser.add_argument("--minutes", type=float, default=10.0, help="of writing per row, beyond which it is left out")
    parser.add_argument("--option", nargs="*", default=[], help="name=value of the editor's configuration, as JSON")
    parser.add_argument("--note", default="", help="kept in each row")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for the pack of each method's longest stream")
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
