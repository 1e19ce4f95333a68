"""The server over HTTP (streamable, without sessions): who may ask, from where, and how much."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from agentmem.errors import AgentMemError, InvalidArgument, ScopeError, ScopeRequired
from agentmem.integrations.auth.access import Access, NotSignedIn
from agentmem.integrations.auth.door import Door, ForeignHost, ForeignOrigin
from agentmem.integrations.mcp_server.opening import stopping
from agentmem.integrations.mcp_server.server import make_server
from agentmem.notes.note import Scope

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as Connection

    from agentmem.aio import AsyncMemory
    from agentmem.integrations.auth.tokens import Tokens
    from agentmem.integrations.mcp_server.desk import Request

__all__ = ["McpGate", "NotPosted", "access_of_request", "bound_socket", "http_app", "serve_http"]

log = logging.getLogger(__name__)

PATH: Final = "/mcp"
LARGEST: Final = 4 * 1024 * 1024
"""Bytes of one request."""
GRACE: Final = 10
"""Seconds in which requests that have begun are answered after SIGTERM."""
_KEY: Final = "agentmem.access"


class NotPosted(AgentMemError):
    """A request has a method other than POST."""


def access_of_request(request: Request) -> Access:
    """Who sent a request, and what it may do; what :class:`McpGate` let in says so.

    Raises:
        ScopeError: the request did not come through the gate.
    """
    found = request.request.scope.get(_KEY) if request.request is not None else None
    if not isinstance(found, Access):
        raise ScopeError("The request did not say who sent it.", hint="serve it with http_app(memory, …).")
    return found


class McpGate:
    """An ASGI application before another: lets in what is posted to this server, by whom it knows, and says with it who that is.

    Args:
        app: what is behind.
        door: who is let in.
        scope: what every request works in, as though it named it; who may not is refused.
    """

    def __init__(self, app: ASGIApp, door: Door, scope: Scope) -> None:
        self._app, self._door, self._scope = app, door, scope

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        if connection["type"] != "http":
            await self._app(connection, receive, send)
            return
        try:
            connection[_KEY] = self._sender(connection)
        except AgentMemError as error:
            await _refused(error)(connection, receive, send)
        else:
            await self._app(connection, receive, send)

    def _sender(self, connection: Connection) -> Access:
        headers = Headers(scope=connection)
        self._door.check(headers, scheme=connection.get("scheme", "http"), method=connection["method"])
        if connection["method"] != "POST":
            raise NotPosted("Only POST is served here.")  # there are no sessions to listen to or to end
        signed = self._door.signed
        access = self._door.sender(headers)
        return self._bound(access) if signed else access

    def _bound(self, access: Access) -> Access:
        """What a token opens here: one scope, and no choice."""
        if access.session is not None:
            raise ScopeError(
                "This token is bound to a session, and recall here is not narrowed to one.",
                hint="a token for a user or an agent: agentmem serve token add --for NAME.",
            )
        try:
            whose = access.scope(self._scope.user, self._scope.agent, self._scope.session)
        except ScopeRequired as error:
            raise ScopeError(
                "This token may name anyone, and a model may not: nobody says whose notes these are.",
                hint="agentmem mcp --http --user NAME, or a token for one: agentmem serve token add --for NAME.",
            ) from error
        return replace(access, user=whose.user, agent=whose.agent, session=whose.session, anyone=False)


_STATUS: Final[Mapping[type[AgentMemError], int]] = {
    NotPosted: 405, NotSignedIn: 401, ForeignHost: 421, ForeignOrigin: 403, ScopeError: 403,
}  # fmt: skip
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": 'Bearer realm="agentmem", error="invalid_token"'},
    405: {"Allow": "POST"},
}


def _refused(error: AgentMemError) -> JSONResponse:
    """What is wrong with a request, and the cure; of what is wrong with the server no more than that."""
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 503)
    if status == 503:
        log.error("nobody is let in: %s", error)
        return JSONResponse({"error": f"Nobody is let in: {type(error).__name__}; the server's log says more."}, status)
    return JSONResponse({"error": error.message, "hint": error.hint}, status, _HEADERS.get(status))


def http_app(
    memory: AsyncMemory | Callable[[], Awaitable[AsyncMemory]],
    *,
    tokens: Tokens | None = None,
    first_tokens: Tokens | None = None,
    scope: Scope | None = None,
    hosts: Iterable[str] = (),
    origins: Iterable[str] = (),
    largest: int = LARGEST,
    allow_forget: bool = False,
    writing: bool = True,
    basic: bool = False,
) -> ASGIApp:
    """An ASGI application that serves a memory at ``/mcp``: :func:`make_server`, for whoever sends a request, with the rights they have.

    Every request stands by itself: there are no sessions that a second client could take over, none to lose when the server begins anew.

    Args:
        memory, allow_forget, writing, basic: as for :func:`make_server`; what is not offered there no token has a right to.
        tokens: who is let in, the same that open a server of :mod:`agentmem.integrations.server`; ``None``: whoever reaches it.
        first_tokens: without tokens, where the first would be written: from then on nobody is let in without one.
        scope: what every request works in: a token for anyone is bound to it, one for somebody else is refused. Without it each token says
            whose notes it opens, and one for anyone is refused.
        hosts: names in ``Host`` that are served beside those of the loopback; ``*`` for any.
        origins: pages of a browser that may ask, e.g. ``https://chat.example.org``; by default none but its own.
        largest: bytes of a request's body.
    """
    whose = scope or Scope()
    door = Door(tokens, first_tokens, Access.local(whose), frozenset(hosts), frozenset(origins))
    server = make_server(memory, access=access_of_request, allow_forget=allow_forget, writing=writing, basic=basic)
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=largest,
        # The door does it, by the rules of every other server of this package.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return McpGate(app, door, whose)


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        InvalidArgument: the address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        raise InvalidArgument(
            f"{host}:{port} cannot be served: {error}.", hint="choose another --port or --host."
        ) from error


class _Uvicorn(uvicorn.Server):
    """Says when it listens. Signals are for whoever runs it: uvicorn raises them anew when it is done, before the memory is closed."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_http(app: ASGIApp, listening: socket.socket, *, started: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT; requests that have begun are answered first."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, proxy_headers=False, ws="none", lifespan="on",
        timeout_graceful_shutdown=GRACE,
    )  # fmt: skip
    runner = _Uvicorn(config, started)

    def stop() -> None:
        runner.should_exit = True

    with stopping(stop):
        await runner.serve(sockets=[listening])
