"""A memory in a directory, served in this process, and clients with tokens of each kind."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("fastapi")

import httpx
from fastapi import FastAPI

from agentmem.aio import AsyncMemory
from agentmem.integrations.auth.access import RIGHTS
from agentmem.integrations.server import Access, Limits, Tokens, make_app
from agentmem.notes.clock import ManualClock

ALL = frozenset(RIGHTS)


@dataclass
class Served:
    """An application, its memory and tokens; a client for whoever asks."""

    app: FastAPI
    memory: AsyncMemory
    tokens: Tokens
    clock: ManualClock
    opened: list[httpx.AsyncClient] = field(default_factory=list)

    def client(self, access: Access | None = None, **headers: str) -> httpx.AsyncClient:
        """Who has ``access``, or nobody."""
        if access is not None:
            headers["Authorization"] = f"Bearer {self.tokens.add(access)[0]}"
        transport = httpx.ASGITransport(self.app)
        self.opened.append(httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers))
        return self.opened[-1]

    def of(self, user: str, **access: Any) -> httpx.AsyncClient:
        """A user with all rights."""
        return self.client(Access(user, user=user, rights=ALL, **access))

    def service(self) -> httpx.AsyncClient:
        """A program that serves many."""
        return self.client(Access("service", anyone=True, rights=ALL))


@pytest.fixture
async def serve(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Callable[..., Served]]:
    """Serves the same directory; what is open is closed at the end."""
    made: list[Served] = []

    def start(limits: Limits | None = None, name: str = "memory", **options: Any) -> Served:
        memory = AsyncMemory(tmp_path / name, embedder="hash", clock=clock, **options)
        tokens = Tokens(tmp_path / "tokens.json", clock=clock)
        app = make_app(memory, tokens=tokens, limits=limits)
        made.append(Served(app, memory, tokens, clock))
        return made[-1]

    yield start
    for each in made:
        for client in each.opened:
            await client.aclose()
        await each.app.state.serving.runs.finish()
        await each.memory.close()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    return serve()
