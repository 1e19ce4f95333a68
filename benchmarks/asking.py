"""Does ``ask()`` say what it does not know? Questions that strangers wrote, judged by their own words.

python -m benchmarks.asking benchmarks/strangers/ask_open.jsonl [--made 10] [--out benchmarks/results/asking.json]

With ``--made`` also that many of each kind about invented people, in sentences that the small model reads and the rules take facts
from: strangers rarely write such, so only here do weights answer.
Each question has a memory of its own, to which its notes are told one by one. It is asked with the shipped small model and the notes
(``notes``); so with the facts that the notes state moved into the weights, where they state any (``weights``); and of a reader
that believes everything, and repeats the note that comes nearest to the question whatever it says (``credulous``): what the library
does not keep from it, it says. An answer is judged by what it gives; a sentence that says what is not known, and what is known instead,
gives nothing:

right: what the question accepts is given and nothing that it rejects; or nothing is told, and nothing is given.
told: nothing is given, but what is known instead has what the question accepts.
silent: nothing is given.
both: what it accepts is given, and what it rejects beside it, as in a note that has both and is quoted whole.
rejected: what the question rejects is given, and not what it accepts.
other: something else is given, by a reader that did not understand, or only part of what was asked.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from agentmem import Memory
from agentmem.ask.ask import Answer
from agentmem.consolidation.strategies import AlwaysPolicy
from agentmem.evaluation.world import World
from agentmem.llm.small_model import load_small_model
from benchmarks.vector_cache import CachedEmbedder

VERDICTS = ("right", "told", "silent", "both", "rejected", "other")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)|\n+")
_UNKNOWN = re.compile(r"\s*(?:i (?:do not|don['’]t) know\b|i know (?:only|nothing)\b)", re.IGNORECASE)
_NOTE = re.compile(r"^- \[\d{4}-\d\d-\d\d [^\]\n]*\] (.*)$", re.MULTILINE)
_INSTEAD = re.compile(r"\bI know only\b")


@dataclass(frozen=True)
class Case:
    """One question: what was told before, and what may and must not be answered."""

    id: str
    notes: tuple[str, ...]
    question: str
    type: str
    accept: tuple[tuple[str, ...], ...]
    """Of each of these one has to occur; none when nothing that answers was told."""
    reject: tuple[str, ...]

    @classmethod
    def of(cls, line: str) -> Case:
        """The case of one line of a file."""
        said = json.loads(line)
        groups = said.get("accept_all") or ([said["accept"]] if said["accept"] else [])
        return cls(
            said["id"],
            tuple(said["notes"]),
            said["question"],
            said["type"],
            tuple(map(tuple, groups)),
            tuple(said["reject"]),
        )


def given(text: str) -> str:
    """What an answer gives: without the sentences that say what is not known, and behind them what is known instead."""
    kept = []
    for line in text.split("\n"):
        for sentence in _SENTENCE.split(line):
            if _INSTEAD.match(sentence):
                break  # what is quoted behind it goes to the end of its line
            if sentence and not _UNKNOWN.match(sentence):
                kept.append(sentence)
    return " ".join(kept)


_MADE = (
    (
        "lives in",
        "home_city",
        "{s} lives in {v}.",
        "Where does {s} live?",
        "Where does {s} not live?",
        "Where did {s} live before?",
    ),
    (
        "works at",
        "employer",
        "{s} works at {v}.",
        "Where does {s} work?",
        "Where does {s} no longer work?",
        "Where did {s} use to work?",
    ),
    (
        "hobby",
        "hobby",
        "{s}'s hobby is {v}.",
        "What is {s}'s hobby?",
        "What is not {s}'s hobby?",
        "What was {s}'s former hobby?",
    ),
)


def made(each: int, seed: int = 5) -> list[Case]:
    """``each`` questions of every kind about people whom the small model does not know."""
    world, rng = World.generate(), Random(seed)
    found: list[Case] = []
    for place, name in enumerate(world.unknown_people(each, seed, "test")):
        _, relation, tells, asks, asks_not, asks_before = _MADE[place % len(_MADE)]
        value, other = rng.sample(world.values(relation), 2)
        told = tells.format(s=name, v=value)
        first, last = name.split()
        slip = f"{first} {last[0]}{last[2]}{last[1]}{last[3:]}"
        kin = f"My sister is called {first}."
        namesakes = (
            f"{first} {world.unknown_people(1, seed + place, 'train')[0].split()[1]}",
            f"{first}{'a' if first[-1] != 'a' else 'na'} {last}",
            f"{first} {last}man",
        )
        rows = [
            ("plain", (told,), asks.format(s=name), [value], []),
            ("plain", (told,), asks.format(s=name).lower().rstrip("?"), [value], []),
            ("plain", (told,), asks.format(s=first), [value], []),
            ("plain", (told,), asks.format(s=slip), [value], []),
            ("plain", (kin, told), asks.format(s="my sister"), [value], []),
            *(("namesake", (told,), asks.format(s=s), [], [value]) for s in namesakes),
            ("namesake", (told,), asks.format(s=f"{name}'s brother"), [], [value]),
            ("negated", (told,), asks_not.format(s=name), [], [value]),
            ("negated", (told,), asks_before.format(s=name), [], [value]),
            ("changed", (tells.format(s=name, v=other), told), asks.format(s=name), [value], [other]),
            ("changed", (tells.format(s=name, v=other), told), asks_before.format(s=name), [other], [value]),
            ("other-matter", (told,), f"How old is {name}?", [], [value]),
            ("other-matter", (told,), f"What is {name}'s shoe size?", [], [value]),
        ]  # fmt: skip
        found += [
            Case(f"made-{place}", notes, q, kind, (tuple(yes),) if yes else (), tuple(no))
            for kind, notes, q, yes, no in rows
        ]
        both = asks.format(s=name).rstrip("?") + ", and what is their shoe size?"
        found.append(Case(f"made-{place}", (told,), both, "compound", ((value,),), ()))
    return found


def judge(case: Case, text: str) -> str:
    """One of ``VERDICTS``."""
    said = given(text)
    if any(_occurs(value, said) for value in case.reject):
        accepted = case.accept and all(any(_occurs(value, said) for value in group) for group in case.accept)
        return "both" if accepted else "rejected"
    if not case.accept:
        return "other" if said.strip() else "right"
    if all(any(_occurs(value, said) for value in group) for group in case.accept):
        return "right"
    if said.strip():
        return "other"
    return "told" if all(any(_occurs(value, text) for value in group) for group in case.accept) else "silent"


def _occurs(value: str, text: str) -> bool:
    """Whether a text has a value, not as a part of a longer number or as the beginning of another word's middle."""
    return re.search(rf"(?<![^\W_]){re.escape(value.casefold())}(?!\d)", text.casefold()) is not None


def credulous(embedder: CachedEmbedder) -> Callable[[Sequence[Mapping[str, str]]], str]:
    """A reader that repeats the note nearest to the question."""

    def read(messages: Sequence[Mapping[str, str]]) -> str:
        told = [found.group(1) for m in messages if m["role"] == "system" for found in _NOTE.finditer(m["content"])]
        if not told:
            return "I do not know."
        vectors = embedder.embed([messages[-1]["content"], *told])
        return told[int((vectors[1:] @ vectors[0]).argmax())]

    return read


def repeat(cases: Sequence[Case], embedder: CachedEmbedder) -> list[dict[str, Any]]:
    """Each case as the credulous reader answers it."""
    found = []
    for case in cases:
        with Memory(None, embedder=embedder, llm=credulous(embedder)) as memory:
            for note in case.notes:
                memory.remember(note)
            answer = memory.ask(case.question)
        found.append(_row(case, answer))
    return found


def _row(case: Case, answer: Answer) -> dict[str, Any]:
    return {
        "id": case.id,
        "type": case.type,
        "question": case.question,
        "verdict": judge(case, answer.text),
        "source": answer.source,
        "text": answer.text,
    }


def run(cases: Sequence[Case], embedder: CachedEmbedder, *, weights: bool) -> list[dict[str, Any]]:
    """Each case as the small model answers it; of those asked from the weights, only where the notes state facts, and how many lie there."""
    model = load_small_model()
    by_notes: dict[tuple[str, ...], list[Case]] = {}
    for case in cases:
        by_notes.setdefault(case.notes, []).append(case)
    found = []
    for (
        notes,
        asked,
    ) in by_notes.items():  # what is asked of the same notes is asked of one memory: consolidating takes seconds
        with Memory(None, embedder=embedder) as memory:
            for note in notes:
                memory.remember(note)
            if weights and not any(note.fact for note in memory.notes()):
                continue
            memory.attach(*model)
            held = 0
            if weights:
                memory.policy = AlwaysPolicy()
                held = len(memory.consolidate().promoted)
            if held or not weights:
                more = {"facts": held} if weights else {}
                found += [_row(case, memory.ask(case.question)) | more for case in asked]
            memory.detach()
    return found


def table(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How many of each type got each verdict."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for name in (row["type"], "all"):
            counts.setdefault(name, dict.fromkeys(VERDICTS, 0))[row["verdict"]] += 1
    return dict(sorted(counts.items(), key=lambda item: item[0] == "all"))


def show(name: str, counts: dict[str, dict[str, int]]) -> None:
    """The table, a line for each type."""
    print(f"\n{name:<16}" + "".join(f"{verdict:>10}" for verdict in VERDICTS))
    for kind, row in counts.items():
        print(f"{kind:<16}" + "".join(f"{row[verdict]:>10}" for verdict in VERDICTS))


def ask_all(cases: Sequence[Case], embedder: CachedEmbedder, *, say: bool) -> dict[str, Any]:
    """What each reader answers, as tables by type and answer by answer."""
    report: dict[str, Any] = {}
    for name in ("credulous", "notes", "weights"):
        rows = repeat(cases, embedder) if name == "credulous" else run(cases, embedder, weights=name == "weights")
        report[name] = {"by type": table(rows), "answers": rows}
        for row in rows if say else ():
            print(f"{row['verdict']:<9}{row['type']:<13}{row['id']:<13}{row['question']}\n{'':<22}{row['text']!r}")
        show(name, report[name]["by type"])
    return report


def main() -> None:
    """Parse the command line, ask, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--made", type=int, default=0, help="ask that many of each kind about invented people as well")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--answers", action="store_true", help="print each answer as well")
    options = parser.parse_args()
    cases = [Case.of(line) for line in options.path.read_text(encoding="utf-8").splitlines() if line.strip()]
    report: dict[str, Any] = {}
    with CachedEmbedder.open(None) as embedder:
        for source, asked in ((options.path.name, cases), ("made", made(options.made))):
            if asked:
                report[source] = {"cases": len(asked)} | ask_all(asked, embedder, say=options.answers)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
