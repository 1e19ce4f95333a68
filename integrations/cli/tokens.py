"""Bearer tokens on the command line: who is let in by `agentmem serve` and `agentmem mcp --http`, and to what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentmem.errors import InvalidArgument
from agentmem.integrations.cli import render
from agentmem.integrations.cli.place import Place, at_place

if TYPE_CHECKING:
    from agentmem.integrations.auth.access import Access
    from agentmem.integrations.auth.tokens import IssuedToken, Tokens

__all__ = ["TokensOption", "first_tokens", "given_tokens", "token_commands", "tokens_of"]

FILE = "AGENTMEM_TOKENS"

TokensOption = Annotated[
    Path | None,
    typer.Option(
        "--tokens",
        help=f"The file of tokens [${FILE}, else the memory's directory with .tokens.json behind it].",
    ),
]


def token_commands() -> typer.Typer:
    """``add``, ``list`` and ``revoke``."""
    tokens = typer.Typer(
        no_args_is_help=True, help="Bearer tokens: who is let in, and to what; over REST and MCP alike."
    )
    for name, command in (("add", add), ("list", listed), ("revoke", revoke)):
        tokens.command(name)(at_place(command))
    return tokens


def tokens_of(place: Place, given: Path | None) -> Tokens:
    """The file of tokens of a memory, whether it is there or not.

    Raises:
        InvalidArgument: the memory is in a database, and no file was named.
    """
    from agentmem.integrations.auth.tokens import Tokens

    named = os.environ.get(FILE)
    # Beside the directory rather than in it: what lies there is the memory's own, and is copied, exported and checked as such.
    if given or named:
        return Tokens(given or Path(str(named)))
    if isinstance(place.path, Path):
        return Tokens(place.path.with_name(f"{place.path.name}.tokens.json"))
    raise InvalidArgument(
        "Nobody knows where the tokens of a database lie: it has no directory.",
        hint=f"name a file: --tokens FILE, or {FILE} in the environment.",
    )


def first_tokens(place: Place, given: Path | None) -> Tokens | None:
    """The file in which the first token would be made; ``None`` where nobody can say which that will be."""
    named = given is not None or FILE in os.environ or isinstance(place.path, Path)
    return tokens_of(place, given) if named else None


def given_tokens(place: Place, given: Path | None) -> Tokens | None:
    """Those that let somebody in; ``None`` where none were made, and none are meant to be there.

    Raises:
        StoreError: a file was named that is not there, or it cannot be read.
    """
    held = first_tokens(place, given)
    if held is None:
        return None
    meant = given is not None or FILE in os.environ or held.path.exists()
    return type(held).load(held.path) if meant else None


def add(
    place: Place,
    for_: Annotated[str | None, typer.Option("--for", help="The user it is bound to.")] = None,
    for_agent: Annotated[str | None, typer.Option(help="The agent it is bound to.")] = None,
    for_session: Annotated[str | None, typer.Option(help="The conversation it is bound to.")] = None,
    anyone: Annotated[
        bool, typer.Option("--anyone", help="It may name any user and agent: for a program that serves many.")
    ] = False,
    right: Annotated[
        list[str] | None,
        typer.Option(
            help="read, write, forget, consolidate or admin; may be given several times [read, write, forget]."
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="What it is called in lists and logs [whose it is].")] = None,
    days: Annotated[float | None, typer.Option(help="Days until it expires.")] = None,
    tokens: TokensOption = None,
) -> None:
    """Make a token and show it once: agentmem serve token add --for ana"""
    from agentmem.integrations.auth.access import Access, checked_rights

    held = tokens_of(place, tokens)
    rights = checked_rights(right or ["read", "write", "forget"])
    name = label or for_ or for_agent or "anyone"
    access = Access(name, for_, for_agent, for_session, anyone=anyone, rights=rights)
    until = None if days is None else held.clock.now() + _span(days)
    token, issued = held.add(access, expires_at=until)
    if place.json:
        render.data({"token": token, **_told(issued)})
    else:
        render.say(token)
        render.notice(f"{_whose(access)}; it is shown once, and {held.path} keeps its hash alone")


def listed(place: Place, tokens: TokensOption = None) -> None:
    """List tokens, without the tokens themselves. Exit code 1 when there are none."""
    held = tokens_of(place, tokens)
    found, now = held.all(), held.clock.now()
    if place.json:
        render.data({"tokens": [_told(each) for each in found]})
    else:
        render.say(render.table(("id", "label", "whose", "rights", "until"), [_row(each, now) for each in found]))
    if not found:
        raise typer.Exit(1)


def revoke(
    place: Place, id: Annotated[str, typer.Argument(help="Its id or its label.")], tokens: TokensOption = None
) -> None:
    """Take a token back; a running server refuses it from the next request on."""
    gone = tokens_of(place, tokens).revoke(id)
    if place.json:
        render.data({"revoked": _told(gone)})
    else:
        render.say(f"revoked {gone.id}: {_whose(gone.access)}")


def _span(days: float) -> timedelta:
    try:
        return timedelta(days=days)
    except (OverflowError, ValueError) as error:
        raise InvalidArgument(f"--days must be a number of days, not {days}.", hint="--days 90.") from error


def _told(issued: IssuedToken) -> dict[str, Any]:
    return {name: value for name, value in issued.to_dict().items() if name != "sha256"}


def _row(issued: IssuedToken, now: Any) -> Sequence[object]:
    until = "never" if issued.expires_at is None else f"{issued.expires_at:%Y-%m-%d %H:%M}"
    if not issued.in_force(now):
        until += " (expired)"
    return issued.id, issued.access.label, _whose(issued.access), ", ".join(sorted(issued.access.rights)), until


def _whose(access: Access) -> str:
    named = {"user": access.user, "agent": access.agent, "session": access.session}
    told = ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)
    return "anyone" + (f", {told}" if told else "") if access.anyone else told
