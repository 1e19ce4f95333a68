"""The command ``agentmem``: everything a memory can do, from a terminal or a script."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; see ``agentmem --help``."""
    import io
    import sys

    from agentmem.integrations.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        # Our arrows and quotes, and what notes say: a terminal of another encoding shows "?" for what it lacks.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app(prog_name="agentmem")
