"""A write-ahead log that lost commits is told before anything is done with it; what a crash leaves, and what others write, is no damage."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from agentmem.errors import StoreCorrupt, StoreLocked
from agentmem.notes.clock import ManualClock
from agentmem.stores.sqlite.log import WriteAheadLog, read_log
from agentmem.stores.sqlite.store import SqliteStore

WRITER = Path(__file__).with_name("log_writer.py")
ROOT = Path(__file__).parents[2]
HEADER, FRAME = 32, 24 + 4096
KEYS = 12


def put(store: SqliteStore, key: str, size: int = 20) -> None:
    with store.write() as tx:
        tx.meta_set(key, "x" * size)


def keys(path: Path, **how: bool) -> int:
    """How many of the values that were stored are there."""
    with closing(SqliteStore(path, **how)) as store, store.read() as tx:
        return sum(tx.meta_get(f"key {n}") is not None for n in range(KEYS))


def log_of(path: Path) -> Path:
    return Path(f"{path}-wal")


def frames(path: Path) -> WriteAheadLog:
    log = read_log(log_of(path))
    assert log is not None
    return log


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("notes.db")}


def change(path: Path, at: int, data: bytes | Callable[[bytes], bytes], length: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        new = data if isinstance(data, bytes) else data(file.read(length))
        file.seek(at)
        file.write(new)


def flip(path: Path, at: int, bit: int = 0) -> None:
    change(path, at, lambda old: bytes([old[0] ^ 1 << bit]))


def ends(log: WriteAheadLog) -> list[int]:
    """The frames after which a commit ends."""
    return [int(frame) + 1 for frame in log.commits.nonzero()[0]]


@pytest.fixture
def live(tmp_path: Path, clock: ManualClock) -> Path:
    """A store that is open, with a commit for each key in its log."""
    path = tmp_path / "live" / "notes.db"
    path.parent.mkdir()
    return path


@pytest.fixture
def crashed(live: Path, tmp_path: Path) -> Path:
    """What a crash leaves of it."""
    with closing(SqliteStore(live)) as store:
        for n in range(KEYS):
            put(store, f"key {n}", 4000 * (n % 3) + 20)
        shutil.copytree(live.parent, tmp_path / "crashed")
    return tmp_path / "crashed" / "notes.db"


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("index", ["there", "gone"])
def test_commits_that_cannot_be_read_are_told_and_nothing_is_touched(
    crashed: Path, *, read_only: bool, index: str
) -> None:
    """One bit in the middle of the log: every later commit is behind it."""
    if index == "gone":
        Path(f"{crashed}-shm").unlink()
    flip(log_of(crashed), log_of(crashed).stat().st_size // 2)
    before = files(crashed.parent)

    for _ in range(2):
        with pytest.raises(StoreCorrupt, match="commits lie behind"):
            SqliteStore(crashed, read_only=read_only)
    assert files(crashed.parent) == before


def test_the_hint_keeps_what_was_committed_before_the_damage(crashed: Path) -> None:
    flip(log_of(crashed), HEADER + FRAME * ends(frames(crashed))[-4] + 100)
    with pytest.raises(StoreCorrupt) as caught:
        SqliteStore(crashed)

    command = re.search(r'python -c "(.*?)",', caught.value.hint)
    assert command is not None
    subprocess.run([sys.executable, "-c", command[1]], check=True)

    assert keys(crashed) == KEYS - 3


@pytest.mark.parametrize("read_only", [False, True])
def test_a_sound_log_is_opened(crashed: Path, *, read_only: bool) -> None:
    assert keys(crashed, read_only=read_only) == KEYS


def test_what_is_taken_is_what_sqlite_takes(crashed: Path, tmp_path: Path) -> None:
    """After any damage the frames that are counted here are those that SQLite counts, and it finds all of them in a log that is sound."""
    rng = random.Random(5)
    whole = frames(crashed)
    assert whole.taken == len(whole.own)
    found = set()
    for number in range(90):
        folder = tmp_path / f"copy {number}"
        folder.mkdir()
        copy = folder / "notes.db"
        shutil.copyfile(crashed, copy)
        shutil.copyfile(log_of(crashed), log_of(copy))
        size = log_of(copy).stat().st_size
        match number % 3:
            case 0:
                flip(log_of(copy), rng.randrange(HEADER, size), rng.randrange(8))
            case 1:
                flip(log_of(copy), HEADER + FRAME * rng.randrange(size // FRAME) + rng.randrange(24), rng.randrange(8))
            case _:
                os.truncate(log_of(copy), rng.randrange(HEADER, size))
        log = frames(copy)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("SELECT count(*) FROM meta").fetchone() if log.taken else None
            (_, recognised, _) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

        assert max(0, recognised) == log.taken
        found.add(log.taken)
    assert len(found) > 10


def test_every_part_of_a_commit_but_the_last_is_watched(crashed: Path) -> None:
    """A bit in the page, the salts or the checksum of any frame that a finished commit goes on from; without the index of the log."""
    Path(f"{crashed}-shm").unlink()
    finished = ends(frames(crashed))[-2]
    assert finished > 20

    for frame in range(finished):
        at = HEADER + FRAME * frame + (8, 12, 16, 23, 24, FRAME - 1)[frame % 6]
        flip(log_of(crashed), at, frame % 8)
        assert frames(crashed).damaged, frame
        flip(log_of(crashed), at, frame % 8)
    assert not frames(crashed).damaged


def test_the_index_tells_of_the_last_commit(crashed: Path) -> None:
    """Its own frames look like a commit that was never finished, unless a crash left the index of the log."""
    size = log_of(crashed).stat().st_size
    for hurt in (
        lambda log: flip(log, size - 5),
        lambda log: flip(log, size - FRAME + 5),
        lambda log: os.truncate(log, size - 100),
    ):
        kept = files(crashed.parent)
        hurt(log_of(crashed))
        with pytest.raises(StoreCorrupt):
            SqliteStore(crashed)
        for name, data in kept.items():
            (crashed.parent / name).write_bytes(data)
    Path(f"{crashed}-shm").unlink()
    flip(log_of(crashed), size - 5)

    assert keys(crashed) == KEYS - 1


@pytest.mark.parametrize("left", [None, 20])
def test_a_log_that_was_removed_is_told_by_its_index(crashed: Path, left: int | None) -> None:
    if left is None:
        log_of(crashed).unlink()
    else:
        os.truncate(log_of(crashed), left)
    before = files(crashed.parent)
    for read_only in (False, True):
        with pytest.raises(StoreCorrupt, match="missing") as caught:
            SqliteStore(crashed, read_only=read_only)
    assert files(crashed.parent) == before

    assert f"remove {crashed}-shm" in caught.value.hint
    Path(f"{crashed}-shm").unlink()
    SqliteStore(crashed).close()


def test_a_log_that_was_emptied_is_no_damage(crashed: Path) -> None:
    """SQLite empties a log that is in the database, and when power fails then, an index from before may be left."""
    os.truncate(log_of(crashed), 0)

    SqliteStore(crashed).close()


def test_a_damaged_header_is_told(crashed: Path) -> None:
    """SQLite takes nothing of a log whose header is not as it was written."""
    for at in range(HEADER):
        flip(log_of(crashed), at, at % 8)
        with pytest.raises(StoreCorrupt, match="does not begin"):
            SqliteStore(crashed)
        flip(log_of(crashed), at, at % 8)
    assert keys(crashed) == KEYS


def test_a_header_of_zeros_is_told_unless_all_is_zeros(crashed: Path) -> None:
    change(log_of(crashed), 0, bytes(HEADER))
    with pytest.raises(StoreCorrupt):
        SqliteStore(crashed)

    log_of(crashed).write_bytes(bytes(HEADER + 3 * FRAME))
    SqliteStore(crashed).close()


# -- what is no damage -----------------------------------------------------------------------------------------


def test_a_commit_that_was_never_finished_is_no_damage(crashed: Path) -> None:
    """Power failed while its frames were being written: any of them may be there, and any part of them."""
    index, log = Path(f"{crashed}-shm"), log_of(crashed)
    index.unlink()
    kept, (start, end) = files(crashed.parent), [HEADER + FRAME * frame for frame in ends(frames(crashed))[-2:]]
    rng = random.Random(3)
    for number in range(40):
        if number % 2:
            os.truncate(log, rng.randrange(start, end))
        for block in range(-(-start // 512), end // 512):
            if number % 4 and rng.random() < 0.4:
                change(log, 512 * block, bytes(512))
        if frames(crashed).taken < len(frames(crashed).own) or number % 2:
            assert keys(crashed) == KEYS - 1
        for name, data in kept.items():
            (crashed.parent / name).write_bytes(data)


def test_frames_of_a_former_round_are_no_damage(live: Path, tmp_path: Path) -> None:
    """SQLite begins a log anew from its start when all of it is in the database; what is longer stays behind."""
    with closing(SqliteStore(live)) as store:
        for n in range(KEYS):
            put(store, f"key {n}")
        long = frames(live)
        with closing(sqlite3.connect(live)) as other:
            other.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        put(store, "key 0", 30)
        short = frames(live)
        shutil.copytree(live.parent, tmp_path / "crashed")

        assert short.header != long.header
        assert len(short.own) == len(long.own)
        assert 0 < short.taken < long.taken
        assert not short.doubtful
        assert keys(live) == KEYS
    assert keys(tmp_path / "crashed" / "notes.db") == KEYS


@pytest.mark.parametrize("index", ["there", "gone"])
def test_a_longer_commit_that_nobody_saw_is_no_damage(live: Path, tmp_path: Path, index: str) -> None:
    """A writer was killed before others could see its commit, and a shorter one was written over the beginning of it."""
    with closing(SqliteStore(live)) as store:
        for n in range(KEYS):
            put(store, f"key {n}")
        shutil.copytree(live.parent, tmp_path / "base")
        put(store, "long", 50_000)
        killed = log_of(live).read_bytes()
    base = tmp_path / "base" / "notes.db"
    with closing(SqliteStore(base)) as store:
        put(store, "short")
        if index == "there":
            shutil.copyfile(f"{base}-shm", tmp_path / "index")
        over = log_of(base).read_bytes()
    shutil.rmtree(base.parent)
    assert len(killed) > len(over) + 5 * FRAME
    shutil.copytree(live.parent, base.parent)
    log_of(base).write_bytes(over + killed[len(over) :])
    if index == "there":
        shutil.copyfile(tmp_path / "index", f"{base}-shm")
    log = frames(base)
    assert log.own.all()
    assert log.commits[log.taken :].any()

    assert keys(base) == KEYS


class Meddler:
    """Writes a store as soon as somebody reads it, so many times."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.left = path, times

    def __call__(self, sql: str, parameters: Sequence[object]) -> None:
        if self.left and sql == "BEGIN":
            self.left -= 1
            with closing(SqliteStore(self.path)) as store:
                put(store, f"key {self.left}", 5000)


def test_a_store_that_is_written_while_it_is_opened_for_reading_is_looked_at_again(live: Path) -> None:
    SqliteStore(live).close()
    meddler = Meddler(live, 4)

    with closing(SqliteStore(live, read_only=True, tracer=meddler)) as store, store.read() as tx:
        assert all(tx.meta_get(f"key {n}") for n in range(4))
    assert not meddler.left


def test_a_store_that_never_rests_says_that_it_is_being_written(live: Path) -> None:
    """And is not called damaged."""
    SqliteStore(live).close()
    with pytest.raises(StoreLocked, match="while it was read"):
        SqliteStore(live, read_only=True, tracer=Meddler(live, 99))


def writer(path: Path, seed: int) -> subprocess.Popen[bytes]:
    """A process that has begun to open, write and close."""
    child = subprocess.Popen(
        [sys.executable, str(WRITER), str(path), str(seed)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def openings(tmp_path: Path, writers: int, each: int) -> list[str]:
    """Open a store while others open it, write and close it all the time, some of them killed; what was raised."""
    path = tmp_path / "busy" / "notes.db"
    path.parent.mkdir()
    SqliteStore(path).close()
    children = [writer(path, n) for n in range(writers)]
    told = []
    try:
        for number in range(each):
            try:
                SqliteStore(path, read_only=number % 3 == 2).close()
            except StoreCorrupt as error:
                told.append(str(error))
            if number % 20 == 19:
                children[0].kill()
                children[0].wait()
                children = [*children[1:], writer(path, number)]
    finally:
        ended = []
        for child in children:
            child.communicate(timeout=60)
            ended.append(child.returncode)
    assert ended == [0] * writers
    return told


def test_others_that_write_are_no_damage(tmp_path: Path) -> None:
    """Forty openings beside two processes that open, write and close; one of them is killed now and then."""
    assert openings(tmp_path, 2, 40) == []


@pytest.mark.slow
def test_many_others_that_write_are_no_damage(tmp_path: Path) -> None:
    """Six hundred openings beside four of them."""
    assert openings(tmp_path, 4, 600) == []
