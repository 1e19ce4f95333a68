"""The server behind a proxy: where it is, what it is sent of a request's headers, what is handed back of its own, and how it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.integrations.extras import needs

needs("server", "httpx")

import httpx

__all__ = ["Upstream", "UpstreamFailed", "UpstreamTimeout", "passed_back", "pieces"]

_OF_A_HOP: Final = frozenset(
    (
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    )
)  # fmt: skip
_OURS: Final = frozenset(
    ("host", "authorization", "content-length", "content-type", "accept-encoding", "cookie", "origin", "referer", "expect", "forwarded")
)  # fmt: skip
"""What a request says to this server alone; its token above all."""
_OUR_PREFIXES: Final = ("x-agentmem", "x-forwarded-", "x-real-ip", "sec-")
_BACK: Final = frozenset(
    ("cache-control", "content-language", "etag", "last-modified", "retry-after", "vary", "warning")
)
_BACK_PREFIXES: Final = ("openai-", "anthropic-", "x-ratelimit-", "ratelimit")
_DATA: Final = (
    "application/json",
    "application/problem+json",
    "application/x-ndjson",
    "text/event-stream",
    "text/plain",
)
"""What an answer may be: anything else is handed back as bytes, which no browser shows as a page of this server's."""
_CONNECT: Final = 10.0


class UpstreamFailed(AgentMemError):
    """The server behind the proxy cannot be reached, or broke off."""

    status = 502


class UpstreamTimeout(UpstreamFailed):
    """The server behind the proxy said nothing for too long."""

    status = 504


class Upstream:
    """An OpenAI-compatible server.

    Args:
        url: its base URL, as a client would be given it, such as ``https://api.openai.com/v1``.
        key: what it is sent as the bearer. Without one, and where this server asks for no tokens of its own, it is sent what the client sent.
        timeout: seconds in which nothing comes, after which it is given up.
        transport: how it is reached, where that is not the network.

    Raises:
        InvalidArgument: the URL is none, or the time is no time.
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: float = 600.0, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:  # fmt: skip
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InvalidArgument(
                f"{url!r:.200} is no base URL of a server.", hint="--upstream https://api.openai.com/v1, or --upstream local."
            )  # fmt: skip
        if not timeout > 0:
            raise InvalidArgument(f"timeout must be seconds above 0, not {timeout!r}.", hint="timeout=600.")
        if key is not None and not (key.isascii() and key.isprintable() and key.strip()):
            raise InvalidArgument(
                "The key of the upstream has characters that no header can hold.", hint="paste it again."
            )
        self.url = url.rstrip("/")
        self._key = key
        self._timeout = httpx.Timeout(timeout, connect=min(_CONNECT, timeout))
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def send(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], *, body: bytes | None = None, query: str = "",
        bearer: str | None = None,
    ) -> httpx.Response:  # fmt: skip
        """What it answers, as soon as its headers are there; to be closed by whoever reads it.

        Args:
            headers: those of the request that came in.
            bearer: the header Authorization to hand on where there is no key of our own.

        Raises:
            UpstreamFailed: it cannot be reached. UpstreamTimeout: it did not answer in time.
        """
        client = self._client or self._open()
        said = passed_on(headers) | {"accept-encoding": "identity"}
        said |= {} if body is None else {"content-type": "application/json"}
        authorization = bearer if self._key is None else f"Bearer {self._key}"
        said |= {} if authorization is None else {"authorization": authorization}
        address = f"{self.url}{path}" + (f"?{query}" if query else "")
        with failing():
            return await client.send(client.build_request(method, address, content=body, headers=said), stream=True)

    def _open(self) -> httpx.AsyncClient:
        """On the loop that serves; no redirect is followed, which could lead the key elsewhere."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        none = CookieJar(DefaultCookiePolicy(allowed_domains=()))  # what it gave one client is no other's
        self._client = httpx.AsyncClient(timeout=self._timeout, limits=limits, transport=self._transport, cookies=none)
        return self._client

    async def close(self) -> None:
        """Let its connections go."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def __repr__(self) -> str:
        return f"Upstream({self.url!r})"


@contextmanager
def failing() -> Iterator[None]:
    """What goes wrong on the way, as errors that can be told."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise UpstreamTimeout(
            "The upstream did not answer in time.", hint="try again, or serve with a longer --upstream-timeout."
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise UpstreamFailed(
            f"The upstream cannot be reached, or broke off ({type(error).__name__}).",
            hint="is it running, and the address right?",
        ) from error


async def pieces(reply: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes of an answer as they come.

    Raises:
        UpstreamFailed: it broke off. UpstreamTimeout: nothing came for too long.
    """
    with failing():
        async for piece in reply.aiter_bytes():
            yield piece


def passed_on(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What of the headers of a request is meant for the server behind."""
    given = [(name.lower(), value) for name, value in headers]
    named = _of_connection(given)
    mine = _OF_A_HOP | _OURS | named
    return {name: value for name, value in given if name not in mine and not name.startswith(_OUR_PREFIXES)}


def passed_back(headers: Mapping[str, str]) -> dict[str, str]:
    """What of the headers of an answer is meant for the client: its type, its limits, and the number that the upstream gave the request, under
    a name of its own. What commands a browser is not: the answer comes from this server's own address.
    """
    given = {name.lower(): value for name, value in headers.items()}
    found = {name: value for name, value in given.items() if name in _BACK or name.startswith(_BACK_PREFIXES)}
    kind = given.get("content-type", "")
    found["content-type"] = kind if kind.split(";")[0].strip().lower() in _DATA else "application/octet-stream"
    number = given.get("x-request-id")
    return found if number is None else {**found, "x-upstream-request-id": number}


def _of_connection(headers: Iterable[tuple[str, str]]) -> frozenset[str]:
    listed = [value for name, value in headers if name == "connection"]
    return frozenset(name.strip().lower() for value in listed for name in value.split(","))
