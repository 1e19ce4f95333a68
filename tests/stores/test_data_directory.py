"""A directory knows what is its own, and finds its notes again: made, killed, copied, taken over from an older version."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory, Settings, wiring
from agentmem.errors import PackMismatch, StoreCorrupt, StoreForeign
from agentmem.files.data_directory import DataDirectory, open_directory
from agentmem.files.sqlite_files import BOUND_TO, bound_to, look
from agentmem.settings import IndexSettings
from agentmem.stores import adopting
from agentmem.weights.registry import METHOD

NOW = datetime(2026, 3, 2, tzinfo=UTC)
INDEXED = Settings(index=IndexSettings(exact_limit=2, batch=1))
PACK = b"a pack of edits, as far as its name goes"
SHA = hashlib.sha256(PACK).hexdigest()


def open_memory(path: Path) -> Memory:
    return Memory(path, embedder="hash", settings=INDEXED)


def fill(path: Path) -> None:
    with open_memory(path) as memory:
        memory.remember_many([f"Ana has {n} boats." for n in range(6)], progress=False)
        memory.flush()
        with memory._parts.core.store.write() as tx:
            tx.ledger.set_active_pack(METHOD, memory._parts.weights._put(tx, PACK), 0)


def sound(memory: Memory) -> bool:
    """No problem, but that the pack is none by its content."""
    return [p for p in memory.check().problems if "not an edit pack" not in p] == []


def made_old(path: Path) -> Path:
    """The directory as an older version left it: no marker, and folders without an id."""
    fill(path)
    directory = open_directory(path, now=NOW)
    with closing(sqlite3.connect(directory.database)) as database:
        database.execute("DELETE FROM meta WHERE key IN (?, 'packs')", (BOUND_TO,))
        state = json.loads(database.execute("SELECT value FROM meta WHERE key = 'index_state'").fetchone()[0])
        del state["digests"]
        database.execute("UPDATE meta SET value = ? WHERE key = 'index_state'", (json.dumps(state),))
        database.commit()
    for generation in directory.index.glob("chroma-*"):
        generation.rename(path / generation.name)
    (directory.index / "index.lock").rename(path / "index.lock")
    directory.index.rmdir()
    directory.weights.rename(path / "weights")
    (path / "agentmem.json").unlink()
    (path / "weights" / "llama.safetensors").write_bytes(b"a model of the user's")
    (path / "weights" / f"{'0' * 64}.safetensors").write_bytes(b"not what its name says")
    return path


# -- made ------------------------------------------------------------------------------------------------------


def test_a_marker_says_whose_directory_it_is(tmp_path: Path) -> None:
    first, again = open_directory(tmp_path / "a", now=NOW), open_directory(tmp_path / "a", now=NOW)
    values = json.loads((tmp_path / "a" / "agentmem.json").read_text())

    assert first == again
    assert values == {"format": "agentmem-directory", "version": 1, "id": first.id, "created_at": NOW.isoformat()}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["agentmem.json"]
    assert (tmp_path / "a" / "agentmem.json").stat().st_mode & 0o077 == 0
    assert open_directory(tmp_path / "b", now=NOW).id != first.id


OPEN = """
import sys
from pathlib import Path
from agentmem import Memory
sys.stdin.readline()
with Memory(Path(sys.argv[1]), embedder="hash") as memory:
    print(memory.remember(sys.argv[2]).id)
"""


def test_processes_that_make_the_same_directory_at_once_make_one(tmp_path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(tmp_path / "new"), f"Child {n} was here."],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    ids = [child.communicate(timeout=120)[0].strip() for child in children]

    assert all(child.returncode == 0 for child in children)
    with open_memory(tmp_path / "new") as memory:
        assert sorted(note.id for note in memory.notes()) == sorted(ids)
    assert len(list((tmp_path / "new").glob("index-*"))) == 1


def test_without_a_lock_of_the_system_the_first_marker_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that found no marker agree on one all the same."""
    faster = open_directory(tmp_path, now=NOW)
    kept = (tmp_path / "agentmem.json").read_bytes()
    (tmp_path / "agentmem.json").unlink()
    looks = iter((None, faster.id))
    monkeypatch.setattr(
        "agentmem.files.data_directory._marker",
        lambda root: (found := next(looks)) or ((tmp_path / "agentmem.json").write_bytes(kept) and found),
    )

    assert open_directory(tmp_path, now=NOW).id == faster.id


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"format": "agentmem-directory", "version": 1, "id": "../x"}',
        b'{"format":"other"}',
        b" " * 5000,
    ],
)
def test_a_marker_that_is_not_ours_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "agentmem.json").write_bytes(data)
    with pytest.raises(StoreForeign, match=r"agentmem\.json"):
        open_directory(tmp_path, now=NOW)
    assert (tmp_path / "agentmem.json").read_bytes() == data


def test_a_marker_of_a_newer_version_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "agentmem.json").write_text(
        '{"format": "agentmem-directory", "version": 2, "id": "whatever it may be"}'
    )
    with pytest.raises(StoreCorrupt, match="upgrade"):
        open_directory(tmp_path, now=NOW)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_log_without_its_database_is_not_written_over(tmp_path: Path) -> None:
    """It may be the only place where the newest notes are."""
    fill(tmp_path)
    (tmp_path / "notes.db").unlink()
    (tmp_path / "notes.db-wal").write_bytes(b"what is left")
    with pytest.raises(StoreForeign, match=r"without notes\.db"):
        open_memory(tmp_path)
    assert (tmp_path / "notes.db-wal").read_bytes() == b"what is left"


def test_a_database_whose_first_page_is_damaged_is_said_to_be_damaged(tmp_path: Path) -> None:
    fill(tmp_path)
    data = bytearray((tmp_path / "notes.db").read_bytes())
    data[:16] = bytes(16)
    (tmp_path / "notes.db").write_bytes(data)
    with pytest.raises(StoreCorrupt, match="damaged"):
        open_memory(tmp_path)
    assert (tmp_path / "notes.db").read_bytes() == data


def test_a_database_is_known_by_its_bytes_from_its_first_page_on(tmp_path: Path) -> None:
    """Also one that was killed while everything it says lies in the log, as older versions left it."""
    with closing(sqlite3.connect(tmp_path / "notes.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        assert not look(tmp_path / "notes.db").ours
        database.execute("BEGIN")
        database.execute(f"PRAGMA application_id={0x61676D6D}")
        database.execute("CREATE TABLE meta (key, value)")
        database.execute("COMMIT")
        assert look(tmp_path / "notes.db").ours, "seen in the log"
    assert look(tmp_path / "notes.db").ours, "seen in the file"
    fill(tmp_path / "new")
    assert look(tmp_path / "new" / "notes.db").ours


# -- lost and copied ---------------------------------------------------------------------------------------------


def test_a_marker_that_was_lost_is_made_again_with_its_id(tmp_path: Path) -> None:
    """The database knows it, so nothing has to be rebuilt."""
    fill(tmp_path)
    before = open_directory(tmp_path, now=NOW)
    (tmp_path / "agentmem.json").unlink()

    with open_memory(tmp_path) as memory:
        assert sound(memory)
        assert memory._parts.weights.pack_store.get(SHA) == PACK
    assert open_directory(tmp_path, now=NOW) == before


def test_notes_that_were_copied_into_another_directory_belong_to_it_from_then_on(tmp_path: Path) -> None:
    """The notes are all there; index and weights stayed behind, which is said, and the index is built again."""
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    there = open_directory(tmp_path / "b", now=NOW)
    (there.weights / f"{SHA}.safetensors").unlink()
    shutil.copy(tmp_path / "a" / "notes.db", tmp_path / "b" / "notes.db")

    with open_memory(tmp_path / "b") as memory:
        report = memory.check()
        assert report.index == "damaged"
        assert any("another directory" in notice for notice in report.notices)
        assert any("missing" in problem for problem in report.problems)
        memory.rebuild("vectors")
        assert memory.check().index == "ok"
        assert len(memory.notes()) == 6
    assert bound_to(tmp_path / "b" / "notes.db") == there.id


def test_a_directory_that_was_moved_or_copied_whole_is_the_same_memory(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    shutil.copytree(tmp_path / "b", tmp_path / "c")
    for name in "bc":
        with open_memory(tmp_path / name) as memory:
            assert sound(memory)
            assert memory._parts.weights.pack_store.get(SHA) == PACK


# -- an older version's --------------------------------------------------------------------------------------------


def test_an_older_version_s_directory_is_taken_over_as_far_as_its_books_name_it(tmp_path: Path) -> None:
    """The pack and the index move, by a rename; what else lies in those folders stays and is told."""
    old = made_old(tmp_path / "old")
    inode = (old / "weights" / f"{SHA}.safetensors").stat().st_ino

    with open_memory(old) as memory:
        report = memory.check()
        assert sound(memory)
        assert report.index == "ok", "the index was moved, not built again"
        assert memory._parts.weights.pack_store.path(SHA).stat().st_ino == inode
        (notice,) = report.notices
    assert "weights/llama.safetensors" in notice
    assert f"weights/{'0' * 64}.safetensors" in notice
    assert sorted(path.name for path in (old / "weights").iterdir()) == sorted(
        [f"{'0' * 64}.safetensors", "llama.safetensors"]
    )
    assert not list(old.glob("chroma-*"))
    assert (old / "index.lock").exists()


def test_an_index_that_is_not_as_the_books_say_is_left_alone_and_built_again(tmp_path: Path) -> None:
    old = made_old(tmp_path / "old")
    (mine,) = old.glob("chroma-*")
    (mine / "photo.jpg").write_bytes(b"somebody's")
    before = {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()}

    with open_memory(old) as memory:
        assert memory.check().index in ("missing", "damaged")
        memory.flush()
        assert sound(memory)
        assert any(mine.name in notice for notice in memory.check().notices)
    assert {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()} == before


class Killed(Exception):
    pass


@pytest.mark.parametrize("step", ["adopt:after-pack", "adopt:after-index", "adopt:before-commit"])
def test_a_takeover_that_was_killed_is_finished_by_the_next_opening(tmp_path: Path, step: str) -> None:
    old = made_old(tmp_path / "old")

    def fail(at: str) -> None:
        if at == step:
            raise Killed

    with pytest.raises(Killed):
        wiring.build(old, embedder="hash", model=None, llm=None, clock=None, settings=INDEXED, fail=fail)

    with open_memory(old) as memory:
        assert sound(memory)
        assert memory.check().index == "ok"
        assert memory._parts.weights.pack_store.get(SHA) == PACK
        assert len(memory.notes()) == 6


def test_a_pack_that_only_has_the_name_is_not_taken_over(tmp_path: Path) -> None:
    old = made_old(tmp_path / "old")
    (old / "weights" / f"{SHA}.safetensors").write_bytes(b"somebody else's bytes")

    with open_memory(old) as memory:
        with pytest.raises(PackMismatch, match="missing"):
            memory._parts.weights.pack_store.get(SHA)
        assert any("rebuild('weights')" in problem for problem in memory.check().problems)
    assert (old / "weights" / f"{SHA}.safetensors").read_bytes() == b"somebody else's bytes"


def test_an_older_version_s_directory_can_be_read_where_it_cannot_be_written(tmp_path: Path) -> None:
    old = made_old(tmp_path / "old")
    names = sorted(path.name for path in old.rglob("*"))
    with Memory(old, embedder="hash", read_only=True) as memory:
        assert len(memory.notes()) == 6
        assert memory._parts.weights.pack_store.get(SHA) == PACK
    assert sorted(path.name for path in old.rglob("*")) == names


# -- packs ---------------------------------------------------------------------------------------------------------


def test_packs_that_were_made_here_go_even_when_damaged_and_others_only_by_their_bytes(tmp_path: Path) -> None:
    fill(tmp_path)
    orphan = b"left by a crash, named by its hash"
    with open_memory(tmp_path) as memory:
        weights = memory._parts.weights
        shelf = weights.pack_store
        shelf.put(orphan)
        (shelf.folder / f"{'1' * 64}.safetensors").write_bytes(b"whoever put this here")
        (shelf.folder / f"{SHA}.safetensors.0123456789abcdef.tmp").write_bytes(b"half a pa")
        shelf.path(SHA).write_bytes(b"damaged")
        with memory._parts.core.store.write() as tx:
            tx.ledger.set_active_pack(METHOD, None, 1)
        weights.collect()

        assert [path.name for path in shelf.folder.iterdir()] == [f"{'1' * 64}.safetensors"]
        assert any("1111" in notice for notice in memory.check().notices)


def test_strangers_are_counted_not_followed(tmp_path: Path) -> None:
    """A link to a folder in the place of ours is named, and nobody looks behind it."""
    made = open_directory(tmp_path / "a", now=NOW)
    (tmp_path / "far").mkdir()
    made.weights.symlink_to(tmp_path / "far")
    os.mkfifo(tmp_path / "a" / "pipe")
    assert made.strangers() == [made.weights.name]
    with pytest.raises(StoreForeign, match=made.weights.name):
        open_memory(tmp_path / "a")
    assert list((tmp_path / "far").iterdir()) == []


def test_a_directory_is_a_value() -> None:
    directory: Any = DataDirectory(Path("/x"), "0" * 32)
    with pytest.raises(AttributeError):
        directory.id = "1"


def test_what_binds_a_database_is_idempotent(tmp_path: Path) -> None:
    fill(tmp_path)
    with open_memory(tmp_path) as memory:
        assert adopting.bind(memory._parts.core.store, open_directory(tmp_path, now=NOW), METHOD)() == []


def test_opening_a_second_memory_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    """Closing any descriptor of a file drops every lock that the process holds on it (POSIX): so none is opened beside SQLite's."""
    locks = Path("/proc/locks")
    if not locks.exists():
        pytest.skip("the kernel does not list its locks")

    def held() -> int:
        file = (tmp_path / "m" / "notes.db").stat().st_ino
        lines = (line.split() for line in locks.read_text().splitlines())
        return sum(
            line[1] == "POSIX" and line[4] == str(os.getpid()) and line[5].endswith(f":{file}")
            for line in lines
            if line[1] != "->"
        )

    with Memory(tmp_path / "m", embedder="hash") as first:
        first.remember("The kettle is blue.")
        before = held()
        assert before
        for more in ({}, {"read_only": True}):
            with Memory(tmp_path / "m", embedder="hash", **more) as second:
                assert second.notes()
                assert held() >= before
            assert held() >= before
