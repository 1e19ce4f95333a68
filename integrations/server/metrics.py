"""The route that Prometheus asks, where the server has one: figures of the whole memory, and of the requests to the server."""

from __future__ import annotations

import asyncio

from agentmem.integrations.auth.access import Access
from agentmem.integrations.extras import needs
from agentmem.integrations.prometheus import PrometheusMetrics
from agentmem.integrations.server.described import answers
from agentmem.integrations.server.scoped import ScopedRequest
from agentmem.notes.note import Scope

needs("server", "fastapi")

from fastapi import APIRouter, Request, Response

__all__ = ["metrics_router"]


def metrics_router(told: PrometheusMetrics) -> APIRouter:
    """``/metrics``, for who has the right to admin and may look at the memory as a whole, as for ``/v1/stats``."""
    router = APIRouter(tags=["health"])

    told_of = answers(None, says="In Prometheus' text format.")

    @router.get("/metrics", summary="Figures for Prometheus", response_class=Response, responses=told_of)
    async def metrics(request: Request) -> Response:
        """Verbs, requests, and how much there is; no name and no text."""
        access: Access = request.state.access
        access.need("admin")
        ScopedRequest(access, Scope(access.user, access.agent, access.session), request.app.state.serving).everything()
        body, kind = await asyncio.to_thread(told.text, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind})

    return router
