"""Nothing acknowledged is lost, nothing forgotten comes back, and a sick index never shortens an answer."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentmem import Memory, Scope, Settings
from agentmem.settings import IndexSettings

WORKER = Path(__file__).with_name("worker.py")
ANA = Scope(user="ana")


def _start(mode: str, directory: Path, seed: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, str(WORKER), mode, str(directory), str(seed)],
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


def _events(output: bytes) -> Iterator[dict[str, object]]:
    """The complete lines; a kill may cut the last one."""
    for line in output.decode().splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


class _Expected:
    """What must be there, what must be gone, and what may be either: a call that never returned is unknown."""

    def __init__(self) -> None:
        self.texts: dict[str, set[str]] = {}
        self.gone: set[str] = set()
        self.unsure: set[str] = set()

    def follow(self, output: bytes) -> None:
        pending: str | None = None
        for event in _events(output):
            if "remembered" in event:
                self.texts[str(event["remembered"])] = {str(event["text"])}
            elif "updating" in event:
                self.texts[str(event["updating"])].add(str(event["text"]))
            elif "updated" in event:
                self.texts[str(event["updated"])] = {str(event["text"])}
            elif "forgetting" in event:
                pending = str(event["forgetting"])
            elif "forgotten" in event:
                pending = None
                self.texts.pop(str(event["forgotten"]), None)
                self.gone.add(str(event["forgotten"]))
        if pending is not None:
            self.unsure.add(pending)

    def compare(self, memory: Memory) -> None:
        notes = {note.id: note.content for note in memory.notes()}
        for missing in self.unsure - set(notes):
            self.texts.pop(missing, None)
        self.unsure.clear()
        lost = {i: t for i, t in self.texts.items() if notes.get(i) not in t}
        assert not lost, f"acknowledged and lost: {lost}"
        assert not self.gone & set(notes), "forgotten notes came back"
        # A note whose write was durable but whose acknowledgement the kill swallowed is a note from now on.
        self.texts = {i: {text} for i, text in notes.items()}


@pytest.mark.parametrize("rounds", [12, pytest.param(50, marks=pytest.mark.slow)])
def test_kill_9_at_random_points_loses_nothing_acknowledged(tmp_path: Path, rounds: int) -> None:
    """So many processes are killed while they remember, update and forget; after each fifth, all projections agree."""
    rng, expected, directory = random.Random(7), _Expected(), tmp_path / "memory"
    acknowledged = 0
    for number in range(rounds):
        worker = _start("use", directory, number)
        assert worker.stdout is not None
        # A few acknowledgements on any machine, and a moment of its own to die at.
        first = b"".join(worker.stdout.readline() for _ in range(rng.randint(1, 4)))
        time.sleep(rng.uniform(0.0, 0.25))
        os.killpg(worker.pid, signal.SIGKILL)
        output = first + worker.stdout.read()
        worker.wait()
        acknowledged += output.count(b"\n") - 1
        expected.follow(output)
        if number % 5 == 4 or number == rounds - 1:
            chosen = Settings(index=IndexSettings(flush_on_close=False))
            with Memory(directory, embedder="hash", scope=ANA, settings=chosen) as memory:
                expected.compare(memory)
            with Memory(directory, embedder="hash", settings=chosen) as whole:
                report = whole.check()
                assert report.counts["notes"] == report.counts["full text"] == report.counts["vectors"]
                assert [p for p in report.problems if "index" not in p] == []
    assert acknowledged > rounds, "the workers were killed before they did anything: the test proves nothing"


def test_four_processes_writing_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each acknowledged note of each process is there, and what all of them say is there once."""
    directory = tmp_path / "memory"
    workers = [_start("write", directory, seed) for seed in range(4)]
    outputs = [worker.communicate(timeout=120)[0] for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    acknowledged = {str(e["remembered"]) for output in outputs for e in _events(output)}
    with Memory(directory, embedder="hash") as memory:
        stored = {note.id for user in ("u0", "u1") for note in memory.notes(user=user)}
        assert len(acknowledged) == 100
        assert acknowledged == stored
        assert len(memory.notes(user="shared")) == 1
        assert memory.check().ok


def _filled(directory: Path, count: int) -> dict[str, str]:
    """A memory of distinct notes, indexed and closed; returns id by text."""
    with Memory(directory, embedder="hash", scope=ANA) as memory:
        receipts = memory.remember_many([f"parcel number{i} went to street{i % 17}" for i in range(count)])
        memory.flush()  # closing alone builds no index for a store that would never ask it
        return {f"parcel number{i} went to street{i % 17}": str(r.id) for i, r in enumerate(receipts)}


def _delete(index: Path) -> None:
    shutil.rmtree(index)


def _truncate(index: Path) -> None:
    largest = max((p for p in index.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    with largest.open("r+b") as file:
        file.truncate(largest.stat().st_size // 3)


def _flip(index: Path) -> None:
    for path in [p for p in index.rglob("*") if p.is_file()]:
        data = bytearray(path.read_bytes())
        for place in range(0, len(data), 97):
            data[place] ^= 0xFF
        path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [_delete, _truncate, _flip], ids=["deleted", "truncated", "bytes flipped"])
def test_a_sick_index_gives_a_complete_answer_marked_degraded(tmp_path: Path, damage: object) -> None:
    """Recall answers from the stored vectors, says so, and the index is rebuilt beside the requests."""
    directory = tmp_path / "memory"
    ids = _filled(directory, 300)
    indexes = list(directory.glob("index-*/chroma-*"))
    assert len(indexes) == 1
    damage(indexes[0])  # type: ignore[operator]

    with Memory(directory, embedder="hash", scope=ANA) as memory:
        first = memory.recall("parcel number42", k=5)
        assert first.degraded
        assert first.warnings
        assert first[0].note.id == ids["parcel number42 went to street8"]
        memory.flush()
        again = memory.recall("parcel number42", k=5)
        assert not again.degraded
        assert [h.note.id for h in again] == [h.note.id for h in first]
        assert memory.check().ok


def test_every_note_is_found_whether_indexed_or_not(tmp_path: Path) -> None:
    """The index answers for what it has seen, an exact scan for the rest: together for everything."""
    settings = Settings(index=IndexSettings(exact_limit=0, batch=10_000))
    directory = tmp_path / "memory"
    with Memory(directory, embedder="hash", scope=ANA, settings=settings) as memory:
        memory.remember_many([f"crate number{i} holds item{i}" for i in range(200)])
        memory.flush()
        late = memory.remember("crate number777 holds tulips")
        found = memory.recall("crate number777 tulips", k=3)
        assert found.plan["vectors"] == "chroma"
        assert found[0].note.id == late.id
        assert memory.recall("crate number33 item33", k=3)[0].note.content == "crate number33 holds item33"


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_while_consolidating_leaves_registry_and_weights_in_agreement(tmp_path: Path, kills: int) -> None:
    """Children are killed while facts become weights; registry, pack and model hold the same edits each time."""
    teacher = Path(__file__).with_name("teacher.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, str(teacher), str(tmp_path / "memory"), str(kills), "11"],
        capture_output=True, env=environment, timeout=560, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr.decode()[-2000:]

    remembered: set[str] = set()
    forgotten: set[str] = set()
    doubtful: set[str] = set()
    looks = promotions = 0
    for event in _events(run.stdout):
        if "remembered" in event:
            remembered.add(str(event["remembered"]))
        elif "looked" in event:
            assert event["status"] == 0, run.stderr.decode()[-2000:]
        elif "promoted" in event:
            promotions += bool(event["promoted"])
        elif "forgetting" in event:
            doubtful.add(str(event["forgetting"]))
        elif "forgotten" in event:
            forgotten.add(str(event["forgotten"]))
        elif "problems" in event:
            looks += 1
            notes, registry = set(map(str, event["notes"])), list(map(str, event["registry"]))  # type: ignore[call-overload]
            assert event["problems"] == []
            assert event["registry"] == event["live"]
            assert set(registry) <= notes, "an edit outlived its note"
            assert remembered - forgotten - doubtful <= notes, "acknowledged and lost"
            assert not forgotten & notes, "a forgotten note came back"
            assert event["packs"] in (0, 1), "packs that nobody serves were left behind"
    assert looks == kills
    assert promotions >= kills // 7, "the children were killed before they taught anything: the test proves nothing"
