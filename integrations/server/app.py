"""The application: a memory, who is let in, and the routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import agentmem
from agentmem.aio import AsyncMemory
from agentmem.integrations.auth.access import Access
from agentmem.integrations.auth.door import Door
from agentmem.integrations.auth.tokens import Tokens
from agentmem.integrations.extras import needs
from agentmem.integrations.server.described import PROBLEM
from agentmem.integrations.server.guard import Guard
from agentmem.integrations.server.limits import Limits, Room
from agentmem.integrations.server.problems import Json, handle_problems
from agentmem.integrations.server.runs import Runs
from agentmem.integrations.server.scoped import Serving
from agentmem.notes.note import Scope

needs("server", "fastapi", "uvicorn")

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.staticfiles import StaticFiles

from agentmem.integrations.server import (
    answering,
    docs_page,
    health,
    lives,
    notes,
    page_routes,
    records,
    weights,
    whole_memory,
)

if TYPE_CHECKING:
    from agentmem.integrations.prometheus import PrometheusMetrics
    from agentmem.integrations.server.proxy_upstream import Upstream

__all__ = ["make_app"]

ROUTERS: Final = tuple(
    each.router for each in (notes, answering, records, lives, weights, whole_memory, health, docs_page, page_routes)
)
PAGE: Final = Path(__file__).parent / "page"
_ABOUT: Final = (
    "One memory for LLM agents over HTTP. Every answer is JSON; what goes wrong is told as problem details (RFC 9457) with a stable `type` "
    "and a `hint`. Whose notes are meant is said by the token, or by `user`, `agent` and `session` in the query where the token allows it."
)


def make_app(
    memory: AsyncMemory | str | Path | None,
    *,
    tokens: Tokens | None,
    first_tokens: Tokens | None = None,
    access: Access | None = None,
    hosts: Iterable[str] = (),
    origins: Iterable[str] = (),
    limits: Limits | None = None,
    close: bool = False,
    upstream: Upstream | str | None = None,
    metrics: bool = False,
) -> FastAPI:
    """The application that serves a memory.

    Args:
        memory: an open one, which stays open when the application ends; or a directory (``None``: in memory alone), opened at once and
            closed with the application.
        tokens: whose bearers are let in; ``None``: whoever reaches the server, so it must be reached from this machine alone.
        first_tokens: without tokens, where the first would be written: from then on nobody is let in without one.
        access: what everybody may do where there are no tokens; by default everything.
        hosts: names the server goes by, besides those of the loopback; ``*`` for any.
        origins: of other pages that may send requests; none by default. It sends no CORS headers.
        limits: how much at once.
        close: whether a memory that was given open is closed, too, when the application ends.
        upstream: an OpenAI-compatible server, or its base URL, that is given the memory under ``/openai/v1``; ``local``: the memory's own model.
        metrics: whether ``/metrics`` tells Prometheus, with the right to admin, of verbs and requests; needs the ``telemetry`` extra.
    """
    whose = access or Access.local()
    bound = Scope(whose.user, whose.agent, whose.session) if tokens is None else None
    served = memory if isinstance(memory, AsyncMemory) else AsyncMemory(memory, scope=bound)
    bounds = limits or Limits()
    told, more = _metrics(served) if metrics else (None, None)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await app.state.serving.runs.finish()
            if told is not None:
                told.close()
            if close or served is not memory:
                await served.close()

    app = FastAPI(
        title="agentmem", version=agentmem.__version__, description=_ABOUT, docs_url=None, redoc_url=None, redirect_slashes=False,
        lifespan=lifespan, default_response_class=Json,
    )  # fmt: skip
    app.state.serving = Serving(served, bounds, Room(bounds.heavy, "requests of this size"), Runs(served))
    door = Door(tokens, first_tokens, whose, frozenset(hosts), frozenset(origins))
    app.add_middleware(
        Guard, door=door, room=Room(bounds.requests, "requests"), body=bounds.body,
        closed=("/v1", "/openai", *(() if told is None else ("/metrics",))), seen=None if told is None else told.request,
    )  # fmt: skip
    handle_problems(app)
    for router in (*ROUTERS, *([] if more is None else [more])):
        app.include_router(router)
    if upstream is not None:
        from agentmem.integrations.server.proxy import proxy_router

        app.include_router(proxy_router(served, upstream, signed=lambda: door.signed))
    if (PAGE / "index.html").is_file():
        app.mount("/page", StaticFiles(directory=PAGE, html=True))
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # how the framework asks for it
    return app


def _metrics(memory: AsyncMemory) -> tuple[PrometheusMetrics, APIRouter]:
    from agentmem.integrations.prometheus import PrometheusMetrics
    from agentmem.integrations.server.metrics import metrics_router

    told = PrometheusMetrics(memory)
    return told, metrics_router(told)


def _described(app: FastAPI) -> dict[str, Any]:
    """What is served, as OpenAPI 3.1."""
    if app.openapi_schema is None:
        told = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = told.setdefault("components", {})
        parts.setdefault("schemas", {})["Problem"] = PROBLEM
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        told["security"] = [{"token": []}, {}]
        app.openapi_schema = told
    return app.openapi_schema
