"""A year of one user's facts under four policies: never, always, most frequent, and the default.

python -m benchmarks.policies --seeds 20 --out benchmarks/results/policies.json

A simulation of what the policy decides from, not of a language model: facts of several kinds come, are asked for, change and
turn out to be false; every Sunday the policy decides on each. What an edit and a recalled note are worth is given
by the parameters of `Odds`, which are printed with the result.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from statistics import fmean

from agentmem.consolidation.policy import DefaultPolicy, Policy, Signals
from agentmem.consolidation.strategies import AlwaysPolicy, MostFrequentPolicy, NeverPolicy

DAYS = 365
NOTES_TOKENS, BARE_TOKENS, NOTE_TOKENS = 130, 15, 20


@dataclass(frozen=True)
class Odds:
    """How often an answer is right: from an edit, from recalled notes, and from a model that knows the fact anyway."""

    edit: float = 0.97
    retrieval: float = 0.85
    known: float = 0.95


@dataclass(frozen=True)
class Species:
    """A kind of fact: its share, uses per day, and what is peculiar about it."""

    name: str
    share: float
    uses_per_day: float
    trust: float = 1.0
    volatile: bool = False
    secret: bool = False
    known: bool = False
    changes_per_year: float = 0.0
    false: float = 0.0


SPECIES = (
    Species("habit", 0.2, 0.12),
    Species("now and then", 0.25, 0.02),
    Species("hardly ever", 0.2, 0.002),
    Species("burst, then silence", 0.1, 0.0),
    Species("changes", 0.08, 0.06, changes_per_year=2.0),
    Species("passing state", 0.07, 0.08, volatile=True, changes_per_year=40.0),
    Species("hearsay", 0.04, 0.05, trust=0.3, false=0.5),
    Species("secret", 0.02, 0.05, secret=True),
    Species("common knowledge", 0.04, 0.06, known=True),
)


@dataclass
class FactLife:
    """A fact and what the registry would hold of it."""

    number: int
    species: Species
    born: int
    wrong: bool
    version: int = 0
    changed: int = 0
    uses: list[int] = field(default_factory=list)
    edit: int | None = None


@dataclass
class Tally:
    """What a year cost and brought."""

    asked: int = 0
    right: int = 0
    tokens: int = 0
    written: int = 0
    undone: int = 0
    held: int = 0
    secrets: int = 0


class Year:
    """One simulated year under one policy; the same seed gives every policy the same facts and questions."""

    def __init__(self, policy: Policy, seed: int, odds: Odds, per_day: float = 1.2, capacity: int = 150) -> None:
        self.policy, self.odds, self.capacity = policy, odds, capacity
        self.per_day = per_day
        self.world, self.luck = Random(seed), Random(seed + 1)
        self.facts: list[FactLife] = []
        self.tally = Tally()

    def run(self) -> Tally:
        """Live through the year."""
        for day in range(DAYS):
            self._new_facts(day)
            for fact in self.facts:
                self._change(fact, day)
                for _ in range(self._times(fact, day)):
                    self._ask(fact, day)
            if day % 7 == 6:
                self._consolidate(day)
        self.tally.held = sum(fact.edit is not None for fact in self.facts)
        return self.tally

    def _new_facts(self, day: int) -> None:
        count = int(self.per_day) + (self.world.random() < self.per_day % 1)
        for _ in range(count):
            species = self.world.choices(SPECIES, [s.share for s in SPECIES])[0]
            wrong = self.world.random() < species.false
            self.facts.append(FactLife(len(self.facts), species, day, wrong, changed=day))

    def _change(self, fact: FactLife, day: int) -> None:
        if self.world.random() < fact.species.changes_per_year / DAYS:
            fact.version, fact.changed = fact.version + 1, day
            if fact.edit is not None:
                # A changed note takes its edit out at once, whatever the policy: nothing stale is ever served.
                fact.edit = None
                self.tally.undone += 1

    def _times(self, fact: FactLife, day: int) -> int:
        rate = fact.species.uses_per_day
        if fact.species.name.startswith("burst"):
            rate = 2.0 if day - fact.born < 3 else 0.001
        count, left = 0, self.world.random()
        limit = math.exp(-rate)
        while left > limit and count < 8:
            left *= self.world.random()
            count += 1
        return count

    def _ask(self, fact: FactLife, day: int) -> None:
        tally, odds = self.tally, self.odds
        tally.asked += 1
        lucky = self.luck.random()
        if fact.edit is not None:
            tally.tokens += BARE_TOKENS
            right = lucky < odds.edit
        else:
            tally.tokens += NOTES_TOKENS
            right = lucky < (odds.known if fact.species.known else odds.retrieval)
        tally.right += right and not fact.wrong
        if right:
            fact.uses.append(day)

    def _consolidate(self, day: int) -> None:
        held = sum(fact.edit is not None for fact in self.facts)
        decided = [(fact, self.policy.decide(self._signals(fact, day, self.capacity - held))) for fact in self.facts]
        for fact, decision in decided:
            if decision.action == "demote" and fact.edit is not None:
                fact.edit = None
                held -= 1
                self.tally.undone += 1
        chosen = [(fact, d) for fact, d in decided if d.action == "promote"]
        for fact, _ in sorted(chosen, key=lambda pair: (-pair[1].score, pair[0].number))[: self.capacity - held]:
            fact.edit = fact.version
            self.tally.written += 1
            self.tally.secrets += fact.species.secret

    def _signals(self, fact: FactLife, day: int, left: int) -> Signals:
        recent = [d for d in fact.uses if day - d <= 90]
        silence = day - (fact.uses[-1] if fact.uses else fact.born)
        return Signals(
            note_id=str(fact.number),
            label=fact.species.name,
            probes=4,
            trust=fact.species.trust,
            secret=fact.species.secret,
            volatile=fact.species.volatile,
            age_hours=24.0 * (day - fact.born),
            unchanged_hours=24.0 * (day - fact.changed),
            uses=len(recent),
            use_days=len(set(recent)),
            tokens=NOTE_TOKENS * len(recent),
            retrievability=(1 + silence / (9 * (1 + len(fact.uses)))) ** -1,
            known=0.95 if fact.species.known else 0.0,
            promoted=fact.edit is not None,
            capacity_left=left,
        )


POLICIES: dict[str, Callable[[], Policy]] = {
    "never": NeverPolicy,
    "always": AlwaysPolicy,
    "most frequent": MostFrequentPolicy,
    "default": DefaultPolicy,
}


def compare(seeds: int, odds: Odds) -> dict[str, dict[str, float]]:
    """Means over the seeds, per policy."""
    rows = {}
    for name, policy in POLICIES.items():
        years = [Year(policy(), 1000 * seed, odds).run() for seed in range(seeds)]
        rows[name] = {
            "accuracy": round(fmean(y.right / y.asked for y in years), 4),
            "prompt tokens per answer": round(fmean(y.tokens / y.asked for y in years), 1),
            "edits written": round(fmean(y.written for y in years), 1),
            "edits undone": round(fmean(y.undone for y in years), 1),
            "edits held at the end": round(fmean(y.held for y in years), 1),
            "secrets written": round(fmean(y.secrets for y in years), 1),
            "questions": round(fmean(y.asked for y in years), 0),
        }
    return rows


def main() -> None:
    """Parse the command line, simulate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    rows = compare(options.seeds, Odds())
    names = list(next(iter(rows.values())))
    print(f"{'policy':15}" + "".join(f"{name:>26}" for name in names))
    for policy, row in rows.items():
        print(f"{policy:15}" + "".join(f"{row[name]:>26}" for name in names))
    if options.out:
        result = {
            "odds": asdict(Odds()),
            "species": [asdict(s) for s in SPECIES],
            "seeds": options.seeds,
            "policies": rows,
        }
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
