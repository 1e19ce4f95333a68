"""The command that serves a memory to clients of the Model Context Protocol."""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentmem.errors import InvalidArgument
from agentmem.integrations.cli import render
from agentmem.integrations.cli.place import Place, at_place
from agentmem.integrations.cli.tokens import TokensOption, first_tokens, given_tokens
from agentmem.integrations.extras import needs
from agentmem.notes.note import Scope

if TYPE_CHECKING:
    from agentmem.aio import AsyncMemory
    from agentmem.integrations.auth.tokens import Tokens

__all__ = ["add_to"]

_HTTP = "Over HTTP"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("mcp", rich_help_panel="Servers")(at_place(mcp))


@dataclass(frozen=True, slots=True)
class _Listening:
    """Where to listen, and whom to let in."""

    host: str
    port: int
    tokens: Tokens | None
    first_tokens: Tokens | None
    hosts: frozenset[str]
    origins: frozenset[str]


def mcp(
    place: Place,
    allow_forget: Annotated[bool, typer.Option("--allow-forget", help="Offer the tool that deletes for good.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Open for reading; offer no tool that writes.")
    ] = False,
    basic: Annotated[bool, typer.Option("--basic", help="Offer recall and remember alone.")] = False,
    http: Annotated[
        bool, typer.Option("--http", help="Serve HTTP, instead of stdin and stdout.", rich_help_panel=_HTTP)
    ] = False,
    host: Annotated[str, typer.Option(help="Address to listen at.", rich_help_panel=_HTTP)] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.", rich_help_panel=_HTTP)] = 8765,
    tokens: TokensOption = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option(help="A name that the server goes by, besides those of this machine.", rich_help_panel=_HTTP),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Pages that may ask, e.g. https://chat.example.", rich_help_panel=_HTTP),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print what a client's file of servers needs, and end.")
    ] = False,
) -> None:
    """Serve this memory to clients of the Model Context Protocol (Claude, Cursor, VS Code …): on stdin and stdout, or over HTTP.

    agentmem mcp --print-config --user ana
    """
    flags = {"--allow-forget": allow_forget, "--read-only": read_only, "--basic": basic}
    if tokens is not None and not http:
        raise InvalidArgument("Tokens are for HTTP.", hint="agentmem mcp --http, or without --tokens.")
    if print_config:
        signed = http and given_tokens(place, tokens) is not None
        url = f"http://{_written(host)}:{port}/mcp" if http else None
        _print_config(place, url, tuple(name for name, on in flags.items() if on), signed=signed)
        return
    needs("mcp", "mcp")
    options = {"allow_forget": allow_forget and not read_only, "writing": not read_only, "basic": basic}
    make = functools.partial(_open, place, read_only=read_only)
    if http:
        listening = _listening(place, host, port, tokens, host_name or [], origin or [])
        _run(_over_http(make, place, listening, options))
    else:
        _run(_over_stdio(make, Scope(place.user, place.agent, place.session), options))


def _open(place: Place, *, read_only: bool) -> AsyncMemory:
    """Bound to nobody: the server names the scope in every call, since one process may serve several."""
    from agentmem.aio import AsyncMemory
    from agentmem.settings import IndexSettings, Settings

    # A client kills what has not ended seconds after it closed its end; what the index has not seen yet is compared exactly.
    settings = Settings(index=IndexSettings(flush_on_close=False))
    return AsyncMemory(place.path, embedder=place.embedder, packs=place.packs, read_only=read_only, settings=settings)


def _run(serving: Awaitable[None]) -> None:
    async def run() -> None:
        await serving

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")  # on stderr
    asyncio.run(run())


async def _over_stdio(make: Callable[[], AsyncMemory], scope: Scope, options: dict[str, bool]) -> None:
    from agentmem.integrations.mcp_server.opening import LateMemory
    from agentmem.integrations.mcp_server.server import make_server
    from agentmem.integrations.mcp_server.stdio import claim_standard_streams, serve_stdio

    streams = claim_standard_streams()
    async with LateMemory(make) as memory:
        memory.begin()
        await serve_stdio(make_server(memory, scope=scope, access=None, **options), streams)


async def _over_http(
    make: Callable[[], AsyncMemory], place: Place, listening: _Listening, options: dict[str, bool]
) -> None:
    from agentmem.integrations.mcp_server.http import bound_socket, http_app, serve_http

    scope = Scope(place.user, place.agent, place.session)
    with bound_socket(listening.host, listening.port) as bound:
        async with make() as memory:
            app = http_app(
                memory,
                tokens=listening.tokens,
                first_tokens=listening.first_tokens,
                scope=scope,
                hosts=listening.hosts,
                origins=listening.origins,
                **options,
            )
            port = bound.getsockname()[1]
            await serve_http(
                app, bound, started=lambda: render.notice(f"serving at http://{_written(listening.host)}:{port}/mcp")
            )


def _listening(
    place: Place, host: str, port: int, file: Path | None, hosts: list[str], origins: list[str]
) -> _Listening:
    """Checked: beyond this machine nobody is served without a token."""
    from agentmem.integrations.auth.door import check_address, host_names

    held = given_tokens(place, file)
    check_address(host, signed=held is not None)
    return _Listening(host, port, held, first_tokens(place, file), host_names(host, hosts), frozenset(origins))


def _written(host: str) -> str:
    """As in an address: with brackets around what has colons of its own."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _print_config(place: Place, url: str | None, flags: tuple[str, ...], *, signed: bool) -> None:
    from agentmem.integrations.mcp_server.config import over_http, over_stdio

    if url is not None:
        render.data(over_http(url, token=signed))
    else:
        named = {
            "path": place.path,
            "user": place.user,
            "agent": place.agent,
            "embedder": place.embedder,
            "packs": place.packs,
        }
        render.data(over_stdio(**named, flags=flags))  # type: ignore[arg-type]  # each by its name
    if sys.stderr.isatty():
        render.notice(
            "For .mcp.json, claude_desktop_config.json, .cursor/mcp.json; VS Code's mcp.json says servers, not mcpServers."
        )
