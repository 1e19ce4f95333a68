"""What is recalled does not depend on where the notes are."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentmem import Memory
from agentmem.embedding.embedders import HashEmbedder
from agentmem.notes.clock import ManualClock
from agentmem.stores.postgres.store import PostgresStore
from tests.stores.conftest import START

NAMES = "Ana Ben Cora Dario Eva Femi Greta Hugo".split()
DOES = "visited bought repaired forgot painted sold lost found borrowed cooked".split()
WHAT = "the red bicycle, a jar of plums, the old piano, her winter coat, three maps, the garden gate, a stray cat, the blue kettle".split(
    ", "
)
WHERE = "in Porto, at the market, before breakfast, with her sister, near the river, on a Sunday, in the rain, at work".split(
    ", "
)


def fill(memory: Memory) -> None:
    rng = random.Random(3)
    for number in range(400):
        actor = rng.choice(NAMES)
        text = f"{actor} {rng.choice(DOES)} {rng.choice(WHAT)} {rng.choice(WHERE)}" + (
            f" and said {rng.choice(WHAT)} is gone" if number % 3 else ""
        )
        memory.remember(
            text, user=rng.choice(["u", "v"]), actor=actor, session=f"s{number // 20}", importance=rng.random()
        )


def test_both_stores_recall_the_same(server: Any, new_schema: Callable[[], str], tmp_path: Path) -> None:
    """The first ten of 120 questions, over 400 notes of two people: agreement of at least .99."""
    embedder, agreed, asked = HashEmbedder(), 0, 0
    store = PostgresStore(server.url(), schema=new_schema(), clock=ManualClock(START))
    with (
        Memory(tmp_path / "a", embedder=embedder, clock=ManualClock(START)) as first,
        Memory(tmp_path / "b", embedder=embedder, clock=ManualClock(START), store=store) as second,
    ):
        for memory in (first, second):
            fill(memory)
        rng = random.Random(4)
        for _ in range(120):
            query = f"{rng.choice(['who', 'when', rng.choice(NAMES)])} {rng.choice(DOES)} {rng.choice(WHAT)} {rng.choice([*WHERE, ''])}"
            user = rng.choice(["u", "v"])
            here, there = (
                [hit.note.content for hit in memory.recall(query, user=user, k=10)] for memory in (first, second)
            )
            assert len(here) == len(there) == 10
            agreed += len(set(here) & set(there))
            asked += 10
    assert agreed / asked >= 0.99
