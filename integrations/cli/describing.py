"""Commands in which a language model works on the notes: enrich, reflect."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from agentmem.errors import InvalidArgument
from agentmem.integrations.cli import render
from agentmem.integrations.cli.place import Place, at_place

if TYPE_CHECKING:
    from agentmem.enrich.model.report import EnrichReport, ReflectReport
    from agentmem.notes.protocols import LanguageModel

__all__ = ["NameOption", "UrlOption", "add_to", "language_model"]

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="AGENTMEM_LLM_URL",
        help="Base URL of an OpenAI-compatible server; a key comes from $AGENTMEM_LLM_KEY.",
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--name", envvar="AGENTMEM_LLM_NAME", help="The model's name on that server.")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Seconds that one answer may take.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for name, command in (("enrich", enrich), ("reflect", reflect)):
        app.command(name, rich_help_panel="Language model")(at_place(command))


def enrich(
    place: Place,
    url: UrlOption = None,
    name: NameOption = None,
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many notes.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also notes that were given up.")] = False,
    timeout: TimeoutOption = 60.0,
) -> None:
    """Let a language model describe, link and evolve notes that it has not seen. Exit code 1 when something failed."""
    with place.memory(llm=language_model(url, name, timeout)) as memory:
        report = memory.enrich(limit, again=again, progress=not place.json)
    _show(place, report)


def reflect(
    place: Place,
    url: UrlOption = None,
    name: NameOption = None,
    day: Annotated[
        str | None, typer.Option(help="One day, e.g. 2026-03-01; else every past day not summed up yet.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many days.")] = None,
    timeout: TimeoutOption = 60.0,
) -> None:
    """Let a language model sum up days, draw conclusions and paint a portrait. Exit code 1 when something failed."""
    with place.memory(llm=language_model(url, name, timeout)) as memory:
        report = memory.reflect(day, limit=limit)
    _show(place, report)


def language_model(url: str | None, name: str | None, timeout: float) -> LanguageModel:
    """The model of a server.

    Raises:
        InvalidArgument: the address or the name is missing.
    """
    if not url or not name:
        raise InvalidArgument(
            "Which language model?",
            hint="--url http://127.0.0.1:8000/v1 --name my-model, or $AGENTMEM_LLM_URL and $AGENTMEM_LLM_NAME.",
        )
    from agentmem.llm.clients import OpenAIModel

    return OpenAIModel(url, name, api_key=os.environ.get("AGENTMEM_LLM_KEY"), timeout=timeout)


def _show(place: Place, report: EnrichReport | ReflectReport) -> None:
    if place.json:
        render.data(report.to_dict())
    else:
        for failure in report.failures:
            render.notice(str(failure))
        render.say(str(report))
    if not report.ok:
        raise typer.Exit(1)
