"""A pytest plugin for the SDK's own session tests: what they call ``SQLiteSession`` is our session, on one memory for each path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import agents
from agents import set_tracing_disabled

from agentmem import Memory
from agentmem.integrations.openai_agents import MemorySession

OPEN: dict[str, Memory] = {}


def opened(path: str | Path) -> Memory:
    """A memory of its own for each session that has no file; else one for all sessions of the file."""
    if str(path) == ":memory:":
        return Memory(None, embedder="hash")
    if str(path) not in OPEN:
        OPEN[str(path)] = Memory(Path(path).with_suffix(".memory"), embedder="hash")
    return OPEN[str(path)]


class SQLiteSession(MemorySession):
    """Our session, with the constructor that the tests use."""

    def __init__(self, session_id: str, db_path: str | Path = ":memory:", session_settings: Any = None) -> None:
        super().__init__(session_id, opened(db_path), user="tester", session_settings=session_settings)


set_tracing_disabled(True)
agents.SQLiteSession = SQLiteSession  # type: ignore[misc]
