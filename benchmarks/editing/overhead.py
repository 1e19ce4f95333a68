"""What edits cost those who do not ask for them: `generate` on unrelated prompts, beside the bare model; and routing at scale.

python -m benchmarks.editing.overhead --pack build/editing/grace-0.safetensors --out benchmarks/results/editing_overhead.json

The states take turns, prompt by prompt, in one run; a ratio is the median over prompts and rounds of CPU time divided by the
bare model's in the same turn. For routing at scale see `benchmarks.editing.many`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from agentmem.editors import make_editor
from agentmem.editors.prompts import Renderer
from agentmem.evaluation.world import World
from agentmem.llm.small_model import small_model_path
from benchmarks.editing.many import Many
from benchmarks.editing.streams import known, load, samples

if TYPE_CHECKING:
    from collections.abc import Sequence

NEW_TOKENS = 24


class Overhead:
    """One model with editors of several sizes, of which at most one is attached."""

    def __init__(self, model: Any, tokenizer: Any, pack: Path | None, sizes: Sequence[int]) -> None:
        self.model, self.renderer, self.world = model, Renderer(tokenizer), World.generate()
        facts = known(model, tokenizer, self.world, 1000, Random(11))
        requests = [sample.request for sample in samples(self.world, facts, 0, 12)]
        whole: Any = make_editor("grace", model, tokenizer)
        if pack is not None and pack.exists():
            whole.load(pack)
        else:
            whole.write(requests[: max(sizes)])
        whole.detach()
        self.editors: dict[str, Any] = {}
        for size in sizes:
            editor: Any = make_editor("grace", model, tokenizer, calibration=whole.calibrate())
            editor.load(whole.dump())
            editor.delete([edit.id for edit in whole.edits()[size:]])
            editor.detach()
            self.editors[str(size)] = editor
        edited = {(fact.subject, fact.relation) for fact in facts}
        self.left = [f for f in self.world.facts if (f.subject, f.relation) not in edited]

    def measure(self, batch: int, prompts: int, rounds: int) -> dict[str, object]:
        """Medians of milliseconds per call and of ratios, every state in turn for every batch of prompts."""
        rng = Random(f"overhead {batch}")
        groups = [[self.world.question(fact, rng) for fact in rng.sample(self.left, batch)] for _ in range(prompts)]
        inputs = [self._inputs(group) for group in groups]
        states = ["bare", *self.editors]
        spent: dict[str, list[float]] = {state: [] for state in states}
        fired, different = 0, 0
        for turn in range(rounds):
            for number, given in enumerate(inputs):
                order = states[(turn + number) % len(states) :] + states[: (turn + number) % len(states)]
                said = {}
                for state in order:
                    seconds, said[state], routes = self._generate(state, given)
                    spent[state].append(seconds)
                    fired += sum(route.edit_id is not None for route in routes)
                different += sum(not torch.equal(said[s], said["bare"]) for s in states)
        ratios = {s: [a / b for a, b in zip(spent[s], spent["bare"], strict=True)] for s in self.editors}
        return {
            "batch": batch,
            "calls": len(inputs) * rounds,
            "milliseconds": {s: round(1000 * median(v), 2) for s, v in spent.items()},
            "ratio": {s: round(median(v), 4) for s, v in ratios.items()},
            "rows_that_an_edit_answered": fired,
            "calls_with_other_tokens": different,
        }

    def _inputs(self, texts: list[str]) -> dict[str, torch.Tensor]:
        rows = [self.renderer.prompt(text) for text in texts]
        width, pad = max(map(len, rows)), self.renderer.tokenizer.pad_token_id
        return {
            "input_ids": torch.tensor([(pad,) * (width - len(row)) + row for row in rows]),
            "attention_mask": torch.tensor([(0,) * (width - len(row)) + (1,) * len(row) for row in rows]),
        }

    def _generate(self, state: str, given: dict[str, torch.Tensor]) -> tuple[float, torch.Tensor, Sequence[Any]]:
        editor = self.editors.get(state)
        if editor is not None:
            editor.attach()
        with torch.no_grad():
            started = time.process_time()
            said = self.model.generate(**given, do_sample=False, max_new_tokens=NEW_TOKENS)
            seconds = time.process_time() - started
        routes = editor.explain() if editor is not None else ()
        if editor is not None:
            editor.detach()
        return seconds, said, routes

    def bit_equal(self) -> bool:
        """Whether an attached editor without edits leaves every logit as it is."""
        given = self._inputs([self.world.question(fact, Random(5)) for fact in self.left[:16]])
        with torch.no_grad():
            bare = self.model(**given).logits
            self.editors["0"].attach()
            same = torch.equal(self.model(**given).logits, bare)
            self.editors["0"].detach()
        return same


def _write(report: dict[str, Any], out: Path | None) -> None:
    """What there is so far."""
    print(json.dumps(report), flush=True)
    if out is not None:
        out.write_text(json.dumps(report, indent=1) + "\n")


def main() -> None:
    """Parse the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=small_model_path())
    parser.add_argument("--pack", type=Path, default=None, help="a GRACE pack of 1,000 edits; written anew without")
    parser.add_argument("--sizes", type=int, nargs="*", default=[0, 100, 1000])
    parser.add_argument("--prompts", type=int, default=20, help="batches of prompts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    torch.set_num_threads(1)
    report: dict[str, object] = {
        "note": "CPU time, one thread; states in turn in one run; new tokens until the stop token"
    }
    loaded = load(options.model)
    if options.sizes:
        bench = Overhead(*loaded, options.pack, options.sizes)
        report["bit_equal_without_edits"] = bench.bit_equal()
        report["generate"] = [bench.measure(batch, options.prompts, options.rounds) for batch in (1, 16)]
        _write(report, options.out)
    if options.scale:
        many = Many(*loaded, max(options.scale))
        report["routing"] = []
        for edits in options.scale:
            report["routing"] = [*report["routing"], many.measure(edits)]
            _write(report, options.out)


if __name__ == "__main__":
    main()
