"""Commands that draw: graph, curve."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmem.errors import InvalidArgument
from agentmem.integrations.cli import render
from agentmem.integrations.cli.place import Place, at_place, find

if TYPE_CHECKING:
    import networkx as nx

    from agentmem.graph.view import Connection

__all__ = ["add_to", "for_drawing", "sparkline"]

_BARS = "▁▂▃▄▅▆▇█"


def add_to(app: typer.Typer) -> None:
    """Register the commands that draw."""
    for name, command in (("graph", graph), ("curve", curve)):
        app.command(name, rich_help_panel="Pictures")(at_place(command))


def graph(
    place: Place,
    out: Annotated[Path | None, typer.Argument(help="Where to draw it: .png, .svg, .pdf, .html, or .graphml.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one page to look around in; it needs no server.")] = None,
    graphml: Annotated[Path | None, typer.Option(help="Write it for Gephi, yEd, Cytoscape and others.")] = None,
    why: Annotated[
        tuple[str, str] | None, typer.Option(metavar="ID ID", help="Why these two notes are connected.")
    ] = None,
    around: Annotated[str | None, typer.Option(help="Only the neighbourhood of this note.")] = None,
    hops: Annotated[int, typer.Option(min=1, help="How far that reaches.")] = 2,
) -> None:
    """The note graph: drawn into a file, or as a table of links."""
    with place.memory() as memory:
        if why is not None:
            _tell_why(place, memory.why_linked(*(find(memory, id).id for id in why)))
            return
        view = memory.graph(around=find(memory, around).id if around else None, hops=hops)
    if not len(view):
        render.notice("no notes yet")
        raise typer.Exit(1)
    if left_out := view.graph["left_out"]:
        render.notice(f"these are the newest {len(view):,} notes; {left_out:,} older ones are left out")
    wanted = [(out, out.suffix if out else ""), (html, ".html"), (graphml, ".graphml")]
    files = [_write(view, path, kind) for path, kind in wanted if path is not None]
    if place.json:
        import networkx as nx

        values = nx.node_link_data(view, edges="links")
        render.data(
            {"nodes": values["nodes"], "links": values["links"], "file": files[0] if files else None, "files": files}
        )
    elif files:
        render.say(f"{len(view)} notes, {view.number_of_edges()} links → {', '.join(files)}")
    else:
        render.say(_links(view))


def _tell_why(place: Place, found: Connection) -> None:
    if place.json:
        steps = [[dataclasses.asdict(link) for link in links] for links in found.steps]
        render.data(
            {
                "notes": [{"id": n.id, "content": n.content} for n in found.notes],
                "steps": steps,
                "strength": found.strength,
            }
        )
    else:
        from rich.text import Text

        render.say(Text(str(found)))
    if not found:
        raise typer.Exit(1)


def _write(view: nx.DiGraph[str], out: Path, kind: str) -> str:
    if kind == ".graphml":
        from agentmem.graph.view import write_graphml

        write_graphml(view, out)
    elif kind == ".html":
        from agentmem.graph.page import write_page

        write_page(view, out)
    else:
        from agentmem.graph.pictures import draw_graph

        draw_graph(for_drawing(view), out, title="Notes and their links")
    return str(out)


def for_drawing(view: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """The view with the names that pictures know: how strongly a note is remembered is its size."""
    drawn = view.copy()
    for _, values in drawn.nodes(data=True):
        values["strength"] = values.get("retrievability", 0.5)
    return drawn


def _links(view: nx.DiGraph[str]) -> Any:
    named = {node: str(values["content"]) for node, values in view.nodes(data=True)}
    rows = [
        (d["kinds"], f"{d['weight']:.2f}", d["reason"], _cut(named[a]), _cut(named[b]))
        for a, b, d in sorted(view.edges(data=True), key=lambda e: -e[2]["weight"])
    ]
    title = f"{len(view)} notes, {view.number_of_edges()} links"
    return render.table(
        ("link", "weight", "because", "from", "to"), rows, title=title, right=("weight",), styles={"because": "dim"}
    )


def _cut(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def curve(
    place: Place,
    id: Annotated[str, typer.Argument(help="A note's id, or the end of it.")],
    out: Annotated[Path | None, typer.Argument(help="Where to draw it: .png, .svg or .pdf.")] = None,
    days: Annotated[int, typer.Option(min=1, help="How far to look ahead.")] = 60,
) -> None:
    """How strongly a note is remembered, and when it will fade."""
    from agentmem.notes import curves as forgetting

    with place.memory() as memory:
        note, now = find(memory, id), memory.clock.now()
        rule = forgetting.curve(memory.settings.forgetting.curve)
        level = memory.settings.forgetting.fade_below
    points = forgetting.sample(note.state, rule, note.state.last_review, _ahead(max(now, note.state.last_review), days))
    strength, due = rule.retrievability(note.state, now), forgetting.due(note.state, rule)
    faint = forgetting.due(note.state, rule, level) if 0 < level < 1 else None
    if out is not None:
        from agentmem.graph.pictures import draw_curve

        draw_curve(points, [note.state.last_review], out, due=due, title=note.content)
    values = {
        "id": note.id, "content": note.content, "curve": rule.name, "strength": strength, "recalls": note.state.recalls,
        "stability_days": note.state.stability, "difficulty": note.state.difficulty, "last_review": note.state.last_review,
        "due": due, "faint": faint, "file": str(out) if out else None,
    }  # fmt: skip
    if place.json:
        render.data({**values, "points": [[moment, value] for moment, value in points]})
    else:
        _tell_curve(values, points, level)


def _ahead(moment: datetime, days: int) -> datetime:
    try:
        return moment + timedelta(days=days)
    except OverflowError as error:
        raise InvalidArgument(f"{days} days ahead is past the year 9999.", hint="--days 60.") from error


def _tell_curve(values: dict[str, Any], points: Sequence[tuple[datetime, float]], level: float) -> None:
    from rich.text import Text

    render.say(Text(values["content"], style="bold"))
    last, end = points[0][0], points[-1][0]
    render.say(Text(f"{last:%Y-%m-%d} {sparkline([v for _, v in points])} {end:%Y-%m-%d}", style="cyan"))
    never = "in more than a hundred years"
    rows = [
        ("strength now", f"{values['strength']:.0%} ({values['curve']})"),
        ("recalled", f"{values['recalls']} times, last on {last:%Y-%m-%d}"),
        ("stability", f"{values['stability_days']:.1f} days"),
        ("due for a recall", f"{values['due']:%Y-%m-%d}" if values["due"] else never),
        (f"faint (under {level:.0%})", f"{values['faint']:%Y-%m-%d}" if values["faint"] else never),
    ]
    if values["file"]:
        rows.append(("drawn into", values["file"]))
    render.say(render.table(("", " "), rows))


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Values in [0, 1] as a line of bars."""
    if not values:
        raise InvalidArgument("There is nothing to draw.", hint="give at least one value.")
    picked = [values[i * (len(values) - 1) // max(width - 1, 1)] for i in range(min(width, len(values)))]
    return "".join(_BARS[min(len(_BARS) - 1, int(v * len(_BARS)))] for v in picked)
