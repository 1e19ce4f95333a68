"""ROME, EMMET, MEMIT and LoRA on the shipped small model: counterfactual facts by greedy free generation.

python -m benchmarks.locate_first --edits 60 --out benchmarks/results/locate_first.json

Values are found once per layer and written as one set; smaller sets are what is left after deleting, which is the
state of an editor that never wrote the rest. ``failed`` requests count as wrong in every share.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from benchmarks.grace_first import Sample, known, samples, share

from agentmem.editors import make_editor
from agentmem.editors.evaluation import answer
from agentmem.evaluation.world import World
from agentmem.evaluation.world import answer as as_answer
from agentmem.small_model import load_small_model

LOCATE: dict[str, object] = {"prefixes": 0, "essence": 2, "steps": 40}


class Bench:
    """The model, what is asked of it, and what it says without edits."""

    def __init__(self, edits: int, kept: int, near: int) -> None:
        self.model, self.tokenizer = load_small_model()
        world = World.generate()
        facts = known(self.model, self.tokenizer, world, edits, Random(11))
        self.samples = samples(world, facts, 0, Random(12))
        for i, sample in enumerate(self.samples):
            object.__setattr__(sample, "request", replace(sample.request, id=f"e{i:04}"))
        left = [fact for fact in world.facts if fact not in set(facts)]
        chosen = Random(13).sample(left, kept)
        self.kept = [(world.questions(fact)[0], as_answer(fact.value)) for fact in chosen]
        self.near = near
        self.before: dict[str, str] = {}
        texts = [text for sample in self.samples for text in sample.untouched.values()]
        self.before = dict(zip(texts, self.ask(texts), strict=True))

    def ask(self, texts: list[str]) -> list[str]:
        return answer(self.model, self.tokenizer, texts, batch_size=32, max_new_tokens=10)

    def rate(self, chosen: list[Sample]) -> dict[str, object]:
        """Shares over the chosen samples, with whatever edits the model has now."""
        near = [(kind, text) for s in chosen[: self.near] for kind, text in s.untouched.items()]
        said = self.ask([text for _, text in near])
        same = [text == self.before[asked] for (_, asked), text in zip(near, said, strict=True)]
        wanted = [s.request.target for s in chosen]
        by_kind = {}
        for kind in chosen[0].untouched:
            mine = [ok for (k, _), ok in zip(near, same, strict=True) if k == kind]
            by_kind[kind] = sum(mine) / len(mine)
        return {
            "reliability": share(self.ask([s.request.prompt for s in chosen]), wanted),
            "generality": share(self.ask([s.held_out[0] for s in chosen]), wanted),
            "locality": sum(same) / len(same),
            "locality_by_kind": by_kind,
            "kept": share(self.ask([text for text, _ in self.kept]), [value for _, value in self.kept]),
        }


def measure(bench: Bench, editor: Any, sizes: list[int], cost: float, name: str) -> list[dict[str, object]]:
    """Rate an editor that holds all samples, then fewer and fewer of them."""
    rows = []
    for size in sorted(sizes, reverse=True):
        chosen = bench.samples[:size]
        gone = [r.id for r in editor.edits() if r.id not in {s.request.id for s in chosen}]
        if gone:
            editor.delete(gone)
        row = {"method": name, "edits": size, "held": len(editor.edits()), **bench.rate(chosen)}
        row |= {"cpu_seconds_per_edit": cost, "norms": editor.status().details.get("norms")}
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def write(bench: Bench, method: str, **options: object) -> tuple[Any, float]:
    """An editor that has been told everything, and the CPU seconds per edit; its hooks are off."""
    editor: Any = make_editor(method, bench.model, bench.tokenizer, **options)
    if hasattr(editor, "calibrate"):
        editor.calibrate()
    started = time.process_time()
    receipts = editor.write([s.request for s in bench.samples])
    cost = (time.process_time() - started) / len(bench.samples)
    print(method, options, sum(r.ok for r in receipts), "of", len(receipts), f"{cost:.2f} s", flush=True)
    editor.detach()
    return editor, cost


def as_method(bench: Bench, source: Any, method: str, **options: object) -> Any:
    """Another closed form over the very same keys and values."""
    editor: Any = make_editor(method, bench.model, bench.tokenizer, **options)
    editor.load(replace(source.book, method=method, settings=editor.book.settings).bytes)
    return editor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, nargs="+", default=[1, 10, 60])
    parser.add_argument("--kept", type=int, default=60)
    parser.add_argument("--near", type=int, default=15, help="edits whose four look-alikes are asked")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench, rows = Bench(max(options.edits), options.kept, options.near), []
    print(json.dumps({"base": bench.rate(bench.samples)}), flush=True)
    one, cost = write(bench, "rome", layer=0, **LOCATE)
    for method in ("emmet", "rome"):
        editor = as_method(bench, one, method, layer=0, **LOCATE)
        rows += measure(bench, editor, options.edits, cost, method)
        editor.detach()
    two, cost = write(bench, "memit", layer=1, spread=2, **LOCATE)
    for ridge in (0.9, 0.05):
        editor = as_method(bench, two, "memit", layer=1, spread=2, ridge=ridge, **LOCATE)
        rows += measure(bench, editor, options.edits, cost, f"memit, ridge {ridge}")
        editor.detach()
    editor, cost = write(bench, "lora")
    editor.attach()
    rows += measure(bench, editor, options.edits, cost, "lora")
    if options.out is not None:
        options.out.write_text(
            json.dumps({"model": "small_model", "options": LOCATE, "rows": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
