"""Commands on the model's weights: consolidate, edits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmem.integrations.cli import render
from agentmem.integrations.cli.asking import ModelOption
from agentmem.integrations.cli.notes import DryOption
from agentmem.integrations.cli.place import Place, at_place

if TYPE_CHECKING:
    from agentmem.consolidation.report import ConsolidationReport

__all__ = ["add_to", "outcomes", "progress", "refusals"]


def add_to(app: typer.Typer) -> None:
    """Register the commands on weights."""
    for name, command in (("consolidate", consolidate), ("edits", edits)):
        app.command(name, rich_help_panel="Weights")(at_place(command))


def consolidate(
    place: Place,
    dry_run: DryOption = False,
    budget: Annotated[int | None, typer.Option(help="Write at most so many facts.")] = None,
    model: ModelOption = "small",
    limit: Annotated[int, typer.Option("--show", help="How many rows of each table to print.")] = 30,
) -> None:
    """Move stable, often used facts into the model's side memory: written in shadow, verified, then committed."""
    with place.memory(model=model) as memory, progress(quiet=place.json) as bar:
        report = memory.consolidate(dry_run=dry_run, budget=budget, progress=bar)
    if place.json:
        render.data(report.to_dict())
        return
    from rich.text import Text

    if report.outcomes:
        render.say(outcomes(report, limit))
    decided = [d for d in report.decisions if d.action == "promote"]
    if dry_run and decided:
        rows = [(f"{d.score:.2f}", d.label, "; ".join(d.reasons)) for d in decided[:limit]]
        render.say(render.table(("score", "would be promoted", "because"), rows))
    if report.refused:
        render.say(refusals(report, limit))
    render.say(Text(str(report), style="bold"))


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A bar per stage on stderr while a job runs; silent in pipes."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    out = render.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=quiet or not out.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report


def outcomes(report: ConsolidationReport, limit: int = 30) -> Any:
    """What was written: question, answers before and after, and whether it was kept."""
    from rich.text import Text

    ordered = sorted(report.outcomes, key=lambda o: (o.committed, o.question))
    rows = [
        (
            Text("in weights", style="green") if o.committed else Text("rolled back", style="red"),
            o.question,
            o.before,
            o.after if o.committed else f"{o.after} ({o.reason})",
            f"{o.generality:.0%}",
        )
        for o in ordered[:limit]
    ]
    more = f" (first {limit} of {len(ordered)})" if len(ordered) > limit else ""
    columns = ("verdict", "question", "before", "after", "other wordings")
    return render.table(columns, rows, title=f"Written in shadow and verified{more}", styles={"before": "dim"})


def refusals(report: ConsolidationReport, limit: int = 30) -> Any:
    """What the policy kept as notes, and why."""
    rows = [(d.label, "; ".join(d.reasons)) for d in report.refused[:limit]]
    more = f" (first {limit} of {len(report.refused)})" if len(report.refused) > limit else ""
    return render.table(("kept as a note", "because"), rows, title=f"Refused by the policy{more}")


def edits(place: Place) -> None:
    """What the weights hold, as the books say, each with the note it came from. Exit code 1 when there is nothing."""
    with place.memory() as memory:
        held = memory.edits()
    if place.json:
        render.data({"edits": [
            {"id": e.id, "note_id": e.note_id, "question": e.prompt, "answer": e.target, "subject": e.subject,
             "paraphrases": list(e.paraphrases), "user": e.scope.user if e.scope else None,
             "agent": e.scope.agent if e.scope else None}
            for e in held
        ]})  # fmt: skip
    else:
        rows = [(render.short(e.id), render.short(e.note_id), e.target, e.prompt) for e in held]
        render.say(render.table(("id", "note", "answer", "question"), rows, title=f"{len(held)} edits", styles={"id": "dim", "note": "dim"}))
    if not held:
        raise typer.Exit(1)
