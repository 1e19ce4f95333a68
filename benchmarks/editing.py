"""Editors on a small model: streams of counterfactual facts, judged by greedy free generation after the last edit.

python -m benchmarks.editing --method grace --edits 10 100 --paraphrases 0 4 --out benchmarks/results/editing.json

Each edit contradicts what the model says (known subjects), or tells about somebody it never heard of (`--subjects unknown`).
Its prompt and paraphrases are wordings of the model's training, the questions that measure generality are not. Locality is
the share of other questions whose answers stay the same to the letter; "kept" that of facts nobody edited.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agentmem.editors import EditRequest, make_editor
from agentmem.editors.evaluation import answer
from agentmem.evaluation.world import World, WorldFact
from agentmem.evaluation.world import answer as as_answer
from benchmarks.small_model.evaluate import generate
from benchmarks.small_model.probes import Probe, ProbeMaker

if TYPE_CHECKING:
    from collections.abc import Sequence

SHIPPED = Path(__file__).parent.parent / "agentmem" / "data" / "small_model"
HELD_OUT = 3
CHATS = 60


@dataclass(frozen=True)
class Sample:
    """One edit with what has to change and what must not."""

    request: EditRequest
    held_out: tuple[str, ...]
    untouched: dict[str, str]


def load(path: Path) -> tuple[Any, Any]:
    """The model in fp32, and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(path)


def known(model: Any, tokenizer: Any, world: World, count: int, rng: Random) -> list[WorldFact]:
    """Facts that the model answers, so that an edit has something to overcome."""
    drawn = rng.sample(world.facts, min(len(world.facts), 2 * count + 40))
    said = answer(model, tokenizer, [world.questions(fact)[0] for fact in drawn], batch_size=32)
    return [fact for fact, text in zip(drawn, said, strict=True) if text == as_answer(fact.value)][:count]


def unknown(world: World, count: int, rng: Random) -> list[WorldFact]:
    """Facts about people whom the model never heard of, up to four about each."""
    people = world.unknown_people((count + 3) // 4, rng.randrange(10**6), "test")
    relations = sorted({fact.relation for fact in world.facts if fact.kind == "person"})
    facts: list[WorldFact] = []
    for name in people:
        facts += [
            WorldFact(name, "person", relation, rng.choice(world.values(relation)))
            for relation in rng.sample(relations, 4)
        ]
    return facts[:count]


_PLURALS = {"person": "people", "company": "companies", "place": "places"}


def samples(world: World, facts: Sequence[WorldFact], paraphrases: int, rng: Random) -> list[Sample]:
    """One edit per fact: the prompt and its paraphrases in trained wordings, tests in held-out ones."""
    strangers = {kind: getattr(world, f"unknown_{plural}")(40, 5, "test") for kind, plural in _PLURALS.items()}
    left_alone = [fact for fact in world.facts if fact not in set(facts)]
    taken = {(fact.subject, fact.relation) for fact in facts}
    made = []
    for fact in facts:
        prompt, *others = rng.sample(world.questions(fact), 1 + paraphrases)
        changed = world.counterfactual(fact, rng) if world.facts_about(fact.subject) else fact.value
        request = EditRequest(prompt, as_answer(changed), fact.subject, tuple(others))
        other = rng.choice([s for s in world.subjects(fact.kind) if (s, fact.relation) not in taken] or world.subjects(fact.kind))
        sibling = rng.choice([f for f in world.facts_about(fact.subject) if f in left_alone] or [left_alone[0]])
        untouched = {
            "same words, other subject": prompt.replace(fact.subject, other),
            "same subject, other relation": world.question(sibling, rng),
            "random": world.question(rng.choice(left_alone), rng),
            "unknown subject": prompt.replace(fact.subject, rng.choice(strangers[fact.kind])),
        }
        made.append(Sample(request, tuple(rng.sample(world.questions(fact, held_out=True), HELD_OUT)), untouched))
    return made


class Stream:
    """One method on one stream of edits."""

    def __init__(self, model: Any, tokenizer: Any, world: World, chosen: list[Sample]) -> None:
        self.model, self.tokenizer, self.world, self.chosen = model, tokenizer, world, chosen
        edited = {s.request.prompt for s in chosen} | {p for s in chosen for p in s.request.paraphrases}
        self.kinds = {kind: [t for s in chosen if (t := s.untouched[kind]) not in edited] for kind in chosen[0].untouched}
        self.before = {kind: self._ask(texts) for kind, texts in self.kinds.items()}

    def _ask(self, texts: list[str]) -> list[str]:
        return answer(self.model, self.tokenizer, texts, batch_size=32)

    def measure(self, method: str, batch: int | None, **options: object) -> dict[str, object]:
        """Write all edits (``batch`` at a time), then ask everything."""
        editor: Any = make_editor(method, self.model, self.tokenizer, **options)
        started = time.process_time()
        if hasattr(editor, "calibrate"):
            editor.calibrate()
        calibrated = time.process_time()
        requests = [sample.request for sample in self.chosen]
        size = batch or len(requests)
        receipts = [r for at in range(0, len(requests), size) for r in editor.write(requests[at : at + size])]
        written = time.process_time()
        held = [(t, s.request.target) for s in self.chosen for t in s.held_out]
        local = {kind: share(self._ask(texts), self.before[kind]) for kind, texts in self.kinds.items()}
        late, late_held = self._in_chats()
        result = {
            "method": method,
            "edits": len(requests),
            "written": sum(receipt.ok for receipt in receipts),
            "paraphrases": len(self.chosen[0].request.paraphrases),
            "reliability": share(self._ask([r.prompt for r in requests]), [r.target for r in requests]),
            "generality_held_out": share(self._ask([t for t, _ in held]), [t for _, t in held]),
            "locality": sum(local[k] * len(self.kinds[k]) for k in local) / sum(map(len, self.kinds.values())),
            "locality_by_kind": local,
            "kept": local["random"],
            "late_in_chat_reliability": late,
            "late_in_chat_generality": late_held,
            "cpu_seconds_per_edit": (written - calibrated) / len(requests),
            "cpu_seconds_calibration": calibrated - started,
            "bytes_per_edit": editor.status().size_bytes / max(1, len(editor.edits())),
            "failed": [receipt.reason for receipt in receipts if not receipt.ok][:5],
        }
        editor.detach()
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}

    def _in_chats(self) -> tuple[float, float]:
        """Own prompts and held-out questions after twelve to twenty-two other turns."""
        make = ProbeMaker(self.world, Random(7))
        picked = make.rng.sample(self.chosen, min(CHATS, len(self.chosen)))
        figures = []
        for texts in ([s.request.prompt for s in picked], [s.held_out[0] for s in picked]):
            probes = [
                Probe([*make.other_turns(12, 22), {"role": "user", "content": text}], sample.request.target)
                for text, sample in zip(texts, picked, strict=True)
            ]
            said = generate(self.model, self.tokenizer, probes)
            figures.append(share([text for text, *_ in said], [probe.expected for probe in probes]))
        return figures[0], figures[1]


def share(said: Sequence[object], wanted: Sequence[object]) -> float:
    """How often the two agree."""
    return sum(a == b for a, b in zip(said, wanted, strict=True)) / max(1, len(wanted))


def main() -> None:
    """Parse the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--method", nargs="+", default=["grace"])
    parser.add_argument("--edits", type=int, nargs="+", default=[60])
    parser.add_argument("--paraphrases", type=int, nargs="+", default=[0, 4])
    parser.add_argument("--subjects", choices=["known", "unknown"], default="known")
    parser.add_argument("--batch", type=int, default=None, help="edits per write; all at once without")
    parser.add_argument("--option", nargs="*", default=[], help="name=value of the editor's configuration, as JSON")
    parser.add_argument("--note", default="")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    extra = {name: json.loads(value) for name, value in (item.split("=", 1) for item in options.option)}
    (model, tokenizer), world = load(options.model), World.generate()
    rows = []
    for count in options.edits:
        facts = (
            known(model, tokenizer, world, count, Random(11))
            if options.subjects == "known"
            else unknown(world, count, Random(11))
        )
        for paraphrases in options.paraphrases:
            stream = Stream(model, tokenizer, world, samples(world, facts, paraphrases, Random(12)))
            for method in options.method:
                rows.append(stream.measure(method, options.batch, **extra))
                print(json.dumps(rows[-1], indent=1), flush=True)
    if options.out is not None:
        report = {"model": options.model.name, "subjects": options.subjects, "note": options.note, "options": extra, "rows": rows}
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
