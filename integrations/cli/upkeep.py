"""Commands that look after a memory: check, rebuild, stats, doctor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from agentmem.integrations.cli import render
from agentmem.integrations.cli.place import Local, Place, at_place

__all__ = ["add_to"]

_STATUS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def add_to(app: typer.Typer) -> None:
    """Register the commands that look after a memory."""
    panel = "Upkeep"
    for name, command in (("check", check), ("rebuild", rebuild), ("stats", stats), ("doctor", doctor)):
        app.command(name, rich_help_panel=panel)(at_place(command))


def check(
    place: Place,
    deep: Annotated[
        bool, typer.Option("--deep", help="All notes and vectors, not a sample; embeds every note anew.")
    ] = False,
) -> None:
    """Compare vectors, full text, links and weights with the notes. Exit code 1 when something is wrong."""
    with place.memory() as memory:
        report = memory.check(deep=deep)
    if place.json:
        render.data({
            "ok": report.ok, "problems": list(report.problems), "notices": list(report.notices), "counts": dict(report.counts), "index": report.index,
        })  # fmt: skip
    else:
        from rich.text import Text

        rows = [*report.counts.items(), ("index", report.index)]
        render.say(render.table(("place", "holds"), rows, right=("holds",)))
        for problem in report.problems:
            render.say(Text.assemble(("problem: ", "bold red"), problem))
        for notice in report.notices:
            render.say(Text(notice, style="yellow"))
        if report.ok:
            render.say(Text(str(report), style="green"))
    if not report.ok:
        raise typer.Exit(1)


def rebuild(
    place: Place,
    local: Local,
    projection: Annotated[str, typer.Argument(help="vectors, text, readings, graph or weights.")],
) -> None:
    """Make a projection anew from the notes."""
    with place.memory(local=local if projection == "weights" else None) as memory:
        held = memory.rebuild(projection, progress=not place.json)
    if place.json:
        render.data({"projection": projection, "holds": held})
    else:
        render.say(f"{projection}: {held}")


def stats(place: Place) -> None:
    """Counts and sizes."""
    with place.memory() as memory:
        values = dict(memory.stats())
    if place.json:
        render.data(values)
        return
    rows = [
        (name, ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value)
        for name, value in values.items()
    ]
    render.say(render.table(("what", "value"), [(n, "–" if v is None else v) for n, v in rows]))


def doctor(
    place: Place,
    deep: Annotated[bool, typer.Option(help="Also import the libraries and compute something with each.")] = False,
) -> None:
    """Look at what this machine has and lacks, with the cure for each. Exit code 1 when something must be fixed."""
    from rich.text import Text

    from agentmem.integrations.doctor import checks, worst

    found = checks(deep=deep, path=place.path, embedder=place.embedder)
    if place.json:
        render.data({"status": worst(found), "checks": [c.to_dict() for c in found]})
    else:
        rows = [
            (
                Text(c.status, style=_STATUS[c.status]),
                c.name,
                c.detail if not c.fix or c.status == "ok" else f"{c.detail} → {c.fix}",
            )
            for c in found
        ]
        render.say(render.table(("", "what", "how it stands"), rows))
    if worst(found) == "fail":
        raise typer.Exit(1)
