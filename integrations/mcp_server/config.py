"""What a client's file of servers says to reach this one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from agentmem.errors import InvalidArgument
from agentmem.notes.address import has_password

__all__ = ["over_http", "over_stdio"]


def over_stdio(
    *,
    path: Path | str,
    user: str | None,
    agent: str | None,
    embedder: str | None,
    packs: str | None = None,
    flags: tuple[str, ...] = (),
) -> dict[str, Any]:
    """For a client that starts the server: absolute, since nobody knows in which directory it does.

    Raises:
        InvalidArgument: an address with a password, which has no business in such a file.
    """
    if packs is not None and has_password(packs):
        raise InvalidArgument(
            "The address of the packs has a password, and would lie in the client's settings with it.",
            hint="leave it out: credentials are taken from the environment.",
        )
    if isinstance(path, str) and has_password(path):
        raise InvalidArgument(
            "The address has a password, and would lie in the client's settings with it.",
            hint="leave it out: PostgreSQL reads it from ~/.pgpass, or from the file that PGPASSFILE names.",
        )
    script = shutil.which("agentmem")
    command, begin = (script, []) if script else (sys.executable, ["-m", "agentmem"])
    named = [
        ("--path", str(path.absolute()) if isinstance(path, Path) else path),
        ("--user", user),
        ("--agent", agent),
        ("--embedder", embedder),
        ("--packs", None if packs is None else str(packs if "://" in packs else Path(packs).expanduser().absolute())),
    ]
    options = [word for name, value in named if value is not None for word in (name, value)]
    return {"mcpServers": {"agentmem": {"command": command, "args": [*begin, "mcp", *options, *flags]}}}


def over_http(url: str, *, token: bool) -> dict[str, Any]:
    """For a server that runs by itself; the token is named by the variable it stands in, never written out."""
    entry: dict[str, Any] = {"type": "http", "url": url}
    if token:
        entry["headers"] = {"Authorization": "Bearer ${AGENTMEM_TOKEN}"}
    return {"mcpServers": {"agentmem": entry}}
