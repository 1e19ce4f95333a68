"""Any kind of fact, as anybody asks for it: told in passing, asked for in use, learnt by heart, and asked for in words that were not heard.

python -m benchmarks.kinds [--facts benchmarks/strangers/facts_opened.jsonl] [--authors a,b] [--gate memory] [--out benchmarks/results/kinds.json]

Statements by strangers of thirty kinds (dates, URLs, conventions, policies, lists, negations, the first person, things, four languages), told
through `remember()` without any fact. Each is asked for in three of its author's wordings and answered with his answer (`reinforce`), as an agent
with a model of its own would: what the attached small model reads is not asked here. Then `consolidate()`; then the two wordings that are left, and
three questions that only look alike. An answer counts as right where it has the author's answer in it, in one of the forms that he wrote down.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agentmem import Memory, Settings
from agentmem.ask.answer import Answer
from agentmem.llm.small_model import load_small_model

__all__ = ["learnt", "measured", "right"]

FACTS = Path(__file__).parent / "strangers" / "facts.jsonl"
HEARD = 3
"""Wordings that were asked in use; the others are kept for asking afterwards."""
_WORD = re.compile(r"[^\W_]+")
Told = Mapping[str, Any]


def right(answer: Answer, fact: Told) -> bool:
    """Whether an answer has the author's answer in it."""
    return any(_plain(form) in _plain(answer.text) for form in (fact["answer"], *fact["also"]))


def _plain(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def learnt(memory: Memory, facts: Sequence[Told], user: str) -> tuple[dict[str, Told], dict[str, Any]]:
    """Tell, use and consolidate; the facts by the id of their note, and what became of them."""
    ids: dict[str, Told] = {}
    for fact in facts:
        id = memory.remember(fact["told"], user=user, merge=False).id
        if id is None:
            continue
        ids[id] = fact
        for question in fact["asks"][:HEARD]:
            memory.reinforce(id, question=question, answer=fact["answer"], user=user)
    began = time.process_time()
    report = memory.consolidate(user=user)
    seconds = time.process_time() - began
    kept = defaultdict(int)
    for decision in report.decisions:
        if decision.action == "keep":
            kept[re.split(r"[(:'0-9]", decision.reasons[0])[0].strip()] += 1
    for outcome in report.failed:
        kept[re.split(r"[(:'0-9]", outcome.reason)[0].strip()] += 1
    promoted = {outcome.note_id for outcome in report.promoted}
    return ids, {"promoted": promoted, "kept": dict(kept), "cpu seconds": seconds}


def measured(memory: Memory, ids: Mapping[str, Told], promoted: set[str], user: str) -> list[dict[str, Any]]:
    """One line for each fact: how its last wordings were answered, and how many look-alikes the weights took for it."""
    lines = []
    for id, fact in ids.items():
        line = {"kind": fact["kind"], "promoted": id in promoted, "asked": [], "near": 0, "ms": []}
        for question in fact["asks"][HEARD:]:
            began = time.process_time()
            answer = memory.ask(question, user=user)
            line["ms"].append(1000 * (time.process_time() - began))
            line["asked"].append((answer.source, right(answer, fact)))
        line["near"] = sum(memory.ask(question, user=user).source == "weights" for question in fact["near"])
        lines.append(line)
    return lines


def summed(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Shares over some facts."""
    asked = [each for line in lines for each in line["asked"]]
    of = [each for line in lines if line["promoted"] for each in line["asked"]]
    share = lambda found: round(mean(found), 3) if found else None  # noqa: E731
    return {
        "facts": len(lines),
        "promoted": share([line["promoted"] for line in lines]),
        "right": share([ok for _, ok in asked]),
        "right from weights": share([ok and source == "weights" for source, ok in asked]),
        "of the promoted, right from weights": share([ok and source == "weights" for source, ok in of]),
        "of the promoted, right": share([ok for _, ok in of]),
        "wrong from weights": share([not ok and source == "weights" for source, ok in asked]),
        "look-alikes taken": round(sum(line["near"] for line in lines) / (3 * len(lines)), 3) if lines else None,
    }


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, default=FACTS)
    parser.add_argument("--authors", default="", help="of these alone, by commas")
    parser.add_argument("--gate", default="memory", choices=("key", "memory"))
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = [json.loads(line) for line in options.facts.open(encoding="utf-8")]
    authors = options.authors.split(",") if options.authors else sorted({fact["author"] for fact in facts})
    lines, kept, seconds, model = [], defaultdict(int), 0.0, load_small_model()
    with Memory(
        None, model=model, settings=Settings(consolidation={"gate": options.gate, "max_edits": 5000})
    ) as memory:
        for author in authors:
            ids, became = learnt(memory, [fact for fact in facts if fact["author"] == author], author)
            lines += measured(memory, ids, became["promoted"], author)
            seconds += became["cpu seconds"]
            for why, count in became["kept"].items():
                kept[why] += count
            print(author, summed(lines), flush=True)
    kinds = dict.fromkeys(line["kind"] for line in lines)
    report = {
        "gate": options.gate, "all": summed(lines), "kept": dict(kept),
        "cpu seconds for each fact": round(seconds / len(lines), 2),
        "cpu milliseconds for each answer, median": round(median(ms for line in lines for ms in line["ms"]), 1),
        "kinds": {kind: summed([line for line in lines if line["kind"] == kind]) for kind in kinds},
    }  # fmt: skip
    table = Table("kind", *(name for name in report["all"] if name != "facts"))
    for kind, found in {"all": report["all"], **report["kinds"]}.items():
        table.add_row(kind, *("" if found[name] is None else f"{found[name]:.2f}" for name in found if name != "facts"))
    Console(width=180).print(table)
    print(report["kept"])
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
