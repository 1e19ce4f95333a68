"""Every store keeps the same promises."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import InvalidArgument
from agentmem.notes.protocols import Clock
from agentmem.records.transaction import NoteStore
from agentmem.stores.dicts import DictStore
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.testing.stores import StoreConformance


class TestSqliteInMemory(StoreConformance):
    def open(self, clock: Clock) -> NoteStore:
        return SqliteStore(None, clock=clock)


class TestSqliteFile(StoreConformance):
    def open(self, clock: Clock) -> NoteStore:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteStore(Path(self.folder.name) / "notes.db", clock=clock)

    def teardown_method(self) -> None:
        super().teardown_method()
        self.folder.cleanup()


class TestDicts(StoreConformance):
    def open(self, clock: Clock) -> NoteStore:
        return DictStore(clock=clock)


def test_what_is_no_whole_store_is_told_what_it_lacks(tmp_path: Path) -> None:
    """At once, by name, and before anything is opened or closed."""

    class Half:
        read_only = False

        def write(self) -> Any: ...
        def read(self) -> Any: ...

    with pytest.raises(InvalidArgument, match="Half is no store: it lacks check, close, completing") as caught:
        Memory(tmp_path / "memory", embedder="hash", store=Half())  # type: ignore[arg-type]

    assert "StoreConformance" in caught.value.hint
    assert not (tmp_path / "memory").exists()
