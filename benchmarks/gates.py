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
from agentmem.ask.clauses import Clause, clauses
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

__all__ = ["LEADS", "alarms", "by_key", "by_memory", "stored"]

LEADS = ("Do you know: {q}", "Can you tell me: {q}", "I was wondering: {q}", "Quick question: {q}")
"""What stands before a question in the other wordings that an edit is keyed with."""
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


def stored(facts: Sequence[Told], edits: Sequence[EditRequest]) -> Memory:
    """A memory with a note for each fact, and the registry that says which edit is of which note."""
    memory = Memory(None)
    ids = [memory.remember(fact["fact"], merge=False).id or "" for fact in facts]
    with memory._parts.core.writing(Scope()) as tx:
        row = tx.notes.rows_of(ids[:1])[ids[0]]
        owner = tx.notes.owners_of([row])[row]
        for edit, id in zip(edits, ids, strict=True):
            asked = {"prompt": edit.prompt, "target": edit.target}
            tx.ledger.put_edit(EditRow(edit.id or "", id, owner, "grace", "active", 1, asked))
    return memory


def by_key(memory: Memory, edits: Sequence[EditRequest]) -> Finds:
    """As the key says."""
    model, tokenizer = load_small_model()
    editor = make_editor("grace", model, tokenizer, background=background_groups()[:300])
    editor.write(edits)
    return _checked(memory, lambda clause, _: editor.probe([clause.text])[0].edit_id)


def by_memory(memory: Memory, reader: SameQuestion) -> Finds:
    """As recall and the reader say."""
    gate = EditGate(memory._parts.core, memory._parts._recall, reader)

    def found(question: str, before: str) -> str | None:
        for clause in clauses(question):
            edit = gate.proposed(clause.text, [Turn("user", before)] if before else [], Scope())
            if edit is not None:
                kept, *_ = in_force(memory._parts.core, clause, clause.text, Scope(), Route(edit.id), read=True)
                if kept is not None:
                    return kept.id
        return None

    return found


def _checked(memory: Memory, find: Callable[[Clause, str], str | None]) -> Finds:
    """Of each thing that is asked, and unless the rules of ``ask()`` refuse what was found."""

    def found(question: str, before: str) -> str | None:
        for clause in clauses(question):
            edit = find(clause, before)
            known = replace(clause, asks=clause.asks and not of_context(clause, before))
            if (
                edit is not None
                and in_force(memory._parts.core, known, clause.text, Scope(), Route(edit))[0] is not None
            ):
                return edit
        return None

    return found


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
    memory = stored(facts, edits)
    report = {
        "key": alarms(facts, edits, by_key(memory, edits)),
        "memory": alarms(facts, edits, by_memory(memory, SameQuestion(options.reader))),
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
