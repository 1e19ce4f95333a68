"""Notes, stores and vectors for the tests of the stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agentmem.notes.clock import ManualClock
from agentmem.notes.note import MemoryState, Note, Scope
from agentmem.records.transaction import NoteStore, Transaction
from agentmem.stores.sqlite.store import SqliteStore

SHARED = Scope()
START = datetime(2026, 1, 1, 9, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(scope="session")
def make() -> Callable[..., Note]:
    """A note from little: make(3) is the third note, three minutes later."""

    def build(number: int, **values: object) -> Note:
        moment = START + timedelta(minutes=number)
        defaults: dict[str, object] = {
            "id": f"note-{number:06d}",
            "content": f"note {number} speaks of apples",
            "occurred_at": moment,
            "created_at": moment,
            "state": MemoryState(1.0, 5.0, moment),
        }
        return Note(**(defaults | values))

    return build


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[SqliteStore]:
    opened = SqliteStore(None if request.param == "memory" else tmp_path / "notes.db", clock=clock)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def put() -> Callable[..., int]:
    """Store a note in all areas, as the memory layer does; returns its row."""

    def write(tx: Transaction, note: Note, vector: np.ndarray | None = None) -> int:
        owner = tx.notes.owner(note.scope, create=True)
        assert owner is not None
        row = tx.notes.insert(note, owner, note.content.encode("utf-8", "replace"))
        tx.text.put(row, owner, note.content, "")
        if vector is not None:
            tx.vectors.put([row], owner, vector[None, :])
            tx.outbox.put("upsert", owner, [row])
        return row

    return write


@pytest.fixture(scope="session")
def unit() -> Callable[..., np.ndarray]:
    """Random unit vectors, the same for the same seed."""

    def vectors(count: int, dimension: int = 32, seed: int = 0) -> np.ndarray:
        found = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    return vectors


@pytest.fixture(scope="session")
def counts() -> Callable[[NoteStore], Mapping[str, int]]:
    """How much there is of everything in a store."""

    def count(store: NoteStore) -> Mapping[str, int]:
        with store.read() as tx:
            return tx.counts()

    return count


@pytest.fixture(scope="session")
def fill(make: Callable[..., Note], unit: Callable[..., np.ndarray]) -> Callable[..., list[int]]:
    """Many notes with vectors, in one transaction; returns their rows."""

    def write(store: SqliteStore, vectors: np.ndarray, scope: Scope = SHARED, start: int = 0) -> list[int]:
        with store.write() as tx:
            owner = tx.notes.owner(scope, create=True)
            rows = [tx.notes.insert(make(start + i, scope=scope), owner, b"%d" % i) for i in range(len(vectors))]
            tx.text.put_many((row, owner, f"note {row}", "") for row in rows)
            tx.vectors.put(rows, owner, vectors)
            tx.outbox.put("upsert", owner, rows)
        return rows

    return write


@pytest.fixture(scope="session")
def scan() -> Callable[[Sequence[int], np.ndarray, np.ndarray, int], list[int]]:
    """The rows a plain matrix product finds."""

    def best(rows: Sequence[int], vectors: np.ndarray, query: np.ndarray, k: int) -> list[int]:
        halves = vectors.astype(np.float16).astype(np.float32)
        halves /= np.linalg.norm(halves, axis=1, keepdims=True)
        order = np.argsort(-(halves @ query), kind="stable")[:k]
        return [rows[place] for place in order]

    return best
