"""Measure a small model by greedy generation: every figure is the exact match of the whole answer, own stop included.

python -m benchmarks.small_model.evaluate --model agentmem/data/small_model --json benchmarks/results/small_model.json
python -m benchmarks.small_model.evaluate --shapes --json benchmarks/results/small_model_shapes.json    # notes of any shape
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agentmem.evaluation.world import World
from agentmem.llm.small_model import small_model_path
from benchmarks.small_model.probes import PROBES, Probe, ProbeMaker
from benchmarks.small_model.shapes.probes import SHAPE_PROBES

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["Figure", "generate", "main", "measure"]

_BATCH = 32
_NEW_TOKENS = 48
_ALL_FACTS = "closed-book, held-out wordings"


@dataclass(frozen=True)
class Figure:
    """Result of one set of probes."""

    name: str
    count: int
    exact: float
    stopped: float
    prompt_tokens: float
    wrong: tuple[tuple[str, str, str], ...]


@torch.inference_mode()
def generate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, probes: list[Probe]
) -> list[tuple[str, bool, int]]:
    """Return answer, whether the model stopped by itself, and prompt length, in the order of ``probes``."""
    prompts = [
        str(tokenizer.apply_chat_template(p.messages, tokenize=False, add_generation_prompt=True)) for p in probes
    ]
    lengths = [len(tokenizer.encode(prompt, add_special_tokens=False)) for prompt in prompts]
    results: dict[int, tuple[str, bool, int]] = {}
    # Prompts of similar length share a batch, which saves padding.
    order = sorted(range(len(prompts)), key=lengths.__getitem__)
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        inputs = tokenizer(
            [prompts[i] for i in part],
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=False,
        )
        output = model.generate(  # type: ignore[operator]  # the mixin is typed as a module's attribute
            **inputs, do_sample=False, max_new_tokens=_NEW_TOKENS
        )
        for row, index in enumerate(part):
            new = output[row, inputs["input_ids"].shape[1] :]
            text = str(tokenizer.decode(new, skip_special_tokens=True)).strip()
            results[index] = (text, bool((new == tokenizer.eos_token_id).any()), lengths[index])
    return [results[i] for i in range(len(probes))]


def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, count: int, seed: int = 11
) -> Figure:
    """Run one set of ``count`` probes, about the world or about notes of any shape."""
    rng = Random(f"{seed} {name}")
    probes = (
        SHAPE_PROBES[name](rng, count)
        if name in SHAPE_PROBES
        else PROBES[name](ProbeMaker(World.generate(), rng), count)
    )
    results = generate(model, tokenizer, probes)
    wrong = tuple(
        (probe.messages[-1]["content"], probe.expected, text)
        for probe, (text, _, _) in zip(probes, results, strict=True)
        if text != probe.expected
    )
    return Figure(
        name=name,
        count=len(probes),
        exact=round(1 - len(wrong) / len(probes), 4),
        stopped=round(sum(stopped for _, stopped, _ in results) / len(results), 4),
        prompt_tokens=round(sum(length for _, _, length in results) / len(results), 1),
        wrong=wrong,
    )


def main() -> None:
    """Parse the command line, print the table and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=small_model_path())
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--count", type=int, default=300, help="probes per figure (held-out wordings: all facts)")
    parser.add_argument("--shapes", action="store_true", help="notes of any shape instead of the world")
    parser.add_argument("--show", type=int, default=0, help="wrong answers to print per figure")
    options = parser.parse_args()
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(options.model, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, local_files_only=True).eval()
    figures = []
    print(f"{'figure':<40} {'probes':>6} {'exact':>7} {'stops':>7} {'prompt':>7}")
    for name in SHAPE_PROBES if options.shapes else PROBES:
        count = 10**6 if name == _ALL_FACTS and options.count >= 300 else options.count
        figure = measure(model, tokenizer, name, count)
        figures.append(figure)
        print(f"{name:<40} {figure.count:>6} {figure.exact:>7.3f} {figure.stopped:>7.3f} {figure.prompt_tokens:>7.0f}")
        for question, expected, got in figure.wrong[: options.show]:
            print(f"    {question!r}: expected {expected!r}, got {got!r}")
    if options.json:
        _write(options.json, options.model, figures)


def _write(path: Path, model: Path, figures: list[Figure]) -> None:
    rows = {
        f.name: {"probes": f.count, "exact": f.exact, "stops": f.stopped, "prompt_tokens": f.prompt_tokens}
        for f in figures
    }
    document = {
        "weights_bytes": (model / "model.safetensors").stat().st_size,
        "cpu_seconds": round(time.process_time(), 1),
        "figures": rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
