"""What happens to a directory from outside: files emptied, linked, owned by another, cut short. Told, and nothing is lost by telling."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agentmem import Fact, Memory, Scope
from agentmem.errors import InvalidArgument, ScopeError, StoreCorrupt
from agentmem.files.writing import writing


@pytest.mark.parametrize("how", ["emptied", "removed"])
def test_notes_that_are_gone_as_a_whole_are_missed(tmp_path: Path, how: str) -> None:
    with Memory(tmp_path, embedder="hash") as memory:
        memory.remember("Ana lives in Porto.")
    notes = tmp_path / "notes.db"
    data = notes.read_bytes()
    notes.write_bytes(b"") if how == "emptied" else notes.unlink()

    with pytest.raises(StoreCorrupt, match=r"notes\.db") as caught:
        Memory(tmp_path, embedder="hash")
    assert "backup" in caught.value.hint

    notes.write_bytes(data)
    with Memory(tmp_path, embedder="hash") as memory:
        assert len(memory.notes()) == 1


def test_a_database_that_was_cut_short_is_said_to_be_damaged(tmp_path: Path) -> None:
    with Memory(tmp_path, embedder="hash") as memory:
        memory.remember_many([f"Ana has {n} boats." for n in range(50)], progress=False)
    notes = tmp_path / "notes.db"
    os.truncate(notes, notes.stat().st_size // 2 - 100)
    with pytest.raises(StoreCorrupt), Memory(tmp_path, embedder="hash") as memory:
        memory.check(deep=True)
        memory.notes()


def learnt(folder: Path) -> str:
    with Memory(folder, embedder="hash", model="small") as memory:
        note = memory.remember("Ines Varga lives in Porto.", fact=Fact("Ines Varga", "lives in", "Porto")).id
        memory.reinforce(note)
        assert memory.consolidate().promoted
    return note


def packs(folder: Path) -> list[Path]:
    return list(folder.glob("weights-*/*"))


def test_a_pack_that_a_backup_linked_leaves_the_memory_and_stays_in_the_backup(tmp_path: Path) -> None:
    home, backup = tmp_path / "home", tmp_path / "pack"
    note = learnt(home)
    os.link(packs(home)[0], backup)
    data = backup.read_bytes()

    with Memory(home, embedder="hash") as memory:
        assert memory.forget(note).gone

    assert packs(home) == []
    assert backup.read_bytes() == data


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs another user's files")
def test_a_pack_that_cannot_be_removed_is_said_to_be_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    note = learnt(home)
    (folder,) = home.glob("weights-*")
    for path in (tmp_path, home, *home.rglob("*")):
        os.chown(path, 65534, 65534)
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    packs(home)[0].chmod(0o644)
    for parent in tmp_path.parents:
        if parent.stat().st_mode & 0o005 != 0o005 and str(parent) != "/":
            parent.chmod(parent.stat().st_mode | 0o055)
    code = (
        "import sys\nfrom agentmem import Memory\n"
        "with Memory(sys.argv[1], embedder='hash') as m:\n    r = m.forget(sys.argv[2])\n    print(r.gone, r.warnings)"
    )
    who = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "--inh-caps",
        "+dac_read_search",
        "--ambient-caps",
        "+dac_read_search",
    ]
    said = subprocess.run(
        [*who, sys.executable, "-c", code, str(home), note], capture_output=True, text=True, cwd="/", timeout=60
    )

    assert said.stdout.startswith("False"), said.stdout + said.stderr[-2000:]
    assert "could not be removed" in said.stdout
    assert len(packs(home)) == 1


def test_a_memory_of_one_owner_does_not_change_the_embedder_of_all(tmp_path: Path) -> None:
    with Memory(tmp_path, embedder="hash") as memory:
        memory.remember("Ana lives in Porto.", user="ana")
    with Memory(tmp_path, embedder="hash", scope=Scope(user="bob")) as memory, pytest.raises(ScopeError):
        memory.reembed("hash")
    with Memory(tmp_path, embedder="hash") as memory:
        assert memory.recall("Where does Ana live?", user="ana")


@pytest.mark.parametrize("name", ["write.lock", "next.lock"])
def test_the_queue_of_writers_is_not_written_over(tmp_path: Path, name: str) -> None:
    with Memory(tmp_path, embedder="hash") as memory, pytest.raises(InvalidArgument):
        memory.export(tmp_path / name)


@pytest.mark.slow
def test_a_process_with_a_memory_ends_without_a_word(tmp_path: Path) -> None:
    code = "from agentmem import Memory\nm = Memory(None, model='small')\nm.remember('Ana lives in Porto.')\nm.ask('Where does Ana live?')\nkeep = [m]\n"
    for tail in ("", "m.close()\n"):
        said = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, timeout=120)
        assert said.returncode == 0
        assert "Exception ignored" not in said.stderr


def test_what_a_killed_export_left_goes_with_the_next_and_what_is_being_written_stays(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom agentmem.files.writing import writing\n"
        "with writing(Path(sys.argv[1])) as draft:\n    draft.write_text('Ana lives in Porto.')\n    os._exit(9)"
    )
    target = tmp_path / "notes.jsonl"
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    mine = tmp_path / ".notes.jsonl.mine.part.jsonl"
    mine.write_text("theirs")

    with writing(target) as draft, writing(target) as other:
        assert draft.exists()
        other.write_text("second")
        draft.write_text("first")

    assert sorted(path.name for path in tmp_path.iterdir()) == [mine.name, target.name]
    assert target.read_text() == "first"
