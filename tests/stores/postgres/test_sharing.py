"""Several processes on one store: nothing is lost, nobody starves, and each sees what the others wrote."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import StoreError
from agentmem.notes.tables import LEASE
from agentmem.stores.postgres.store import PostgresStore
from agentmem.stores.text.text import TextIndex

WRITER = Path(__file__).with_name("writer.py")


def begin(url: str, schema: str, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), url, schema, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_eight_writers_lose_nothing(server: Any, new_schema: Callable[[], str]) -> None:
    """Each note that a process said was written is there once, and the log of changes has them in the order of their commits."""
    schema = new_schema()
    store = PostgresStore(server.url(), schema=schema)
    writers = [begin(server.url(), schema, f"w{number}", 25) for number in range(8)]
    seen: list[int] = []
    while any(writer.poll() is None for writer in writers):  # what a follower has seen stays behind it
        with store.read() as tx:
            seen += [change.seq for change in tx.text.changes(max(seen, default=0))]
    said = {line.strip() for writer in writers for line in (writer.stdout or [])}
    with store.read() as tx:
        seen += [change.seq for change in tx.text.changes(max(seen, default=0))]
        held = {note.id for note in tx.notes.load(tx.notes.select_all()).values()}

    assert [writer.wait() for writer in writers] == [0] * 8
    assert len(said) == 200
    assert held == said
    assert len(seen) == 200
    assert store.check() == []
    store.close()


def test_a_commit_is_told_to_who_listens(server: Any, new_schema: Callable[[], str]) -> None:
    """At once, also when another process made it; and nothing is told where nothing was written."""
    schema = new_schema()
    store, other = PostgresStore(server.url(), schema=schema), PostgresStore(server.url(), schema=schema)
    with store.changes() as changes:
        assert not changes.wait(0.05)
        with other.write() as tx:
            tx.meta_set("k", "v")
        assert changes.wait(5)
        with other.read() as tx:
            tx.meta_get("k")
        assert not changes.wait(0.05)
    store.close()
    other.close()


def test_the_moment_knows_the_commits_of_others(server: Any, new_schema: Callable[[], str]) -> None:
    """What is kept in memory is out of date after another's commit, and not after one's own."""
    schema = new_schema()
    store, other = PostgresStore(server.url(), schema=schema), PostgresStore(server.url(), schema=schema)

    def moment() -> object:
        with store.read() as tx:
            return tx.tables.moment()

    first = moment()
    with store.write() as tx:
        tx.meta_set("mine", "1")
    assert moment() == first
    with other.write() as tx:
        tx.meta_set("his", "1")
    assert moment() != first
    with store.read() as tx:
        assert tx.meta_get("his") == "1"
    store.close()
    other.close()


def test_a_lease_has_one_holder(server: Any, new_schema: Callable[[], str]) -> None:
    """Whoever asks, from how many connections at once: one gets it."""
    schema = new_schema()
    stores = [PostgresStore(server.url(), schema=schema) for _ in range(5)]
    got: list[str] = []

    def take(number: int) -> None:
        with stores[number].write() as tx:
            if tx.ledger.lease("job", f"h{number}", 1, 100):
                got.append(f"h{number}")

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with stores[0].read() as tx:
        held = tx.tables.find(LEASE, {}, columns=("holder",))

    assert [(holder,) for holder in got] == held
    for store in stores:
        store.close()


def test_an_index_in_memory_follows_what_others_wrote(server: Any, new_schema: Callable[[], str]) -> None:
    """The words that another connection wrote are found, and those that it took away are not."""
    schema = new_schema()
    store, other = PostgresStore(server.url(), schema=schema), PostgresStore(server.url(), schema=schema)
    index = TextIndex(store)
    with store.read() as tx:
        index.refresh(tx)
    writer = begin(server.url(), schema, "w", 2)
    assert writer.wait() == 0
    with store.read() as tx:
        assert len(index.search(tx, ["apples"], (1,), 9)) == 2
    with other.write() as tx:
        tx.notes.delete(tx.notes.select_all()[:1])
    with store.read() as tx:
        assert len(index.search(tx, ["apples"], (1,), 9)) == 1
    store.close()
    other.close()


def test_a_child_of_a_fork_has_a_connection_of_its_own(server: Any, new_schema: Callable[[], str]) -> None:
    """The parent's goes on working, whatever the child does."""
    import os

    store = PostgresStore(server.url(), schema=new_schema())
    child = os.fork()
    if not child:
        try:
            with store.write() as tx:
                tx.meta_set("child", "1")
            store.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with store.write() as tx:
        assert tx.meta_get("child") == "1"
    store.close()


def test_a_memory_is_opened_by_its_address(server: Any, tmp_path: Path) -> None:
    """All of it is in the database: what one process remembers another recalls, and what one forgets is gone for both."""
    url = server.url()
    with Memory(url) as first, Memory(url) as second:
        kept = first.remember("My dog is called Rex.", user="ana")
        assert [hit.note.content for hit in second.recall("what is my dog called", user="ana", k=1)] == [
            "My dog is called Rex."
        ]
        assert not second.recall("dog Rex", user="ben")
        assert all(second.forget(kept.id, user="ana").probes.values())
        assert not first.recall("what is my dog called", user="ana")
        assert not first.check().problems
        assert "postgresql://" in repr(first)
        assert first.path is None
    assert not list(tmp_path.iterdir())


def test_a_password_is_in_no_name_and_no_error() -> None:
    url = "postgresql://ana:s3cret@127.0.0.1:9/nothing?sslpassword=s3cret"
    with pytest.raises(StoreError) as caught:
        PostgresStore(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.hint


def test_a_store_that_is_only_read_refuses_to_write(server: Any, new_schema: Callable[[], str]) -> None:
    from agentmem.errors import StoreReadOnly

    schema = new_schema()
    with pytest.raises(StoreReadOnly, match="no notes yet"):
        PostgresStore(server.url(), schema=schema, read_only=True)
    PostgresStore(server.url(), schema=schema).close()
    reading = PostgresStore(server.url(), schema=schema, read_only=True)
    with pytest.raises(StoreReadOnly), reading.write():
        pass
    with reading.read() as tx:
        assert tx.notes.count() == 0
    reading.close()


def test_a_writer_waits_for_its_turn_and_a_reader_for_nobody(server: Any, new_schema: Callable[[], str]) -> None:
    schema = new_schema()
    store, other = PostgresStore(server.url(), schema=schema), PostgresStore(server.url(), schema=schema)
    done: list[float] = []

    def write() -> None:
        with other.write() as tx:
            tx.meta_set("late", "1")
        done.append(time.monotonic())

    with store.write() as tx:
        tx.meta_set("k", "v")
        thread = threading.Thread(target=write)
        thread.start()
        with PostgresStore(server.url(), schema=schema, read_only=True).read() as view:
            assert view.meta_get("k") is None
        time.sleep(0.2)
        assert not done
    thread.join()
    assert done
    store.close()
    other.close()
