"""One job of a kind at a time: a lease outlives no dead process, and no job outlives its lease."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agentmem import Memory
from agentmem.errors import JobLocked
from agentmem.jobs.lease import Lease
from agentmem.notes.clock import ManualClock, micros

SECOND = 1 / 60


@pytest.fixture(params=["in memory", "directory"])
def memory(request: pytest.FixtureRequest, tmp_path: Path):
    with Memory(None if request.param == "in memory" else tmp_path / "m", embedder="hash") as opened:
        yield opened


def _lease(memory: Memory, minutes: float = 30) -> Lease:
    return Lease(memory._parts.core, "job", "Somebody is at it.", minutes)


def test_a_second_worker_is_told_and_the_next_one_is_let_in(memory: Memory) -> None:
    with _lease(memory), pytest.raises(JobLocked, match="Somebody") as caught, _lease(memory):
        pass
    assert "30 minutes" in caught.value.hint
    with _lease(memory):
        pass


def test_a_job_that_takes_longer_than_its_lease_keeps_it(memory: Memory) -> None:
    """Renewed while it runs, and not a moment longer."""
    with _lease(memory, 1.5 * SECOND):
        time.sleep(2.5)
        with pytest.raises(JobLocked), _lease(memory):
            pass
    with memory._parts.core.store.read() as tx:
        assert tx.ledger.lease_holder("job") is None
    assert not [thread for thread in threading.enumerate() if thread.name == "agentmem-lease-job"]


def test_a_job_that_fails_lets_go(memory: Memory) -> None:
    with pytest.raises(ValueError, match="broken"), _lease(memory):
        raise ValueError("broken")
    with _lease(memory):
        pass


def _left_by(memory: Memory, host: str, process: int) -> None:
    now = micros(memory._parts.core.clock.now())
    with memory._parts.core.store.write() as tx:
        assert tx.ledger.lease("job", f"{host}:{process}:abc", now, now + 60_000_000)


def test_what_a_dead_process_left_is_free_at_once(memory: Memory) -> None:
    """On this machine; of another one nobody knows, so its lease has to run out."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    _left_by(memory, socket.gethostname(), dead.pid)
    with _lease(memory):
        pass

    _left_by(memory, socket.gethostname(), os.getppid())
    with pytest.raises(JobLocked), _lease(memory):
        pass


def test_what_another_machine_left_runs_out(clock: ManualClock) -> None:
    with Memory(None, embedder="hash", clock=clock) as memory:
        _left_by(memory, "elsewhere", 1)
        with pytest.raises(JobLocked), _lease(memory):
            pass
        clock.advance(minutes=2)
        with _lease(memory):
            pass
