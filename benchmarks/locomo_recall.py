"""How much of what a question needs is recalled, on LoCoMo: agentmem, a plain cosine store, and plain full text.

python -m benchmarks.locomo_recall --data locomo.json [--out benchmarks/results/locomo_recall.json]

Only the public interface is used: `remember_many` with actor, session and occurred_at, then `recall`. No language model. The
conversations are asked about by name, as the data has it; as chats of each speaker with an assistant, where the same questions say "I"
and "you"; with ten and twenty turns of a session as one memory, which then is longer than the embedding model reads; and with each
question at the end, the beginning or in the middle of a message of eight turns of another conversation.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmem import Memory
from agentmem.notes.protocols import Embedder
from agentmem.recall.weights import RankingWeights
from benchmarks.locomo import Conversation, Question, Turn, as_chats, in_long_messages, in_long_notes, load
from benchmarks.plain import by_cosine, by_words
from benchmarks.vector_cache import CachedEmbedder

__all__ = ["Figures", "measure", "ours", "plain_cosine", "plain_fts"]

DEPTH = 20
LONG = (10, 20)
"""Turns of a session that are one memory, about 1,100 and 2,000 characters."""
PARTS = ("text", "spread", "actor", "length", "session", "time", "answer", "question")
Search = Callable[[str], list[str]]
"""From a question to at most DEPTH turn ids, best first."""


@dataclass(frozen=True)
class Figures:
    """Means over questions: recall at 1, 5, 10 and 20, and the reciprocal rank of the first evidence."""

    r1: float
    r5: float
    r10: float
    r20: float
    mrr: float
    questions: int


def ours(conversation: Conversation, embedder: Embedder, ranking: RankingWeights | None = None) -> Search:
    """agentmem with a note per turn."""
    memory = Memory(None, embedder=embedder, ranking=ranking)
    receipts = memory.remember_many(conversation.items(), progress=False)
    turns = defaultdict(list)
    for receipt, turn in zip(receipts, conversation.turns, strict=True):
        turns[receipt.id].append(turn.id)

    def search(question: str) -> list[str]:
        hits = memory.recall(question, k=DEPTH, user=conversation.name)
        return [turn for hit in hits for turn in turns[hit.note.id]][:DEPTH]

    return search


def _spoken(turn: Turn) -> str:
    return f"{turn.speaker}: {turn.text}" if turn.speaker else turn.text


def plain_cosine(conversation: Conversation, embedder: Embedder) -> Search:
    """What a vector store does: "speaker: text" embedded, the nearest by cosine."""
    search = by_cosine([_spoken(turn) for turn in conversation.turns], embedder, DEPTH)
    return lambda question: [conversation.turns[place].id for place in search(question)]


def plain_fts(conversation: Conversation, _: Embedder) -> Search:
    """SQLite FTS5 with stemming, any word of the question, ranked by BM25."""
    search = by_words([_spoken(turn) for turn in conversation.turns], DEPTH)
    return lambda question: [conversation.turns[place].id for place in search(question)]


_DATE = re.compile(r"\b(19|20)\d\d\b|\b(Jan|Febr|March|April|May|June|July|August|Sept|Octo|Nov|Dec)\w*\b")
_RELATIVE = re.compile(r"\b(last|next|before|after|ago|yesterday|week|weekend|recent\w*)\b", re.IGNORECASE)


def slices(conversation: Conversation, question: Question) -> Iterable[str]:
    """The groups that a question counts for."""
    yield "all"
    yield question.category
    speakers = {turn.speaker for turn in conversation.turns}
    named = any(re.search(rf"\b{re.escape(name)}\b", question.text) for name in speakers)
    yield "names a speaker" if named else "names no speaker"
    if _DATE.search(question.text):
        yield "has a date"
    if _RELATIVE.search(question.text):
        yield "has a relative time"
    if len(question.evidence) > 1:
        yield "several turns needed"


def measure(conversation: Conversation, search: Search) -> dict[str, list[tuple[float, ...]]]:
    """One row (R@1, R@5, R@10, R@20, reciprocal rank) per question, by slice."""
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for question in conversation.questions:
        found = search(question.text)
        shares = [len(set(found[:k]) & set(question.evidence)) / len(question.evidence) for k in (1, 5, 10, 20)]
        first = next((1 / place for place, turn in enumerate(found, 1) if turn in question.evidence), 0.0)
        for name in slices(conversation, question):
            rows[name].append((*shares, first))
    return rows


def summary(rows: Sequence[tuple[float, ...]]) -> Figures:
    """Means of the columns."""
    r1, r5, r10, r20, mrr = (round(float(value), 4) for value in np.mean(rows, axis=0))
    return Figures(r1, r5, r10, r20, mrr, len(rows))


def run(conversations: Sequence[Conversation], embedder: Embedder) -> dict[str, dict[str, Figures]]:
    """Every system on every conversation, in turn."""
    systems = {"agentmem": ours, "plain cosine": plain_cosine, "plain FTS5": plain_fts}
    found: dict[str, dict[str, list[tuple[float, ...]]]] = {name: defaultdict(list) for name in systems}
    for conversation in conversations:
        for name, make in systems.items():
            for group, rows in measure(conversation, make(conversation, embedder)).items():
                found[name][group] += rows
    return {name: {group: summary(rows) for group, rows in groups.items()} for name, groups in found.items()}


def ablations(conversations: Sequence[Conversation], embedder: Embedder) -> dict[str, Figures]:
    """agentmem with one part of the score switched off at a time: what each is worth."""
    found = {}
    for part in PARTS:
        ranking = RankingWeights(**{part: 0.0})
        rows = [
            row
            for conversation in conversations
            for row in measure(conversation, ours(conversation, embedder, ranking))["all"]
        ]
        found[part] = summary(rows)
    return found


def misses(conversations: Sequence[Conversation], embedder: Embedder) -> Counter[str]:
    """What `why_not` says kept evidence out of the first ten, counted by the part that decided."""
    reasons: Counter[str] = Counter()
    for conversation in conversations:
        with Memory(None, embedder=embedder) as memory:
            receipts = memory.remember_many(conversation.items(), progress=False)
            ids = {turn.id: receipt.id for turn, receipt in zip(conversation.turns, receipts, strict=True)}
            for question in conversation.questions:
                for turn in question.evidence:
                    why = memory.why_not(question.text, str(ids[turn]), k=10, user=conversation.name)
                    if why.rank is None:
                        reasons["no candidate"] += 1
                    elif why.rank > 10:
                        reasons[_kept_out_by(str(why))] += 1
    return reasons


def _kept_out_by(reason: str) -> str:
    match = re.search(r"mostly by (\w+)", reason)
    return f"behind by {match[1]}" if match else "other"


def show(figures: dict[str, dict[str, Figures]], console: Console, title: str) -> None:
    """Print one table for all questions."""
    table = Table("system", "R@1", "R@5", "R@10", "R@20", "MRR", title=title)
    for name, groups in figures.items():
        whole = groups["all"]
        table.add_row(name, *(f"{value:.3f}" for value in (whole.r1, whole.r5, whole.r10, whole.r20, whole.mrr)))
    console.print(table)


def show_slices(figures: dict[str, dict[str, Figures]], console: Console) -> None:
    """Print recall@10 by slice."""
    names = sorted(figures["agentmem"], key=lambda group: -figures["agentmem"][group].questions)
    table = Table("questions", "n", *figures, title="recall@10 by kind of question")
    for group in names:
        table.add_row(
            group,
            str(figures["agentmem"][group].questions),
            *(f"{groups[group].r10:.3f}" for groups in figures.values()),
        )
    console.print(table)


def _plain(figures: dict[str, dict[str, Figures]], *only: str) -> dict[str, dict[str, dict[str, float]]]:
    return {
        name: {group: vars(value) for group, value in groups.items() if not only or group in only}
        for name, groups in figures.items()
    }


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--vectors", type=Path, default=None, help="keep vectors here, so that a second run is quick")
    parser.add_argument("--why-not", action="store_true", help="also ask why evidence was missed")
    parser.add_argument("--ablate", action="store_true", help="also switch the parts of the score off, one by one")
    options = parser.parse_args()
    conversations = load(options.data)
    started = time.process_time()
    with CachedEmbedder.open(options.vectors) as embedder:
        figures = run(conversations, embedder)
        in_person = run([chat for conversation in conversations for chat in as_chats(conversation)], embedder)
        long = {n: run([in_long_notes(conversation, n) for conversation in conversations], embedder) for n in LONG}
        others = [*conversations[1:], conversations[0]]
        asked_in = [
            in_long_messages(conversation, other) for conversation, other in zip(conversations, others, strict=True)
        ]
        in_messages = run(asked_in, embedder)
        reasons = misses(conversations, embedder) if options.why_not else Counter()
        without = ablations(conversations, embedder) if options.ablate else {}
    console = Console()
    show(figures, console, "recall of evidence turns")
    show_slices(figures, console)
    show(in_person, console, 'asked with "I" and "you"')
    for turns, found in long.items():
        show(found, console, f"{turns} turns in one memory")
    show(in_messages, console, "asked within a long message")
    for part, value in without.items():
        console.print(f"without {part:10} R@5 {value.r5:.3f}  R@10 {value.r10:.3f}  MRR {value.mrr:.3f}")
    for reason, count in reasons.most_common():
        console.print(f"{count:5} {reason}")
    if options.out is not None:
        report = {
            "conversations": [conversation.name for conversation in conversations],
            "questions_without_evidence": sum(conversation.skipped for conversation in conversations),
            "cpu_seconds": round(time.process_time() - started),
            "figures": _plain(figures),
            "in_person": _plain(in_person, "all"),
            "in_messages": _plain(in_messages, "all"),
            "long_notes": {turns: _plain(found, "all") for turns, found in long.items()},
            "without": {part: vars(value) for part, value in without.items()},
            "missed_because": dict(reasons),
        }
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
