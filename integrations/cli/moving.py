"""The command that carries a whole memory to another place: ``move``."""

from __future__ import annotations

from typing import Annotated

import typer

from agentmem.integrations.cli import render
from agentmem.integrations.cli.place import Place, at_place
from agentmem.notes.address import shown
from agentmem.runtime.progress import stage_progress

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("move", rich_help_panel="Exchange")(at_place(move))


def move(
    place: Place,
    target: Annotated[str, typer.Argument(help="An empty directory, or the address of an empty database.")],
) -> None:
    """Copy the whole memory to another place, what was forgotten and the weights included; interrupted, it goes on when called again.

    agentmem --path .agentmem move postgresql://agent@db.example/memory
    """
    from agentmem.memory import move as carry

    with stage_progress(not place.json) as progress:
        moved = carry(place.path, target, packs=place.packs, progress=progress)
    if place.json:
        render.data({
            "source": place.shown, "target": shown(target), "notes": moved.notes, "written": moved.written, "removed": moved.removed,
            "passes": moved.passes, "packs": moved.packs, "problems": list(moved.problems),
            "tables": [{"name": table.name, "rows": table.rows, "digest": table.digest} for table in moved.tables],
        })  # fmt: skip
    else:
        held = [(table.name, table.rows, table.digest[:12]) for table in moved.tables if table.rows]
        render.say(render.table(("table", "rows", "digest in both"), held, right=("rows",)))
        for problem in moved.problems:
            render.notice(f"problem: {problem}")
        render.notice(
            f"{moved.notes} notes are at {shown(target)}, and at {place.shown} as before: what is written there from now on does not come along. "
            "Point your programs to the new place, and remove the old one yourself."
        )
    if moved.problems:
        raise typer.Exit(1)
