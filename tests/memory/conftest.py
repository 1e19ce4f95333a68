"""A memory on a manual clock with the hash embedder: fast, offline, and real in every other part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentmem import Memory, Scope, Settings
from agentmem.notes.clock import ManualClock

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def memory(clock: ManualClock) -> Iterator[Memory]:
    with Memory(None, embedder="hash", clock=clock) as opened:
        yield opened


@pytest.fixture
def open_memory(tmp_path: Path, clock: ManualClock) -> Iterator[Callable[..., Memory]]:
    """Opens the same directory as often as asked, and closes whatever is still open at the end."""
    opened: list[Memory] = []

    def open_(scope: Scope | None = None, settings: Settings | None = None, name: str = "memory") -> Memory:
        opened.append(Memory(tmp_path / name, embedder="hash", clock=clock, scope=scope, settings=settings))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()
