"""Indexes in memory that several views of one store share: each view finds what it sees in the tables, however old it is and whoever writes."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from agentmem.notes.note import Scope
from agentmem.records.transaction import Transaction
from agentmem.stores.postgres.store import PostgresStore
from agentmem.stores.text.text import TextIndex
from agentmem.stores.vectors.exact import ExactIndex
from agentmem.testing.stores import StoreConformance

WORDS = "apples bread candle dune ember flute".split()
SUITE = StoreConformance()
ANA, BEN = Scope(user="ana"), Scope(user="ben")


class Stop(Exception):
    """Makes a write fail."""


class Watched:
    """A store with both indexes, and what is asked of them."""

    def __init__(self, store: PostgresStore, rng: random.Random) -> None:
        self.store, self.rng = store, rng
        self.exact, self.text = ExactIndex(store), TextIndex(store)
        with store.write() as tx:
            tx.vectors.set_fingerprint("e", 8)
            self.owners = [SUITE.owner(tx, scope) for scope in (ANA, BEN)]
        self.number = 0

    def add(self, tx: Transaction, owner: int) -> int:
        self.number += 1
        row = tx.notes.insert(
            SUITE.note(self.number, scope=(ANA, BEN)[self.owners.index(owner)]), owner, b"%d" % self.number
        )
        self.give(tx, row, owner)
        return row

    def give(self, tx: Transaction, row: int, owner: int) -> None:
        """New words and a new vector; of some notes passages as well."""
        tx.text.put(row, owner, " ".join(self.rng.choices(WORDS, k=3)), "")
        vectors = np.array([[self.rng.gauss(0, 1) for _ in range(8)] for _ in range(3)], np.float32)
        tx.vectors.put([row], owner, vectors[:1])
        if row % 3 == 0:
            tx.passages.put(row, owner, vectors[1:])

    def change(self, tx: Transaction) -> None:
        owner = self.rng.choice(self.owners)
        rows = [row for row in tx.notes.select_all() if tx.notes.owners_of([row])[row] == owner]
        what = self.rng.choice(["add", "add", "give", "delete"])
        if what == "add" or not rows:
            self.add(tx, owner)
        elif what == "give":
            self.give(tx, self.rng.choice(rows), owner)
        else:
            tx.notes.delete([self.rng.choice(rows)])

    def look(self, tx: Transaction) -> None:
        """What is found is what indexes find that were made for this view alone."""
        for owner in self.rng.sample(self.owners, 2):
            query = np.array([self.rng.gauss(0, 1) for _ in range(8)], np.float32)
            word = self.rng.choice(WORDS)
            assert self._found(self.exact, tx, owner, query) == self._found(ExactIndex(self.store), tx, owner, query)
            assert self._read(self.text, tx, owner, word) == self._read(TextIndex(self.store), tx, owner, word)

    def _found(self, index: ExactIndex, tx: Transaction, owner: int, query: Any) -> Any:
        rows, cosines = index.search(tx, (owner,), query, 50, passages=True)
        return (
            rows.tolist(),
            np.round(cosines, 4).tolist(),
            index.count(tx, (owner,), 1000),
            sorted(index.by_passage(tx, (owner,), query, 50).tolist()),
        )

    def _read(self, index: TextIndex, tx: Transaction, owner: int, word: str) -> Any:
        return [(row, round(score, 9)) for row, score in index.search(tx, [word], (owner,), 50)]


@pytest.fixture
def store(server: Any, new_schema: Callable[[], str]) -> Iterator[PostgresStore]:
    opened = PostgresStore(server.url(), schema=new_schema())
    yield opened
    opened.close()


@pytest.mark.parametrize("seed", range(6))
def test_each_view_finds_what_it_sees(store: PostgresStore, seed: int) -> None:
    """New views and old ones, inside writes, behind parts of them that failed, and behind writes that failed as a whole."""
    rng = random.Random(seed)
    watched = Watched(store, rng)
    with ExitStack() as stack:
        views = [stack.enter_context(store.snapshot()) for _ in range(2)]
        for step in range(60):
            what = rng.choice(["write", "write", "write", "view", "read", "clear" if step % 7 == 0 else "read"])
            if what == "write":
                try:
                    with store.write() as tx:
                        for _ in range(rng.randint(1, 3)):
                            try:
                                with store.write() as part:
                                    watched.change(part)
                                    if rng.random() < 0.5:
                                        watched.look(part)
                                    if rng.random() < 0.2:
                                        raise Stop  # noqa: TRY301
                            except Stop:
                                pass
                            if rng.random() < 0.5:
                                watched.look(tx)
                            watched.look(rng.choice(views))
                        if rng.random() < 0.3:
                            raise Stop  # noqa: TRY301
                except Stop:
                    pass
            elif what == "view" and len(views) < 8:
                views.append(stack.enter_context(store.snapshot()))
            elif what == "clear":
                watched.exact.clear()
                watched.text.clear()
            with store.read() as tx:
                watched.look(tx)
            watched.look(rng.choice(views))


def test_what_is_not_committed_is_seen_by_its_write_alone(store: PostgresStore) -> None:
    """Neither what it adds nor what it takes away; all of it is there for whoever begins behind its commit, and nothing of it when it failed."""
    watched = Watched(store, random.Random(1))
    owner, query = watched.owners[0], np.ones(8, np.float32)
    with store.write() as tx:
        kept, gone = watched.add(tx, owner), watched.add(tx, owner)

    def seen() -> list[int]:
        found: list[int] = []

        def look() -> None:
            with store.read() as tx:
                found.extend(watched.exact.search(tx, (owner,), query, 9)[0].tolist())

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return sorted(found)

    for fails in (True, False):
        try:
            with store.write() as tx:
                new = watched.add(tx, owner)
                tx.notes.delete([gone])
                assert sorted(watched.exact.search(tx, (owner,), query, 9)[0].tolist()) == [kept, new]
                assert seen() == [kept, gone]
                if fails:
                    raise Stop  # noqa: TRY301
        except Stop:
            pass
        assert seen() == ([kept, gone] if fails else [kept, new])


def test_what_was_deleted_is_held_by_no_index_behind_the_commit(store: PostgresStore) -> None:
    """At once, without anybody searching anew."""
    watched = Watched(store, random.Random(1))
    with store.write() as tx:
        row = watched.add(tx, watched.owners[0])
    with store.read() as tx:
        watched.exact.search(tx, watched.owners, np.ones(8, np.float32), 9)
    assert watched.exact.held([row])
    with store.write() as tx:
        tx.notes.delete([row])
        watched.exact.refresh(tx)
        assert not watched.exact.held([row])
    assert not watched.exact.held([row])


def test_an_old_view_moves_nothing_back(store: PostgresStore) -> None:
    """What all share stays loaded while a view is read that is older, also where more was changed behind it than is remembered."""
    watched, numbers = Watched(store, random.Random(1)), itertools.count(100)
    owner, query = watched.owners[0], np.ones(8, np.float32)
    with store.write() as tx:
        first = watched.add(tx, owner)
    with store.snapshot() as old:
        old.notes.count()
        with store.read() as tx:
            watched.exact.search(tx, (owner,), query, 9)
        for count in (1, 4_200, 1):  # of so many it is not remembered which they were
            with store.write() as tx:
                rows = [tx.notes.insert(SUITE.note(next(numbers), scope=ANA), owner, b"") for n in range(count)]
                tx.vectors.put(rows, owner, np.ones((count, 8), np.float32))
            with store.read() as tx:
                assert len(watched.exact.search(tx, (owner,), query, 9_000)[0]) > count
            assert watched.exact.search(old, (owner,), query, 9)[0].tolist() == [first]
        size = watched.exact.size()
        assert watched.exact.search(old, (owner,), query, 99)[0].tolist() == [first]
        with store.read() as tx:
            assert watched.exact.count(tx, (owner,), 9_000) == 4_203
        assert watched.exact.size() == size
