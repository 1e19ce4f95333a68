"""What comes when a question names a day, a week, a month or the end of one, among 3,000 notes of a year.

python -m benchmarks.named_days [--notes 3000] [--seed 0] [--data FOLDER] [--vectors FILE] [--out benchmarks/results/named_days.json]

The notes are those of one user, about eight a day, each of something done; every fourth tells of another day than its own ("Yesterday …",
"On March 3 …", "Last Friday …"). A note belongs to the day it tells of. Of each kind of question it is measured which share of the notes
that belong to it are among the first ten, or of those ten where there are more:

day, week, month, end of a month: "What did I do on February 10, 2024?" asks for little else than the time.
content: what was done with somebody, or where, in a month; content of a day: the same on one.
year: content in a time that holds every note; no time: the same without one. Neither may lose by what times are good for.

With a folder of real chats (:mod:`benchmarks.recall_sets`) some days of each are asked for in a dozen wordings: how many of the first ten
are of that day. Beside stands what is found with the weight of times at 0.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from agentmem import Memory
from agentmem.notes.clock import ManualClock
from agentmem.notes.protocols import Embedder
from agentmem.recall.weights import RankingWeights
from benchmarks.recall_sets import load
from benchmarks.vector_cache import CachedEmbedder

START, DAYS = date(2024, 1, 1), 366
NOW = datetime(2025, 1, 2, 9, 0, tzinfo=UTC)
FIRST = 10
PEOPLE = "Maria Tom Aisha Jonas Priya Lena Omar Greta Felix Nora".split()
PLACES = "the harbour|the office|the market|the old mill|the library|the garden|the station|the gym|the lake|the workshop".split(
    "|"
)
MATTERS = {
    "the roof": ("talked about the leaking roof", "got a quote for new tiles on the roof", "climbed up and patched the roof"),
    "music": ("played the violin", "listened to a new jazz record", "went to a choir rehearsal"),
    "food": ("ate ramen", "baked two loaves of rye bread", "cooked a pumpkin curry"),
    "sport": ("went bowling", "ran seven kilometres", "lost a game of badminton"),
    "work": ("finished the quarterly report", "fixed the login bug", "interviewed a candidate for the design team"),
    "books": ("read a chapter about whales", "finished a novel by Le Guin", "bought a book on clouds"),
    "health": ("had a tooth filled", "slept badly and had a headache", "got new glasses"),
    "travel": ("booked the train to Vienna", "looked at cabins in Norway", "renewed the passport"),
    "repairs": ("glued the broken chair", "replaced the bicycle chain", "painted the kitchen wall"),
    "money": ("paid the electricity bill", "argued with the bank about a fee", "sold the old camera"),
}  # fmt: skip
ENDS = (
    "",
    " and came home late",
    " before lunch",
    " and it took longer than planned",
    ", which was fun",
    " and forgot the umbrella",
)
MONTHS = "January February March April May June July August September October November December".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


@dataclass(frozen=True)
class Told:
    """A note: its words, when it was said, and of which day, with whom, where, and of what matter it tells."""

    text: str
    said: datetime
    day: date
    person: str
    place: str
    matter: str


@dataclass(frozen=True)
class Asked:
    """A question and the places of the notes that belong to it."""

    kind: str
    text: str
    answers: frozenset[int]


def year(notes: int, rng: random.Random) -> list[Told]:
    """Notes in the order in which they were said."""
    told = []
    for number in range(notes):
        day = START + timedelta(days=number * DAYS // notes)
        said = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=rng.randrange(7 * 60, 22 * 60))
        when, about = _elsewhen(day, rng) if rng.random() < 0.25 else ("", day)
        matter = rng.choice(list(MATTERS))
        person, place = rng.choice(PEOPLE), rng.choice(PLACES)
        text = f"{when}I {rng.choice(MATTERS[matter])} with {person} at {place}{rng.choice(ENDS)}."
        told.append(Told(text, said, about, person, place, matter))
    return sorted(told, key=lambda each: each.said)


def _elsewhen(day: date, rng: random.Random) -> tuple[str, date]:
    """How another day is told of on a day, and which that is."""
    back = rng.choice((1, 1, 2, 3, 9, 20))
    other = day - timedelta(days=back)
    if back == 1:
        return "Yesterday ", other
    if back == 2:
        return "The day before yesterday ", other
    if back == 3:
        return "Three days ago ", other
    if back == 9:
        friday = day - timedelta(days=(day.weekday() - 4) % 7 or 7)
        return "Last Friday ", friday
    return f"On {MONTHS[other.month - 1]} {other.day} ", other


def questions(told: list[Told], rng: random.Random) -> Iterator[Asked]:
    """Forty or fewer of each kind, in several wordings."""

    def within(first: date, last: date, **of: str) -> frozenset[int]:
        return frozenset(
            place for place, each in enumerate(told)
            if first <= each.day <= last and all(getattr(each, name) == value for name, value in of.items())
        )  # fmt: skip

    for day in (START + timedelta(days=n) for n in rng.sample(range(21, DAYS - 20), 40)):
        named = rng.choice(
            (
                f"{MONTHS[day.month - 1]} {day.day}, {day.year}",
                f"{day.day} {MONTHS[day.month - 1]} {day.year}",
                day.isoformat(),
            )
        )
        text = rng.choice(
            (
                "What did I do on {}?",
                "What happened on {}?",
                "Tell me about {}.",
                "How was {}?",
                "What was going on on {}?",
                "{}?",
            )
        )
        yield Asked("day", text.format(named), within(day, day))
        some = told[rng.choice(sorted(within(day, day)))]
        yield Asked(
            "content of a day", f"What did I do with {some.person} on {named}?", within(day, day, person=some.person)
        )
        yield Asked(
            "content of a day",
            f"Was there anything about {some.matter} on {named}?",
            within(day, day, matter=some.matter),
        )
    for month in range(1, 13):
        first = date(2024, month, 1)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        name = MONTHS[month - 1]
        yield Asked("month", f"What did I do in {name} 2024?", within(first, last))
        yield Asked(
            "end of a month", f"What happened at the end of {name} 2024?", within(last - timedelta(days=10), last)
        )
        yield Asked("end of a month", f"What was I up to in late {name} 2024?", within(last - timedelta(days=10), last))
        for matter in rng.sample(list(MATTERS), 3):
            yield Asked(
                "content of a month",
                f"What was there about {matter} in {name} 2024?",
                within(first, last, matter=matter),
            )
        person, matter = rng.choice(PEOPLE), rng.choice(list(MATTERS))
        yield Asked(
            "content of a month",
            f"What did {person} and I do about {matter} in {name}?",
            within(first, last, matter=matter, person=person),
        )
    for back, words in (
        (3, "last Monday"),
        (1, "yesterday"),
        (2, "the day before yesterday"),
        (5, "last Saturday"),
        (6, "last Friday"),
    ):
        day = NOW.date() - timedelta(days=back)
        yield Asked("day, from today", f"What did I do {words}?", within(day, day))
        yield Asked("day, from today", f"What happened {words}?", within(day, day))
    monday = NOW.date() - timedelta(days=NOW.weekday())
    for weeks, words in ((1, "last week"), (2, "the week before last"), (2, "a fortnight ago"), (3, "three weeks ago")):
        first = monday - timedelta(weeks=weeks)
        aside = timedelta(days=3 if "ago" in words else 0)
        yield Asked("week", f"What did I do {words}?", within(first - aside, first + timedelta(days=6) + aside))
        yield Asked("week", f"What went on {words}?", within(first - aside, first + timedelta(days=6) + aside))
    for person, matter in ((person, matter) for person in PEOPLE for matter in rng.sample(list(MATTERS), 4)):
        gold = within(START, START + timedelta(days=DAYS), person=person, matter=matter)
        yield Asked("year", f"What did I do with {person} about {matter} in 2024?", gold)
        yield Asked("no time", f"What did I do with {person} about {matter}?", gold)


WORDINGS = (
    "What did I do on {}?", "what happened on {}", "What did {name} do on {}?", "What was going on on {}?", "What did we talk about on {}?",
    "What did {name} say on {}?", "Tell me about {}", "Anything noteworthy on {}?", "What was I up to on {}?", "Summarize {} for me",
    "How was {}?", "What did I work on on {}?",
)  # fmt: skip


def of_chats(folder: Path, seed: int, embedder: Embedder, ranking: RankingWeights) -> dict[str, dict[str, float]]:
    """The figures of days of real chats, which are asked for alone."""
    shares = defaultdict(list)
    for scope in load(folder):
        if not all("occurred_at" in item for item in scope.items):
            continue
        rng, days = random.Random(seed), [item["occurred_at"].date() for item in scope.items]
        names = sorted({item["actor"] for item in scope.items})
        now = ManualClock(max(item["occurred_at"] for item in scope.items) + timedelta(days=1))
        with Memory(None, embedder=embedder, clock=now, ranking=ranking) as memory:
            memory.remember_many(list(scope.items), progress=False)
            for day in rng.sample(sorted(set(days)), min(4, len(set(days)))):
                for wording in WORDINGS:
                    asked = wording.format(f"{MONTHS[day.month - 1]} {day.day}, {day.year}", name=rng.choice(names))
                    found = [hit.note.occurred_at.date() for hit in memory.recall(asked, k=FIRST, user=scope.name)]
                    shares[f"a day of {scope.group}"].append(found.count(day) / min(FIRST, days.count(day)))
    return _means(shares)


def _means(shares: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    return {kind: {"questions": len(found), "r10": round(float(np.mean(found)), 4)} for kind, found in shares.items()}


def run(notes: int, seed: int, embedder: Embedder, ranking: RankingWeights) -> dict[str, dict[str, float]]:
    """The figures of each kind of question."""
    rng = random.Random(seed)
    told = year(notes, rng)
    asked = [each for each in questions(told, rng) if each.answers]
    with Memory(None, embedder=embedder, clock=ManualClock(NOW), ranking=ranking) as memory:
        items = [{"content": each.text, "occurred_at": each.said} for each in told]
        at: dict[str, set[int]] = defaultdict(set)
        for place, receipt in enumerate(memory.remember_many(items, user="me", progress=False)):
            at[str(receipt.id)].add(place)
        shares = defaultdict(list)
        for each in asked:
            hits = memory.recall(each.text, k=FIRST, user="me")
            found = sum(bool(at[str(hit.note.id)] & each.answers) for hit in hits)
            shares[each.kind].append(found / min(FIRST, len(each.answers)))
    return _means(shares)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=None, help="a folder of real chats")
    parser.add_argument("--vectors", type=Path, default=None, help="keep vectors here, so that a second run is quick")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    with CachedEmbedder.open(options.vectors) as embedder:
        report = {}
        for way, ranking in (("agentmem", RankingWeights()), ("without time", RankingWeights(time=0.0))):
            report[way] = run(options.notes, options.seed, embedder, ranking)
            if options.data is not None:
                report[way] |= of_chats(options.data, options.seed, embedder, ranking)
    table = Table("kind", "questions", *report)
    for kind, found in report["agentmem"].items():
        table.add_row(kind, str(found["questions"]), *(f"{figures[kind]['r10']:.3f}" for figures in report.values()))
    Console().print(table)
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
