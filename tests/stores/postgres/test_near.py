"""Large scopes are searched by a graph in the database: nearly as exactly, and of their owner alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from agentmem import Memory
from agentmem.embedding.embedders import HashEmbedder
from agentmem.notes.note import Scope
from agentmem.settings import IndexSettings, Settings
from agentmem.stores.postgres.store import PostgresStore
from agentmem.testing.stores import StoreConformance

ANA, BEN = Scope(user="ana"), Scope(user="ben")


@pytest.fixture
def store(server: Any, new_schema: Callable[[], str]) -> Iterator[PostgresStore]:
    opened = PostgresStore(server.url(), schema=new_schema())
    yield opened
    opened.close()


def fill(store: PostgresStore, vectors: Any, scope: Scope, start: int) -> tuple[int, list[int]]:
    suite = StoreConformance()
    with store.write() as tx:
        tx.vectors.set_fingerprint("e", vectors.shape[1])
        owner = suite.owner(tx, scope)
        rows = [tx.notes.insert(suite.note(start + i, scope=scope), owner, b"%d" % i) for i in range(len(vectors))]
        tx.text.put_many((row, owner, "x", "") for row in rows)
        tx.vectors.put(rows, owner, vectors)
        tx.outbox.put("upsert", owner, rows)
    return owner, rows


def test_the_nearest_of_one_owner_are_found_among_those_of_others(store: PostgresStore) -> None:
    """Recall of the first ten, of an owner with a tenth of all vectors: at least .95 of an exact scan's, and nobody else's."""
    unit = StoreConformance().unit
    many, few = unit(3000, seed=1), unit(300, seed=2)
    ana, _ = fill(store, many, ANA, 0)
    ben, rows = fill(store, few, BEN, 5000)
    assert store.near.health() == "empty"
    assert store.near.apply() == 3300
    assert store.near.health() == "ok"
    found = 0
    for query in unit(40, seed=3):
        exact = {rows[place] for place in np.argsort(-(few @ query), kind="stable")[:10]}
        near = store.near.search(ben, query, 10)
        assert len(near) == 10
        assert {row for row, _ in near} <= set(rows)
        assert [cosine for _, cosine in near] == sorted((cosine for _, cosine in near), reverse=True)
        found += len(exact & {row for row, _ in near})
    assert found / 400 >= 0.95
    assert store.near.count(ana) == 3000
    assert store.near.compare() == []


def test_what_is_deleted_is_found_no_more_and_what_comes_is_found_when_applied(store: PostgresStore) -> None:
    unit = StoreConformance().unit
    vectors = unit(60, seed=1)
    owner, rows = fill(store, vectors, ANA, 0)
    store.near.rebuild()
    with store.write() as tx:
        tx.notes.delete([rows[0]])
    assert rows[0] not in {row for row, _ in store.near.search(owner, vectors[0], 60)}
    _, more = fill(store, unit(1, seed=9), ANA, 100)
    assert store.near.apply() == 1
    assert store.near.search(owner, unit(1, seed=9)[0], 1)[0][0] == more[0]
    assert store.near.compare() == []


def test_a_graph_of_another_embedder_is_not_asked(store: PostgresStore) -> None:
    unit = StoreConformance().unit
    owner, rows = fill(store, unit(20), ANA, 0)
    store.near.rebuild()
    with store.write() as tx:
        tx.vectors.clear()
        tx.vectors.set_fingerprint("other", 16)
        tx.vectors.put(rows, owner, unit(20, 16))
    assert store.near.health() == "damaged"
    assert store.near.search(owner, unit(1, 16)[0], 3) == []
    assert store.near.rebuild() == 20
    assert store.near.health() == "ok"
    assert len(store.near.search(owner, unit(1, 16)[0], 3)) == 3


def test_a_memory_asks_it_for_a_large_scope(server: Any) -> None:
    """And says so; what it has not seen yet is found as well."""
    settings = Settings(index=IndexSettings(exact_limit=100, batch=10))
    make(server)
    with Memory(server.url("near"), embedder=HashEmbedder(), settings=settings) as memory:
        memory.remember_many(
            [f"box {number} holds {number * 7 % 1000} nails" for number in range(150)], progress=False, user="ana"
        )
        memory.flush()
        memory.remember("the kettle is in the cellar", user="ana")
        found = memory.recall("where is the kettle", user="ana", k=3)
        assert found.plan["vectors"] == "hnsw"
        assert found[0].note.content == "the kettle is in the cellar"
        assert not found.degraded
        assert not memory.check().problems


def make(server: Any) -> None:
    import psycopg

    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE near")
