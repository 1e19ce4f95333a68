"""Processes that are killed, and processes that write together."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from agentmem.notes.note import Scope
from agentmem.notes.rows import Selection
from agentmem.stores.sqlite.store import SqliteStore

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).parent / "worker.py"


def start(path: Path, name: str, count: int, *extra: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WORKER), str(path), name, str(count), *extra]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def test_kill_at_any_moment(tmp_path, counts) -> None:
    """Twenty kills: every acknowledged note is there, what was deleted is not, and all areas agree."""
    rng = random.Random(7)
    path = tmp_path / "n.db"
    SqliteStore(path).close()
    for turn in range(20):
        process = start(path, f"user{turn}", 100_000, "ack")
        assert process.stdout is not None
        process.stdout.readline()  # it is writing
        time.sleep(rng.uniform(0.0, 0.12))
        process.send_signal(signal.SIGKILL)
        acknowledged = [int(line) for line in process.stdout.read().splitlines() if line.strip()]
        process.wait()
        last = max(acknowledged, default=0)

        store = SqliteStore(path)
        assert store.check() == []
        with store.read() as tx:
            owner = tx.notes.owner(Scope(user=f"user{turn}"))
            notes = tx.notes.load(tx.notes.select(Selection((owner,))))
            numbers = {int(note.id.split("-")[1]) for note in notes.values()}
            top = max(numbers)
            # each seventh note deletes the one before it
            assert numbers == {n for n in range(top + 1) if n % 7 != 2 or n == top}
            assert top >= last
            assert tx.vectors.load_owner(owner)[0].tolist() == sorted(notes)
        stats = counts(store)
        assert stats["notes"] == stats["text"] == stats["vectors"]
        with store.read() as tx:
            state: dict[int, str] = {}
            for item in tx.outbox.take(10**6):
                state[item.row] = item.op
            assert sorted(row for row, op in state.items() if op == "upsert") == tx.notes.select(
                Selection(tx.notes.all_owners())
            )
        store.close()


def test_four_processes_write_together(tmp_path, counts) -> None:
    """A thousand notes by four processes that open a new store at once: none lost, no error."""
    path = tmp_path / "n.db"
    processes = [start(path, f"user{n}", 250) for n in range(4)]
    assert [process.wait(timeout=90) for process in processes] == [0, 0, 0, 0]

    store = SqliteStore(path)
    stats = counts(store)
    assert stats["notes"] == stats["text"] == stats["vectors"] == 4 * (250 - len([n for n in range(250) if n % 7 == 3]))
    assert stats["owners"] == 5
    assert store.check() == []
    store.close()
