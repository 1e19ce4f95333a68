"""Whether the server is there, and ready: for whoever runs it, without a token and without secrets."""

from __future__ import annotations

from agentmem import __version__
from agentmem.integrations.extras import needs
from agentmem.integrations.server.problems import Json
from agentmem.runtime.meant import shared_meant

needs("server", "fastapi")

from fastapi import APIRouter, Request

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="The process is there")
async def alive() -> Json:
    """Without asking the memory."""
    return Json({"status": "ok", "version": __version__})


@router.get("/readyz", summary="The memory can be read and asked")
async def ready(request: Request) -> Json:
    """A read of the store, and of whether its vectors are of the embedder that this server has; 503 while it is not so."""
    with shared_meant():
        await request.app.state.serving.memory.recall("ready", k=1)
    return Json({"status": "ok"})
