"""After a scrubbing no part of a deleted row is in the file, and nobody who reads or writes beside it notices anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentmem.files.reserve import NAME
from agentmem.stores.sqlite.scrub import RESERVE, TURNS
from agentmem.stores.sqlite.turns import LOCK_FILES

WORKER = Path(__file__).with_name("scrubbed.py")


def programs(root: Path, first: int, count: int, without: str = "") -> list[dict[str, object]]:
    """Run as a process of its own, that forks before it has threads."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(WORKER), str(root), str(first), str(count), without]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3_000)
    assert run.returncode == 0, run.stderr[-3000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def holds(outcomes: list[dict[str, object]], count: int) -> None:
    assert len(outcomes) == count
    assert [o for o in outcomes if o["left"]] == []
    assert [o for o in outcomes if not o["sound"]] == [], "a page was damaged, or a commit was lost"
    assert [o for o in outcomes if not o["clean"]] == [], "it gave up"
    assert {o["late"] for o in outcomes} == {True, False}
    assert all(o["before"] for o in outcomes)


def test_who_scrubs_stands_in_the_same_queue_as_who_writes() -> None:
    """The program imports nothing of the package, so it has names of its own for the files: the same ones."""
    assert (RESERVE, TURNS) == (NAME, LOCK_FILES)


def test_nothing_deleted_is_left_and_nothing_kept_is_touched(tmp_path: Path) -> None:
    """Random programs, random deletions; a neighbour with warm caches reads and writes meanwhile, or only afterwards."""
    holds(programs(tmp_path, 0, 40), 40)


@pytest.mark.slow
def test_nothing_deleted_is_left_in_thousands_of_programs(tmp_path: Path) -> None:
    """The same, two thousand times."""
    holds(programs(tmp_path, 10_000, 2_000), 2_000)


@pytest.mark.slow
@pytest.mark.parametrize("without", ["blanking", "commit"])
def test_without_a_guard_the_programs_find_remnants(tmp_path: Path, without: str) -> None:
    """The null control: gaps that are left as they are, or neighbours that are not told that their pages are out of date."""
    for first in range(0, 240, 30):  # which programs go red depends on who is faster
        (tmp_path / str(first)).mkdir()
        if any(outcome["left"] for outcome in programs(tmp_path / str(first), first, 30, without)):
            return
    pytest.fail("nothing was found without the guard: the test proves nothing")
