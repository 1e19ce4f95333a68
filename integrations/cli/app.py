"""The application: its commands, its exit codes, and what becomes of errors."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from agentmem import __version__
from agentmem.errors import AgentMemError, InvalidArgument, InvalidNote
from agentmem.integrations.cli import (
    asking,
    chatting,
    demo,
    describing,
    exchange,
    mcp,
    moving,
    notes,
    overview,
    pictures,
    records,
    render,
    serve,
    upkeep,
    weights,
)
from agentmem.integrations.cli.place import (
    AgentOption,
    EmbedderOption,
    JsonOption,
    PacksOption,
    PathOption,
    SessionOption,
    UserOption,
    place_of,
)

__all__ = ["app"]

OK, FOUND, USAGE, ERROR, INTERRUPTED = range(5)

_EPILOG = """\
[bold]Exit codes:[/bold] 0 done · 1 nothing found, or a problem found · 2 wrong usage or argument ·
 3 an error of agentmem, with its cure on stderr · 4 interrupted, or not confirmed.

[bold]Begin with:[/bold] agentmem remember "My sister lives in Porto." · agentmem recall "Where does my sister live?" · agentmem demo
"""


class _Commands(TyperGroup):
    """Commands whose typed errors become a sentence, a cure and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AgentMemError as error:
            render.error(error, as_json=bool(ctx.meta.get("json")))
            wrong = isinstance(error, (InvalidArgument, InvalidNote))
            raise typer.Exit(USAGE if wrong else ERROR) from error
        except (KeyboardInterrupt, typer.Abort) as stop:
            sys.stderr.write("\ninterrupted\n")
            raise typer.Exit(INTERRUPTED) from stop


app = typer.Typer(
    cls=_Commands,
    name="agentmem",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"agentmem {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    path: PathOption = None,
    user: UserOption = None,
    agent: AgentOption = None,
    session: SessionOption = None,
    embedder: EmbedderOption = None,
    packs: PacksOption = None,
    json: JsonOption = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One memory for an LLM agent: what it can look up, and what it knows by heart. Without a command: what is in it, and what to do next."""
    del version  # its callback has acted on it
    if ctx.invoked_subcommand is None:
        ctx.meta["json"] = json
        overview.overview(
            place_of(
                {
                    "path": path,
                    "user": user,
                    "agent": agent,
                    "session": session,
                    "embedder": embedder,
                    "packs": packs,
                    "json": json,
                }
            )
        )


for module in (
    demo,
    notes,
    records,
    asking,
    chatting,
    describing,
    weights,
    pictures,
    exchange,
    moving,
    upkeep,
    mcp,
    serve,
):
    module.add_to(app)
