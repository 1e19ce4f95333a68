"""A memory comes back from its own export byte for byte, whatever was done with it before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from agentmem import Fact, Memory, Settings
from agentmem.settings import RememberSettings
from agentmem.transfer.restored_links import TakenOver
from tests.property.test_rebuilding import NAMES, PLACES, THINGS, TIGHT, USERS, Program

KEY = "0123456789abcdef"
WIDE = Settings()
OUTGROWN = Settings(remember=RememberSettings(similar=0.3, max_similar=3, neighbour_limit=12, batch=5))
WAYS: tuple[dict[str, Any], ...] = ({"trust": "trusted"}, {"key": KEY})


class Life(Program):
    """Also notes that are alike, that end and take the place of each other; of all kinds, by agents, met by acting, linked as if by words."""

    def verbs(self) -> tuple[Callable[[], None], ...]:
        return (
            *super().verbs(),
            self.alike,
            self.alike,
            self.fact,
            self.fact,
            self.end,
            self.act,
            self.act,
            self.kind,
            self.claim,
        )

    def _say(self, item: Any, **how: Any) -> None:
        user = self.rng.choice(USERS)
        receipt = self.memory.remember(item, user=user, **how)
        if receipt.id and (str(receipt.id), user) not in self.ids:
            self.ids.append((str(receipt.id), user))

    def update(self) -> None:
        """Of what was done nothing is reworded."""
        with self.memory._parts.core.store.read() as tx:
            acted = tx.notes.ids_of(sorted(tx.experiences.among(tx.notes.select_all()))).values()
        self.ids = [each for each in self.ids if each[0] not in acted]
        super().update()

    def alike(self) -> None:
        number = self.rng.randrange(1000)
        items = [
            f"The office number {number + i} is in {self.rng.choice(PLACES)} near the river."
            for i in range(self.rng.choice((1, 4, 12)))
        ]
        user = self.rng.choice(USERS)
        self.ids += [
            (str(r.id), user)
            for r in self.memory.remember_many(items, user=user, progress=False)
            if r.status == "stored"
        ]

    def fact(self) -> None:
        name, place = self.rng.choice(NAMES), self.rng.choice(PLACES)
        self._say(
            f"{name} lives in {place} now.",
            fact=Fact(name, "lives in", place),
            idempotency_key=f"k{self.rng.randrange(40)}",
        )

    def end(self) -> None:
        self._say(f"{self.rng.choice(NAMES)} no longer lives in {self.rng.choice(PLACES)}.")

    def act(self) -> None:
        said = {"user": self.rng.choice(USERS), "agent": self.rng.choice((None, "cook"))}
        self.memory.experience.record(
            "Tidy up.",
            f"a mug in {self.rng.choice(PLACES)}",
            f"take {self.rng.choice(THINGS)}",
            self.rng.random(),
            None,
            **said,
        )

    def kind(self) -> None:
        how = {
            "kind": self.rng.choice(("semantic", "episodic")),
            "importance": self.rng.random(),
            "trust": self.rng.random(),
        }
        self._say(
            self.text(), agent=self.rng.choice((None, "cook")), tags=["t"], metadata={"n": self.rng.random()}, **how
        )

    def claim(self) -> None:
        """A person's link where words have made one, or could."""
        user = self.rng.choice(USERS)
        with self.memory._parts.core.store.read() as tx:
            rows = tx.notes.rows_of([id for id, whose in self.ids if whose == user])
            made = [link for link in tx.links.touching(sorted(rows.values()), ("similar", "shares")) if link.derived]
            ids = {row: id for id, row in rows.items()}
        mine = [link for link in made if link.source in ids and link.target in ids]
        if mine:
            link = self.rng.choice(mine)
            self.memory.link(ids[link.source], ids[link.target], link.kind, reason="as I say", weight=0.33, user=user)


def body(path: Path) -> list[bytes]:
    """All but the header, which holds the time, and the signature, which signs it."""
    return [line for line in path.read_bytes().splitlines()[1:] if not line.startswith(b'{"type":"signature"')]


def unequal(life: Program, *, embedder: str | None, settings: Settings) -> list[tuple[Any, ...]]:
    """Exports of the memory, and of a copy restored from them, line by line where they differ; every way to restore, with and without vectors."""
    found: list[tuple[Any, ...]] = []
    for number, way in enumerate(WAYS):
        for vectors in (False, True):
            first, second = (
                life.directory / f"{name}{life.seed}-{number}{vectors}.jsonl" for name in ("first", "second")
            )
            life.memory.export(first, everything=True, vectors=vectors, evidence=True, key=KEY)
            with Memory(None, embedder=embedder, settings=settings, clock=life.clock) as copy:
                report = copy.load_export(first, **way)
                assert (report.conflicts, report.forgotten) == ([], [])
                copy.export(second, everything=True, vectors=vectors, evidence=True, key=KEY)
                assert life.memory.check().ok <= copy.check().ok, copy.check()
            pairs = (
                zip(body(first), body(second), strict=True)
                if len(body(first)) == len(body(second))
                else [(len(body(first)), len(body(second)))]
            )
            found += [(way, vectors, a, b) for a, b in pairs if a != b]
    return found


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Callable[..., Life]]:
    with ExitStack() as stack:

        def begin(seed: int, settings: Settings, embedder: str | None = "hash") -> Life:
            life = Life(tmp_path, seed, settings, embedder)
            for memory in (life.memory, life.other):
                stack.enter_context(closing(memory))
            return life

        yield begin


SEEDS = [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 40))]
SETTINGS = {"tight": TIGHT, "usual": WIDE, "outgrown": OUTGROWN}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_an_export_comes_back_byte_for_byte(lives: Callable[..., Life], seed: int, settings: Settings) -> None:
    """After any program of verbs; also of owners with more notes than are compared with each other."""
    life = lives(seed, settings)
    life.run(30)

    assert unequal(life, embedder="hash", settings=settings) == []


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))])
def test_with_a_model_an_export_comes_back_byte_for_byte(lives: Callable[..., Life], seed: int) -> None:
    """Where vectors that are computed in another batch have other last digits."""
    life = lives(seed, WIDE, None)
    life.alike()
    life.run(12)

    assert unequal(life, embedder=None, settings=WIDE) == []


def test_links_of_an_owner_who_has_outgrown_are_not_made_anew(
    lives: Callable[..., Life], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows from the notes and the settings here is not always what the file has: without taking that over, lines differ."""
    life = lives(0, OUTGROWN)
    life.run(30)
    monkeypatch.setattr(TakenOver, "links", lambda *_: 0)
    monkeypatch.setattr(TakenOver, "end", lambda *_: 0)

    assert unequal(life, embedder="hash", settings=OUTGROWN)
