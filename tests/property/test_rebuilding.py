"""Incremental writing and a rebuild make the same projections, by content, after any program of verbs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory, Settings
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import LinkRow
from agentmem.projections.links import WordLinks
from agentmem.settings import RememberSettings

NAMES = ("Ana", "Bruno", "Clara", "Dario")
PLACES = ("Porto", "Bergen", "Lisbon", "Oslo", "Kyoto")
THINGS = ("green tea", "chess", "the violin", "long walks", "old maps")
TIMES = ("yesterday", "last week", "on March 3", "two months ago", "yesterday and the day before yesterday")
TIGHT = Settings(
    remember=RememberSettings(similar=0.35, max_similar=2, max_shared=2, rare=3, near_duplicate=0.97, batch=7)
)
USERS = ("u1", "u2")


class Program:
    """Random verbs on one memory, and what a person linked along the way."""

    def __init__(self, directory: Path, seed: int, settings: Settings = TIGHT, embedder: str | None = "hash") -> None:
        self.rng, self.directory, self.seed = random.Random(seed), directory, seed
        self.clock = ManualClock()
        self.memory = Memory(directory / f"m{seed}", embedder=embedder, settings=settings, clock=self.clock)
        self.other = Memory(None, embedder=embedder, settings=settings, clock=self.clock)
        self.ids: list[tuple[str, str]] = []
        self.said: list[str] = []

    def text(self) -> str:
        rng = self.rng
        if self.said and rng.random() < 0.15:
            return rng.choice(self.said)
        name, place, thing = rng.choice(NAMES), rng.choice(PLACES), rng.choice(THINGS)
        forms = (
            f"{name} lives in {place}.",
            f"{name} likes {thing}.",
            f"{name} saw {rng.choice(NAMES)} in {place} and they spoke of {thing}.",
            f"{name} went to {place} {rng.choice(TIMES)}.",
        )
        self.said.append(
            rng.choice(forms) if rng.random() < 0.7 else f"{rng.choice(forms)} It was number {rng.randrange(90)}."
        )
        return self.said[-1]

    def item(self) -> dict[str, Any]:
        item: dict[str, Any] = {"content": self.text()}
        if self.rng.random() < 0.5:
            item["session"] = self.rng.choice(("s1", "s2"))
        if self.rng.random() < 0.3:
            item["occurred_at"] = f"2026-0{self.rng.randrange(1, 10)}-11T10:00:00+00:00"
        return item

    def run(self, steps: int) -> None:
        verbs = self.verbs()
        for _ in range(steps):
            self.clock.advance(seconds=60)
            self.rng.choice(verbs)()

    def verbs(self) -> tuple[Callable[[], None], ...]:
        return (
            (self.remember,) * 5
            + (self.update,) * 3
            + (self.forget,) * 3
            + (self.link, self.reinforce, self.reinforce, self.bring, self.fade)
        )

    def remember(self) -> None:
        user = self.rng.choice(USERS)
        items = [self.item() for _ in range(self.rng.choice((1, 1, 3, 9)))]
        receipts = self.memory.remember_many(items, user=user, progress=False)
        self.ids += [(str(r.id), user) for r in receipts if r.id and (str(r.id), user) not in self.ids]

    def update(self) -> None:
        if self.ids:
            id, user = self.rng.choice(self.ids)
            self.memory.update(id, self.text(), user=user)

    def forget(self) -> None:
        if self.ids:
            user = self.rng.choice(USERS)
            mine = [each for each in self.ids if each[1] == user]
            chosen = self.rng.sample(mine, min(len(mine), self.rng.choice((1, 1, 1, 4))))
            if chosen:
                self.memory.forget([id for id, _ in chosen], user=user)
                self.ids = [each for each in self.ids if each not in chosen]

    def link(self) -> None:
        user = self.rng.choice(USERS)
        mine = [id for id, whose in self.ids if whose == user]
        if len(mine) > 1:
            a, b = self.rng.sample(mine, 2)
            self.memory.link(
                a, b, self.rng.choice(("similar", "next", "shares", "user")), reason="because", weight=0.42, user=user
            )

    def reinforce(self) -> None:
        user = self.rng.choice(USERS)
        mine = [id for id, whose in self.ids if whose == user]
        used = self.rng.sample(mine, min(3, len(mine)))
        asked = f"Where is {self.rng.choice(NAMES)}?" if self.rng.random() < 0.7 else self.text()
        said = " ".join(self.memory.get(id, user=user).content for id in used)
        self.memory.reinforce(used, user=user, question=asked, answer=said or "Nowhere.")

    def bring(self) -> None:
        """Notes of another memory, with its links, between and after those that are there."""
        user = self.rng.choice(USERS)
        self.other.remember_many([self.item() for _ in range(4)], user=user, progress=False)
        path = self.directory / f"{self.seed}.jsonl"
        self.other.export(path, user=user, vectors=self.rng.random() < 0.5)
        self.memory.load_export(path, user=user)
        known = {id for id, _ in self.ids}
        self.ids += [(note.id, user) for note in self.memory.notes(user=user) if note.id not in known]

    def fade(self) -> None:
        self.clock.advance(days=1)
        self.memory.fade()


def links(memory: Memory, *, derived: bool) -> list[tuple[Any, ...]]:
    """Links with their ends by row: whichever way they were made, no bit of a weight differs."""
    with memory._parts.core.store.read() as tx:
        rows = tx.notes.select_all()
        held = [link for link in tx.links.touching(rows) if link.derived is derived]
    return sorted(held)


def projections(memory: Memory) -> dict[str, Any]:
    with memory._parts.core.store.read() as tx:
        rows = tx.notes.select_all()
        found, vectors = tx.vectors.load(rows)
        terms = tx.terms.of(rows)
        readings = tx.readings.times(rows), tx.readings.asking(rows, anew=True)
    with memory._parts.core.store._db.transaction(write=False):
        text = memory._parts.core.store._db.rows("SELECT row, owner, content, context FROM words ORDER BY row")
    return {"links": links(memory, derived=True), "kept": links(memory, derived=False), "terms": terms, "readings": readings, "text": text,
            "vectors": (found.tolist(), vectors.tolist())}  # fmt: skip


def unlike(memory: Memory) -> list[Any]:
    with memory._parts.core.store.read() as tx:
        missing, left = WordLinks(memory._parts.core, tx).differences(tx.notes.select_all())
    return [*missing, *left]


def anew(memory: Memory) -> tuple[list[LinkRow], list[LinkRow]]:
    """The links that words made while it was written, and those that they make of the notes as they are; a person's stand in the place of some."""
    core = memory._parts.core
    with core.store.read() as tx:
        rows = tx.notes.select_all()
        there = {link[:3]: link for link in tx.links.touching(rows)}
        made = [link for links in WordLinks(core, tx).of(rows).values() for link in links]
    return sorted(k for k in there.values() if k.derived), sorted(
        k for k in made if k[:3] not in there or there[k[:3]].derived
    )


SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 200))]


@pytest.fixture(params=SEEDS)
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path, request.param)
    yield made
    made.memory.close()
    made.other.close()


def test_rebuilding_changes_nothing(program: Program) -> None:
    """After any program of verbs a rebuild of a projection finds everything as it would make it: links with kind, weight and reason,
    terms, readings, full text, vectors; and links made by people, by use and by history stay.
    """
    for _ in range(3):
        program.run(12)
        memory = program.memory
        assert unlike(memory) == []
        held, made = anew(memory)
        assert held == made  # to the last bit
        before = projections(memory)
        for projection in ("graph", "text", "readings", "vectors"):
            memory.rebuild(projection)
        after = projections(memory)

        for name, content in before.items():
            assert content == after[name], name
        assert memory.check(deep=True).ok, memory.check(deep=True)
