"""What cannot be written can be read: recall, answers, notes, export and checks work, and what would write says so."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import StoreError, StoreReadOnly
from agentmem.stores.sqlite import migrations

WORDS = ("Ana lives in Porto.", "Ben cooks fish.", "Cy rides a bike.")


def files(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest())
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        memory.remember_many(WORDS, progress=False)
    return tmp_path / "memory"


def reads(memory: Memory, target: Path) -> None:
    """Every verb that only looks."""
    assert memory.read_only
    assert [note.content for note in memory.notes()] == list(WORDS)
    found = memory.recall("Who cooks fish?")
    assert found[0].note.content == "Ben cooks fish."
    assert memory.get(found[0].note.id).content == memory.history(found[0].note.id)[-1].content == "Ben cooks fish."
    assert memory.check().ok
    assert memory.stats()["notes"] == 3
    assert memory.export(target / "copy.jsonl").notes == 3
    assert memory.graph_page(target / "page.html").is_file()
    assert memory.why_not("Who cooks fish?", found[0].note.id)
    assert "Ben cooks fish." in memory.ask("Who cooks fish?", use="notes").text


WRITES: dict[str, Callable[[Memory, str], Any]] = {
    "remember": lambda m, id: m.remember("Dora paints walls."),
    "remember_many": lambda m, id: m.remember_many(["Dora paints walls."], progress=False),
    "update": lambda m, id: m.update(id, "Dora paints walls."),
    "forget": lambda m, id: m.forget(id),
    "reinforce": lambda m, id: m.reinforce(id),
    "link": lambda m, id: m.link(id, m.notes()[1].id),
    "fade": lambda m, id: m.fade(),
    "rebuild text": lambda m, id: m.rebuild("text"),
    "rebuild vectors": lambda m, id: m.rebuild("vectors"),
    "rebuild graph": lambda m, id: m.rebuild("graph"),
    "record": lambda m, id: m.experience.record("Tidy.", "a mug", "wash it", 1.0, None),
    "undo": lambda m, id: m.undo_consolidation(),
}


@pytest.mark.parametrize("verb", WRITES)
def test_a_verb_that_would_write_says_that_it_cannot(filled: Path, verb: str) -> None:
    with Memory(filled, embedder="hash", read_only=True) as memory:
        id = memory.notes()[0].id
        with pytest.raises(StoreReadOnly) as caught:
            WRITES[verb](memory, id)
        assert "read_only" in caught.value.hint


def test_nothing_is_written_when_it_is_asked_for_only_to_be_read(filled: Path, tmp_path: Path) -> None:
    before = files(filled)
    with Memory(filled, embedder="hash", read_only=True, llm=str) as memory:
        reads(memory, tmp_path)
    assert files(filled) == before


def test_a_log_that_was_left_behind_is_read_and_left(filled: Path, tmp_path: Path) -> None:
    """A process was killed before its log went into the database: what it had acknowledged is read, from a copy of its own."""
    killed = tmp_path / "killed"
    with Memory(filled, embedder="hash") as memory:
        memory.remember("Dora paints walls.")
        shutil.copytree(filled, killed)
    (killed / "notes.db-shm").unlink()
    assert (killed / "notes.db-wal").stat().st_size
    before = files(killed)

    with Memory(killed, embedder="hash", read_only=True) as memory:
        assert "Dora paints walls." in [note.content for note in memory.notes()]
        memory.export(tmp_path / "copy.jsonl")
    assert files(killed) == before


def test_a_reader_beside_a_writer_sees_what_is_written(filled: Path) -> None:
    """Whether the writer came before the reader or after it."""
    with Memory(filled, embedder="hash", read_only=True) as early, Memory(filled, embedder="hash") as writer:
        assert len(early.notes()) == 3
        writer.remember("Dora paints walls.")
        with Memory(filled, embedder="hash", read_only=True) as late:
            assert len(late.notes()) == 4
            writer.remember("Eve sings songs.")
            assert len(late.notes()) == 5
        assert len(early.notes()) == 5
        assert early.recall("Who sings songs?")[0].note.content == "Eve sings songs."


def test_notes_of_an_older_schema_are_read(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are brought up to date in a copy; the original stays as it is."""
    monkeypatch.setattr(
        migrations, "MIGRATIONS", (*migrations.MIGRATIONS, ("for the test", ("CREATE TABLE extra (x) ",)))
    )
    monkeypatch.setattr(migrations, "SCHEMA_VERSION", migrations.SCHEMA_VERSION + 1)
    before = files(filled)

    with Memory(filled, embedder="hash", read_only=True) as memory:
        assert len(memory.notes()) == 3
        with pytest.raises(StoreReadOnly):
            memory.remember("Dora paints walls.")
    assert files(filled) == before


def test_there_must_be_something_to_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(StoreReadOnly):
            Memory(path, embedder="hash", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_another_program_s_database_is_not_read_as_ours(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "notes.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError):
        Memory(tmp_path, embedder="hash", read_only=True)


# -- a directory that the system does not let be written --------------------------------------------------------


@pytest.fixture
def frozen(filled: Path, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The memory where it cannot be written, and how that was done: a mount for reading where possible, else rights, for another user."""
    target = tmp_path / "frozen"
    target.mkdir()
    mounted = (
        subprocess.run(["mount", "--bind", str(filled), str(target)], capture_output=True).returncode == 0
        if _is_root()
        else False
    )
    if mounted and subprocess.run(["mount", "-o", "remount,bind,ro", str(target)], capture_output=True).returncode == 0:
        yield target, "mount"
        subprocess.run(["umount", str(target)], check=True)
        return
    if mounted:
        subprocess.run(["umount", str(target)], check=True)
    for path in (*filled.rglob("*"), filled):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent.name.startswith(("pytest-", "test_")):
            parent.chmod(0o755)
    yield filled, "rights"
    for path in (filled, *filled.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _is_root() -> bool:
    return hasattr(os, "getuid") and os.getuid() == 0


USE = """
import os, sys
if sys.argv[2] == "rights" and os.getuid() == 0:
    os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
os.environ["HOME"] = "/tmp"
from agentmem import Memory
from agentmem.errors import StoreReadOnly
with Memory(sys.argv[1], embedder="hash") as memory:
    assert memory.read_only
    assert memory.recall("Who cooks fish?")[0].note.content == "Ben cooks fish."
    assert len(memory.notes()) == 3 and memory.check().ok and memory.stats()["notes"] == 3
    try:
        memory.remember("Dora paints walls.")
    except StoreReadOnly as error:
        assert error.hint
        sys.exit(7)
"""


def test_a_directory_that_cannot_be_written_is_opened_for_reading(frozen: tuple[Path, str]) -> None:
    """By itself, without being asked. As root, rights are ignored, so a child becomes somebody else where no mount can be made."""
    place, how = frozen
    before = files(place)

    done = subprocess.run(
        [sys.executable, "-c", USE, str(place), how],
        cwd=Path(__file__).parents[2],
        timeout=120,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 7, done.stderr
    assert files(place) == before


def test_commands_work_on_a_directory_that_cannot_be_written(
    frozen: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, how = frozen
    if how == "rights" and _is_root():
        monkeypatch.setattr("agentmem.files.data_directory._can_be_written", lambda root: False)
    from typer.testing import CliRunner

    from agentmem.integrations.cli.app import app

    run = CliRunner().invoke
    common = ["--path", str(place), "--embedder", "hash"]
    assert "Ben cooks fish." in run(app, ["recall", "Who cooks fish?", *common]).output
    assert run(app, ["notes", *common]).exit_code == 0
    assert run(app, ["check", *common]).exit_code == 0
    refused = run(app, ["remember", "Dora paints walls.", *common])
    assert refused.exit_code != 0


def test_what_only_looks_may_look_where_nothing_is_written(tmp_path: Path) -> None:
    with Memory(tmp_path, embedder="hash") as memory:
        memory.remember("Ana lives in Porto.")
    with Memory(tmp_path, embedder="hash", read_only=True) as memory:
        assert not memory.fade(dry_run=True).ids
        assert not [each for each in memory.verify_bytes(["Zanzibar"]).found if "text" in each.what]
        assert [each for each in memory.verify_bytes(["Porto"]).found if "text" in each.what]
