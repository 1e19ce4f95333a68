"""The command ``agentmem``: everything a memory can do, from a terminal or a script."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; see ``agentmem --help``."""
    from agentmem.integrations.cli.app import app

    app(prog_name="agentmem")
