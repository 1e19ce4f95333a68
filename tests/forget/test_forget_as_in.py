"""What a restored backup brings back is forgotten again, by what the memory that was in use remembers of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agentmem import Memory, Scope
from agentmem.errors import StoreError


def contents(memory: Memory, user: str) -> list[str]:
    return sorted(note.content for note in memory.notes(user=user, faded=True) if note.scope.user == user)


def fill(place: Path) -> dict[str, str]:
    with Memory(place, embedder="hash") as memory:
        said = {
            "home": memory.remember("Ana lives in Porto.", user="ana"),
            "dog": memory.remember("My dog is called Rex.", user="ana"),
            "code": memory.remember("The code of the safe is 4711.", user="ben"),
            "office": memory.remember("The office is in Lima."),
        }
        return {name: str(receipt.id) for name, receipt in said.items()}


@pytest.mark.parametrize("kind", ["copy of the directory", "import"])
def test_a_restored_backup_forgets_what_was_forgotten_since(tmp_path: Path, kind: str) -> None:
    """By id, and by words that came under another id; what is still there, or was said again after it was forgotten, stays."""
    ids = fill(tmp_path / "live")
    if kind == "import":
        with Memory(tmp_path / "live", embedder="hash") as memory:
            memory.export(tmp_path / "backup.jsonl", everything=True, key=b"sixteen bytes or more")
    else:
        shutil.copytree(tmp_path / "live", tmp_path / "restored")
    with Memory(tmp_path / "live", embedder="hash") as memory:
        memory.forget(ids["home"], user="ana")
        memory.forget(ids["code"], user="ben")
        memory.forget(ids["office"], user="ana")
        memory.remember("The office is in Lima.")
    with Memory(tmp_path / "restored", embedder="hash") as memory:
        if kind == "import":
            memory.load_export(tmp_path / "backup.jsonl", key=b"sixteen bytes or more")
        again = memory.remember("The code of the safe is 4711.", user="eva")
        assert "Ana lives in Porto." in contents(memory, "ana")

        planned = memory.forget_as_in(tmp_path / "live", dry_run=True)
        assert {id for receipt in planned for id in receipt.ids} == {ids["home"], ids["code"], ids["office"]}
        assert "Ana lives in Porto." in contents(memory, "ana")
        receipts = memory.forget_as_in(tmp_path / "live")

        assert all(receipt.gone for receipt in receipts)
        assert contents(memory, "ana") == ["My dog is called Rex."]
        assert memory.get(str(again.id), user="eva").content.endswith("4711.")
        assert not [hit for hit in memory.recall("code of the safe", user="ben") if "4711" in hit.note.content]
        assert memory.forget_as_in(tmp_path / "live") == []
        assert memory.check(deep=True).ok


def test_a_bound_memory_forgets_its_own_alone(tmp_path: Path) -> None:
    ids = fill(tmp_path / "live")
    shutil.copytree(tmp_path / "live", tmp_path / "restored")
    with Memory(tmp_path / "live", embedder="hash") as memory:
        memory.forget(ids["home"], user="ana")
        memory.forget(ids["code"], user="ben")
    with Memory(tmp_path / "restored", scope=Scope(user="ana"), embedder="hash") as memory:
        assert [receipt.ids for receipt in memory.forget_as_in(tmp_path / "live")] == [(ids["home"],)]
    with Memory(tmp_path / "restored", embedder="hash") as memory:
        assert contents(memory, "ben") == ["The code of the safe is 4711."]
        with pytest.raises(StoreError, match="no memory"):
            memory.forget_as_in(tmp_path / "nowhere")


def test_on_the_command_line(tmp_path: Path) -> None:
    """A restored copy is cleaned with one command, which says what it did, and asks before."""
    ids = fill(tmp_path / "live")
    shutil.copytree(tmp_path / "live", tmp_path / "restored")
    with Memory(tmp_path / "live", embedder="hash") as memory:
        memory.forget(ids["code"], user="ben")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agentmem", "--path", str(tmp_path / "restored"), *words]
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=120
        )

    assert run("forget", "--as-in", str(tmp_path / "live")).returncode == 2, "nobody said yes"
    done = run("forget", "--as-in", str(tmp_path / "live"), "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert ids["code"] in json.dumps(json.loads(done.stdout))
    assert run("forget", "--as-in", str(tmp_path / "live"), "--yes").returncode == 0
    assert run("forget", ids["dog"], "--as-in", str(tmp_path / "live"), "--yes").returncode == 2
