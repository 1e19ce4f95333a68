"""Whether the server is there, and ready: for whoever runs it, without a token and without secrets."""

from __future__ import annotations

from contextlib import suppress

from agentmem import __version__
from agentmem.errors import ScopeRequired
from agentmem.integrations.extras import needs
from agentmem.integrations.server.problems import Json

needs("server", "fastapi")

from fastapi import APIRouter, Request

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="The process is there")
async def alive() -> Json:
    """Without asking the memory."""
    return Json({"status": "ok", "version": __version__})


@router.get("/readyz", summary="The memory can be read")
async def ready(request: Request) -> Json:
    """A read of the store; 503 while it cannot be read."""
    with suppress(ScopeRequired):  # it was read, and the notes are somebody's
        await request.app.state.serving.memory.notes(limit=1)
    return Json({"status": "ok"})
