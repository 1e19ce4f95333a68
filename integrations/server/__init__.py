"""A memory served over HTTP: ``agentmem serve``, or ``make_app`` for an application of your own.

app = make_app("my-memory", tokens=Tokens.load("tokens.json"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmem.integrations.auth.access import Access, Right
    from agentmem.integrations.auth.tokens import Tokens
    from agentmem.integrations.server.app import make_app
    from agentmem.integrations.server.limits import Limits

_HOME = {
    "Access": "agentmem.integrations.auth.access",
    "Limits": "agentmem.integrations.server.limits",
    "Right": "agentmem.integrations.auth.access",
    "Tokens": "agentmem.integrations.auth.tokens",
    "make_app": "agentmem.integrations.server.app",
}

__all__ = ["Access", "Limits", "Right", "Tokens", "make_app"]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562): looking after tokens needs no web framework."""
    if name not in _HOME:
        raise AttributeError(f"module 'agentmem.integrations.server' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
