"""Who writes waits for its turn and for no more: processes that write all the time keep nobody from writing."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import StoreError, StoreLocked
from agentmem.stores.sqlite import turns
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.stores.sqlite.turns import Turns

WRITER = Path(__file__).with_name("writer.py")
ROOT = Path(__file__).parents[2]


def race(directory: Path, writers: list[tuple[str, int, int, float]], *, guard: bool = True) -> list[dict[str, Any]]:
    """Run writers (name, threads, writes, seconds) at once; what each of them says."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({} if guard else {"WITHOUT_TURNS": "1"})
    children = [
        subprocess.Popen(
            [sys.executable, str(WRITER), str(directory), name, str(threads), str(writes), str(seconds)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name, threads, writes, seconds in writers
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return [json.loads(child.communicate(timeout=300)[0]) for child in children]


def at(found: list[dict[str, Any]], share: float) -> float:
    took = sorted(seconds for each in found for seconds in each["took"])
    return float(took[min(len(took) - 1, int(share * len(took)))])


def sound(directory: Path, found: list[dict[str, Any]]) -> None:
    assert [each["errors"] for each in found] == [[]] * len(found)
    with Memory(directory, embedder="hash") as memory:
        assert memory.stats()["notes"] == sum(1 + len(each["took"]) for each in found)


def test_processes_write_in_turns(tmp_path: Path) -> None:
    """Four processes write 60 notes each: all are kept, and the slowest writes are not fifty times as slow as most."""
    found = race(tmp_path / "m", [(f"w{n}", 1, 60, 1e9) for n in range(4)])

    sound(tmp_path / "m", found)
    assert at(found, 0.99) < 50 * at(found, 0.5)


def test_a_crowd_of_threads_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Four threads of one process against one of another, for some seconds: the one gets half of the turns, if it wants them."""
    crowd, alone = race(tmp_path / "m", [("crowd", 4, 10_000, 4.0), ("alone", 1, 10_000, 4.0)])

    sound(tmp_path / "m", [crowd, alone])
    assert len(alone["took"]) > len(crowd["took"]) / 4
    assert at([alone], 0.99) < 50 * at([alone], 0.5)


@pytest.mark.slow
def test_eight_processes_write_in_turns(tmp_path: Path) -> None:
    """Eight processes write 500 notes each: p99 stays below fifty times p50."""
    found = race(tmp_path / "m", [(f"w{n}", 1, 500, 1e9) for n in range(8)])

    sound(tmp_path / "m", found)
    assert at(found, 0.99) < 50 * at(found, 0.5)


@pytest.mark.slow
def test_eight_processes_starve_each_other_without_turns(tmp_path: Path) -> None:
    """The null control: with SQLite alone, whoever writes goes on writing."""
    found = race(tmp_path / "m", [(f"w{n}", 1, 500, 1e9) for n in range(8)], guard=False)

    assert at(found, 0.99) > 50 * at(found, 0.5)


def test_threads_come_in_the_order_in_which_they_asked() -> None:
    """Also while one of them asks again and again."""
    queue, order, started = Turns(None, 30, "here"), [], []

    def ask(name: str, times: int) -> None:
        for _ in range(times):
            started.append(name)
            with queue.turn():
                order.append(name)
                time.sleep(0.002)

    with queue.turn():
        threads = [
            threading.Thread(target=ask, args=(name, times))
            for name, times in (("a", 30), ("b", 1), ("c", 1), ("d", 1))
        ]
        for thread in threads:
            thread.start()
            while len(started) < len(threads[: threads.index(thread) + 1]):
                time.sleep(0.001)
            time.sleep(0.02)
    for thread in threads:
        thread.join()

    assert order[:4] == ["a", "b", "c", "d"]


def test_who_is_interrupted_leaves_the_queue(tmp_path: Path) -> None:
    """An interrupt while waiting, a wait that was too long, an error inside: the next one gets its turn."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background ignores it
    try:
        _interrupted_and_late(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted_and_late(tmp_path: Path) -> None:
    queue, other, third = (Turns(tmp_path, patience, "here") for patience in (0.3, 30, 30))
    for each in (queue, other, third):
        each.open()
    with other.turn():
        with pytest.raises(StoreLocked) as late, queue.turn():
            pass
        assert late.value.hint
        interrupted = threading.Thread(target=interrupt_who_waits, args=(tmp_path / "next.lock",))
        interrupted.start()
        with pytest.raises(KeyboardInterrupt), third.turn():
            pass
        interrupted.join()
    with pytest.raises(ZeroDivisionError), queue.turn():
        raise ZeroDivisionError
    for each in (queue, other, third, queue):
        with each.turn():
            pass
    for each in (queue, other, third):
        each.close()


def interrupt_who_waits(lock: Path) -> None:
    """As soon as somebody holds the place behind the one who writes."""
    with lock.open("rb") as file:
        for _ in range(1000):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                break
            fcntl.flock(file, fcntl.LOCK_UN)
            time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def test_nested_writes_take_one_turn(tmp_path: Path) -> None:
    """A write inside a write is a part of it, a write inside a read is refused, and neither leaves anybody waiting."""
    store, other = SqliteStore(tmp_path / "n.db"), SqliteStore(tmp_path / "n.db")
    with store.write(), store.write() as tx, store.read():
        tx.meta_set("a", "1")
    with pytest.raises(StoreError, match="inside a read"), store.read(), store.write():
        pass
    with other.write() as tx:
        tx.meta_set("b", "2")
    with store.read() as tx:
        assert (tx.meta_get("a"), tx.meta_get("b")) == ("1", "2")
    store.close()
    other.close()


def test_the_turn_of_a_killed_process_ends(tmp_path: Path) -> None:
    """The kernel frees its locks, also while a child that it forked lives on with the same files open."""
    code = (
        "import os, sys, time\nfrom agentmem.stores.sqlite.store import SqliteStore\n"
        "store = SqliteStore(sys.argv[1])\n"
        "with store.read(): pass\n"
        "if os.fork() == 0:\n    os.write(1, b'%d\\n' % os.getpid()); time.sleep(60); os._exit(0)\n"
        "with store.write():\n    os.write(1, b'writing\\n'); time.sleep(60)\n"
    )
    SqliteStore(tmp_path / "n.db").close()
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "n.db")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    lines = [child.stdout.readline().strip() for _ in range(2)]
    assert sorted(map(str.isdigit, lines)) == [False, True], lines
    (grandchild,) = (int(line) for line in lines if line.isdigit())
    try:
        child.kill()
        child.wait()
        store, began = SqliteStore(tmp_path / "n.db"), time.perf_counter()
        with store.write() as tx:
            tx.meta_set("a", "1")
        assert time.perf_counter() - began < 5
        store.close()
    finally:
        os.kill(grandchild, signal.SIGKILL)


def test_readers_wait_for_no_turn(tmp_path: Path) -> None:
    """While another process holds the write, and a thread of this one waits for it, others of this process read."""
    store, other = SqliteStore(tmp_path / "n.db"), SqliteStore(tmp_path / "n.db")

    def write() -> None:
        with store.write() as tx:
            tx.meta_set("a", "1")

    with other.write():
        waiting = threading.Thread(target=write)
        waiting.start()
        time.sleep(0.1)
        began = time.perf_counter()
        with store.read() as tx:
            assert tx.meta_get("a") is None
        assert time.perf_counter() - began < 1
        assert waiting.is_alive()
    waiting.join()
    store.close()
    other.close()


def test_a_place_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be locked writers still write, and check() says that they take no turns."""

    def refuse(descriptor: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(turns.fcntl, "flock", refuse)
    with Memory(tmp_path / "m", embedder="hash") as memory:
        memory.remember("The kettle is blue.")
        report = memory.check()

        assert any("no working file locks" in problem for problem in report.problems)
