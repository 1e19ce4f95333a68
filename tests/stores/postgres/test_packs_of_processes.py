"""What serves a memory on a database keeps nothing on its disk of what others have forgotten."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from agentmem import Fact, Memory
from agentmem.llm.small_model import load_small_model

WHERE = "Where does Ilva Quist live?"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files of this process go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_process_that_serves_has_no_bytes_on_its_disk_of_what_another_forgot(own_server: Any, scratch: Path) -> None:
    """Neither while nobody asks it, nor behind its next answer."""
    url = own_server.url()
    with (
        Memory(url, embedder="hash", model=load_small_model()) as serving,
        Memory(url, embedder="hash", model=load_small_model()) as worker,
    ):
        note = worker.remember("Ilva Quist lives in Porto.", user="ana", fact=Fact("Ilva Quist", "lives in", "Porto"))
        worker.reinforce(str(note.id), user="ana")
        assert worker.consolidate(user="ana").promoted
        assert serving.ask(WHERE, user="ana", use="weights").text == "Porto."

        assert worker.forget(str(note.id), user="ana").gone

        assert [str(path) for path in scratch.rglob("*") if path.is_file() and b"Porto" in path.read_bytes()] == []
        assert "Porto" not in serving.ask(WHERE, user="ana", use="weights").text
        assert [str(path) for path in scratch.rglob("*") if path.is_file() and b"Porto" in path.read_bytes()] == []
