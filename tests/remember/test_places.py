"""What is handed over as a place, a clock or a list and is none is refused by name, and nothing is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import InvalidArgument

CALLS: dict[str, Callable[[Memory], Any]] = {
    "a path of bytes": lambda memory: Memory(b"notes"),  # type: ignore[arg-type]
    "a number": lambda memory: Memory(5),  # type: ignore[arg-type]
    "no name": lambda memory: Memory(""),
    "a NUL": lambda memory: Memory("a\0b"),
    "no clock": lambda memory: Memory(None, embedder="hash", clock=5),  # type: ignore[arg-type]
    "no file": lambda memory: memory.load_export(None),  # type: ignore[arg-type]
    "no target": lambda memory: memory.export(None),  # type: ignore[arg-type]
    "no items": lambda memory: memory.remember_many(None),  # type: ignore[arg-type]
    "no texts": lambda memory: memory.verify_bytes(None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_is_none_is_refused(
    call: Callable[[Memory], Any], memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument) as caught:
        call(memory)
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_open_for_texts_takes_no_export(memory: Memory, tmp_path: Path) -> None:
    memory.remember("Ana lives in Porto.")
    with (tmp_path / "notes.jsonl").open("w") as file, pytest.raises(InvalidArgument):
        memory.export(file)  # type: ignore[arg-type]
    with (tmp_path / "notes.jsonl").open("wb") as out:
        assert memory.export(out).notes == 1
