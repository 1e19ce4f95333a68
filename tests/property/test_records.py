"""Records behave as a plain dict of values with lifetimes, whatever is done, and wherever they are taken."""

from __future__ import annotations

import copy
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory, Record
from agentmem.keyed.filters import matches, parse
from agentmem.notes.clock import ManualClock
from agentmem.stores.dicts import DictStore

SCOPES: tuple[dict[str, str], ...] = (
    {"user": "ana"},
    {"user": "ben"},
    {"user": "ana", "agent": "cook"},
    {"agent": "cook"},
)
NAMESPACES = (("a",), ("a", "b"), ("a", "b", "c"), ("ab",), ("a*",), ("x y", "ü"))
KEYS = ("k", "K", "k%", "k_", "ключ")
WORDS = ("boat", "house", "Porto", "red", "blue", "letter")
FILTERS: tuple[Any, ...] = (
    None,
    {"n": {"$gte": 3}},
    {"d.e": "red"},
    {"$or": [{"n": 1}, {"l": {"$contains": "blue"}}]},
    {"$not": {"n": {"$lt": 4}}},
)
Place = tuple[tuple[tuple[str, str], ...], tuple[str, ...], str]


class Program:
    """Random verbs on one memory and on a dict: (scope, namespace, key) to (value, since, put, ttl, end, id, has a text)."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.rng, self.path, self.clock = random.Random(seed), directory / str(seed), ManualClock()
        self.memory = Memory(self.path, embedder="hash", clock=self.clock)
        self.model: dict[Place, dict[str, Any]] = {}

    def place(self) -> Place:
        rng = self.rng
        return tuple(sorted(rng.choice(SCOPES).items())), rng.choice(NAMESPACES), rng.choice(KEYS)

    def value(self) -> dict[str, Any]:
        rng = self.rng
        value: dict[str, Any] = {
            "n": rng.randrange(6),
            "l": rng.sample(WORDS, 2),
            "d": {"e": rng.choice(WORDS), "f": None},
        }
        return {name: value[name] for name in rng.sample(list(value), rng.randrange(4))}

    def live(self) -> dict[Place, dict[str, Any]]:
        now = self.clock.now()
        return {place: kept for place, kept in self.model.items() if kept["end"] is None or kept["end"] > now}

    def step(self) -> None:
        self.clock.advance(seconds=self.rng.choice((1, 20, 90)))
        verbs = (self.put,) * 6 + (self.delete, self.refresh, self.sweep, self.remember, self.look, self.look)
        self.rng.choice(verbs)()

    def put(self) -> None:
        rng = self.rng
        scope = dict(rng.choice(SCOPES))
        items, now = [], self.clock.now()
        for _ in range(rng.choice((1, 1, 1, 4))):
            _, namespace, key = self.place()
            ttl = rng.choice((None, None, 1, 3, timedelta(minutes=8)))
            items.append(
                {
                    "namespace": namespace,
                    "key": key,
                    "value": self.value(),
                    "ttl": ttl,
                    "index": rng.choice((None, None, False, ["l"], ["n"])),
                }
            )
        before, said = self.live(), [copy.deepcopy(item["value"]) for item in items]
        records = self.memory.put_many(items, **scope) if len(items) > 1 else [self.memory.put(**items[0], **scope)]
        for item, value, record in zip(items, said, records, strict=True):
            place = (tuple(sorted(scope.items())), item["namespace"], item["key"])
            ttl = (
                item["ttl"]
                if isinstance(item["ttl"], timedelta)
                else None
                if item["ttl"] is None
                else timedelta(minutes=item["ttl"])
            )
            old = before.get(place)
            assert old is None or old["id"] == record.id, "an id changed"
            self.model[place] = {
                "value": value, "since": old["since"] if old else now, "put": now, "ttl": ttl, "end": None if ttl is None else now + ttl,
                "id": record.id,
            }  # fmt: skip

    def delete(self) -> None:
        scope, namespace, key = self.place()
        receipt = self.memory.delete(namespace, key, **dict(scope))
        kept = self.model.pop((scope, namespace, key), None)
        assert set(receipt.ids) <= ({kept["id"]} if kept else set())
        assert receipt.gone or not receipt.ids

    def refresh(self) -> None:
        scope, namespace, key = self.place()
        self.memory.get(namespace, key, refresh=True, **dict(scope))
        kept = self.live().get((scope, namespace, key))
        if kept and kept["ttl"] is not None:
            kept["end"] = self.clock.now() + kept["ttl"]

    def sweep(self) -> None:
        gone = self.model.keys() - self.live().keys()
        assert self.memory.sweep() >= 0
        assert self.memory.sweep() == 0
        for place in gone:
            del self.model[place]

    def remember(self) -> None:
        self.memory.remember(
            f"The {self.rng.choice(WORDS)} is {self.rng.choice(WORDS)}.", facts=False, **self.rng.choice(SCOPES)
        )

    def look(self) -> None:
        self.compare(self.memory, self.rng.choice(SCOPES))

    def compare(self, memory: Memory, scope: dict[str, str]) -> None:
        """Everything that can be asked of one scope."""
        mine = {(n, k): kept for (s, n, k), kept in self.live().items() if s == tuple(sorted(scope.items()))}
        for namespace in NAMESPACES:
            for key in KEYS:
                found = memory.get(namespace, key, **scope)
                assert (found is None) == ((namespace, key) not in mine)
                assert found is None or _is(found, mine[namespace, key])
        prefix, where = self.rng.choice(((), *NAMESPACES)), self.rng.choice(FILTERS)
        wanted = {
            (n, k)
            for (n, k), kept in mine.items()
            if n[: len(prefix)] == prefix and matches(parse(where), kept["value"])
        }
        every = memory.search(prefix, filter=where, limit=1000, **scope)
        assert {(r.namespace, r.key) for r in every} == wanted
        assert len(every) == len(wanted)
        assert [r.updated_at for r in every] == sorted((r.updated_at for r in every), reverse=True)
        start, size = self.rng.randrange(4), self.rng.randrange(1, 5)
        assert memory.search(prefix, filter=where, limit=size, offset=start, **scope) == every[start : start + size]
        near = memory.search(prefix, "red boat", where, unscored=True, limit=1000, **scope)
        assert {(r.namespace, r.key) for r in near} == wanted
        assert memory.list_namespaces(**scope) == sorted({n for n, _ in mine})
        told = [h.note.id for h in memory.recall("red boat in Porto", k=500, **scope)]
        assert len(told) == len(set(told))
        theirs = {kept["id"] for kept in self.model.values()} - {kept["id"] for kept in self.live().values()}
        assert theirs.isdisjoint(told)
        assert {r.id for r in near if r.score is None}.isdisjoint(told)

    def reopened(self) -> None:
        self.memory.close()
        self.memory = Memory(self.path, embedder="hash", clock=self.clock)


def _is(found: Record, kept: dict[str, Any]) -> bool:
    held: tuple[Any, datetime, datetime, datetime | None, str] = (
        kept["value"],
        kept["since"],
        kept["put"],
        kept["end"],
        kept["id"],
    )
    assert (found.value, found.created_at, found.updated_at, found.expires_at, found.id) == held
    return repr(found.value) == repr(kept["value"])


def _played(directory: Path, seed: int, steps: int) -> None:
    program = Program(directory, seed)
    for _ in range(steps):
        program.step()
    program.reopened()
    for projection in ("vectors", "text", "graph"):
        program.memory.rebuild(projection)
        assert program.memory.check(deep=True).ok, str(program.memory.check(deep=True))
    path = directory / f"{seed}.jsonl"
    program.memory.export(path, everything=True, vectors=bool(seed % 2))
    store = DictStore(clock=program.clock) if seed % 2 else None  # any store keeps them
    with Memory(None, embedder="hash", clock=program.clock, store=store) as other:
        assert other.load_export(path).conflicts == []
        assert other.load_export(path).notes == 0
        for scope in SCOPES:
            program.compare(program.memory, scope)
            program.compare(other, scope)
        assert other.check(deep=True).ok, str(other.check(deep=True))
        program.memory.close()
        program.memory = other  # what came from the file goes on as what was written here
        for _ in range(steps // 2):
            program.step()
        for scope in SCOPES:
            program.compare(other, scope)
        assert other.check(deep=True).ok


@pytest.mark.parametrize("seed", range(3))
def test_records_are_what_a_dict_would_hold(tmp_path: Path, seed: int) -> None:
    _played(tmp_path, seed, 50)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
def test_records_are_what_a_dict_would_hold_for_longer(tmp_path: Path, seed: int) -> None:
    _played(tmp_path, seed, 150)
