"""Handing a model's answer on while it is said, and noticing that nobody listens any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from agentmem.errors import AgentMemError
from agentmem.integrations.extras import needs
from agentmem.integrations.server.proxy_answer import LongEvent, SpokenAnswer, is_end
from agentmem.integrations.server.proxy_upstream import UpstreamFailed

needs("server", "starlette")

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["EventRelay", "Gone", "Unheard", "error_event", "unless_gone"]

R = TypeVar("R")
Kept = Callable[[SpokenAnswer], Awaitable[object]]


class Gone(Exception):
    """Whoever asked has hung up."""


class Unheard(Response):
    """What nobody waits for: nothing is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say nothing."""


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, R]) -> R:
    """What ``work`` comes to; it is cancelled when whoever asked hangs up.

    Raises:
        Gone: that happened.
    """
    task, left = asyncio.create_task(work), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        for each in (task, left):
            each.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventRelay(Response):
    """A stream of events, each given on as it comes.

    What was said is remembered before the last event goes out, so that whoever has heard the end finds it in the memory. Where the stream
    breaks off, the client is told by an event with an error, since the status is long said.

    Args:
        source: the events.
        keep: is given what was heard, once.
        close: ends the source, also when the client has hung up.
    """

    def __init__(
        self,
        source: AsyncIterable[bytes],
        keep: Kept,
        headers: Mapping[str, str],
        *,
        close: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        super().__init__(
            None, 200, {"content-type": "text/event-stream; charset=utf-8", **headers, "x-accel-buffering": "no"}
        )
        del self.headers["content-length"]  # nobody knows
        self._source = source
        self._keep = keep
        self._close = close
        self._heard = SpokenAnswer()
        self._kept = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - what an application is called with
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await unless_gone(receive, self._sent(send))
        except Gone:
            # What was heard is the answer; where nothing was, there is none.
            self._heard.whole = self._heard.whole or bool(self._heard.text)
        finally:
            if self._close is not None:
                await self._close()
            await self._remember()

    async def _sent(self, send: Send) -> None:
        async def say(event: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": event, "more_body": more})

        try:
            async for event in self._source:
                self._heard.hear(event)
                if is_end(event):
                    await self._remember()
                await say(event)
        except (AgentMemError, LongEvent) as error:
            self._heard.refused = self._heard.refused or not self._heard.whole
            await self._remember()
            told = error if isinstance(error, AgentMemError) else UpstreamFailed("The upstream sent what is no stream.")
            await say(error_event(told))
        await self._remember()
        await say(b"", more=False)

    async def _remember(self) -> None:
        if not self._kept:
            self._kept = True
            await self._keep(self._heard)


def error_event(error: AgentMemError) -> bytes:
    """An error as clients find it in a stream."""
    told = {"message": str(error), "type": type(error).__name__, "param": None, "code": type(error).__name__}
    return b"data: " + json.dumps({"error": told}).encode() + b"\n\n"
