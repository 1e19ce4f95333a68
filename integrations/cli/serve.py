"""The command that serves a memory over HTTP; below it are those for tokens."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from agentmem.errors import InvalidArgument
from agentmem.integrations.cli.describing import NameOption, UrlOption, language_model
from agentmem.integrations.cli.place import Local, Place, at_place
from agentmem.integrations.cli.tokens import TokensOption, first_tokens, given_tokens, token_commands

__all__ = ["add_to"]

_ANSWER_SECONDS = 60.0

UpstreamOption = Annotated[
    str | None,
    typer.Option(
        help="Base URL of an OpenAI-compatible server that is given the memory under /openai/v1; local: the memory's own model.",
        rich_help_panel="Proxy",
    ),
]
UpstreamKeyOption = Annotated[
    str | None,
    typer.Option(
        envvar="AGENTMEM_UPSTREAM_KEY", help="What it is sent as its key; else, where there are no tokens, what the client sends.",
        rich_help_panel="Proxy",
    ),
]  # fmt: skip
UpstreamTimeoutOption = Annotated[
    float,
    typer.Option(min=1, help="Seconds in which nothing comes, after which it is given up.", rich_help_panel="Proxy"),
]
_WITH_IMAGES: Final = 32 * 1024 * 1024
"""Bytes of a request to a proxy: pictures stand in it as text."""


class LogFormat(StrEnum):
    """How ``serve`` writes its log."""

    text = "text"
    json = "json"


def add_to(app: typer.Typer) -> None:
    """Register ``serve`` and, below it, ``serve token``."""
    mine = typer.Typer(
        invoke_without_command=True, help="Serve a memory over HTTP; see also: agentmem serve token --help."
    )
    mine.callback(invoke_without_command=True)(_alone(at_place(serve)))
    mine.add_typer(token_commands(), name="token")
    app.add_typer(mine, name="serve", rich_help_panel="Servers")


def _alone(command: Callable[..., None]) -> Callable[..., None]:
    """A command that is not carried out where one below it is meant."""

    @functools.wraps(command)
    def run(ctx: typer.Context, **given: Any) -> None:
        if ctx.invoked_subcommand is None:
            command(ctx, **given)

    return run


def serve(
    place: Place,
    local: Local,
    tokens: TokensOption = None,
    url: UrlOption = None,
    name: NameOption = None,
    host: Annotated[
        str, typer.Option(help="The address to bind; without tokens one of this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8642,
    host_name: Annotated[
        list[str] | None,
        typer.Option(help="A name that the server goes by, besides those of this machine; may be given several times."),
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Pages that may send requests, e.g. https://app.example.")
    ] = None,
    grace: Annotated[
        float, typer.Option(min=1, help="Seconds that requests may take when the server is told to stop.")
    ] = 30.0,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate in PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key in PEM.")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Nothing of the memory is written.")] = False,
    upstream: UpstreamOption = None,
    upstream_key: UpstreamKeyOption = None,
    upstream_timeout: UpstreamTimeoutOption = 600.0,
    metrics: Annotated[
        bool,
        typer.Option("--metrics", help="Tell Prometheus at /metrics; with tokens, who may admin everybody's notes."),
    ] = False,
    log: Annotated[
        LogFormat, typer.Option(help="json: an object a line, and a line for each verb too; never a word of notes.")
    ] = LogFormat.text,
) -> None:
    """Serve a memory over HTTP until interrupted: REST under /v1, its description at /docs and /openapi.json; with --upstream also
    an OpenAI-compatible proxy under /openai/v1, which gives that model the memory.

    Without tokens, on this machine alone, and in the scope of --user and --agent: agentmem --user ana serve
    """
    from agentmem.integrations.auth.door import check_address, host_names

    held = given_tokens(place, tokens)
    if held is not None and (place.user or place.agent or place.session):
        raise InvalidArgument(
            "With tokens, these say whose notes are meant.", hint="leave out --user, --agent and --session."
        )
    check_address(host, signed=held is not None, tls=tls_cert is not None)
    _log_as(log)
    tls = {"cert": None if tls_cert is None else str(tls_cert), "key": None if tls_key is None else str(tls_key)}
    doors: dict[str, Any] = {
        "tokens": held, "first_tokens": first_tokens(place, tokens), "hosts": host_names(host, host_name or ()), "origins": tuple(origin or ()), "metrics": metrics,
    }  # fmt: skip
    if upstream is not None:
        doors |= _proxy(upstream, upstream_key, upstream_timeout)
    model = asdict(local) if url is None and name is None else {"llm": language_model(url, name, _ANSWER_SECONDS)}
    options = {**model, "read_only": read_only}
    asyncio.run(_serve(place, options, doors, verbs=log is LogFormat.json, host=host, port=port, grace=grace, **tls))


def _log_as(form: LogFormat) -> None:
    from agentmem.integrations.logs import JsonFormatter

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if form is LogFormat.json:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())


def _proxy(url: str, key: str | None, timeout: float) -> dict[str, Any]:
    """What an application needs besides for a proxy."""
    from agentmem.integrations.server.limits import Limits
    from agentmem.integrations.server.proxy_upstream import Upstream

    behind = url if url == "local" else Upstream(url, key=key, timeout=timeout)
    return {"upstream": behind, "limits": Limits(body=_WITH_IMAGES)}


async def _serve(
    place: Place, memory_options: dict[str, Any], doors: dict[str, Any], *, verbs: bool, **address: Any
) -> None:
    from agentmem.aio import AsyncMemory
    from agentmem.integrations.auth.access import Access
    from agentmem.integrations.logs import log_verbs
    from agentmem.integrations.server.app import make_app
    from agentmem.integrations.server.running import server, started
    from agentmem.notes.note import Scope

    scope = Scope(user=place.user, agent=place.agent, session=place.session)
    memory = AsyncMemory(place.path, scope=scope, embedder=place.embedder, packs=place.packs, **memory_options)
    if verbs:
        log_verbs(memory)
    async with memory:
        # Closed by the application too: a server that was told to stop hands the signal on as soon as that has ended.
        running = server(make_app(memory, access=Access.local(scope), close=True, **doors), **address)
        await running.serve()
    started(running)
