"""Whatever write fails, and wherever: what was acknowledged is there, nothing is there by half, and the same call works when the disk does."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from byte_search import traces

from agentmem import Memory, Scope, Settings
from agentmem.errors import AgentMemError, StoreError, StoreFull
from agentmem.files.reserve import NAME, Reserve
from agentmem.settings import IndexSettings

WORKER = Path(__file__).with_name("limited.py")
ANA = Scope(user="ana")
EXACT = Settings(index=IndexSettings(backend="exact"))
SECRET = "zqxvbnkwrtplmh"


def opened(place: Path) -> Memory:
    return Memory(place, embedder="hash", scope=ANA, settings=EXACT)


class Failing:
    """A connection whose n-th statement fails as a disk does that breaks or is full; counts what it was asked."""

    def __init__(self, connection: sqlite3.Connection, at: int, name: str) -> None:
        self.connection, self.at, self.name, self.asked = connection, at, name, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.connection, name)

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        self._count(sql)
        return self.connection.execute(sql, *values)

    def executemany(self, sql: str, *values: object) -> sqlite3.Cursor:
        self._count(sql)
        return self.connection.executemany(sql, *values)

    def _count(self, sql: str) -> None:
        self.asked += not sql.startswith("ROLLBACK")
        if self.asked == self.at and not sql.startswith("ROLLBACK"):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = self.name
            raise error


def contents(memory: Memory) -> list[tuple[str, list[str]]]:
    return sorted((n.content, [v.content for v in memory.history(n.id)]) for n in memory.notes())


VERBS: dict[str, Callable[[Memory], object]] = {
    "remember": lambda m: m.remember_many(["Ana has a boat.", "Ana lives in Oslo."], progress=False),
    "update": lambda m: m.update(next(n.id for n in m.notes() if SECRET in n.content), "Nothing is hidden."),
    "forget": lambda m: m.forget(next(n.id for n in m.notes() if SECRET in n.content)),
}


@pytest.mark.parametrize("name", ["SQLITE_IOERR_WRITE", "SQLITE_FULL"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_statement_that_fails_leaves_all_or_nothing(tmp_path: Path, verb: str, name: str) -> None:
    """Every eleventh statement of a verb fails in turn: a typed error and nothing changed, or a receipt that says what is left."""
    place = tmp_path / "memory"
    with opened(place) as memory:
        memory.remember([{"role": "user", "content": c} for c in ("We met.", f"It is {SECRET}.", "We left.")])
        memory.remember("Ana lives in Porto.")
    for at in range(1, 400, 11):
        copy = tmp_path / "copy"
        shutil.copytree(place, copy)
        with opened(copy) as memory:
            before = contents(memory)
            failing = Failing(memory._parts.core.store._db._connection, at, name)  # type: ignore[attr-defined]
            memory._parts.core.store._db._connection = failing  # type: ignore[attr-defined]
            raised: AgentMemError | None = None
            try:
                VERBS[verb](memory)
            except AgentMemError as error:
                raised = error
            failing.at = 0
            if raised is not None:
                assert raised.hint
                assert contents(memory) == before
                VERBS[verb](memory)
            assert contents(memory) != before
            memory.flush()
            assert memory.check().ok, memory.check().problems
            after = contents(memory)
        with opened(copy) as memory:
            assert contents(memory) == after
        if verb == "forget":
            assert traces(copy, [SECRET], tmp_path / "bytes") == []
        shutil.rmtree(copy)
        if failing.asked < at:
            assert at > 15, "nothing failed: the test proves nothing"
            return
    pytest.fail("the verb asked more than was tried")


def limited(root: Path, *limits: int) -> list[dict[str, object]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, str(WORKER), str(root), json.dumps(limits)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def _lost(outcomes: list[dict[str, object]]) -> None:
    assert any(o["failed"] for o in outcomes), "no write failed: the test proves nothing"
    for outcome in outcomes:
        assert outcome["untyped"] == [], outcome
        assert outcome["lost"] == [], outcome
        assert outcome["back"] == [], outcome
        assert outcome["problems"] == [], outcome


def test_writes_that_the_system_refuses_lose_nothing_acknowledged(tmp_path: Path) -> None:
    """Files may not grow beyond a limit, which a child meets somewhere in its work; then it is opened without one."""
    _lost(limited(tmp_path, *range(180_000, 700_000, 130_000)))


@pytest.mark.slow
def test_writes_that_the_system_refuses_at_many_limits(tmp_path: Path) -> None:
    """The same at two hundred limits."""
    _lost(limited(tmp_path, *range(120_000, 1_120_000, 5_000)))


def test_the_search_for_losses_can_find_some(tmp_path: Path) -> None:
    """The null control: a note that is taken out behind the memory's back counts as lost."""
    (outcome,) = limited(tmp_path, -1)

    assert outcome["lost"]


# -- a full disk ---------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, where one may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], capture_output=True)
        if shutil.which("mount")
        else None
    )
    if mounted is None or mounted.returncode:
        pytest.skip("a small disk cannot be mounted here (that takes root)")
    yield place
    subprocess.run(["umount", str(place)], check=False)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return filler


def told(place: Path) -> Memory:
    memory = opened(place)
    for i in range(40):
        memory.remember(f"note {i} " + "of pears and plums " * (i * 5))
    memory.remember([{"role": "user", "content": c} for c in ("We met.", f"It is {SECRET}.", "We left.")])
    return memory


def test_on_a_full_disk_one_can_forget(disk: Path, tmp_path: Path) -> None:
    """Remembering says that the disk is full, forgetting works and leaves no byte, and when there is room again all is as before."""
    with told(disk / "memory") as memory:
        assert (disk / "memory" / NAME).stat().st_blocks * 512 >= 2**20
        filler = fill(disk)
        with pytest.raises(StoreFull):
            for i in range(3_000):
                memory.remember(f"one more {i} " + "word " * 800)
        fill(disk)

        receipt = memory.forget(next(n.id for n in memory.notes() if SECRET in n.content))

        assert receipt.gone, (receipt.probes, receipt.warnings)
        assert traces(disk / "memory", [SECRET], tmp_path / "copy") == []
        filler.unlink()
        memory.remember("There is room again.")
        memory.flush()
        assert memory._parts.eraser._reserve.held
        assert memory.check().ok


def test_without_the_reserve_a_full_disk_keeps_what_should_be_forgotten(disk: Path) -> None:
    """The null control: the call fails, and the note is there as before."""
    with told(disk / "memory") as memory:
        none = Reserve(None)
        memory._parts.eraser._reserve = memory._parts.scrubber._reserve = none
        fill(disk)
        with pytest.raises(StoreError):
            for i in range(3_000):
                memory.remember(f"one more {i} " + "word " * 800)
        fill(disk)

        with pytest.raises(StoreError) as caught:
            memory.forget(next(n.id for n in memory.notes() if SECRET in n.content))
        assert caught.value.hint
        assert any(SECRET in n.content for n in memory.notes())


def test_a_reserve_gives_way_once_and_comes_back(tmp_path: Path) -> None:
    """The injected fault: work that fails for want of room is done again with the reserve given up; other errors are not."""
    reserve, tries = Reserve(tmp_path, size=2**16), list[bool]()

    def work() -> str:
        tries.append(reserve.held)
        if reserve.held:
            raise StoreFull("The disk is full.", hint="make room.")
        return "done"

    assert reserve.fill()
    assert (tmp_path / NAME).stat().st_size == 2**16
    assert reserve.used(work) == "done"
    assert tries == [True, False]
    assert reserve.fill()
    with pytest.raises(ZeroDivisionError):
        reserve.used(lambda: 1 // 0)
    assert reserve.held
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    assert not reserve.fill()
    assert not (tmp_path / "elsewhere").exists()
