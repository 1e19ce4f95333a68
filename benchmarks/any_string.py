"""Can an edit say any string? Answers by strangers, as one vector and as a vector for each token, on several shapes of models.

python -m benchmarks.any_string [--facts 60] [--models shipped,llama,gpt2,qwen2] [--out benchmarks/results/any_string.json]

The answers of `benchmarks/strangers/facts.jsonl` (numbers, times, URLs, commands, prices, lists, names, in four scripts), each written for its first
question and four lead-ins. The shipped model knows its own world's words, and has tokens that are never its first choice; the others are of
random weights, with output layers of their own: whatever they say they were made to say. Nothing is tuned to any.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoConfig, AutoModelForCausalLM

from agentmem.editors import make_editor
from agentmem.editors.gate.intake import Fit
from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.grace.tails import fit_run
from agentmem.editors.grace.writer import fit_values
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Rendered, Renderer
from agentmem.llm.small_model import load_small_model
from benchmarks.gates import LEADS

FACTS = Path(__file__).parent / "strangers" / "facts.jsonl"
SHAPES: dict[str, tuple[str, dict[str, object]]] = {
    "llama": ("llama", {"hidden_size": 384, "num_hidden_layers": 8, "num_attention_heads": 6, "intermediate_size": 1024}),
    "gpt2": ("gpt2", {"n_embd": 384, "n_layer": 8, "n_head": 6}),
    "qwen2": (
        "qwen2",
        {
            "hidden_size": 384, "num_hidden_layers": 8, "num_attention_heads": 6, "num_key_value_heads": 2,
            "intermediate_size": 1024,
        },
    ),
}  # fmt: skip
Way = Callable[[ModelPort, Sequence[Rendered], int], Fit]


def models() -> dict[str, tuple[Any, Any]]:
    """Models with the shipped tokenizer, by name."""
    shipped, tokenizer = load_small_model()
    found = {"shipped": (shipped, tokenizer)}
    for name, (kind, size) in SHAPES.items():
        torch.manual_seed(7)
        config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), tie_word_embeddings=False, **size)
        found[name] = (AutoModelForCausalLM.from_config(config).eval(), tokenizer)
    return found


def one_vector(port: ModelPort, contexts: Sequence[Rendered], layer: int) -> Fit:
    """A value for all contexts; where these are in the way, for the question alone."""
    config = GraceConfig()
    (fit,) = fit_values(port, [contexts], layer, config)
    return fit if fit.converged else fit_values(port, [contexts[:1]], layer, config)[0]


def one_for_each_token(port: ModelPort, contexts: Sequence[Rendered], layer: int) -> Fit:
    """The same with a vector for each token of the answer."""
    return fit_run(port, contexts, layer, GraceConfig())


WAYS: dict[str, Way] = {"one vector": one_vector, "one for each token": one_for_each_token}


def measured(model: Any, tokenizer: Any, facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Share written, and processor seconds for each edit, by way; the ways take turns."""
    editor, renderer = make_editor("grace", model, tokenizer), Renderer(tokenizer)
    found: dict[str, list[tuple[bool, float]]] = {name: [] for name in WAYS}
    for fact in facts:
        asked = fact["asks"][0]
        contexts = [
            renderer.pair(text, f"{fact['answer']}.")
            for text in (asked, *(lead.replace("{q}", asked) for lead in LEADS))
        ]
        for name, way in WAYS.items():
            began = time.process_time()
            fit = way(editor.port, contexts, editor.layer)
            found[name].append((fit.converged, time.process_time() - began))
    editor.detach()
    return {
        name: {
            "written": round(statistics.mean(done for done, _ in each), 3),
            "cpu seconds, median": round(statistics.median(seconds for _, seconds in each), 2),
            "cpu seconds, mean": round(statistics.mean(seconds for _, seconds in each), 2),
        }
        for name, each in found.items()
    }


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=60)
    parser.add_argument("--models", default="", help="these alone, by commas")
    parser.add_argument("--out", type=Path, default=None, help="what it has of other models stays")
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = [json.loads(line) for line in FACTS.open(encoding="utf-8")]
    facts = Random(2).sample(facts, min(options.facts, len(facts)))
    kept = options.out is not None and options.out.exists()
    report: dict[str, Any] = json.loads(options.out.read_text(encoding="utf-8")) if kept else {}
    table = Table("model", *(f"{name}: written, CPU s" for name in WAYS))
    for name, (model, tokenizer) in models().items():
        if options.models and name not in options.models.split(","):
            continue
        found = measured(model, tokenizer, facts)
        report[name] = {"facts": len(facts), **found}
        table.add_row(name, *(f"{way['written']:.2f}, {way['cpu seconds, median']}" for way in found.values()))
        print(name, report[name], flush=True)
    Console().print(table)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
