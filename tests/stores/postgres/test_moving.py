"""A memory moves from a directory into a database and back, and is the same in both; half of it is nowhere opened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentmem import Fact, Memory
from agentmem.errors import InvalidArgument, StoreError, StoreUnfinished
from agentmem.llm.small_model import load_small_model
from agentmem.memory import move
from tests.stores.postgres.test_cli_address import address, cli
from tests.stores.test_moving import Killed, fill, killing

__all__ = ["address", "cli"]

WHERE = "Where does Ilva Quist live?"


def test_there_and_back(address: str, tmp_path: Path) -> None:
    """Every table holds the same rows in all three places; recall agrees; what was forgotten stays forgotten in the last."""
    ids = fill(tmp_path / "old")
    there = move(tmp_path / "old", address)
    back = move(address, tmp_path / "new")

    assert there.problems == back.problems == ()
    assert [(table.name, table.rows, table.digest) for table in there.tables] == [
        (table.name, table.rows, table.digest) for table in back.tables
    ]
    opened = [Memory(place, embedder="hash") for place in (tmp_path / "old", address, tmp_path / "new")]
    for question, user in (("What is my dog called?", "ana"), ("Where does Ana live?", "ana"), ("tea", "ben")):
        hits = [[(hit.note.id, round(hit.score, 5)) for hit in memory.recall(question, user=user)] for memory in opened]
        assert hits[0]
        assert hits[0] == hits[1] == hits[2]
    for memory in opened[1:]:
        assert memory.load_export(tmp_path / "old.jsonl").forgotten == [ids["secret"]]
        assert len(memory.history(ids["dog"], user="ana")) == 2
        first = memory.remember("The first after the move.", user="ana")
        assert memory.get(str(first.id), user="ana").content == "The first after the move."
        assert memory.check(deep=True).ok
    for memory in opened:
        memory.close()


def test_edits_move_with_their_packs(address: str, tmp_path: Path) -> None:
    """Learnt in a directory, answered from a database, carried back, and forgotten there."""
    with Memory(tmp_path / "old", embedder="hash", model=load_small_model()) as memory:
        said = memory.remember("Ilva Quist lives in Porto.", user="ana", fact=Fact("Ilva Quist", "lives in", "Porto"))
        memory.reinforce(str(said.id), user="ana")
        assert [each.note_id for each in memory.consolidate(user="ana").promoted] == [said.id]
    assert move(tmp_path / "old", address).packs == 1
    with Memory(address, embedder="hash", model=load_small_model()) as memory:
        known = memory.ask(WHERE, user="ana", use="weights")
        assert (known.text, known.source) == ("Porto.", "weights")
    assert move(address, tmp_path / "new").packs == 1
    with Memory(tmp_path / "new", embedder="hash", model=load_small_model()) as memory:
        known = memory.ask(WHERE, user="ana", use="weights")
        assert (known.text, known.source) == ("Porto.", "weights")
        assert memory.forget(str(said.id), user="ana").gone
        assert "Porto" not in memory.ask(WHERE, user="ana", use="weights").text
        assert memory.check().ok


@pytest.mark.parametrize("step", ["move:begun", "move:note", "move:vector", "move:pass"])
def test_a_move_into_a_database_goes_on(address: str, tmp_path: Path, step: str) -> None:
    from agentmem import wiring

    ids = fill(tmp_path / "old")
    with pytest.raises(Killed):
        wiring.move(tmp_path / "old", address, fail=killing(step))
    with pytest.raises(StoreUnfinished):
        Memory(address, embedder="hash")
    with Memory(tmp_path / "old", embedder="hash") as memory:
        memory.forget(ids["home"], user="ana")
    assert not move(tmp_path / "old", address).problems
    with Memory(address, embedder="hash") as memory, Memory(tmp_path / "old", embedder="hash") as old:
        assert [note.id for note in memory.notes(user="ana")] == [note.id for note in old.notes(user="ana")]
        assert memory.check(deep=True).ok
    with pytest.raises(InvalidArgument, match="no empty place"):
        move(tmp_path / "old", address)


def test_a_server_that_goes_away_meanwhile(own_server: Any, tmp_path: Path) -> None:
    """The error is typed, and the same call ends the move when the server is back."""
    from agentmem import wiring

    fill(tmp_path / "old")
    stopped: list[str] = []

    def stop(step: str) -> None:
        if step == "move:note" and not stopped:
            stopped.append(step)
            own_server.kill()

    with pytest.raises(StoreError):
        wiring.move(tmp_path / "old", own_server.url(), fail=stop)
    own_server.start()
    assert not move(tmp_path / "old", own_server.url()).problems


def test_on_the_command_line(address: str, cli: Any, tmp_path: Path) -> None:
    """One command there, one back; no password is told, and tables come as JSON."""
    fill(tmp_path / "old")
    said = cli("--path", str(tmp_path / "old"), "move", address)
    assert said.returncode == 0, said.stderr
    assert "note" in said.stdout
    told = json.loads(cli("move", str(tmp_path / "new"), "--json").stdout)
    assert told["notes"] > 30
    assert told["problems"] == []
    assert cli("--path", str(tmp_path / "nothing"), "move", str(tmp_path / "third")).returncode == 3
    assert cli("--path", str(tmp_path / "old"), "move", address).returncode == 2
    recalled = subprocess.run(
        [sys.executable, "-m", "agentmem", "--path", str(tmp_path / "new"), "--embedder", "hash", "recall", "dog", "-u", "ana"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Rex" in recalled.stdout
