"""What stands before every route: a number for each request, whom it names as its host, where it comes from, who sends it, and the log.

It is decided before a byte of the body is read. Nothing of what a request says is logged but its method, the pattern of its route, who
sent it, the status and how long it took: paths, queries and bodies hold names and notes.
"""

from __future__ import annotations

import logging
import re
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from agentmem.errors import AgentMemError
from agentmem.integrations.extras import needs
from agentmem.integrations.logs import FIELDS
from agentmem.integrations.server.limits import Room
from agentmem.integrations.server.problems import UnreadableAddress, fault, of_status, problem_of

needs("server", "starlette")

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from agentmem.integrations.auth.access import Access
    from agentmem.integrations.auth.door import Door

__all__ = ["Guard"]

ACCESS_LOG = logging.getLogger("agentmem.server.access")
NO_PAGE: Final = "default-src 'none'; frame-ancestors 'none'"
PAGES: Final = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"
_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
Seen = Callable[[str, str, int, float], None]


class Guard:
    """The first of an application's middlewares.

    Args:
        app: what is behind.
        door: who is let in; behind paths with one of the prefixes ``closed`` alone, the others are open to everybody who names the host.
        room: for all requests under way.
        body: bytes of a request at most.
        seen: called with the method, the pattern of the route, the status and the seconds of each request.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        door: Door,
        room: Room,
        body: int,
        closed: Iterable[str],
        seen: Seen | None = None,
    ) -> None:
        self._app = app
        self._door = door
        self._room = room
        self._body = body
        self._closed = tuple(closed)
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        visit = _Visit(scope, send, given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex)
        scope.setdefault("state", {})["request_id"] = visit.id
        try:
            await self._serve(scope, receive, visit, headers)
        except AgentMemError as error:
            await visit.refuse(problem_of(error, visit.id), receive)
        except HTTPException as error:
            await visit.refuse(of_status(error, visit.id), receive)
        except Exception as error:  # noqa: BLE001 - the last place where it can still be answered; it is logged with its trace
            await visit.refuse(fault(visit.id, error), receive)
        finally:
            visit.end(self._seen)

    async def _serve(self, scope: Scope, receive: Receive, visit: _Visit, headers: Headers) -> None:
        self._door.check(headers, scheme=scope.get("scheme", "http"), method=scope["method"])
        _check_address(scope)
        path = scope["path"]
        if any(path == prefix or path.startswith(f"{prefix}/") for prefix in self._closed):
            visit.sender = scope["state"]["access"] = self._door.sender(headers)
        async with self._room.take():
            await self._app(scope, _bounded(receive, headers, self._body), visit.send)


def _check_address(scope: Scope) -> None:
    """Raise unless the names in an address are what was sent: bytes that are no UTF-8 would all be read as one and the same character, and so
    two users as one; and a line break at the end of a path is passed over by routes.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    try:
        path = unquote_to_bytes(raw).decode()
        unquote_to_bytes(scope["query_string"].replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise UnreadableAddress(
            "The address holds bytes that are no UTF-8.", hint="percent-encode names as UTF-8: é is %C3%A9."
        ) from error
    if any(unicodedata.category(each) == "Cc" for each in path):
        raise UnreadableAddress("The path holds a control character.", hint="leave it out of the key or id.")


def _bounded(receive: Receive, headers: Headers, most: int) -> Receive:
    """The body, as far as it is let in: what announces more is not read at all."""
    announced, read = headers.get("content-length", "0"), 0
    if announced.isdecimal() and int(announced[:20]) > most:
        raise HTTPException(413)

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise HTTPException(413)
        return message

    return bounded


class _Visit:
    """One request: what is said of it in the log, and on every response."""

    def __init__(self, scope: Scope, send: Send, id: str) -> None:
        self.id = id
        self.sender: Access | None = None
        self._scope = scope
        self._send = send
        self._status = 0
        self._begun = time.perf_counter()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("Referrer-Policy", "no-referrer")
            headers.setdefault("Content-Security-Policy", PAGES if self._scope["path"].startswith("/page") else NO_PAGE)
        await self._send(message)

    async def refuse(self, response: Any, receive: Receive) -> None:
        """Answer with a problem, unless an answer has begun: it then ends where it is, and the client sees that it is cut off."""
        if self._status:
            raise ConnectionAbortedError("the answer had begun")
        await response(self._scope, receive, self.send)

    def end(self, seen: Seen | None) -> None:
        """The line of the access log; 499: whoever asked was gone, or the server stopped, before there was an answer."""
        route = getattr(self._scope.get("route"), "path", None) or "-"
        spent, method, status = time.perf_counter() - self._begun, self._scope["method"], self._status or 499
        who = "-" if self.sender is None else self.sender.label
        told = {
            "request_id": self.id,
            "method": method,
            "route": route,
            "status": status,
            "ms": round(1000 * spent, 3),
            "label": who,
        }
        ACCESS_LOG.info(
            "%s %s %s %s %.1fms %s", self.id, method, route, status, 1000 * spent, who, extra={FIELDS: told}
        )
        if seen is not None:
            seen(method, route, status, spent)
