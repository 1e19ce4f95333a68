"""The stream of edits: which facts, in which words, and what must not change beside them.

One stream of the longest length is drawn; a shorter one is its beginning, so that every number of edits, every method and
every number of paraphrases meets the same facts in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agentmem.editors import EditRequest
from agentmem.editors.evaluation import answer
from agentmem.evaluation.world import World, WorldFact
from agentmem.evaluation.world import answer as as_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["KINDS", "Sample", "known", "load", "samples", "share", "unknown"]

HELD_OUT = 3
MOST_PARAPHRASES = 4
KINDS = ("same words, other subject", "same subject, other relation", "random", "unknown subject")
_PLURALS = {"person": "people", "company": "companies", "place": "places"}


@dataclass(frozen=True)
class Sample:
    """One edit with what has to change and what must not.

    Attributes:
        fact: as the edit has it.
        held_out: questions in wordings of neither the model's training nor the edit.
        untouched: by kind, a question whose answer must stay.
    """

    request: EditRequest
    fact: WorldFact
    held_out: tuple[str, ...]
    untouched: dict[str, str]


def load(path: Path) -> tuple[Any, Any]:
    """The model in fp32, and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(path)


def known(model: Any, tokenizer: Any, world: World, count: int, rng: Random) -> list[WorldFact]:
    """Facts that the model answers, so that an edit has something to overcome; fewer are the beginning of more."""
    found: list[WorldFact] = []
    drawn = iter(rng.sample(world.facts, len(world.facts)))
    while len(found) < count and (part := list(_take(drawn, max(32, count - len(found))))):
        said = answer(model, tokenizer, [world.questions(fact)[0] for fact in part], batch_size=32)
        found += [fact for fact, text in zip(part, said, strict=True) if text == as_answer(fact.value)]
    return found[:count]


def unknown(world: World, count: int, rng: Random) -> list[WorldFact]:
    """Facts about people whom the model never heard of, up to four about each."""
    relations = sorted({fact.relation for fact in world.facts if fact.kind == "person"})
    facts: list[WorldFact] = []
    for name in world.unknown_people((count + 3) // 4, rng.randrange(10**6), "test"):
        chosen = rng.sample(relations, 4)
        facts += [WorldFact(name, "person", item, rng.choice(world.values(item))) for item in chosen]
    return facts[:count]


def samples(world: World, facts: Sequence[WorldFact], paraphrases: int, seed: int) -> list[Sample]:
    """One edit per fact: the prompt and its paraphrases in trained wordings, tests in held-out ones."""
    strangers = {kind: getattr(world, f"unknown_{plural}")(40, 5, "test") for kind, plural in _PLURALS.items()}
    edited = set(facts)
    left = [fact for fact in world.facts if fact not in edited]
    taken = {(fact.subject, fact.relation) for fact in facts}
    made = []
    for number, fact in enumerate(facts):
        rng = Random(f"{seed} {number}")  # one generator per edit: no edit depends on how many there are
        prompt, *others = rng.sample(world.questions(fact), 1 + MOST_PARAPHRASES)
        held_out = tuple(rng.sample(world.questions(fact, held_out=True), HELD_OUT))
        value = world.counterfactual(fact, rng) if world.facts_about(fact.subject) else fact.value
        free = [s for s in world.subjects(fact.kind) if (s, fact.relation) not in taken]
        siblings = [f for f in world.facts_about(fact.subject) if f not in edited]
        sibling = rng.choice(siblings or left)
        texts = (
            prompt.replace(fact.subject, rng.choice(free or world.subjects(fact.kind))),
            world.question(sibling, rng),
            world.question(rng.choice(left), rng),
            prompt.replace(fact.subject, rng.choice(strangers[fact.kind])),
        )
        request = EditRequest(prompt, as_answer(value), fact.subject, tuple(others[:paraphrases]), id=f"e{number:05}")
        changed = WorldFact(fact.subject, fact.kind, fact.relation, value)
        made.append(Sample(request, changed, held_out, dict(zip(KINDS, texts, strict=True))))
    return made


def share(said: Sequence[object], wanted: Sequence[object]) -> float:
    """How often the two agree; ``nan`` of nothing."""
    if not wanted:
        return float("nan")
    return sum(a == b for a, b in zip(said, wanted, strict=True)) / len(wanted)


def _take(items: Iterator[WorldFact], count: int) -> Iterator[WorldFact]:
    return (item for _, item in zip(range(count), items, strict=False))
