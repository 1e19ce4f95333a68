"""Many who read at once: nobody waits for a reader, each sees what it may, and what breaks is one connection."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import psycopg
import pytest

from agentmem import AsyncMemory, Memory
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import InvalidArgument, StoreError, StoreLocked
from agentmem.records.transaction import Transaction
from agentmem.stores.postgres.readers import Readers
from agentmem.stores.postgres.store import PostgresStore

PEOPLE = [f"u{number}" for number in range(20)]


@pytest.fixture
def store(server: Any, new_schema: Callable[[], str]) -> Iterator[PostgresStore]:
    opened = PostgresStore(server.url(), schema=new_schema())
    yield opened
    opened.close()


class Held:
    """A thread that reads until it is let go."""

    def __init__(self, store: PostgresStore) -> None:
        self._store, self._end, self._begun = store, threading.Event(), threading.Event()
        self.seen: list[str | None] = []
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        with self._store.read() as tx:
            self.seen.append(tx.meta_get("k"))
            self._begun.set()
            self._end.wait(60)
            self.seen.append(tx.meta_get("k"))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._begun.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def pid(tx: Transaction) -> int:
    return int(tx.tables._db.value("SELECT pg_backend_pid()"))  # type: ignore[attr-defined]


def end(server: Any, number: int) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (number,))
        deadline = time.monotonic() + 10
        while connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (number,)).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_reader_that_takes_its_time_holds_up_nobody(store: PostgresStore) -> None:
    """Neither others who read nor who writes; and it sees to its end what it saw at its beginning."""
    with Held(store) as held:
        for number in range(3):
            with store.write() as tx:
                tx.meta_set("k", str(number))
            with store.read() as tx:
                assert tx.meta_get("k") == str(number)
    assert held.seen == [None, None]


def test_what_a_reader_is_bound_to_binds_no_other(store: PostgresStore) -> None:
    """Two at the same moment, each bound to an owner of its own; and the next one that takes its connection is bound to nobody."""
    bound = []

    def read(owner: int) -> None:
        with store.read() as tx:
            tx.admit((owner,))
            barrier.wait(30)
            bound.append(tx.admission.owners)
            with store.read() as part:
                assert part is tx

    barrier = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(read, (1, 2, 3)))
    assert sorted(bound, key=sorted) == [{1}, {2}, {3}]
    for _ in range(3):
        with store.read() as tx:
            assert tx.admission.owners is None


def test_a_write_within_a_read_is_refused(store: PostgresStore) -> None:
    with pytest.raises(StoreError, match="inside a read"), store.read(), store.write():
        pass
    with store.write() as tx, store.read() as part:
        assert part is tx


def test_no_more_connections_than_were_allowed(server: Any, new_schema: Callable[[], str]) -> None:
    """One for writing, and so many for reading, whoever asks; none of those before somebody reads."""
    schema = new_schema()
    name = f"counted_{schema}"
    store = PostgresStore(f"{server.url()}&application_name={name}", schema=schema, readers=3)

    def count() -> int:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", (name,)
            ).fetchone()
            assert found is not None
            return int(found[0])

    def read(number: int) -> None:
        with store.read() as tx:
            assert tx.notes.count() == 0
            time.sleep(0.001 * number)

    before = count()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(read, range(64)))
    assert (before, count()) == (1, 4)
    store.close()
    assert count() == 0
    with pytest.raises(StoreError, match="closed"), store.read():
        pass


def test_who_finds_every_reader_taken_is_told_so(server: Any, new_schema: Callable[[], str]) -> None:
    """Behind a bound, in a typed error with what to do; and once one is free it goes on, whoever asked first first."""
    store = PostgresStore(server.url(), schema=new_schema(), readers=1)
    store._readers = Readers(store._reader, most=1, patience=0.2, place=store.place)
    with Held(store):
        with pytest.raises(StoreLocked) as caught, store.read():
            pass
        assert "readers=" in caught.value.hint
        assert "postgresql://" in caught.value.message
    with store.read() as tx:
        assert tx.notes.count() == 0
    store.close()


@pytest.mark.parametrize("readers", [0, -1, True, "4", 1_001])
def test_a_number_of_readers_is_a_number(server: Any, readers: Any) -> None:
    with pytest.raises(InvalidArgument, match="readers"):
        PostgresStore(server.url(), readers=readers)


def test_a_reader_whose_connection_was_ended_connects_anew(store: PostgresStore, server: Any) -> None:
    """The call that is going on fails with a typed error, the next one works; one ended between two calls is not noticed."""
    with store.read() as tx:
        first = pid(tx)
    end(server, first)
    with store.read() as tx:
        second = pid(tx)
        assert tx.notes.count() == 0
    assert second != first
    with pytest.raises(StoreError, match="connection") as caught, store.read() as tx:
        end(server, pid(tx))
        tx.notes.count()
    assert caught.value.hint
    with store.read() as tx:
        assert tx.notes.count() == 0
    with store.write() as tx:
        tx.meta_set("k", "v")


def test_all_readers_live_through_a_restart_of_the_server(own_server: Any) -> None:
    store = PostgresStore(own_server.url())

    def read(_: int) -> int:
        with store.read() as tx:
            time.sleep(0.02)
            return tx.notes.count()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(8))) == [0] * 8
        own_server.kill()
        with pytest.raises(StoreError), store.read() as tx:
            tx.notes.count()
        own_server.start()
        assert list(pool.map(read, range(16))) == [0] * 16
    store.close()


def test_a_child_of_a_fork_has_readers_of_its_own(store: PostgresStore) -> None:
    """The parent's go on working, whatever the child does."""
    with store.read() as tx:
        assert tx.notes.count() == 0
    before = store._readers._all[0]
    child = os.fork()
    if not child:
        code = 1
        try:
            with store.read() as mine:
                code = 0 if mine.notes.count() == 0 and store._readers._all[0] is not before else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with store.read() as tx:
        assert tx is before.transaction
        assert tx.notes.count() == 0


def test_what_readers_remember_leaves_with_the_notes(server: Any, new_schema: Callable[[], str]) -> None:
    """Whatever a reader kept in memory of a note is gone when `forget` has returned, without its being used again; what was reworded is read anew."""
    store = PostgresStore(server.url(), schema=new_schema())
    with Memory(None, store=store, embedder=HashEmbedder()) as memory:
        kept = [memory.remember(f"Basil the parrot number {n} says hello.", user="ana") for n in range(5)]
        barrier = threading.Barrier(4)

        def look(_: int) -> None:
            with store.read():
                barrier.wait(30)
                assert len(memory.recall("Basil the parrot", user="ana", k=9)) == 5

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(look, range(4)))
        readers = list(store._readers._all)
        assert len(readers) == 4
        assert all(reader.transaction.notes._facets._values for reader in readers)
        memory.forget(kept[0].id, user="ana")
        assert not any(reader.transaction.notes._facets._values for reader in readers)
        asked_again = [reader for reader in readers if reader.transaction.text._known]
        assert len(asked_again) <= 1  # the one that looked whether the note is found by its words
        memory.update(kept[1].id, "Basil the parrot is silent.", user="ana")
        with ThreadPoolExecutor(4) as pool:
            found = list(
                pool.map(
                    lambda _: {hit.note.content for hit in memory.recall("Basil the parrot", user="ana", k=9)},
                    range(16),
                )
            )
        assert all("Basil the parrot is silent." in texts and len(texts) == 4 for texts in found)


def test_two_hundred_recalls_at_once_see_each_their_own(server: Any, new_schema: Callable[[], str]) -> None:
    """On as many threads, of twenty people, beside one who writes: each gets notes, and those of nobody else."""
    store = PostgresStore(server.url(), schema=new_schema())
    with Memory(None, store=store, embedder=HashEmbedder()) as memory:
        for person in PEOPLE:
            memory.remember_many(
                [f"The garden of {person} has {n} roses." for n in range(5)], user=person, progress=False
            )
        done = threading.Event()
        written: list[float] = []

        def write() -> None:
            while not done.is_set():
                began = time.monotonic()
                memory.remember(f"The garden of writer has {len(written)} tulips.", user="writer")
                written.append(time.monotonic() - began)

        def ask(number: int) -> None:
            person = PEOPLE[number % len(PEOPLE)]
            hits = memory.recall("roses in the garden", user=person, k=5)
            assert [hit.note.scope.user for hit in hits] == [person] * 5
            assert all(person in hit.note.content for hit in hits)

        writer = threading.Thread(target=write)
        writer.start()
        with ThreadPoolExecutor(200) as pool:
            list(pool.map(ask, range(200)))
        done.set()
        writer.join()
    assert len(written) > 1
    assert max(written) < 10


def test_two_hundred_awaited_recalls_and_a_writer(server: Any, new_schema: Callable[[], str]) -> None:
    """In the order in which they were awaited; none fails, the writer comes along beside them, and what it had written the next recall sees."""
    store = PostgresStore(server.url(), schema=new_schema())

    async def run() -> list[str]:
        async with AsyncMemory(None, store=store, embedder=HashEmbedder()) as memory:
            for person in PEOPLE:
                await memory.remember(f"The garden of {person} has roses.", user=person)
            ended: list[str] = []

            async def ask(number: int) -> None:
                person = PEOPLE[number % len(PEOPLE)]
                (hit,) = await memory.recall("roses in the garden", user=person, k=1)
                assert person in hit.note.content
                ended.append("read")

            async def write() -> None:
                for number in range(5):
                    await memory.remember(f"The garden of writer has {number} tulips.", user="writer")
                    assert len(await memory.recall("tulips", user="writer", k=9)) == number + 1
                    ended.append("write")

            await asyncio.gather(write(), *(ask(number) for number in range(200)))
            return ended

    ended = asyncio.run(run())
    assert ended.count("read") == 200
    assert ended.count("write") == 5
