"""LangGraph's own store classes, replaced by ours in a process that runs its tests: a pytest plugin.

Lifetimes are counted by a clock that goes on with each sleep, so that nobody has to wait for one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import langgraph.store.memory
import langgraph.store.sqlite
import langgraph.store.sqlite.aio
import pytest

from agentmem import AsyncMemory, Memory
from agentmem.integrations.langgraph import AgentMemStore, AsyncAgentMemStore
from agentmem.integrations.langgraph.store import _indexed

LONG = 0.4  # seconds: shorter sleeps are there to let others go on


class SleepingClock:
    """The time, and what was slept besides."""

    def __init__(self) -> None:
        self.slept = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.slept


CLOCK = SleepingClock()


@pytest.fixture(autouse=True)
def sleep_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    really, awaited = time.sleep, asyncio.sleep

    def sleep(seconds: float) -> None:
        if seconds < LONG:
            return really(seconds)
        CLOCK.slept += timedelta(seconds=seconds)
        return None

    async def asleep(seconds: float, *result: Any) -> Any:
        if seconds < LONG:
            return await awaited(seconds, *result)
        CLOCK.slept += timedelta(seconds=seconds)
        return await awaited(0, *result)

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(asyncio, "sleep", asleep)


def _index(given: Any) -> Any:
    """As ours: the fields have one name, without a mapping a query is ignored, and what is SQLite's own is left out."""
    if given is None:
        return False
    fields = given.get("text_fields") or given.get("fields")
    return {"dims": given["dims"], "embed": given["embed"], "fields": fields}


def _place(name: str) -> str | None:
    return None if name == ":memory:" else f"{name}.memory"


class SqliteStore(AgentMemStore):
    @classmethod
    @contextmanager
    def from_conn_string(cls, name: str, *, index: Any = None, ttl: Any = None) -> Iterator[SqliteStore]:
        with Memory(_place(name), clock=CLOCK, embedder=_indexed(_index(index), opens=True)[1] or "hash") as memory:
            store = cls(memory, index=_index(index) and {"fields": _index(index)["fields"]}, ttl=ttl)
            store.index_config = index
            yield store
            store.close()

    def setup(self) -> None: ...


class AsyncSqliteStore(AsyncAgentMemStore):
    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls, name: str, *, index: Any = None, ttl: Any = None
    ) -> AsyncIterator[AsyncSqliteStore]:
        embedder = _indexed(_index(index), opens=True)[1] or "hash"
        async with AsyncMemory(_place(name), clock=CLOCK, embedder=embedder) as memory:
            store = cls(memory, index=_index(index) and {"fields": _index(index)["fields"]}, ttl=ttl)
            store.index_config = index
            yield store
            await store.close()

    async def setup(self) -> None: ...


class InMemoryStore(AgentMemStore):
    def __init__(self, *, index: Any = None) -> None:
        if index is None:
            super().__init__(Memory(None, embedder="hash"), index=False)
        else:
            super().__init__(None, index=_index(index))


langgraph.store.memory.InMemoryStore = InMemoryStore
langgraph.store.sqlite.SqliteStore = SqliteStore
langgraph.store.sqlite.AsyncSqliteStore = langgraph.store.sqlite.aio.AsyncSqliteStore = AsyncSqliteStore
