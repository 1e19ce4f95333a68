"""The command that answers one question: ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentmem.integrations import values
from agentmem.integrations.cli import render
from agentmem.integrations.cli.given import said
from agentmem.integrations.cli.place import Local, Place, at_place

if TYPE_CHECKING:
    from agentmem.ask.ask import Answer

__all__ = ["add_to", "origin"]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("ask", rich_help_panel="Answers")(at_place(ask))


def ask(
    place: Place,
    question: Annotated[str, typer.Argument(help='The question; "-" reads it from stdin.')],
    local: Local,
    use: Annotated[str, typer.Option(help="auto, weights, notes, both or nothing.")] = "auto",
    k: Annotated[int, typer.Option("-k", help="How many notes at most.")] = 5,
    max_tokens: Annotated[int, typer.Option(help="Length of the answer.")] = 64,
) -> None:
    """Answer from the weights, from notes, or both, and say which."""
    with place.memory(local=local) as memory:
        answer = memory.ask(said(question), use=use, k=k, max_tokens=max_tokens)  # type: ignore[arg-type]  # checked by ask
    for warning in answer.warnings:
        render.notice(warning)
    if place.json:
        render.data(
            {
                **values.answer_dict(answer),
                "known": [note.id for note in answer.known],
                "parts": [values.part_dict(part) for part in answer.parts],
            }
        )
        return
    from rich.text import Text

    render.say(Text(answer.text, style="bold"), Text(origin(answer), style="dim"))


def origin(answer: Answer) -> str:
    """Where an answer came from, in a few words."""
    parts = ["not known" if answer.source == "none" else f"from the {answer.source}"]
    if answer.notes:
        parts.append(f"{len(answer.notes)} notes in the prompt, {len(answer.used)} used")
    parts += [f"edit {render.short(edit)}" for edit in answer.edits]
    return f"{', '.join(parts)}; {answer.prompt_tokens} prompt tokens"
