"""Commands on the model's weights: consolidate, edits."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmem.consolidation.figures import counted, told
from agentmem.consolidation.report import joined
from agentmem.errors import InvalidArgument, JobLocked, PackUnreachable
from agentmem.integrations import values
from agentmem.integrations.cli import render
from agentmem.integrations.cli.forgetting import DryOption
from agentmem.integrations.cli.place import Local, Place, at_place

if TYPE_CHECKING:
    from agentmem import Memory
    from agentmem.consolidation.report import ConsolidationReport
    from agentmem.consolidation.workers import ModelWorkers

__all__ = ["add_to", "outcomes", "progress", "refusals", "tell"]

_LONGEST_WATCH = 365 * 24 * 60


def add_to(app: typer.Typer) -> None:
    """Register the commands on weights."""
    for name, command in (
        ("consolidate", consolidate),
        ("edits", edits),
        ("status", status),
        ("verify", verify),
        ("jobs", jobs),
    ):
        app.command(name, rich_help_panel="Weights")(at_place(command))


def consolidate(
    place: Place,
    local: Local,
    dry_run: DryOption = False,
    budget: Annotated[int | None, typer.Option(help="Write at most so many facts.")] = None,
    each_owner: Annotated[
        bool, typer.Option("--each-owner", help="One user or agent after another, each committed alone.")
    ] = False,
    limit: Annotated[int, typer.Option("--show", help="How many rows of each table to print.")] = 30,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML page too.")] = None,
    watch: Annotated[float | None, typer.Option(help="Run again every so many minutes, until interrupted.")] = None,
    step: Annotated[
        int | None,
        typer.Option(min=1, help="Commit after every so many facts, and go on: what is killed loses one step."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help='Have the workers of a Ray cluster answer and learn; "local" starts one.'),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Workers on the cluster, each with a model.")] = 2,
) -> None:
    """Move stable, often used facts into the model's side memory: written in shadow, verified, then committed."""
    if watch is not None and not 0 < watch < _LONGEST_WATCH:
        raise InvalidArgument(
            f"--watch must be more than 0 minutes and less than a year, not {watch:g}.", hint="--watch 15."
        )
    with place.memory(local=local) as memory, _workers(ray, workers, local, dry_run) as crew:
        while True:
            try:
                report = _consolidate(place, memory, dry_run, budget, each_owner, step, crew)
                _show(place, report, dry_run, limit, html)
            except (
                JobLocked,
                PackUnreachable,
            ) as error:  # another worker is at it, or its packs are out of reach: the next time
                if watch is None:
                    raise
                render.notice(f"{error.message} Again in {watch:g} minutes.")
            if watch is None:
                return
            time.sleep(60 * watch)


@contextmanager
def _workers(address: str | None, workers: int, local: Local, dry_run: bool) -> Iterator[ModelWorkers | None]:
    """The workers of a cluster, with the model of this command; a dry run asks no model."""
    if address is None or dry_run:
        yield None
        return
    from agentmem.integrations.ray_models import RayModels

    with RayModels(
        local.model, device=local.device, dtype=local.dtype, plain=local.plain, address=address, workers=workers
    ) as crew:
        yield crew


def _consolidate(
    place: Place,
    memory: Memory,
    dry_run: bool,
    budget: int | None,
    each_owner: bool,
    step: int | None,
    crew: ModelWorkers | None,
) -> ConsolidationReport:
    """One run, or as many steps as there is something to write in."""
    with progress(quiet=place.json) as bar:
        run = functools.partial(memory.consolidate, dry_run, each_owner=each_owner, progress=bar, workers=crew)
        if step is None or dry_run:
            return run(budget)
        done: list[ConsolidationReport] = []
        left = budget
        while True:
            size = step if left is None else min(step, left)
            done.append(run(size))
            written = len(done[-1].outcomes)
            left = None if left is None else left - written
            if written < size or left == 0:
                return joined(done)


def _show(place: Place, report: ConsolidationReport, dry_run: bool, limit: int, html: Path | None) -> None:
    if place.json:
        render.data(report.to_dict())
    else:
        tell(report, dry_run, limit)
    if html is not None:
        report.write_page(html)


def tell(report: ConsolidationReport, dry_run: bool = False, limit: int = 30) -> None:
    """Print what was written, what was not, and why."""
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
    for warning in report.warnings:
        render.notice(warning)


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
            told(o.generality, ".0%"),
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
    """What the weights hold, as the registry says, each with the note it came from. Exit code 1 when there is nothing."""
    with place.memory() as memory:
        held = memory.edits()
    if place.json:
        render.data({"edits": [values.edit_dict(each) for each in held]})
    else:
        rows = [(render.short(e.id), render.short(e.note_id), e.target, e.prompt) for e in held]
        render.say(
            render.table(
                ("id", "note", "answer", "question"),
                rows,
                title=counted(len(held), "edit"),
                styles={"id": "dim", "note": "dim"},
            )
        )
    if not held:
        raise typer.Exit(1)


def status(place: Place) -> None:
    """How far the weights have drifted from the notes. Exit code 1 when an edit no longer says what its note says."""
    with place.memory() as memory:
        found = memory.status()
    if place.json:
        render.data(found.to_dict())
    else:
        rows = [
            ("edits", str(found.edits), "in the registry"),
            ("waiting", str(len(found.waiting)), "facts the policy would promote now"),
            ("stale", str(len(found.stale)), "the note says something else now, or ended"),
            ("contradicted", str(len(found.contradicted)), "a newer note says otherwise"),
            ("unserved", str(len(found.unserved)), "in the registry, not in the pack"),
            ("stray", str(len(found.stray)), "in the pack, not in the registry"),
            (
                "outdated",
                str(len(found.outdated)),
                ", ".join(found.outdated) or "exported adapters that hold what was taken out",
            ),
            ("pack", (found.pack or "none")[:12], found.trouble or "sound"),
            ("base", (found.base or "none")[:12], "the model that it was written on; agentmem verify asks the model"),
        ]
        render.say(render.table(("", "", "meaning"), rows, title="Drift of the weights"))
    if not found.ok:
        raise typer.Exit(1)


class JobsDo(StrEnum):
    """What to do with jobs."""

    LIST = "list"
    RUN = "run"
    UNDO = "undo"


def jobs(
    place: Place,
    local: Local,
    do: Annotated[
        JobsDo, typer.Argument(help="List past consolidations, run all upkeep now, or undo the last consolidation.")
    ] = JobsDo.LIST,
    dry_run: DryOption = False,
) -> None:
    """List the consolidations that changed something, run the nightly upkeep, or take the last one's edits out again."""
    if do is JobsDo.UNDO:
        _undo(place, dry_run)
        return
    if dry_run:
        raise InvalidArgument(f"jobs {do.value} has no --dry-run.", hint="agentmem consolidate --dry-run.")
    if do is JobsDo.RUN:
        with place.memory(local=local) as memory, progress(quiet=place.json) as bar:
            memory.flush()
            faded = memory.fade()
            report = memory.consolidate(progress=bar)
        if place.json:
            render.data({"faded": len(faded), "consolidation": report.to_dict()})
        else:
            render.say(f"{len(faded)} notes archived; {report}")
        return
    with place.memory() as memory:
        runs = memory.jobs()
    if place.json:
        render.data(
            {
                "jobs": [
                    {
                        "at": r.at.isoformat(),
                        "promoted": r.promoted,
                        "failed": r.failed,
                        "demoted": r.demoted,
                        "pack": r.pack,
                    }
                    for r in runs
                ]
            }
        )
    else:
        rows = [
            (f"{r.at:%Y-%m-%d %H:%M}", str(r.promoted), str(r.failed), str(r.demoted), (r.pack or "none")[:12])
            for r in runs
        ]
        render.say(
            render.table(
                ("at", "promoted", "rolled back", "demoted", "pack"), rows, title=f"{len(runs)} consolidations"
            )
        )


def _undo(place: Place, dry_run: bool) -> None:
    with place.memory() as memory:
        report = memory.undo_consolidation(dry_run=dry_run)
    if place.json:
        render.data(report.to_dict())
        return
    rows = [(render.short(edit), render.short(note)) for edit, note in zip(report.edits, report.notes, strict=True)]
    render.say(render.table(("id", "note"), rows, title=str(report), styles={"id": "dim"}))


def _deep(place: Place, texts: Sequence[str]) -> None:
    given = [text for text in texts if text != "-"]
    if "-" in texts:
        given += [line for line in sys.stdin.read().splitlines() if line.strip()]
    with place.memory() as memory:
        found = memory.verify_bytes(given)
    if place.json:
        render.data(found.to_dict())
    else:
        render.say(str(found))
    if not found.ok:
        raise typer.Exit(1)


def verify(
    place: Place,
    local: Local,
    sample: Annotated[int, typer.Option(help="How many edits to ask again.")] = 32,
    deep: Annotated[
        bool, typer.Option("--deep", help="Look into the bytes of every file instead, for what should not be there.")
    ] = False,
    text: Annotated[
        list[str] | None, typer.Option(help="With --deep: a text that must be in no file; - reads one per line.")
    ] = None,
) -> None:
    """Ask a sample of the edits again, or look for remnants in every file. Exit code 1 when something is not as it should be."""
    if text and not deep:
        raise InvalidArgument("--text is looked for with --deep.", hint='agentmem verify --deep --text "a word".')
    if deep:
        _deep(place, text or [])
        return
    with place.memory(local=local) as memory:
        found = memory.verify(sample)
    if place.json:
        render.data(
            {
                "asked": found.asked,
                "reliability": found.reliability,
                "generality": found.generality,
                "failed": dict(found.failed),
            }
        )
    else:
        render.say(str(found))
    if not found.ok:
        raise typer.Exit(1)
