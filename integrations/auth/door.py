"""What is asked of a request over HTTP before a byte of its body is read: whom it names as its host, where it comes from, and who sends it."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.integrations.auth.access import Access, NotSignedIn

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from agentmem.integrations.auth.tokens import Tokens

__all__ = ["Door", "ForeignHost", "ForeignOrigin", "check_address", "host_names", "is_loopback"]

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_HARMLESS: Final = ("GET", "HEAD", "OPTIONS")
_OTHER_PAGES: Final = ("cross-site", "same-site")
_PORTS: Final = {"http": 80, "https": 443}


class ForeignHost(AgentMemError):
    """A request names a host that this server does not go by."""


class ForeignOrigin(AgentMemError):
    """A page of another origin sent a request."""


@dataclass(frozen=True, slots=True)
class Door:
    """Who is let in.

    Args:
        tokens: whose bearers are; ``None``: everybody who reaches the server has ``access``.
        first: without tokens, where the first would be written: from then on nobody is let in without one.
        access: without tokens.
        hosts: names the server goes by, besides those of the loopback; ``*`` for any, behind a proxy that checks it.
        origins: of pages that may send requests, besides the server's own, such as ``https://app.example``.
    """

    tokens: Tokens | None = None
    first: Tokens | None = None
    access: Access = field(default_factory=Access.local)
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    @property
    def signed(self) -> bool:
        """Whether a request needs a token."""
        return self.tokens is not None or (self.first is not None and self.first.begun)

    def sender(self, headers: Headers) -> Access:
        """Who sends a request.

        Raises:
            NotSignedIn: nobody who is known here.
        """
        tokens = self.tokens or (self.first if self.first is not None and self.first.begun else None)
        if tokens is None:
            return self.access
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip() or len(headers.getlist("authorization")) > 1:
            raise NotSignedIn("This request has no token.", hint="send the header: Authorization: Bearer TOKEN.")
        return tokens.access(token.strip())

    def check(self, headers: Headers, *, scheme: str, method: str) -> None:
        """Raise unless a request was meant for this server, and no page of another origin sent it.

        A name that somebody points at this machine while its page is open (DNS rebinding) is none that this server goes by. A page of
        another origin says so in ``Origin``; where a browser leaves that out, ``Sec-Fetch-Site`` says it, and then nothing is changed
        for it. A link that somebody follows from another page is read as ever.

        Raises:
            ForeignHost, ForeignOrigin: it was not.
        """
        name, port = _authority(headers.get("host", ""))
        if len(headers.getlist("host")) != 1 or not name or not ("*" in self.hosts or name in {*LOOPBACK, *self.hosts}):
            raise ForeignHost("This server does not go by that name.", hint="start it with --host-name NAME.")
        origin = headers.get("origin")
        if origin is None:
            foreign = method not in _HARMLESS and headers.get("sec-fetch-site", "").lower() in _OTHER_PAGES
        else:
            foreign = origin not in self.origins and not _same(_origin(origin), name, port, scheme)
        if foreign or len(headers.getlist("origin")) > 1:
            raise ForeignOrigin("Pages of other origins may not send requests.", hint="start it with --origin ORIGIN.")


def _same(from_: tuple[str, int, str] | None, name: str, port: int | None, scheme: str) -> bool:
    """A proxy may end the encryption; nobody makes http of https."""
    if from_ is None or from_[2] not in (scheme, "https"):
        return False
    return from_[:2] == (name, port or _PORTS[from_[2]])


def _authority(text: str) -> tuple[str, int | None]:
    """The name and the port of a Host header; an empty name for what is none."""
    try:
        parts = urlsplit(f"//{text}")
        plain = parts.netloc == text and parts.username is None and not (parts.path or parts.query or parts.fragment)
        return ((parts.hostname or "").rstrip("."), parts.port) if plain else ("", None)
    except ValueError:
        return "", None


def _origin(text: str) -> tuple[str, int, str] | None:
    scheme, colon, rest = text.partition("://")
    name, port = _authority(rest)
    if not colon or scheme not in _PORTS or not name:
        return None
    return name, port or _PORTS[scheme], scheme


def is_loopback(host: str) -> bool:
    """Whether an address to bind is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_address(host: str, *, signed: bool, tls: bool = False) -> None:
    """Raise unless an address may be bound: without tokens, whoever reaches a port reads what is behind it.

    Raises:
        InvalidArgument: it is reached from other machines, and there are no tokens.
    """
    if not signed and not is_loopback(host):
        raise InvalidArgument(
            f"Without tokens the server is for this machine alone, and {host} is reached from others.",
            hint="agentmem serve token add --for NAME makes one; or leave out --host.",
        )
    if signed and not tls and not is_loopback(host):
        logging.getLogger("agentmem.server").warning(
            "tokens cross the network in the clear: put a proxy with TLS in front (agentmem serve also takes --tls-cert and --tls-key)"
        )


def host_names(host: str, given: Iterable[str]) -> frozenset[str]:
    """The names that a server at an address goes by, at any port: those that were given, and the address itself."""
    return frozenset(name.strip("[]").lower() for name in (*given, host) if name not in _EVERYWHERE)
