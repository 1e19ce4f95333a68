"""GRACE on the shipped small model: counterfactual facts, held-out phrasings, locality, cost.

python -m benchmarks.grace_first --edits 60 --out benchmarks/results/grace_first.json
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agentmem.editors import EditRequest, make_editor
from agentmem.editors.evaluation import answer
from agentmem.evaluation.world import World, WorldFact
from agentmem.evaluation.world import answer as as_answer

SHIPPED = Path(__file__).parent.parent / "agentmem" / "data" / "small_model"


@dataclass(frozen=True)
class Sample:
    """One counterfactual edit with what has to change and what must not."""

    request: EditRequest
    held_out: tuple[str, ...]
    untouched: dict[str, str]


def load(path: Path) -> tuple[Any, Any]:
    """The model in fp32, and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(path)


def known(model: Any, tokenizer: Any, world: World, count: int, rng: Random) -> list[WorldFact]:
    """Facts that the model answers, so that an edit has something to overcome."""
    drawn = rng.sample(world.facts, min(len(world.facts), 4 * count))
    said = answer(model, tokenizer, [world.questions(fact)[0] for fact in drawn], batch_size=32)
    return [fact for fact, text in zip(drawn, said, strict=True) if text == as_answer(fact.value)][:count]


def samples(world: World, facts: list[WorldFact], paraphrases: int, rng: Random) -> list[Sample]:
    """One edit per fact: the prompt and its paraphrases in trained wordings, tests in held-out ones."""
    unknown = {kind: getattr(world, f"unknown_{plural}")(40, 5, "test") for kind, plural in _PLURALS.items()}
    left_alone = [fact for fact in world.facts if fact not in set(facts)]
    made = []
    for fact in facts:
        prompt, *others = rng.sample(world.questions(fact), 1 + paraphrases)
        request = EditRequest(prompt, as_answer(world.counterfactual(fact, rng)), fact.subject, tuple(others))
        edited = {f.subject for f in facts if f.relation == fact.relation}
        other = rng.choice([s for s in world.subjects(fact.kind) if s not in edited])
        sibling = rng.choice(
            [f for f in world.facts_about(fact.subject) if f in left_alone] or [left_alone[0]]
        )
        elsewhere = world.question(rng.choice(left_alone), rng)
        untouched = {
            "same words, other subject": prompt.replace(fact.subject, other),
            "same subject, other relation": world.question(sibling, rng),
            "random": elsewhere,
            "unknown subject": prompt.replace(fact.subject, rng.choice(unknown[fact.kind])),
        }
        made.append(Sample(request, tuple(rng.sample(world.questions(fact, held_out=True), 3)), untouched))
    return made


_PLURALS = {"person": "people", "company": "companies", "place": "places"}


def measure(model: Any, tokenizer: Any, chosen: list[Sample], **options: object) -> dict[str, object]:
    """Write all edits, then ask everything by greedy free generation."""

    def ask(texts: list[str]) -> list[str]:
        return answer(model, tokenizer, texts, batch_size=32)

    edited = {sample.request.prompt for sample in chosen}
    kinds = {
        kind: [t for s in chosen if (t := s.untouched[kind]) not in edited] for kind in chosen[0].untouched
    }
    before = {kind: ask(texts) for kind, texts in kinds.items()}
    editor: Any = make_editor("grace", model, tokenizer, **options)
    started = time.process_time()
    editor.calibrate()
    calibrated = time.process_time()
    receipts = editor.write([sample.request for sample in chosen])
    written = time.process_time()
    prompts, wanted = [s.request.prompt for s in chosen], [s.request.target for s in chosen]
    held, held_wanted = (
        [t for s in chosen for t in s.held_out],
        [s.request.target for s in chosen for _ in s.held_out],
    )
    ids = [receipt.id for receipt, sample in zip(receipts, chosen, strict=True) for _ in sample.held_out]
    local = {kind: share(ask(texts), before[kind]) for kind, texts in kinds.items()}
    routes = editor.probe(held)
    result = {
        "edits": len(chosen),
        "written": sum(receipt.ok for receipt in receipts),
        "paraphrases": len(chosen[0].request.paraphrases),
        "reliability": share(ask(prompts), wanted),
        "generality_held_out": share(ask(held), held_wanted),
        "held_out_routed_right": share([route.edit_id for route in routes], ids),
        "held_out_routed_wrong": sum(r.edit_id not in (None, i) for r, i in zip(routes, ids, strict=True))
        / len(ids),
        "locality": sum(local[k] * len(kinds[k]) for k in kinds) / sum(map(len, kinds.values())),
        "locality_by_kind": local,
        "false_alarms": {
            kind: sum(r.edit_id is not None for r in editor.probe(kinds[kind])) for kind in kinds
        },
        "asked": {kind: len(texts) for kind, texts in kinds.items()},
        "reach": editor.codebook.reach,
        "steps_mean": sum(receipt.steps for receipt in receipts) / len(receipts),
        "cpu_seconds_per_edit": (written - calibrated) / len(chosen),
        "cpu_seconds_calibration": calibrated - started,
        "bytes_per_edit": editor.status().size_bytes / max(1, len(editor.edits())),
        "failed": [receipt.reason for receipt in receipts if not receipt.ok][:5],
    }
    editor.detach()
    return result


def share(said: list[Any], wanted: list[Any]) -> float:
    return sum(a == b for a, b in zip(said, wanted, strict=True)) / max(1, len(wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--edits", type=int, nargs="+", default=[60])
    parser.add_argument("--paraphrases", type=int, nargs="+", default=[0, 4])
    parser.add_argument("--option", nargs="*", default=[], help="name=value of GraceConfig, as JSON")
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    extra = {name: json.loads(value) for name, value in (item.split("=", 1) for item in options.option)}
    (model, tokenizer), world = load(options.model), World.generate()
    rows = []
    for count in options.edits:
        facts = known(model, tokenizer, world, count, Random(11))
        for paraphrases in options.paraphrases:
            chosen = samples(world, facts, paraphrases, Random(12))
            rows.append(measure(model, tokenizer, chosen, **extra))
            print(json.dumps(rows[-1], indent=1))
    if options.out is not None:
        report = {"model": options.model.name, "note": options.note, "options": extra, "rows": rows}
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
