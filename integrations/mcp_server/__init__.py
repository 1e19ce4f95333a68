"""A memory as a server of the Model Context Protocol: tools, resources and prompts for any client that speaks it.

    agentmem mcp                                        # on stdin and stdout, for a client that starts it
    agentmem serve token add --for ana                  # a token, shown once; it opens `agentmem serve` as well
    agentmem mcp --http                                 # for several clients, each token with a scope and rights of its own

In a program, the memory is the caller's, who opens and closes it; a server never does:

    async with AsyncMemory("my-memory") as memory:
        server = make_server(memory, scope=Scope(user="ana"))
        async with mcp.Client(server) as client:
            await client.call_tool("recall", {"query": "Where does Ana live?"})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from agentmem.integrations.extras import needs

needs("mcp", "mcp")

if TYPE_CHECKING:
    from agentmem.integrations.mcp_server.http import http_app
    from agentmem.integrations.mcp_server.server import make_server

_HOME = {
    "http_app": "agentmem.integrations.mcp_server.http",
    "make_server": "agentmem.integrations.mcp_server.server",
}

__all__ = ["http_app", "make_server"]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562): what is served on stdin and stdout needs no web server."""
    if name not in _HOME:
        raise AttributeError(f"module 'agentmem.integrations.mcp_server' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
