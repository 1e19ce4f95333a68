"""Edits asked late in a conversation: behind hundreds of tokens of other turns, on models of several families.

python -m benchmarks.late_in_chat --out benchmarks/results/late_in_chat.json

python -m benchmarks.late_in_chat --models gpt2 --tokens 2000000 --edits 50 --lengths 400 --out benchmarks/results/late_in_chat_gpt2.json
python -m benchmarks.late_in_chat --method wise

The models of :mod:`benchmarks.other_families` and the shipped one, an editor with its defaults, through plain ``generate``: no memory looks on.
Before the question stand turns on other facts, or small talk, or a system prompt of the same length. A model that was trained on short chats loses
facts of its own there; so every figure stands beside what the same model, behind the same turns, still answers of facts that nobody edited.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from transformers import AutoTokenizer

from agentmem.evaluation.world import World, WorldFact
from agentmem.evaluation.world import answer as as_answer
from agentmem.llm.small_model import small_model_path
from benchmarks.editing.methods import Editing
from benchmarks.editing.streams import Sample, known, load, samples, share
from benchmarks.other_families import FAMILIES, FOLDER, small_world, trained
from benchmarks.small_model.evaluate import generate
from benchmarks.small_model.probes import Probe

Turns = list[dict[str, str]]

SAID = (
    "Hello there!", "How are you?", "Thanks, that helps.", "Let us go on.", "My train was late again.", "Okay.", "What a week.",
    "I was at the market this morning and it rained the whole time.", "Could you wait a moment?", "I am back now.",
    "It is so warm today that I cannot work.", "Tell me something nice.",
)  # fmt: skip
REPLIED = ("Of course.", "I am fine.", "You are welcome.", "Sure.", "That sounds tiring.", "I see.", "Okay.", "Yes.")


class Before:
    """What stands before a question, of at least so many tokens."""

    def __init__(self, tokenizer: Any, world: World, facts: Sequence[WorldFact]) -> None:
        self._tokenizer, self._world, self._facts = tokenizer, world, facts

    def facts(self, tokens: int, rng: Random) -> Turns:
        """Questions on other facts, rightly answered."""
        return self._grown(tokens, lambda: self._fact(rng))

    def talk(self, tokens: int, rng: Random) -> Turns:
        """Small talk."""
        return self._grown(tokens, lambda: _turn(rng.choice(SAID), rng.choice(REPLIED)))

    def system(self, tokens: int, rng: Random) -> Turns:
        """A system prompt."""
        said = [rng.choice(SAID) for _ in range(tokens)]
        while self._size("system", " ".join(said[1:])) >= tokens:
            said = said[1:]
        return [{"role": "system", "content": " ".join(said)}]

    def _fact(self, rng: Random) -> Turns:
        fact = rng.choice(self._facts)
        return _turn(self._world.question(fact, rng), as_answer(fact.value))

    def _grown(self, tokens: int, make: Callable[[], Turns]) -> Turns:
        turns, size = Turns(), 0
        while size < tokens:
            more = make()
            turns, size = turns + more, size + sum(self._size(**turn) for turn in more)
        return turns

    def _size(self, role: str, content: str) -> int:
        return len(self._tokenizer(content)["input_ids"]) + 3 + len(role) // 4


def _turn(said: str, replied: str) -> Turns:
    return [{"role": "user", "content": said}, {"role": "assistant", "content": replied}]


def measured(path: Path, world: World, edits: int, lengths: Sequence[int], kind: str) -> dict[str, object]:
    """One model: what it answers of its own facts and of edits, first in a chat and behind other turns."""
    model, _ = load(path)
    tokenizer = AutoTokenizer.from_pretrained(small_model_path())
    facts = known(model, tokenizer, world, 2 * edits, Random(11))
    mine, own = facts[:edits], facts[edits:]
    chosen = samples(world, mine, 4, 12)
    before = Before(tokenizer, world, [fact for fact in world.facts if fact not in set(mine)])
    company: dict[str, list[Turns]] = {"none": [[] for _ in facts]}
    for tokens in lengths:
        for name in ("facts", "talk", "system"):
            rng = Random(tokens)
            company[f"{tokens} tokens of {name}"] = [getattr(before, name)(tokens, rng) for _ in facts]
    asked = _own_questions(world, own)
    bare = {name: _answered(model, tokenizer, turns, asked) for name, turns in company.items()}
    method = Editing(model, tokenizer, kind, {"key_layer": "auto"} if kind == "grace" else {}, grows=kind == "grace")
    held = method.write(chosen).held
    rows = {}
    for name, turns in company.items():
        started = time.process_time()
        found = _answered(model, tokenizer, turns, _edit_questions(chosen))
        seconds = time.process_time() - started
        rows[name] = {
            "fired": _fired(method.editor, model, tokenizer, turns, chosen), **found, "own": bare[name],
            "ms_a_question": round(500 * seconds / len(chosen), 1),
        }  # fmt: skip
        print(path.name, name, json.dumps(rows[name]), flush=True)
    return {"edits": edits, "written": held, "own_facts": len(own), "asked_behind": rows}


def _own_questions(world: World, facts: Sequence[WorldFact]) -> dict[str, list[tuple[str, str]]]:
    rng = Random(21)
    return {
        "reliability": [(world.questions(fact)[0], as_answer(fact.value)) for fact in facts],
        "held_out": [(world.question(fact, rng, held_out=True), as_answer(fact.value)) for fact in facts],
    }


def _edit_questions(chosen: Sequence[Sample]) -> dict[str, list[tuple[str, str]]]:
    return {
        "reliability": [(sample.request.prompt, sample.request.target) for sample in chosen],
        "held_out": [(sample.held_out[0], sample.request.target) for sample in chosen],
    }


def _answered(
    model: Any, tokenizer: Any, company: Sequence[Turns], asked: dict[str, list[tuple[str, str]]]
) -> dict[str, float]:
    found = {}
    for name, pairs in asked.items():
        probes = [
            Probe([*turns, {"role": "user", "content": question}], "")
            for turns, (question, _) in zip(company, pairs, strict=False)
        ]
        said = [text for text, *_ in generate(model, tokenizer, probes)]
        found[name] = round(share(said, [target for _, target in pairs]), 4)
    return found


def _fired(editor: Any, model: Any, tokenizer: Any, company: Sequence[Turns], chosen: Sequence[Sample]) -> float:
    """How many requests are routed to their edit."""
    right = 0
    for turns, sample in zip(company, chosen, strict=False):
        messages = [*turns, {"role": "user", "content": sample.request.prompt}]
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            model(input_ids=ids)
        right += editor.explain()[0].edit_id == sample.request.id
    return round(right / len(chosen), 4)


def main() -> None:
    """Parse the command line, train what is not there, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument(
        "--tokens", type=int, default=6_000_000, help="for training a family's model, where it is not there"
    )
    parser.add_argument("--models", nargs="*", choices=[*FAMILIES, "shipped"], default=[*FAMILIES, "shipped"])
    parser.add_argument("--method", choices=["grace", "wise"], default="grace")
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--lengths", type=int, nargs="*", default=[200, 400])
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    torch.set_num_threads(1)
    world, report = small_world(), dict[str, object]()
    for name in options.models:
        own = name == "shipped"
        path = small_model_path() if own else trained(world, options.folder / name, options.tokens, name)
        report[name] = measured(path, world, options.edits, options.lengths, options.method)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
