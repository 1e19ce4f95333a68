"""``verify_bytes`` and ``agentmem verify --deep``: every file is looked into, byte by byte."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentmem import Memory
from agentmem.errors import InvalidArgument
from agentmem.integrations.cli.app import app
from agentmem.stores.sqlite.scrub import ScrubReport

SECRET = "zqxvbnkwrtplmh"


def test_a_sound_memory_holds_nothing_where_nothing_should_be(open_memory: Callable[..., Memory]) -> None:
    """After writing, changing and forgetting, no gap, no free page, no file and no log holds anything."""
    memory = open_memory()
    ids = [str(memory.remember(f"note {i} " + "of pears and plums " * (i % 40)).id) for i in range(150)]
    memory.update(ids[3], "other words")
    memory.forget(ids[40:90])

    report = memory.verify_bytes([SECRET])

    assert report.ok, str(report)


def test_a_text_that_is_there_is_found_with_its_place(open_memory: Callable[..., Memory]) -> None:
    """As it was written, in other cases, and escaped; the text itself is not repeated."""
    memory = open_memory()
    memory.remember(f"The treasure is {SECRET.upper()}.", metadata={"who": "Zoë Quillfeather"})

    report = memory.verify_bytes([SECRET, "Zoë Quillfeather"])

    assert not report.ok
    assert {"notes.db"} <= {each.file for each in report.found}
    assert any(each.place == "a row of a table" for each in report.found)
    assert SECRET not in str(report).lower()
    assert memory.verify_bytes(["not there at all"]).ok


def test_what_lies_in_gaps_packs_logs_and_indexes_is_found(open_memory: Callable[..., Memory], tmp_path: Path) -> None:
    """Each of them, when nobody has scrubbed."""
    memory = open_memory()
    memory.remember_many([f"note {i} of {SECRET} " + "pear " * (i % 90) for i in range(200)], progress=False)
    memory.flush()
    store = memory._parts.core.store
    store._scrub = lambda path, patience: ScrubReport(done=True)  # type: ignore[attr-defined]
    memory.forget([n.id for n in memory.notes()][::2])
    store._db.outside("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[attr-defined]
    folder = memory._parts.weights.pack_store.folder
    folder.mkdir(exist_ok=True)
    (folder / f"{'ab' * 32}.safetensors").write_bytes(b"left")
    former = memory._parts.core.indexer.directory.with_name("chroma-999")  # type: ignore[union-attr]
    former.mkdir()
    (former / "data_level0.bin").write_bytes(b"left")
    slack = next(memory._parts.core.indexer.directory.rglob("length.bin"))  # type: ignore[union-attr]
    with slack.open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"left")

    places = {each.place for each in memory.verify_bytes().found}

    assert {"a pack that is not in use", "an index that is not in use", "the index behind its last vector"} <= places
    assert "the gap of a page" in places


@pytest.mark.parametrize("texts", [["abc"], [""], [17]])
def test_a_text_too_short_to_mean_anything_is_refused(open_memory: Callable[..., Memory], texts: list[str]) -> None:
    """Three letters stand everywhere."""
    with pytest.raises(InvalidArgument) as caught:
        open_memory().verify_bytes(texts)
    assert caught.value.hint


def test_a_memory_without_files_says_so(memory: Memory) -> None:
    """There is nothing to look into."""
    with pytest.raises(InvalidArgument) as caught:
        memory.verify_bytes()
    assert caught.value.hint


def test_the_command_looks_and_says_by_its_status_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 when nothing is found, 1 when something is; texts come from the command line or from standard input."""
    place = tmp_path / "memory"
    with Memory(place, embedder="hash") as memory:
        memory.remember(f"The treasure is {SECRET}.")
    monkeypatch.setenv("AGENTMEM_PATH", str(place))
    monkeypatch.setenv("AGENTMEM_EMBEDDER", "hash")
    run = CliRunner()

    assert run.invoke(app, ["verify", "--deep", "--text", "nowhere to be found"]).exit_code == 0
    found = run.invoke(app, ["verify", "--deep", "--text", "-"], input=f"{SECRET}\n")
    assert found.exit_code == 1
    assert "notes.db" in found.output
    assert SECRET not in found.output
    assert run.invoke(app, ["verify", "--text", SECRET]).exit_code != 0


def test_nothing_that_is_looked_for_stands_on_a_command_line(
    open_memory: Callable[..., Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lists the processes of the machine does not read it there."""
    seen: list[list[str]] = []
    former = subprocess.run

    def noted(command: list[str], **options: object) -> object:
        seen.append(command)
        return former(command, **options)  # type: ignore[call-overload]

    memory = open_memory()
    monkeypatch.setattr(subprocess, "run", noted)
    memory.verify_bytes([SECRET])

    assert seen
    assert not any(SECRET in word for command in seen for word in command)
