"""Every store keeps the same promises."""

from __future__ import annotations

import tempfile
from pathlib import Path

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
