"""Any OpenAI-compatible model with a memory: a client changes its base URL, and nothing else.

    POST /openai/v1/chat/completions, GET /openai/v1/models

A path of its own keeps it apart from REST, whose errors and fields are others; clients that add ``/v1`` by themselves are given
``/openai``. What the memory recalls stands in the instructions of what goes upstream, and nowhere else.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

from agentmem.aio import AsyncMemory
from agentmem.errors import InvalidArgument, ModelError
from agentmem.integrations.extras import needs
from agentmem.integrations.server.proxy_answer import SpokenAnswer, events
from agentmem.integrations.server.proxy_conversation import ProxiedTurn, turn_of, with_notes
from agentmem.integrations.server.proxy_local import answer_of, chunks, completion, local_models, stopped
from agentmem.integrations.server.proxy_memory import NotesForPrompt, ProxyMemory
from agentmem.integrations.server.proxy_request import OpenAIRoute, ProxiedRequest, UnknownPath, asked_by
from agentmem.notes.note import Note, Receipt

needs("server", "fastapi", "httpx")

import httpx
from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from agentmem.integrations.server.described import OPENAI_PROBLEMS
from agentmem.integrations.server.problems import Json
from agentmem.integrations.server.proxy_relay import EventRelay, Gone, Unheard, unless_gone
from agentmem.integrations.server.proxy_upstream import Upstream, UpstreamFailed, passed_back, pieces

__all__ = ["PREFIX", "ChatProxy", "proxy_router"]

PREFIX: Final = "/openai/v1"
LOG = logging.getLogger("agentmem.server")
_REFUSING: Final = (400, 413, 422)
"""How a prompt is refused that is too long, or that a filter holds back: the notes in it may be the reason."""


def proxy_router(
    memory: AsyncMemory, upstream: Upstream | str, *, signed: Callable[[], bool], k: int = 5, context_tokens: int = 400
) -> APIRouter:
    """The routes of a proxy before ``upstream``: a server, its base URL, or ``local`` for the memory's own model.

    Args:
        signed: whether clients sign in with tokens of this server; without, what they send as ``Authorization`` is the upstream's.
        k, context_tokens: how many notes a request gets at most, and the room for them in its prompt.

    Raises:
        InvalidArgument: the URL is none.
    """
    behind = None if upstream == "local" else upstream if isinstance(upstream, Upstream) else Upstream(upstream)
    proxy = ChatProxy(ProxyMemory(memory, k=k, context_tokens=context_tokens), behind, signed=signed)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await proxy.finish()

    router = APIRouter(prefix=PREFIX, tags=["openai"], route_class=OpenAIRoute, lifespan=lifespan)
    for path, route, method, summary in (
        ("/chat/completions", proxy.chat, "POST", "Chat completions, with the memory"),
        ("/models", proxy.listed, "GET", "Models of the upstream"),
        ("/models/{model:path}", proxy.models, "GET", "One of them"),
        ("/embeddings", proxy.embeddings, "POST", "Embeddings of the upstream, as they are"),
    ):
        router.add_api_route(path, route, methods=[method], summary=summary, responses=OPENAI_PROBLEMS)
    router.add_api_route("/{path:path}", proxy.unknown, methods=["GET", "POST"], include_in_schema=False)
    return router


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request for a completion, and what is known of it so far."""

    asked: ProxiedRequest
    turn: ProxiedTurn | None
    at: datetime
    notes: NotesForPrompt = field(default_factory=NotesForPrompt)

    @property
    def told(self) -> dict[str, str]:
        """What the headers of the answer say of the memory."""
        warned = {"x-agentmem-warning": self.notes.warning} if self.notes.warning else {}
        return {"x-agentmem": self.asked.mode, **warned, **_listed("recalled", self.notes.notes)}


class ChatProxy:
    """What the routes of one proxy do.

    Args:
        memory: behind it.
        upstream: the server that is asked; ``None``: the memory's own model.
        signed: whether clients sign in with tokens of this server.
    """

    def __init__(self, memory: ProxyMemory, upstream: Upstream | None, *, signed: Callable[[], bool]) -> None:
        self._memory = memory
        self._signed = signed
        self._upstream = upstream
        self._writing: set[asyncio.Task[tuple[Receipt, ...]]] = set()

    async def chat(self, request: Request, body: Annotated[dict[str, Any], Body()]) -> Response:
        """One chat completion, whole or as events."""
        asked = await asked_by(request, body, self._memory.memory)
        exchange = _Exchange(asked, turn_of(body.get("messages")), self._memory.memory.clock.now())
        try:
            if self._upstream is None:
                return await self._local(request, body, exchange)
            return await self._passed(request, body, exchange, self._upstream)
        except Gone:
            await self._keep(exchange, SpokenAnswer())
            return Unheard()
        except (UpstreamFailed, ModelError):
            await self._keep(exchange, SpokenAnswer())
            raise

    async def listed(self, request: Request) -> Response:
        """What there is to choose from."""
        return await self.models(request, "")

    async def models(self, request: Request, model: str) -> Response:
        """One of them; all, where none is named."""
        request.state.access.need("read")
        if self._upstream is None:
            return Json(local_models())
        if any(part in ("", ".", "..") for part in model.split("/")) and model:
            raise UnknownPath("That is no name of a model.", hint="GET /models lists them.")  # it would lead elsewhere
        return await self._as_it_is(
            request, self._upstream, f"/models/{quote(model, safe='/:@')}" if model else "/models"
        )

    async def embeddings(self, request: Request, _: Annotated[dict[str, Any], Body()]) -> Response:
        """For programs that embed and chat by the same client; nothing of it is remembered."""
        request.state.access.need("read")
        if self._upstream is None:
            raise UnknownPath("The memory's own model is no embedding model.", hint="serve another --upstream.")
        return await self._as_it_is(request, self._upstream, "/embeddings", await request.body())

    async def unknown(self, request: Request) -> Response:
        """Everything else."""
        raise UnknownPath(
            f"This proxy has no {request.url.path:.100}.",
            hint=f"it speaks chat completions: the base URL is …{PREFIX}, and a client that prefers responses is told to use chat completions.",
        )

    async def finish(self) -> None:
        """Carry out what is still to be written, and let the upstream go."""
        await asyncio.gather(*self._writing)
        if self._upstream is not None:
            await self._upstream.close()

    # -- a server ------------------------------------------------------------------------------------------------

    async def _passed(
        self, request: Request, body: dict[str, Any], exchange: _Exchange, upstream: Upstream
    ) -> Response:
        if exchange.asked.recalls and exchange.turn is not None:
            exchange = replace(exchange, notes=await self._memory.recalled(exchange.turn, exchange.asked.reading))
        reply, notes = await unless_gone(request.receive, self._sent(request, body, exchange.notes, upstream))
        exchange = replace(exchange, notes=notes)
        headers = passed_back(reply.headers) | exchange.told
        keep = functools.partial(self._keep, exchange)
        if reply.is_success and reply.headers.get("content-type", "").lower().startswith("text/event-stream"):
            return EventRelay(events(pieces(reply)), keep, headers, close=reply.aclose)
        content = await self._read(request, reply)
        receipts = await keep(SpokenAnswer.of(content) if reply.is_success else SpokenAnswer())
        return Response(content, reply.status_code, headers | _written(receipts))

    async def _sent(
        self, request: Request, body: dict[str, Any], notes: NotesForPrompt, upstream: Upstream
    ) -> tuple[httpx.Response, NotesForPrompt]:
        """The upstream's answer, and the notes that stood in what it was asked: none where it refused them."""
        said = await request.body()
        if notes.block:
            reply = await self._send(request, upstream, _dumped(with_notes(body, notes.block)))
            if reply.status_code not in _REFUSING:
                return reply, notes
            await reply.aclose()
            notes = NotesForPrompt(warning="the upstream refused the request with notes in it")
        return await self._send(request, upstream, said), notes

    async def _send(
        self, request: Request, upstream: Upstream, said: bytes | None, path: str = "/chat/completions"
    ) -> httpx.Response:
        # With tokens, what the client sent is the token of this server, which is nobody else's business.
        bearer = None if self._signed() else request.headers.get("authorization")
        method = "GET" if said is None else "POST"
        return await upstream.send(
            method, path, request.headers.items(), body=said, query=request.url.query, bearer=bearer
        )

    async def _read(self, request: Request, reply: httpx.Response) -> bytes:
        async def whole() -> bytes:
            return b"".join([piece async for piece in pieces(reply)])

        try:
            return await unless_gone(request.receive, whole())
        finally:
            await reply.aclose()

    async def _as_it_is(self, request: Request, upstream: Upstream, path: str, said: bytes | None = None) -> Response:
        try:
            reply = await unless_gone(request.receive, self._send(request, upstream, said, path))
            content = await self._read(request, reply)
        except Gone:
            return Unheard()
        return Response(content, reply.status_code, passed_back(reply.headers))

    # -- the memory's own model ----------------------------------------------------------------------------------

    async def _local(self, request: Request, body: dict[str, Any], exchange: _Exchange) -> Response:
        asked, memory = exchange.asked, self._memory.memory
        shown = await self._memory.shown(exchange.turn, asked.scope) if exchange.turn is not None else ()
        async with request.app.state.serving.heavy.take():
            asking = answer_of(memory, body, exchange.turn, asked.reading, recalls=asked.recalls, shown=shown)
            answer = await unless_gone(request.receive, asking)
        text = stopped(answer.text, body.get("stop"))
        told = exchange.told | {"x-agentmem-source": answer.source} | _listed("recalled", answer.notes)
        fired = [route.note_id for route in answer.routes if route.note_id and route.edit_id in answer.edits]
        drawn = [*(note.id for note in (*answer.used, *answer.known)), *fired]
        keep = functools.partial(self._keep, exchange, drawn=drawn, counts=False)
        if body.get("stream"):
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return EventRelay(chunks(text, answer, exchange.at, usage=usage), keep, told)
        receipts = await keep(SpokenAnswer([text], whole=True))
        return Json(completion(text, answer, exchange.at), headers=told | _written(receipts))

    # -- the memory ----------------------------------------------------------------------------------------------

    async def _keep(self, exchange: _Exchange, answer: SpokenAnswer, **more: Any) -> tuple[Receipt, ...]:
        """Have the exchange remembered; that is carried out, whoever waits for it."""
        if exchange.turn is None or not exchange.asked.remembers:
            return ()
        writing = self._memory.keep(
            exchange.turn, exchange.asked.scope, exchange.at, answer, given=exchange.notes.notes, **more
        )
        task = asyncio.create_task(_told(writing))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)


async def _told(writing: Coroutine[Any, Any, tuple[Receipt, ...]]) -> tuple[Receipt, ...]:
    """What became of it; the answer is there all the same."""
    try:
        return await writing
    except Exception as error:
        LOG.exception("an exchange was not remembered")
        return (Receipt(None, "rejected", type(error).__name__),)


def _dumped(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except ValueError as error:
        raise InvalidArgument("A number of the request is too large.", hint="send finite numbers.") from error


def _listed(name: str, notes: tuple[Note, ...]) -> dict[str, str]:
    return {f"x-agentmem-{name}": ",".join(note.id for note in notes)} if notes else {}


def _written(receipts: tuple[Receipt, ...]) -> dict[str, str]:
    stored = ",".join(receipt.id for receipt in receipts if receipt.id)
    found = {"x-agentmem-remembered": stored} if stored else {}
    left_out = any(receipt.id is None for receipt in receipts)
    return found | ({"x-agentmem-warning": "not everything was remembered"} if left_out else {})
