"""The vector index is looked after beside the requests: what was forgotten leaves its files, and a full disk is no flood of attempts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem import Memory, Settings
from agentmem.errors import IndexUnavailable
from agentmem.notes.clock import ManualClock
from agentmem.settings import IndexSettings
from agentmem.stores.chroma.chroma import ChromaIndex
from agentmem.upkeep import indexing

INDEXED = Settings(index=IndexSettings(exact_limit=3))
USE = """
import sys
from agentmem import Memory, Settings
from agentmem.settings import IndexSettings

WORDS = "Ana lives in Porto.", "Ben cooks fish.", "Cy rides a bike.", "Dora paints walls.", "Eve sings songs."
for _ in range(2):
    with Memory(sys.argv[1], embedder="hash", settings=Settings(index=IndexSettings(exact_limit=3))) as memory:
        memory.remember_many(WORDS)
        memory.flush()
    with Memory(sys.argv[1], embedder="hash", settings=Settings(index=IndexSettings(exact_limit=3))) as memory:
        assert memory.recall("Who cooks fish?").plan["vectors"] == "chroma"
        memory.forget(next(note.id for note in memory.notes() if "fish" in note.content))
"""
WORDS = (
    "Ana lives in Porto.",
    "Ben cooks fish.",
    "Cy rides a bike.",
    "Dora paints walls.",
    "Eve sings songs.",
    "Fay hates rain.",
)


@pytest.fixture
def indexed(tmp_path: Path, clock: ManualClock) -> Iterator[Memory]:
    with Memory(tmp_path, embedder="hash", clock=clock, settings=INDEXED) as opened:
        opened.remember_many(WORDS)
        opened.flush()
        yield opened


def vector_of(memory: Memory, id: str) -> Any:
    with memory._parts.core.store.read() as tx:
        return tx.vectors.load(list(tx.notes.rows_of([id]).values()))[1][0]


def on_disk(folder: Path, vector: Any) -> bool:
    """Whether a file of the index holds a vector; Chroma normalises, so the numbers are compared and not the bytes."""
    some = np.flatnonzero(vector)[0]
    window = vector[some : some + 8].astype(np.float32)
    for path in folder.glob("index-*/chroma-*/**/*"):
        data = path.read_bytes() if path.is_file() else b""
        for shift in range(4):
            numbers = np.nan_to_num(np.frombuffer(data[shift : shift + (len(data) - shift) // 4 * 4], np.float32))
            for place in np.flatnonzero(np.abs(numbers - window[0]) < 1e-4):
                if len(numbers) >= place + 8 and np.allclose(numbers[place : place + 8], window, atol=1e-3):
                    return True
    return False


def test_what_is_forgotten_while_the_index_is_busy_leaves_its_files_all_the_same(
    indexed: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """In a large store files are rewritten beside the requests; that thread may just be doing something else."""
    monkeypatch.setattr(indexing, "PURGE_AT_ONCE", 3)
    doomed = next(note for note in indexed.notes() if note.content == "Ben cooks fish.")
    vector, done = vector_of(indexed, doomed.id), threading.Event()
    assert on_disk(tmp_path, vector)

    indexed._parts.indexing._in_background(done.wait)
    warnings = indexed.forget(doomed.id).warnings
    done.set()
    indexed._parts.indexing.wait()

    assert "are being rewritten" in warnings[0]
    assert not on_disk(tmp_path, vector)


def test_what_was_forgotten_before_a_kill_leaves_the_files_of_the_index_later(
    indexed: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(indexing, "PURGE_AT_ONCE", 3)
    doomed = next(note for note in indexed.notes() if note.content == "Ben cooks fish.")
    vector = vector_of(indexed, doomed.id)
    monkeypatch.setattr(
        indexing.IndexUpkeep, "_purge_files", lambda self: setattr(self, "_purge_due", False)
    )  # the thread never gets there

    indexed.forget(doomed.id)
    indexed._parts.indexing.wait()
    assert on_disk(tmp_path, vector)
    indexed.close()

    assert not on_disk(tmp_path, vector)


def test_an_index_of_few_vectors_is_still_trusted_after_it_was_only_read(
    indexed: Memory, tmp_path: Path, clock: ManualClock
):
    """Chroma writes a small segment anew whenever it is opened; that once passed for damage, and all was built again."""
    indexed.close()
    for _ in range(2):
        with Memory(tmp_path, embedder="hash", clock=clock, settings=INDEXED) as again:
            assert again.check().index == "ok"
            found = again.recall("Who cooks fish?")
            assert found.plan["vectors"] == "chroma"
            assert not found.degraded


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc to mark memory that was not initialised")
def test_no_file_of_the_index_holds_memory_that_nobody_initialised(tmp_path: Path):
    """Such memory holds what the process had there before: vectors of notes forgotten since, or their texts."""
    script = tmp_path / "use.py"
    script.write_text(USE)
    marked = {**os.environ, "MALLOC_PERTURB_": "165"}  # freed memory is 165, fresh memory its complement
    subprocess.run([sys.executable, str(script), str(tmp_path / "store")], env=marked, check=True, timeout=120)

    files = [path for path in (tmp_path / "store").rglob("*.bin") if path.stat().st_size]
    assert {path.name for path in files} >= {"data_level0.bin", "length.bin"}
    for path in files:
        assert bytes([165]) * 32 not in path.read_bytes()
        assert bytes([255 - 165]) * 32 not in path.read_bytes()


def test_an_index_that_cannot_be_repaired_is_left_alone_for_a_while(
    indexed: Memory, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    """On a full disk every recall began another rebuild of everything, and each printed the trace of a thread that died."""
    tried: list[int] = []
    died: list[Any] = []

    def full(self: ChromaIndex, owner: int, rows: Any, vectors: Any) -> None:
        tried.append(owner)
        raise IndexUnavailable("The disk is full.")

    monkeypatch.setattr(threading, "excepthook", died.append)
    with monkeypatch.context() as patch:
        patch.setattr(ChromaIndex, "upsert", full)
        indexed._parts.core.indexer.distrust("for the test")
        for _ in range(3):
            assert indexed.recall("Who cooks fish?").degraded
            indexed._parts.indexing.wait()
        assert len(tried) == 1
        assert died == []
        assert "The disk is full." in indexed.check().problems[0]

    clock.advance(minutes=2)
    assert indexed.recall("Who cooks fish?").degraded
    indexed._parts.indexing.wait()
    assert not indexed.recall("Who cooks fish?").degraded
    assert indexed.check().ok
