"""The store in PostgreSQL keeps the promises of every store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentmem.notes.protocols import Clock
from agentmem.records.transaction import NoteStore
from agentmem.stores.postgres.store import PostgresStore
from agentmem.testing.stores import StoreConformance


class TestPostgres(StoreConformance):
    url: str
    new_schema: Callable[[], str]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, server: Any, new_schema: Callable[[], str]) -> None:
        cls.url = server.url()
        cls.new_schema = staticmethod(new_schema)

    def open(self, clock: Clock) -> NoteStore:
        return PostgresStore(self.url, schema=self.new_schema(), clock=clock)
