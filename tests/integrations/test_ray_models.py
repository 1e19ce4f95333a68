"""A consolidation whose model work is done in the actors of a real Ray cluster: the same pack, also when workers are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from agentmem import Memory, Settings
from agentmem.errors import PackMismatch
from agentmem.integrations.ray_models import RayModels
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from tests.consolidation.several import FACTS, NIGHT, draw_alike, tell_all

pytestmark = pytest.mark.integrations


@pytest.fixture(scope="module")
def spread() -> Iterator[RayModels]:
    pytest.importorskip("ray")
    torch.set_num_threads(1)
    with RayModels("small", workers=2, piece=2) as made:
        yield made


@pytest.fixture(scope="module")
def model() -> Any:
    return load_small_model()


def opened(path: Any, model: Any, clock: ManualClock | None = None) -> Memory:
    return Memory(
        path, embedder="hash", model=model, clock=clock or ManualClock(), settings=Settings(consolidation=NIGHT)
    )


def ledger(memory: Memory) -> list[Any]:
    """What the registry and the books say, whosever it is."""
    held = [edit for user in ("ana", "bo", "cy") for edit in memory.edits(user=user)]
    return [held, [memory.history(edit.note_id, user=edit.scope.user) for edit in held]]


def test_two_workers_of_which_one_is_killed_make_the_pack_of_a_run_without_any(
    tmp_path: Path, model: Any, spread: RayModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its hash, with the same lines in the books; and the next run has nothing left to learn."""
    draw_alike(monkeypatch)
    with opened(tmp_path / "alone", model) as alone:
        tell_all(alone)
        wanted = alone.consolidate().pack
        books = ledger(alone)
    before = spread.processes()
    assert len(set(before) - {os.getpid()}) == 2
    with opened(tmp_path / "spread", model) as memory:
        tell_all(memory)
        found: list[Any] = []
        killed = threading.Event()

        def kill(stage: str, done: int, total: int) -> None:
            if stage == "writing edits" and done == 0 and not killed.is_set():
                killed.set()
                threading.Timer(0.3, os.kill, (before[0], signal.SIGKILL)).start()

        found.append(memory.consolidate(workers=spread, progress=kill))

        assert killed.is_set()
        (report,) = found
        assert report.pack == wanted
        assert ledger(memory) == books
        assert len(report.promoted) == len(FACTS)
        assert memory.consolidate(workers=spread).promoted == ()
        for user, _, _, value, question in FACTS:
            assert memory.ask(question, user=user, use="weights").text == f"{value}."
    after = spread.processes()
    assert before[0] not in after
    assert len(after) == 2


def test_a_worker_with_another_model_is_told(spread: RayModels) -> None:
    with pytest.raises(PackMismatch, match="another") as caught:
        spread.begin("another", "grace", 24)

    assert "same one on every machine" in caught.value.hint
    spread.end()


def test_a_cluster_that_is_not_there_is_a_typed_error() -> None:
    pytest.importorskip("ray")
    script = (
        "from agentmem.integrations.ray_models import RayModels\n"
        "from agentmem.errors import ConsolidationError\n"
        "try:\n    RayModels(address='127.0.0.1:1')\n"
        "except ConsolidationError as error:\n    print('told', error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)

    assert done.stdout.startswith("told"), done.stderr[-2000:]


def test_the_command_line_starts_workers_and_ends_them(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with Memory(tmp_path, embedder="hash") as memory:
        tell_all(memory)
    command = [sys.executable, "-m", "agentmem", "consolidate", "--path", str(tmp_path), "--embedder", "hash", "--json"]

    done = subprocess.run(
        [*command, "--ray", "local", "--workers", "1"], capture_output=True, text=True, timeout=240, check=False
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["promoted"]
