"""What an integration needs beyond agentmem: found, or asked for with the line that installs it."""

from __future__ import annotations

from importlib.util import find_spec

from agentmem.errors import MissingExtra

__all__ = ["needs"]


def needs(extra: str, *modules: str) -> None:
    """Say how to get what the ``extra`` brings when one of its top-level ``modules`` is not installed.

    Raises:
        MissingExtra: with the line that installs it.
    """
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtra(
                f"This needs the package {module!r}, which is not installed.",
                hint=f'install the `{extra}` extra: pip install "agentmem-toolkit[{extra}]"',
            )
