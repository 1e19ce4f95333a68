"""What was acknowledged is there, whoever is killed; and what was forgotten is where the documentation says, and nowhere else."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import StoreError
from agentmem.stores.postgres.store import PostgresStore
from tests.stores.postgres.server import Server

WRITER = Path(__file__).with_name("writer.py")


def begin(url: str, schema: str, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), url, schema, name, "100000"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def said(writer: subprocess.Popen[str]) -> set[str]:
    assert writer.stdout is not None
    return {line.strip() for line in writer.stdout.read().splitlines() if line}


def held(store: PostgresStore) -> set[str]:
    with store.read() as tx:
        return {note.id for note in tx.notes.load(tx.notes.select_all()).values()}


@pytest.mark.slow
def test_nothing_that_a_killed_client_said_was_written_is_lost(server: Any, new_schema: Callable[[], str]) -> None:
    """Twenty processes, killed at any moment; one that dies in a write leaves nothing of it, and holds up nobody."""
    rng, schema = random.Random(5), new_schema()
    store = PostgresStore(server.url(), schema=schema)
    acknowledged: set[str] = set()
    for round_ in range(10):
        writers = [begin(server.url(), schema, f"r{round_}-{number}") for number in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            acknowledged.add(writer.stdout.readline().strip())
        time.sleep(rng.random() * 0.3)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            acknowledged |= said(writer)
            writer.wait()

    assert len(acknowledged) > 40
    assert acknowledged <= held(store)
    assert store.check() == []
    store.close()


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(own_server: Any) -> None:
    """Every process of the server by SIGKILL, five times, while four clients write; who had connected goes on behind the restart."""
    store = PostgresStore(own_server.url())
    acknowledged: set[str] = set()
    for round_ in range(5):
        writers = [begin(own_server.url(), "agentmem", f"r{round_}-{number}") for number in range(4)]
        for writer in writers:
            assert writer.stdout is not None
            acknowledged.add(writer.stdout.readline().strip())
        time.sleep(0.1 + 0.1 * round_)
        own_server.kill()
        for writer in writers:
            acknowledged |= said(writer)
            assert writer.wait() != 0
        own_server.start()

        assert acknowledged <= held(store)
    assert len(acknowledged) > 40
    assert store.check() == []
    store.close()


def test_a_server_that_is_gone_is_a_typed_error_and_the_next_call_connects_anew(own_server: Any) -> None:
    """Nothing of the write that was going on is there; one that had been answered is."""
    with Memory(own_server.url()) as memory:
        kept = memory.remember("My dog is called Rex.", user="ana")
        own_server.kill()
        with pytest.raises(StoreError) as caught:
            memory.remember("My cat is called Tom.", user="ana")
        assert caught.value.hint
        own_server.start()
        assert [note.id for note in memory.notes(user="ana")] == [kept.id]
        memory.remember("My cat is called Tom.", user="ana")
        assert len(memory.notes(user="ana")) == 2


def test_a_connection_lost_within_a_write_takes_it_back(own_server: Any) -> None:
    """The transaction says so, and the store is as it was before."""
    store = PostgresStore(own_server.url())
    with pytest.raises(StoreError, match="connection"), store.write() as tx:
        tx.meta_set("k", "v")
        own_server.kill()
        tx.meta_set("k", "w")
    own_server.start()
    with store.read() as tx:
        assert tx.meta_get("k") is None
    store.close()


def where(folder: Path, words: bytes) -> set[str]:
    """Which parts of a data directory hold these bytes."""
    found = set()
    for path in folder.rglob("*"):
        try:
            if path.is_file() and words in path.read_bytes():
                found.add(path.relative_to(folder).parts[0])
        except FileNotFoundError:
            continue  # the server removes files meanwhile
    return found


@pytest.mark.slow
def test_forgotten_bytes_leave_the_tables_when_they_are_scrubbed_and_the_log_when_it_is_removed() -> None:
    """Of a note and of one long enough to be kept out of line: in tables, indexes and the log before; nowhere behind ``scrub``, where the server
    removes segments of its log instead of using them again.
    """
    server = Server(("-c", "wal_recycle=off", "-c", "min_wal_size=32MB"))
    try:
        with Memory(server.url()) as memory:
            rng = random.Random(1)
            noise = " ".join(str(rng.random()) for _ in range(3000))
            short = memory.remember("The parrot Quixotica lives in Bremen.", user="ana")
            long = memory.remember(f"A long tale of Zanzibarella. {noise}", user="ana")
            memory.remember("The tortoise stays.", user="ana")
            psql(server, "CHECKPOINT")
            assert where(server.data, b"Quixotica") >= {"base", "pg_wal"}
            memory.forget([short.id, long.id], user="ana")
            assert [note.content for note in memory.notes(user="ana")] == ["The tortoise stays."]
            store = memory._parts.core.store
            assert isinstance(store, PostgresStore)
            assert store.scrub() == []
            for words in (b"Quixotica", b"Zanzibarella"):
                assert where(server.data, words) <= {"pg_wal"}
            psql(server, "SELECT pg_switch_wal()")
            psql(server, "CHECKPOINT")
            for words in (b"Quixotica", b"Zanzibarella"):
                assert where(server.data, words) == set()
            assert where(server.data, b"tortoise") >= {"base"}
    finally:
        server.stop()


def psql(server: Any, sql: str) -> None:
    import psycopg

    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql)
