"""Which edit answers a question in whatever words: the key in the model, or recall that proposes and a reader that confirms.

python -m benchmarks.gates [--wordings FILES] [--authors a,b,c,d] [--reader FILE] [--out benchmarks/results/gates.json]

Facts by strangers, each a note and an edit keyed with its plain question and four lead-ins; each asked in ten ways (``same``), and eight
questions that look alike and that it must not answer (``different``). Who is not answered by an edit is answered from notes, as ever: a
miss costs time, a false alarm a wrong answer. What the model would say is not asked here, only which edit would.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agentmem import Memory, Scope
from agentmem.ask.clauses import clauses
from agentmem.ask.conversation import Turn
from agentmem.ask.edit_check import in_force
from agentmem.ask.gate import EditGate
from agentmem.ask.sift import of_context
from agentmem.editors import EditRequest, make_editor
from agentmem.editors.background import background_groups, guess_subject
from agentmem.embedding.same_question import SameQuestion
from agentmem.evaluation.world import World
from agentmem.llm.small_model import load_small_model
from agentmem.notes.edit import Route
from agentmem.notes.rows import EditRow
from benchmarks.same_question import Told, read_wordings

__all__ = ["alarms", "by_key", "by_memory"]

LEADS = ("Do you know: {q}", "Can you tell me: {q}", "I was wondering: {q}", "Quick question: {q}")
Finds = Callable[[str, str], str | None]
"""(question, what was said in the turn before) -> the id of the edit that would answer."""


def requests(facts: Sequence[Told]) -> list[EditRequest]:
    """An edit for each fact; what it makes the model say is of no interest here, but different for each."""
    said = sorted({fact.value for fact in World.generate().facts})
    return [
        EditRequest(
            fact["question"],
            f"{said[number % len(said)]}.",
            guess_subject(fact["question"]),
            tuple(lead.replace("{q}", fact["question"]) for lead in LEADS),
            id=f"edit-{number}",
        )
        for number, fact in enumerate(facts)
    ]


def by_key(edits: Sequence[EditRequest]) -> Finds:
    model, tokenizer = load_small_model()
    editor = make_editor("grace", model, tokenizer, background=background_groups()[:300])
    editor.write(edits)
    return lambda question, _: editor.probe([question])[0].edit_id


def by_memory(facts: Sequence[Told], edits: Sequence[EditRequest], reader: SameQuestion) -> Finds:
    memory = Memory(None)
    ids = [memory.remember(fact["fact"], merge=False).id for fact in facts]
    core = memory._parts.core
    with core.writing(Scope()) as tx:
        owner = next(iter(tx.notes.owners_of(tx.notes.rows_of([ids[0]]).values()).values()))
        for edit, id in zip(edits, ids, strict=True):
            asked = {"prompt": edit.prompt, "target": edit.target}
            tx.ledger.put_edit(EditRow(edit.id or "", id or "", owner, "grace", "active", 1, asked))
    gate = EditGate(core, memory._parts._recall, reader)

    def find(question: str, before: str) -> str | None:
        turns = [Turn("user", before)] if before else []
        for clause in clauses(question):
            edit = gate.proposed(clause.text, turns, Scope())
            known = replace(clause, asks=clause.asks and not of_context(clause, before))
            if edit is not None and in_force(core, known, clause.text, Scope(), Route(edit.id))[0] is not None:
                return edit.id
        return None

    return find


def alarms(facts: Sequence[Told], edits: Sequence[EditRequest], find: Finds) -> dict[str, Any]:
    """By way of asking, the share that finds its edit; by look-alike, the share that finds any; milliseconds of processor time each."""
    right, wrong, fired = defaultdict(list), 0, defaultdict(list)
    began, count = time.process_time(), 0
    for fact, edit in zip(facts, edits, strict=True):
        for way in fact["same"]:
            found = find(way["text"], way.get("before", ""))
            right[way["how"]].append(found == edit.id)
            wrong += found not in (edit.id, None)
        for way in fact["different"]:
            fired[way["why"]].append(find(way["text"], "") is not None)
        count += len(fact["same"]) + len(fact["different"])
    share = lambda found: round(sum(found) / len(found), 4)  # noqa: E731
    return {
        "same": {how: share(found) for how, found in right.items()},
        "different": {why: share(found) for why, found in fired.items()},
        "found": share([each for found in right.values() for each in found]),
        "another's": wrong,
        "false alarms": share([each for found in fired.values() for each in found]),
        "milliseconds": round(1000 * (time.process_time() - began) / count, 1),
    }


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = Path(__file__).parent / "strangers"
    parser.add_argument("--wordings", type=Path, nargs="+", default=[folder / "wordings.jsonl"])
    parser.add_argument("--authors", default="", help="of these alone, by commas")
    parser.add_argument("--reader", type=Path, default=None, help="weights made by benchmarks.same_question")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    facts = read_wordings(options.wordings)
    facts = [fact for fact in facts if not options.authors or fact["author"] in options.authors.split(",")]
    edits = requests(facts)
    report = {
        "key": alarms(facts, edits, by_key(edits)),
        "memory": alarms(facts, edits, by_memory(facts, edits, SameQuestion(options.reader))),
    }
    table = Table("", *report)
    for part in ("same", "different"):
        for kind in report["key"][part]:
            table.add_row(f"{part}: {kind}", *(f"{found[part][kind]:.2f}" for found in report.values()))
    for name in ("found", "another's", "false alarms", "milliseconds"):
        table.add_row(name, *(str(found[name]) for found in report.values()))
    Console().print(table)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
