"""Another embedder, while the memory is in use: nothing is lost, nothing waits, and the switch is one step."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from agentmem import Memory, Scope, Settings
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import EmbedderMismatch
from agentmem.notes.clock import ManualClock
from agentmem.settings import IndexSettings
from agentmem.stores.sqlite.schema import MIGRATIONS
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.upkeep.reembed import CHUNK

ANA = Scope(user="ana")
COUNT = 2 * CHUNK + 40
EXACT = Settings(index=IndexSettings(backend="exact"))


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


class Counting(HashEmbedder):
    """Counts the texts that it embeds."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension, cache_size=0)
        self.texts: list[str] = []

    def _encode(self, texts):
        self.texts += texts
        return super()._encode(texts)


def words(number: int) -> str:
    return f"parcel number{number} went to street{number}"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "memory"
    with Memory(path, embedder=HashEmbedder(64), scope=ANA, settings=EXACT) as memory:
        memory.remember_many([words(i) for i in range(COUNT)])
    return path


@pytest.fixture
def directory(tmp_path: Path, filled: Path) -> Path:
    return shutil.copytree(filled, tmp_path / "memory")


@pytest.fixture
def open_(directory: Path) -> Iterator[Callable[..., Memory]]:
    opened: list[Memory] = []

    def make(dimension: int, **options: object) -> Memory:
        options = {"settings": EXACT} | options
        opened.append(Memory(directory, embedder=HashEmbedder(dimension), scope=ANA, **options))
        return opened[-1]

    yield make
    for memory in opened:
        memory.close()


def fingerprint(memory: Memory) -> object:
    return memory.stats()["embedder"]


def stop_at(memory: Memory, step: str, times: int = 1) -> None:
    """Ends the run when a step is reached for the n-th time."""
    seen: list[str] = []

    def fail(reached: str) -> None:
        seen.append(reached)
        if seen.count(step) == times:
            raise Killed

    memory._parts.fail = fail


@pytest.mark.parametrize("dimension", [64, 32, 96])
def test_every_note_is_embedded_anew_and_found_with_the_new_embedder(open_, dimension: int) -> None:
    """The same object goes on at once, and so does one that is opened with the new embedder."""
    embedder = Counting(dimension)
    memory = open_(64)
    assert memory.recall(words(7), k=1)[0].note.content == words(7)

    held = memory.reembed(embedder)

    if dimension == 64:  # the same embedder: nothing to do
        assert (held, embedder.texts) == (COUNT, [])
    else:
        assert (held, len(embedder.texts)) == (COUNT, COUNT)
    assert fingerprint(memory) == f"hash-v1#{dimension}"
    assert memory.recall(words(7), k=1)[0].note.content == words(7)
    memory.remember("the last parcel went to the harbour")
    assert memory.recall("parcel harbour", k=1)[0].note.content == "the last parcel went to the harbour"
    assert memory.check().ok
    memory.close()
    assert open_(dimension).recall(words(9), k=1)[0].note.content == words(9)


def test_the_former_embedder_serves_until_the_switch(open_) -> None:
    """Before the last step, recall and remember go on as if nothing happened; after it, the former embedder is refused."""
    worker, other = open_(64), open_(64)
    answers: list[str] = []

    def use(step: str) -> None:
        if step == "reembed:after-batch":
            other.remember(f"written beside batch {len(answers)}")
            answers.append(other.recall(words(11), k=1)[0].note.content)

    worker._parts.fail = use
    held = worker.reembed(HashEmbedder(32))

    assert answers == [words(11)] * len(answers)
    assert len(answers) == 2
    assert held == COUNT + len(answers), "a note that came in between has no vector"
    assert worker.recall("written beside batch 1", k=1)[0].note.content == "written beside batch 1"
    with pytest.raises(EmbedderMismatch):
        other.recall(words(11))
    with pytest.raises(EmbedderMismatch):
        other.remember("too late")


@pytest.mark.parametrize("step", ["reembed:before-commit", "reembed:after-batch", "reembed:before-switch"])
def test_an_interrupted_run_goes_on_where_it_stopped(open_, step: str) -> None:
    """What was committed is not embedded again, and until then the former embedder answers."""
    memory = open_(64)
    stop_at(memory, step, times=2 if step != "reembed:before-switch" else 1)
    first, second = Counting(32), Counting(32)
    with pytest.raises(Killed):
        memory.reembed(first)

    assert fingerprint(memory) == "hash-v1#64"
    assert memory.recall(words(5), k=1)[0].note.content == words(5)
    assert any("embedded anew" in problem for problem in memory.check().problems)
    memory._parts.fail = lambda reached: None
    assert memory.reembed(second) == COUNT
    repeated = set(first.texts) & set(second.texts)
    assert (
        len(repeated) == {"reembed:before-commit": CHUNK, "reembed:after-batch": 0, "reembed:before-switch": 40}[step]
    )
    assert set(first.texts) | set(second.texts) == {words(i) for i in range(COUNT)}
    assert memory.check().ok


def test_after_the_switch_only_the_index_is_left(directory: Path) -> None:
    """Killed between the switch and the new index, the next process knows that the index is out of date."""
    chroma = Settings(index=IndexSettings(exact_limit=0, batch=10_000))
    with Memory(directory, embedder=HashEmbedder(64), scope=ANA, settings=chroma) as memory:
        memory.rebuild("vectors")
        assert memory.recall(words(3), k=1).plan["vectors"] == "chroma"

    code = f"""
import os, signal, sys
from agentmem import Memory, Scope, Settings
from agentmem.embedding.embedders import HashEmbedder
from agentmem.settings import IndexSettings
memory = Memory({str(directory)!r}, embedder=HashEmbedder(64), scope=Scope(user="ana"),
                settings=Settings(index=IndexSettings(exact_limit=0, batch=10_000)))
memory._parts.fail = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == "reembed:after-switch" else None
class Other(HashEmbedder):  # of the same dimension: nothing but the fingerprint tells them apart
    fingerprint = "other#64"
    def _encode(self, texts):
        return super()._encode([text[::-1] for text in texts])
memory.reembed(Other(64))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=120)
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()

    class Other(HashEmbedder):
        fingerprint = "other#64"

        def _encode(self, texts):
            return super()._encode([text[::-1] for text in texts])

    with Memory(directory, embedder=Other(64), scope=ANA, settings=chroma) as memory:
        found = memory.recall(words(3), k=1)
        assert found.degraded, "an index of other vectors answered as if nothing had happened"
        assert found[0].note.content == words(3)
        memory.flush()
        again = memory.recall(words(3), k=1)
        assert not again.degraded
        assert again.plan["vectors"] == "chroma"
        assert again[0].note.content == words(3)
        assert memory.check().ok


def test_kill_9_in_the_middle_loses_no_finished_batch(directory: Path) -> None:
    """A real process is killed after its first batch; the next embeds only the rest."""
    code = f"""
import os, signal
from agentmem import Memory, Scope
from agentmem.embedding.embedders import HashEmbedder
memory = Memory({str(directory)!r}, embedder="hash", scope=Scope(user="ana"))
memory._parts.fail = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == "reembed:after-batch" else None
memory.reembed(HashEmbedder(32))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=60, env=dict(os.environ)
    )
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()

    embedder = Counting(32)
    with Memory(directory, embedder=HashEmbedder(64), scope=ANA, settings=EXACT) as memory:
        assert fingerprint(memory) == "hash-v1#64"
        assert memory.recall(words(5), k=1)[0].note.content == words(5)
        assert memory.reembed(embedder) == COUNT
    assert len(embedder.texts) == COUNT - CHUNK


def test_what_changes_meanwhile_is_covered(open_) -> None:
    """A note with new words gets the vector of these; one that is forgotten leaves no vector behind, old or new."""
    memory = open_(64)
    ids = {note.content: note.id for note in memory.notes()}

    done: list[str] = []

    def interfere(step: str) -> None:
        if step == "reembed:after-batch" and not done:
            done.append(step)
            memory.update(ids[words(0)], "the tulips were watered")
            memory.forget(ids[words(1)])
            memory.update(ids[words(COUNT - 1)], "the roses were cut")

    memory._parts.fail = interfere
    held = memory.reembed(HashEmbedder(32))

    assert held == COUNT - 1
    with memory._parts.core.store.read() as tx:
        for text in ("the tulips were watered", "the roses were cut"):
            row = tx.notes.rows_of([ids[words(0)] if "tulips" in text else ids[words(COUNT - 1)]]).popitem()[1]
            assert np.allclose(tx.vectors.load([row])[1][0], HashEmbedder(32).embed([text])[0], atol=1e-3)
        assert tx.next_vectors.count() == 0
    assert memory.check().ok


def test_rebuild_with_another_embedder_is_the_same_change(open_) -> None:
    """Opened with the new embedder: refused until rebuilt, then at home; batches of an interrupted run are kept."""
    memory = open_(64)
    stop_at(memory, "reembed:after-batch")
    with pytest.raises(Killed):
        memory.reembed(HashEmbedder(32))
    embedder = Counting(32)
    with Memory(memory.path, embedder=embedder, scope=ANA, settings=EXACT) as fresh:
        with pytest.raises(EmbedderMismatch):
            fresh.recall(words(4))
        assert fresh.rebuild("vectors") == COUNT
        assert len(embedder.texts) == COUNT - CHUNK
        assert fresh.recall(words(4), k=1)[0].note.content == words(4)


def test_going_back_gives_the_unfinished_change_up(open_) -> None:
    """The embedder that serves, asked for again, drops what was gathered for another."""
    memory = open_(64)
    stop_at(memory, "reembed:after-batch")
    with pytest.raises(Killed):
        memory.reembed(HashEmbedder(32))

    memory._parts.fail = lambda step: None
    assert memory.reembed(HashEmbedder(64)) == COUNT
    assert memory.stats()["reembedding"] is None
    assert memory.check().ok


def test_two_changes_to_different_embedders_do_not_mix(open_) -> None:
    """The later one takes over; the earlier one stops with an error and writes nothing more."""
    first, second = open_(64), open_(64)

    done: list[str] = []

    def overtake(step: str) -> None:
        if step == "reembed:after-batch" and not done:
            done.append(step)
            second.reembed(HashEmbedder(96))

    first._parts.fail = overtake
    with pytest.raises(EmbedderMismatch) as caught:
        first.reembed(HashEmbedder(32))

    assert caught.value.hint
    assert fingerprint(second) == "hash-v1#96"
    assert second.recall(words(4), k=1)[0].note.content == words(4)
    assert second.check().ok


def test_threads_go_on_remembering_and_recalling_through_the_switch(open_) -> None:
    """No call of another thread fails, and every note ends up with a vector of the new embedder."""
    memory = open_(64)
    failures: list[BaseException] = []
    written: list[str] = []
    stop = threading.Event()

    def use() -> None:
        number = 0
        try:
            while not stop.is_set():
                written.append(str(memory.remember(f"meanwhile the crate{number} came to pier{number}").id))
                assert memory.recall(words(number), k=1)[0].note.content == words(number)
                number += 1
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        for dimension in (64, 32, 96):
            memory.reembed(Reversed(dimension))
    finally:
        stop.set()
        thread.join()

    assert failures == []
    assert written
    rest = Reversed(96)
    with memory._parts.core.store.read() as tx:
        rows = tx.notes.select_all()
        notes = tx.notes.load(rows)
        found, vectors = tx.vectors.load(rows)
    expected = rest.embed([notes[row].content for row in found.tolist()])
    assert len(found) == COUNT + len(written)
    assert np.allclose(vectors, expected, atol=1e-3)


class Reversed(HashEmbedder):
    """Another embedder of any dimension: it reads backwards."""

    @property
    def fingerprint(self) -> str:
        return f"reversed#{self._dimension}"

    def _encode(self, texts):
        return super()._encode([text[::-1] for text in texts])


def test_an_older_store_learns_the_table(tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store from before this change is brought up when it is opened."""
    before = [name for name, _ in MIGRATIONS].index("re-embedding")
    with monkeypatch.context() as older:
        older.setattr("agentmem.stores.sqlite.migrations.MIGRATIONS", MIGRATIONS[:before])
        older.setattr("agentmem.stores.sqlite.migrations.SCHEMA_VERSION", before)
        (tmp_path / "memory").mkdir()
        SqliteStore(tmp_path / "memory" / "notes.db").close()

    with Memory(tmp_path / "memory", embedder=HashEmbedder(64), clock=clock, settings=EXACT) as memory:
        memory.remember("Ana lives in Porto.")
        assert memory.reembed(HashEmbedder(32)) == 1
        assert memory.recall("Porto")[0].note.content == "Ana lives in Porto."
