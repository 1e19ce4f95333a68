"""What stands between a memory and its users: the command line, the chat agent.

Everything here uses the public API alone; whatever it can do, a program of yours can do as well.

    agent = ChatAgent(client, Memory("my-memory"), user="ana")
    print(agent.chat("Where does my sister live?"))
"""

from __future__ import annotations

if __name__ != "agentmem.integrations":
    raise ImportError(f"import agentmem.integrations, not {__name__}: this folder is the package agentmem.integrations")

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmem.integrations.async_chat import AsyncChatAgent
    from agentmem.integrations.chat import ChatAgent, Reply
    from agentmem.integrations.documents import import_documents
    from agentmem.integrations.wrapping import with_memory

_HOME = {
    "AsyncChatAgent": "agentmem.integrations.async_chat",
    "ChatAgent": "agentmem.integrations.chat",
    "Reply": "agentmem.integrations.chat",
    "import_documents": "agentmem.integrations.documents",
    "with_memory": "agentmem.integrations.wrapping",
}

__all__ = ["AsyncChatAgent", "ChatAgent", "Reply", "import_documents", "with_memory"]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562): the command line must start fast."""
    if name not in _HOME:
        raise AttributeError(f"module 'agentmem.integrations' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
