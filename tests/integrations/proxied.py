"""A scripted OpenAI-compatible server, and a proxy with a memory before it, each on the loopback in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from agentmem import Memory
from agentmem.aio import AsyncMemory
from agentmem.integrations.server import Access, Tokens, make_app
from agentmem.integrations.server.proxy_upstream import Upstream

Answer = Callable[[dict[str, Any]], Any]
"""From a request's body to its words; to a message (a mapping), a list of them (several choices), a :class:`Raw` answer."""


class Raw:
    """An answer as it is given: ``pieces`` are bytes, seconds to wait, or an exception to die of."""

    def __init__(self, *pieces: Any, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.pieces, self.status, self.kind, self.headers = pieces, status, kind, headers


class ScriptedModel:
    """``seen`` are the bodies of all requests, ``headers`` what came with them, ``hung_up`` counts clients that left early."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.seen: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.hung_up = 0
        self.url = ""
        self.app = FastAPI()
        self.app.add_api_route("/v1/chat/completions", self.chat, methods=["POST"])
        self.app.add_api_route("/v1/{path:path}", self.others, methods=["GET", "POST"])

    @property
    def prompts(self) -> list[str]:
        """The instructions of each request."""
        return ["\n".join(str(m["content"]) for m in body["messages"] if m["role"] == "system") for body in self.seen]

    async def others(self, request: Request, path: str) -> Response:
        self.paths.append(f"/{path}?{request.url.query}")
        return JSONResponse(
            {"object": "list", "data": [{"id": "scripted", "object": "model", "created": 0, "owned_by": "x"}]}
        )

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.seen.append(body)
        self.headers.append(dict(request.headers))
        self.paths.append(f"/chat/completions?{request.url.query}")
        said = self.answer(body)
        if isinstance(said, Raw):
            return StreamingResponse(self._raw(said), said.status, said.headers, said.kind)
        messages = [
            each if isinstance(each, dict) else {"content": each}
            for each in (said if isinstance(said, list) else [said])
        ]
        if body.get("stream"):
            return StreamingResponse(_events(messages, body), media_type="text/event-stream")
        choices = [
            {
                "index": at,
                "message": {"role": "assistant", **each},
                "finish_reason": "tool_calls" if each.get("tool_calls") else "stop",
            }
            for at, each in enumerate(messages)
        ]
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        whole = {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted",
            "choices": choices,
            "usage": usage,
            "x_extra": {"kept": [1]},
        }
        return JSONResponse(
            whole, headers={"x-request-id": "up-1", "x-ratelimit-remaining-requests": "9", "set-cookie": "a=b"}
        )

    async def _raw(self, said: Raw) -> AsyncIterator[bytes]:
        try:
            for piece in said.pieces:
                if isinstance(piece, bytes):
                    yield piece
                elif isinstance(piece, BaseException):
                    raise piece
                else:
                    await asyncio.sleep(piece)
        except (asyncio.CancelledError, GeneratorExit):
            self.hung_up += 1
            raise


async def _events(messages: list[dict[str, Any]], body: dict[str, Any]) -> AsyncIterator[bytes]:
    for at, message in enumerate(messages):
        words = str(message.get("content") or "").split(" ") if message.get("content") else []
        deltas: list[dict[str, Any]] = [
            {"role": "assistant"},
            *({"content": f"{' ' if n else ''}{word}"} for n, word in enumerate(words)),
        ]
        if calls := message.get("tool_calls"):
            deltas.append({"tool_calls": [{"index": n, **call} for n, call in enumerate(calls)]})
        for delta in deltas:
            yield event({"choices": [{"index": at, "delta": delta, "finish_reason": None}]})
        yield event({"choices": [{"index": at, "delta": {}, "finish_reason": "tool_calls" if calls else "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield event({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}})
    yield b"data: [DONE]\n\n"


def event(chunk: dict[str, Any]) -> bytes:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "x_extra": "kept"}
    return b"data: " + json.dumps({**head, **chunk}).encode() + b"\n\n"


def piece(text: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})


@contextmanager
def on_loopback(app: Any) -> Iterator[str]:
    """The address of an application, served until the end of the block."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=2, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def scripted(answer: Answer) -> Iterator[ScriptedModel]:
    model = ScriptedModel(answer)
    with on_loopback(model.app) as address:
        model.url = f"{address}/v1"
        yield model


LISBON = "I moved to Lisbon in March."
WHERE = "Where do I live now?"


def answers(body: dict[str, Any]) -> str:
    """What a model says that reads its notes."""
    prompt = "\n".join(str(m["content"]) for m in body["messages"])
    asked = str(body["messages"][-1]["content"])
    return "You live in Lisbon." if "where" in asked.lower() and "Lisbon" in prompt else "All right, good to hear."


@dataclass
class Placed:
    """A proxy on the loopback: its address, its upstream, the directory, tokens by user."""

    url: str
    model: ScriptedModel
    path: Path
    tokens: dict[str, str]

    def client(self, user: str = "ana", **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/openai/v1", api_key=self.tokens[user], max_retries=0, **options)

    def say(self, text: str, who: str = "ana", before: Sequence[Any] = (), **options: Any) -> Any:
        messages = [*before, {"role": "user", "content": text}]
        return self.client(who).chat.completions.create(model="m", messages=messages, **options)

    def notes(self, user: str | None = "ana") -> list[tuple[str | None, str]]:
        """Who said what, as it is kept; the memory is open, so it is read beside it."""
        with Memory(self.path, embedder="hash", read_only=True) as memory:
            return [(note.actor, note.content) for note in memory.notes(user=user)]

    def forget(self, id: str, user: str = "ana") -> None:
        """Through the server, which has the memory open."""
        head = {"Authorization": f"Bearer {self.tokens[user]}"}
        assert httpx.delete(f"{self.url}/v1/notes/{id}", headers=head).json()["gone"] is True

    def kept(self, user: str = "ana") -> list[Any]:
        with Memory(self.path, embedder="hash", read_only=True) as memory:
            return memory.notes(user=user)


@contextmanager
def placed(
    path: Path, answer: Callable[[dict[str, Any]], Any] = answers, *, timeout: float = 30, clock: Any = None
) -> Iterator[Placed]:
    held = Tokens(path / "tokens.json")
    issued = {name: held.add(Access(name, user=name))[0] for name in ("ana", "ben", "local")}
    issued["many"] = held.add(Access("many", anyone=True))[0]
    issued["reader"] = held.add(Access("reader", user="ana", rights=frozenset(("read",))))[0]
    issued["writer"] = held.add(Access("writer", user="ana", rights=frozenset(("write",))))[0]
    with scripted(answer) as model:
        memory = AsyncMemory(path / "memory", embedder="hash", clock=clock)
        upstream = Upstream(model.url, key="sk-upstream", timeout=timeout)
        with on_loopback(make_app(memory, tokens=held, close=True, upstream=upstream)) as url:
            yield Placed(url, model, path / "memory", issued)
