"""Everything that is printed: tables for people, JSON for programs, notices on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from agentmem.errors import AgentMemError, ScopeRequired
from agentmem.integrations.values import plain
from agentmem.notes.quoting import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from agentmem.notes.note import Note

__all__ = ["SHARED", "console", "data", "error", "notice", "say", "short", "table", "whose"]

ID_LENGTH = 8
SHARED: Final = "shared"


def console(*, stderr: bool = False) -> Console:
    """A console on the present stdout or stderr; rich heeds NO_COLOR, FORCE_COLOR, COLUMNS and pipes."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False)


def say(*parts: RenderableType) -> None:
    """Print on stdout. Text from notes must come as ``Text`` or through :func:`table`, never as markup."""
    console().print(*parts)


def notice(text: str) -> None:
    """A line on stderr, so that it never mixes with a result."""
    console(stderr=True).print(one_line(text), style="yellow", markup=False)


def data(value: object) -> None:
    """JSON on stdout; in an encoding that is not Unicode, what is not ASCII is escaped."""
    escaped = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    sys.stdout.write(json.dumps(value, ensure_ascii=escaped, indent=2, default=plain) + "\n")


def short(id: str | None) -> str:
    """The end of an id: the beginning is the time, which neighbours share."""
    return "" if id is None else id[-ID_LENGTH:]


def whose(note: Note) -> str:
    """Who a note belongs to: a user, with the agent that alone is told of it; an agent; or everybody."""
    scope = note.scope
    if scope.user is not None:
        return scope.user if scope.agent is None else f"{scope.user}, agent {scope.agent}"
    return SHARED if scope.agent is None else f"agent {scope.agent}"


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    styles: Mapping[str, str] | None = None,
) -> Table | Text:
    """A light table; cells are plain text, whatever they contain, or renderables. Without a row, its title says all there is to say."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = list(rows)
    if not rows:
        return Text(title or "there is nothing to show")
    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    last = columns[-1] if columns else ""
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            style=(styles or {}).get(name, ""),
            ratio=1 if name == last else None,
            overflow="fold",
            no_wrap=name in ("id", "when", "score") or name in right,
        )
    for row in rows:
        made.add_row(*(cell if hasattr(cell, "__rich_console__") else Text(one_line(str(cell))) for cell in row))
    return made


def error(error: AgentMemError, *, as_json: bool) -> None:
    """An error with its cure, on stderr."""
    from rich.text import Text

    hint = error.hint
    if isinstance(error, ScopeRequired):
        hint = "say whose notes: --user NAME, or --agent NAME."
    if as_json:
        said = {"error": {"type": type(error).__name__, "message": error.message, "hint": hint}}
        sys.stderr.write(json.dumps(said, ensure_ascii=False) + "\n")
        return
    out = console(stderr=True)
    out.print(Text.assemble((f"{type(error).__name__}: ", "bold red"), error.message))
    if hint:
        out.print(Text.assemble(("hint: ", "bold"), hint))
