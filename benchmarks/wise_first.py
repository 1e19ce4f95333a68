"""WISE on the shipped small model: counterfactual facts, held-out phrasings, locality, what else is kept, deletion.

python -m benchmarks.wise_first --edits 10 60 200 --out benchmarks/results/wise_first.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from random import Random
from typing import Any

import torch
from benchmarks.grace_first import SHIPPED, Sample, known, load, samples, share

from agentmem.editors import make_editor
from agentmem.editors.evaluation import answer
from agentmem.editors.wise.config import WiseConfig
from agentmem.evaluation.world import World, WorldFact
from agentmem.evaluation.world import answer as as_answer


def kept(world: World, facts: list[WorldFact], count: int, rng: Random) -> tuple[list[str], list[str]]:
    """Questions about facts that are not edited, and their true answers."""
    edited = set(facts)
    chosen = rng.sample([fact for fact in world.facts if fact not in edited], count)
    return [world.question(fact, rng) for fact in chosen], [as_answer(fact.value) for fact in chosen]


def measure(
    model: Any, tokenizer: Any, chosen: list[Sample], others: tuple[list[str], list[str]], config: WiseConfig
) -> dict[str, object]:
    """Write all edits, then ask everything by greedy free generation; at last delete one record."""

    def ask(texts: list[str]) -> list[str]:
        return answer(model, tokenizer, texts, batch_size=32)

    edited = {sample.request.prompt for sample in chosen}
    kinds = {
        kind: [t for s in chosen if (t := s.untouched[kind]) not in edited] for kind in chosen[0].untouched
    }
    before = {kind: ask(texts) for kind, texts in kinds.items()}
    kept_before = share(ask(others[0]), others[1])
    editor: Any = make_editor("wise", model, tokenizer, config=config)
    started = time.process_time()
    editor.calibrate()
    calibrated = time.process_time()
    receipts = editor.write([sample.request for sample in chosen])
    written = time.process_time()
    held = [t for s in chosen for t in s.held_out]
    wanted = [s.request.target for s in chosen for _ in s.held_out]
    ids = [receipt.id for receipt, sample in zip(receipts, chosen, strict=True) for _ in sample.held_out]
    local = {kind: share(ask(texts), before[kind]) for kind, texts in kinds.items()}
    routes = editor.probe(held)
    result: dict[str, object] = {
        "edits": len(chosen),
        "written": sum(receipt.ok for receipt in receipts),
        "paraphrases": len(chosen[0].request.paraphrases),
        "reliability": share(ask([s.request.prompt for s in chosen]), [s.request.target for s in chosen]),
        "generality_held_out": share(ask(held), wanted),
        "held_out_routed_right": share([route.edit_id for route in routes], ids),
        "locality": sum(local[k] * len(kinds[k]) for k in kinds) / sum(map(len, kinds.values())),
        "locality_by_kind": local,
        "kept": share(ask(others[0]), others[1]),
        "kept_before": kept_before,
        "asked": {kind: len(texts) for kind, texts in kinds.items()} | {"kept": len(others[0])},
        "cpu_seconds_per_edit": (written - calibrated) / len(chosen),
        "cpu_seconds_calibration": calibrated - started,
        "bytes_per_edit": editor.status().size_bytes / max(1, len(editor.edits())),
        "shards": editor.status().details["shards"],
        "failed": [receipt.reason for receipt in receipts if not receipt.ok][:5],
    }
    gone = next(receipt.id for receipt in receipts if receipt.ok)
    started = time.process_time()
    editor.delete([gone])
    result["cpu_seconds_delete"] = time.process_time() - started
    editor.detach()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--edits", type=int, nargs="+", default=[10, 60])
    parser.add_argument("--paraphrases", type=int, nargs="+", default=[0, 4])
    parser.add_argument("--kept", type=int, default=200)
    parser.add_argument("--paper", action="store_true")
    parser.add_argument("--option", nargs="*", default=[], help="name=value of WiseConfig, as JSON")
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    extra = {name: json.loads(value) for name, value in (item.split("=", 1) for item in options.option)}
    config = WiseConfig.paper(**extra) if options.paper else WiseConfig(**extra)
    (model, tokenizer), world = load(options.model), World.generate()
    rows = []
    for count in options.edits:
        facts = known(model, tokenizer, world, count, Random(11))
        others = kept(world, facts, options.kept, Random(13))
        for paraphrases in options.paraphrases:
            chosen = samples(world, facts, paraphrases, Random(12))
            rows.append(measure(model, tokenizer, chosen, others, config))
            print(json.dumps(rows[-1], indent=1), flush=True)
    if options.out is not None:
        report = {
            "model": options.model.name, "note": options.note, "paper": options.paper, "options": extra, "rows": rows
        }  # fmt: skip
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
