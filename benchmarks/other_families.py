"""The same editor on models of other families, trained here and edited with the defaults.

python -m benchmarks.other_families --out benchmarks/results/other_families.json

Three models with the shipped one's tokenizer and chat template that know a quarter of the same world's facts from closed-book
chats alone; all are asked about these. A GPT-2 has learned positions and fused attention weights that lie the other way round
(Conv1D); a GPT-NeoX runs attention and feed-forward side by side and turns a quarter of each head by position; a Qwen2 has gated
feed-forward layers, biases in attention and one key head for three. Training goes into a folder that git ignores and is done once.
Nothing is tuned by hand: the key layer is measured, and everything else is the editor's default.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from agentmem.editors import calibrate
from agentmem.evaluation.world import Kind, World
from agentmem.evaluation.world import answer as as_answer
from agentmem.llm.small_model import small_model_path
from benchmarks.editing.measuring import Bench
from benchmarks.editing.methods import Editing
from benchmarks.editing.streams import known, load, samples, share
from benchmarks.small_model.evaluate import generate
from benchmarks.small_model.muon import Muon
from benchmarks.small_model.probes import Probe
from benchmarks.small_model.recipe import CLOSED, STATEMENTS, WORN, Schedule, Stage
from benchmarks.small_model.rows import Batch, RowSource

FOLDER = Path("build") / "other_families"
WIDTH, HEADS, PLACES = 192, 3, 1024
FAMILIES: dict[str, dict[str, object]] = {
    "gpt2": {
        "n_embd": WIDTH, "n_layer": 4, "n_head": HEADS, "n_positions": PLACES, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0
    },
    "gpt_neox": {
        "hidden_size": WIDTH, "num_hidden_layers": 6, "num_attention_heads": HEADS, "intermediate_size": 4 * WIDTH,
        "max_position_embeddings": PLACES,
    },
    "qwen2": {
        "hidden_size": WIDTH, "num_hidden_layers": 3, "num_attention_heads": HEADS, "num_key_value_heads": 1,
        "intermediate_size": 3 * WIDTH, "max_position_embeddings": PLACES, "tie_word_embeddings": True,
    },
}  # fmt: skip
# The shipped model's last course, too: without worn questions the facts are found by the trained wordings only.
STAGES = (Stage(0.7, 1.0, ((CLOSED, 0.8), (STATEMENTS, 0.2))), Stage(1.0, 1.0, ((WORN, 0.85), (STATEMENTS, 0.15))))
RATES = ((0.0, 1.0), (0.3, 1.0), (0.7, 0.05), (0.72, 0.35), (1.0, 0.02))
KINDS: tuple[Kind, ...] = ("person", "company", "place")
SHARE = 0.25
PIECE = 4
"""Rows whose gradients are computed together."""


def small_world() -> World:
    """The facts of the first quarter of the subjects of every kind: few enough to be learnt in minutes."""
    world = World.generate()
    subjects = {s for kind in KINDS for s in world.subjects(kind)[: round(SHARE * len(world.subjects(kind)))]}
    return World(fact for fact in world.facts if fact.subject in subjects)


def untrained(family: str, tokenizer: Any) -> Any:
    """A model of a family with random weights."""
    tokens = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    return AutoModelForCausalLM.from_config(
        AutoConfig.for_model(family, vocab_size=len(tokenizer), **tokens, **FAMILIES[family])
    )


class Trainer:
    """One thread, products in bfloat16: closed-book chats, Muon on the matrices of the layers and Adam on the rest."""

    def __init__(self, world: World, tokenizer: Any, family: str, seed: int = 1) -> None:
        torch.manual_seed(seed)
        self.schedule = Schedule(tokens_per_step=3072, rates=RATES)
        self.model = untrained(family, tokenizer)
        named = dict(self.model.named_parameters())
        matrices = [name for name, p in named.items() if p.ndim == 2 and re.search(r"\.(?:h|layers)\.\d+\.", name)]
        self.muon = Muon((named[name] for name in matrices), dtype=torch.bfloat16)
        rest = [p for name, p in named.items() if name not in matrices]
        self.adam = torch.optim.AdamW(rest, lr=1.0, betas=(0.9, 0.95), weight_decay=0.0)
        self.rows = RowSource(world, tokenizer.backend_tokenizer, self.schedule, Random(seed), STAGES)

    def run(self, tokens: int, every: int = 20) -> None:
        """Train on so many tokens."""
        seen, step, started = 0, 0, time.process_time()
        while seen < tokens:
            done = seen / tokens
            batch = self.rows.batch(step, done)
            loss = self._backward(batch)
            factor = self.schedule.factor(step, done)
            self.muon.step(self.schedule.matrix_rate * factor)
            for group in self.adam.param_groups:
                group["lr"] = self.schedule.other_rate * factor
            self.adam.step()
            seen, step = seen + batch.tokens.numel(), step + 1
            if step % every == 0:
                minutes = (time.process_time() - started) / 60
                print(f"step {step}, {seen} tokens, {minutes:.1f} CPU minutes, loss {loss:.3f}", flush=True)

    def _backward(self, batch: Batch) -> float:
        self.model.zero_grad(set_to_none=True)
        total, summed = float(batch.weights[:, 1:].sum()), 0.0
        for start in range(0, len(batch.tokens), PIECE):
            part = batch.part(start, start + PIECE)
            weights = part.weights[:, 1:]
            chosen = weights > 0
            with torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = self.model.base_model(
                    input_ids=part.tokens,
                    attention_mask=part.mask(),
                    position_ids=part.positions,
                    use_cache=False,
                ).last_hidden_state
                logits = self.model.get_output_embeddings()(hidden[:, :-1][chosen])
            losses = cross_entropy(logits.float(), part.tokens[:, 1:][chosen], reduction="none")
            loss = (losses * weights[chosen]).sum() / total
            loss.backward()
            summed += float(loss.detach())
        return summed


def trained(world: World, folder: Path, tokens: int, family: str) -> Path:
    """The folder of the model, which is trained when it is not there."""
    if (folder / "config.json").exists():
        return folder
    tokenizer = AutoTokenizer.from_pretrained(small_model_path())
    trainer = Trainer(world, tokenizer, family)
    started = time.process_time()
    trainer.run(tokens)
    trainer.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    about = {"tokens": tokens, "cpu_minutes": round((time.process_time() - started) / 60, 1)}
    (folder / "training.json").write_text(json.dumps(about) + "\n")
    return folder


def knowledge(model: Any, tokenizer: Any, world: World, count: int) -> dict[str, float]:
    """Share of facts that the model answers, in trained and in held-out wordings."""
    rng = Random(21)
    facts, found = rng.sample(world.facts, min(count, len(world.facts))), {}
    for name, held_out in (("trained wordings", False), ("held-out wordings", True)):
        asked = [Probe([{"role": "user", "content": world.question(f, rng, held_out=held_out)}], "") for f in facts]
        said = [text for text, *_ in generate(model, tokenizer, asked)]
        found[name] = round(share(said, [as_answer(fact.value) for fact in facts]), 4)
    return found


def edited(path: Path, world: World, edits: list[int], paraphrases: list[int], probes: int) -> dict[str, object]:
    """What the model knows, where its keys are read, and GRACE with its defaults on it."""
    model, _ = load(path)
    # Not what is found for a folder by its family: for a Qwen2 that would split numbers otherwise than in training.
    tokenizer = AutoTokenizer.from_pretrained(small_model_path())
    report: dict[str, object] = {
        "architecture": type(model).__name__,
        "layers": model.config.num_hidden_layers,
        "width": model.config.hidden_size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "knows": knowledge(model, tokenizer, world, probes),
    }
    space = calibrate(model, tokenizer, key_layer="auto")
    print(space.table(), flush=True)
    report["key_layers"] = {row.layer: round(row.recognised, 4) for row in space.scores}
    facts, rows = known(model, tokenizer, world, max(edits), Random(11)), []
    for more in paraphrases:
        bench = Bench(model, tokenizer, world, samples(world, facts, more, 12), probes, 0)
        method = Editing(model, tokenizer, "grace", {"key_layer": "auto"}, grows=True)
        for count in sorted(edits):
            if count <= len(facts):
                rows.append(bench.measure(method, bench.probes(count)))
                print(json.dumps(rows[-1]), flush=True)
        report["key_layer"] = method.editor.status().details["key_layer"]
        method.rest()
    return report | {"grace": rows}


def main() -> None:
    """Parse the command line, train once, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--tokens", type=int, default=6_000_000)
    parser.add_argument("--families", nargs="*", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--edits", type=int, nargs="*", default=[100, 300])
    parser.add_argument("--paraphrases", type=int, nargs="*", default=[0, 4])
    parser.add_argument("--probes", type=int, default=300)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    torch.set_num_threads(1)
    world = small_world()
    paths = {family: trained(world, options.folder / family, options.tokens, family) for family in options.families}
    if not options.edits:
        return
    report: dict[str, object] = {}
    for name, path in {**paths, "shipped": small_model_path()}.items():
        training = {"training": json.loads((path / "training.json").read_text())} if name in paths else {}
        report[name] = training | edited(path, world, options.edits, options.paraphrases, options.probes)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
