"""The vector index: a cache that tells the truth about itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agentmem.errors import EmbedderMismatch, IndexUnavailable, InvalidArgument
from agentmem.notes.clock import ManualClock
from agentmem.notes.note import Scope
from agentmem.notes.protocols import VectorIndex
from agentmem.stores.chroma.chroma import ChromaIndex
from agentmem.stores.chroma.indexer import Indexer
from agentmem.stores.chroma.manifest import probe
from agentmem.stores.sqlite.store import SqliteStore

ROOT = Path(__file__).parents[2]
SIZE = 2000
ANA = Scope(user="ana")


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def template(tmp_path_factory, fill, unit) -> Path:
    """A folder with 2,000 indexed vectors of one owner and 20 of another; copied, never changed."""
    folder = tmp_path_factory.mktemp("template")
    store = SqliteStore(folder / "notes.db")
    fill(store, unit(SIZE))
    fill(store, unit(20, seed=5), ANA, start=SIZE)
    indexer = Indexer(store, folder, ManualClock())
    assert indexer.health() == "empty"
    assert indexer.apply() == SIZE + 20
    indexer.close()
    store.close()
    return folder


@pytest.fixture
def folder(template, tmp_path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "copy"))


@pytest.fixture
def notes(folder) -> Iterator[SqliteStore]:
    store = SqliteStore(folder / "notes.db")
    yield store
    store.close()


@pytest.fixture
def indexer(notes, folder) -> Iterator[Indexer]:
    opened = Indexer(notes, folder, ManualClock())
    yield opened
    opened.close()


def recall(indexer: Indexer, store: SqliteStore, scan, unit, k: int = 10) -> float:
    """The share of the true neighbours that the index finds."""
    with store.read() as tx:
        rows, vectors = tx.vectors.load_owner(1)
    found = 0
    queries = unit(40, seed=9)
    for query in queries:
        pairs = indexer.search(1, query, k)
        assert [cosine for _, cosine in pairs] == sorted((c for _, c in pairs), reverse=True)
        found += len({row for row, _ in pairs} & set(scan(rows.tolist(), vectors, query, k)))
    return found / (k * len(queries))


def data_file(folder: Path) -> Path:
    return max(folder.rglob("data_level0.bin"), key=lambda path: path.stat().st_size)


def test_the_index_finds_what_a_scan_finds(indexer, notes, scan, unit) -> None:
    """Recall of at least .98 on 2,000 vectors; the owners are apart."""
    assert indexer.health() == "ok"
    assert recall(indexer, notes, scan, unit) >= 0.98
    assert indexer.count(1) == SIZE
    assert indexer.count(2) == 20
    assert {row for row, _ in indexer.search(2, unit(1)[0], 50)} == set(range(SIZE + 1, SIZE + 21))
    assert indexer.search(3, unit(1)[0], 5) == []
    with pytest.raises(EmbedderMismatch):
        indexer.search(1, np.ones(8, np.float32), 5)
    with pytest.raises(InvalidArgument):
        indexer.search(1, np.full(32, np.nan, np.float32), 5)
    assert indexer.health() == "ok"


def test_health_is_cheap(indexer) -> None:
    """A thousand looks take well under a second."""
    indexer.health()
    began = time.perf_counter()
    for _ in range(1000):
        indexer.health()
    assert time.perf_counter() - began < 0.5


def test_changes_follow_through_the_outbox(indexer, notes, make, put, unit) -> None:
    """Added, replaced and removed vectors arrive; applying again changes nothing."""
    new = unit(3, seed=33)
    with notes.write() as tx:
        row = put(tx, make(5000), new[0])
        tx.vectors.put([1], 1, new[1:2])
        tx.outbox.put("upsert", 1, [1])
        tx.vectors.delete([2])
        tx.outbox.put("remove", 1, [2])
        gone = put(tx, make(5001), new[2])
        tx.vectors.delete([gone])
        tx.outbox.put("remove", 1, [gone])
    assert indexer.apply(limit=1) == 1
    assert indexer.health() == "ok"
    assert indexer.apply() == 4
    assert indexer.apply() == 0
    assert indexer.search(1, new[0], 1)[0][0] == row
    assert indexer.search(1, new[1], 1)[0][0] == 1
    assert indexer.count(1) == SIZE
    indexer.close()


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete", "segment", "sqlite", "add"])
def test_damage_is_seen_and_healed(folder, scan, unit, damage) -> None:
    """Files changed by somebody else are noticed before Chroma touches them; a rebuild restores everything."""
    target = data_file(folder)
    if damage == "truncate":
        os.truncate(target, target.stat().st_size // 2)
    elif damage == "flip":
        data = bytearray(target.read_bytes())
        data[100:4000] = os.urandom(3900)
        target.write_bytes(data)
    elif damage == "delete":
        target.unlink()
    elif damage == "segment":
        shutil.rmtree(target.parent)
    elif damage == "sqlite":
        database = folder / "chroma-1" / "chroma.sqlite3"
        database.write_bytes(b"\0" * database.stat().st_size)
    else:
        (target.parent / "strange.bin").write_bytes(b"x")
    store = SqliteStore(folder / "notes.db")
    indexer = Indexer(store, folder, ManualClock())

    assert indexer.health() == "damaged"
    with pytest.raises(IndexUnavailable):
        indexer.search(1, unit(1)[0], 5)
    assert indexer.apply() == 0
    if damage == "flip":
        seen: list[tuple[int, int]] = []
        assert indexer.rebuild(lambda done, total: seen.append((done, total))) == SIZE + 20
        assert seen[-1] == (SIZE + 20, SIZE + 20)
        assert indexer.health() == "ok"
        assert recall(indexer, store, scan, unit) >= 0.98
        assert [path.name for path in folder.glob("chroma-*")] == ["chroma-2"]
    indexer.close()
    store.close()


def test_a_missing_directory(indexer, notes, folder, unit) -> None:
    """A directory that goes away, while the index is open or closed, is missing until it is built again."""
    assert indexer.search(1, unit(1)[0], 1)
    shutil.rmtree(folder / "chroma-1")
    assert indexer.health() == "missing"
    with pytest.raises(IndexUnavailable):
        indexer.search(1, unit(1)[0], 1)
    assert indexer.apply() == 0
    assert indexer.rebuild() == SIZE + 20
    assert indexer.search(1, unit(1)[0], 1)[0][0] == 1


def test_one_process_owns_the_index(indexer, notes, folder, unit) -> None:
    """Whoever comes second is told at once; when the owner goes, the next one takes over."""
    second = Indexer(notes, folder, ManualClock())
    began = time.perf_counter()
    assert second.health() == "unowned"
    assert second.apply() == 0
    with pytest.raises(IndexUnavailable):
        second.search(1, unit(1)[0], 1)
    with pytest.raises(IndexUnavailable):
        second.rebuild()
    assert time.perf_counter() - began < 1
    pid = os.fork()
    if pid == 0:
        os._exit(0 if indexer.health() == "unowned" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert indexer.health() == "ok"
    indexer.close()
    assert indexer.health() == "unowned"
    assert second.health() == "ok"
    second.close()


def test_purging(indexer, notes, folder, unit) -> None:
    """After a purge no file of the index holds a removed vector; others ask the owner for it."""
    vectors = unit(SIZE)
    wanted = vectors[3].astype(np.float16).astype(np.float32)

    def present() -> bool:
        # Chroma normalises once more, so the numbers are compared and not the bytes
        for path in folder.rglob("chroma-*/**/*"):
            data = path.read_bytes() if path.is_file() else b""
            for shift in range(4):
                numbers = np.nan_to_num(np.frombuffer(data[shift : shift + (len(data) - shift) // 4 * 4], np.float32))
                for place in np.flatnonzero(np.abs(numbers - wanted[0]) < 1e-4):
                    window = numbers[place : place + 8]
                    if len(window) == 8 and np.allclose(window, wanted[:8], atol=1e-3):
                        return True
        return False

    assert present()
    indexer.purge()
    assert (folder / "chroma-1").is_dir(), "nothing was removed, so nothing had to be rebuilt"
    with notes.write() as tx:
        tx.vectors.delete([4])
        tx.outbox.put("remove", 1, [4])
        tx.notes.delete([4])
    second = Indexer(notes, folder, ManualClock())
    second.purge()
    assert present()
    indexer.apply()
    assert not present()
    assert indexer.count(1) == SIZE - 1
    assert indexer.health() == "ok"
    second.close()


def test_purging_an_index_that_holds_nothing(tmp_path, fill, unit) -> None:
    """A store whose index was never built pays nothing for a purge."""
    store = SqliteStore(tmp_path / "notes.db")
    indexer = Indexer(store, tmp_path, ManualClock())
    fill(store, unit(3))
    indexer.purge()
    assert indexer.health() == "empty"
    assert list(tmp_path.glob("chroma-*")) == []
    indexer.close()
    store.close()


def abandon(indexer: Indexer) -> None:
    """What the end of a process does: the lock goes, nothing is recorded."""
    os.close(indexer._lock_file)
    indexer._lock_file, indexer._closed = None, True
    indexer._replace_index(None)


@pytest.mark.parametrize("step", ["after-commit", "mid-apply", "after-upsert", "before-done"])
def test_stopped_while_applying(folder, notes, fill, unit, step) -> None:
    """Wherever an apply stops, the next one looks into the index, finishes the work, and nothing is missing."""
    fresh = unit(30, seed=77)
    rows = fill(notes, fresh, start=9000)

    def fail(reached: str) -> None:
        if reached == step:
            raise Killed

    dying = Indexer(notes, folder, ManualClock(), fail=fail)
    with pytest.raises(Killed):
        dying.apply()
    abandon(dying)

    indexer = Indexer(notes, folder, ManualClock())
    assert indexer.health() == ("ok" if step == "after-commit" else "damaged")
    assert indexer.apply() == 30
    assert indexer.health() == "ok"
    assert indexer.count(1) == SIZE + 30
    assert all(indexer.search(1, vector, 1)[0][0] == row for row, vector in zip(rows[:5], fresh[:5], strict=True))
    indexer.close()


def run_worker(folder: Path, *arguments: str) -> int:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__).parent / "index_worker.py"), str(folder), *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, timeout=60, check=False).returncode


@pytest.mark.parametrize(
    ("task", "step"),
    [
        ("apply", "after-upsert"),
        ("rebuild", "mid-rebuild"),
        ("rebuild", "before-swap"),
        ("rebuild", "after-swap"),
        ("search", "-"),
    ],
)
def test_killed(folder, fill, scan, unit, task, step) -> None:
    """A process that dies while applying, rebuilding or just reading leaves a state that is described truthfully."""
    if task == "apply":
        store = SqliteStore(folder / "notes.db")
        fill(store, unit(30, seed=77), start=9000)
        store.close()
    assert run_worker(folder, task, step, "1") == 77

    store = SqliteStore(folder / "notes.db")
    indexer = Indexer(store, folder, ManualClock())
    assert indexer.health() == ("damaged" if task == "apply" else "ok")
    assert len(list(folder.glob("chroma-*"))) == 1, "what the dead process left was swept away"
    assert indexer.apply() == (30 if task == "apply" else 0)
    assert indexer.health() == "ok"
    assert recall(indexer, store, scan, unit) >= 0.98
    indexer.close()
    store.close()


def test_an_index_that_cannot_be_probed_is_built_anew(folder, notes, fill, unit) -> None:
    """When the write that did not end left damage, the probe dies, not we; the index comes back whole."""
    fill(notes, unit(1, seed=78), start=9000)

    def fail(reached: str) -> None:
        if reached == "after-upsert":
            raise Killed

    dying = Indexer(notes, folder, ManualClock(), fail=fail)
    with pytest.raises(Killed):
        dying.apply()
    abandon(dying)
    target = data_file(folder)
    target.write_bytes(os.urandom(target.stat().st_size))
    assert not probe(folder / "chroma-1")

    indexer = Indexer(notes, folder, ManualClock())
    indexer.apply()
    assert indexer.health() == "ok"
    assert indexer.count(1) == SIZE + 1
    assert not (folder / "chroma-1").exists()
    indexer.close()


def test_failures_of_chroma_are_remembered(folder, notes, unit, monkeypatch) -> None:
    """Whatever Chroma raises, panics included, the index is damaged from then on, also for the next process."""

    class Broken:
        def search(self, owner: int, vector: np.ndarray, k: int) -> list[tuple[int, float]]:
            raise IndexUnavailable("Error finding id")

        def close(self) -> None: ...

    indexer = Indexer(notes, folder, ManualClock())
    monkeypatch.setattr("agentmem.stores.chroma.indexer._create", lambda directory: Broken())
    with notes.read(), pytest.raises(IndexUnavailable):
        indexer.search(1, unit(1)[0], 1)
    assert indexer.health() == "damaged"
    assert "finding" in indexer.reason()
    indexer.close()
    again = Indexer(notes, folder, ManualClock())
    assert again.health() == "damaged"
    again.close()


def test_chroma_alone(tmp_path, unit) -> None:
    """The bare index: opened twice in one process, closed, and opened again; text never enters it."""
    vectors = unit(10)
    one = ChromaIndex(tmp_path / "c")
    two = ChromaIndex(tmp_path / "c")
    assert isinstance(one, VectorIndex)
    one.upsert(7, range(1, 11), vectors)
    assert two.count(7) == 10
    one.close()
    one.close()
    with pytest.raises(IndexUnavailable):
        one.count(7)
    assert two.search(7, vectors[4], 3)[0] == (5, pytest.approx(1, abs=1e-5))
    two.remove(7, [5, 99])
    two.remove(8, [1])
    assert two.holds(7, [4, 5]) == [4]
    two.close()
    three = ChromaIndex(tmp_path / "c")
    assert three.count(7) == 9
    assert three.count(8) == 0
    with pytest.raises(EmbedderMismatch):
        three.upsert(7, [1], unit(1, 8))
    with pytest.raises(InvalidArgument):
        three.upsert(7, [1, 2], unit(1))
    three.close()
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexUnavailable):
        ChromaIndex(tmp_path / "file")
