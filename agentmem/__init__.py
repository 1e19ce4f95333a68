"""One memory for an LLM agent: what it can look up, and what it knows by heart.

Notes are the only truth; vectors, full text, graph and weights are projections that can be rebuilt from the
notes and forget what the notes forget.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmem.aio import AsyncMemory
    from agentmem.errors import AgentMemError
    from agentmem.keyed.record import Record
    from agentmem.memory import Memory
    from agentmem.notes.edit import EditReceipt, EditRequest
    from agentmem.notes.note import Fact, ForgetReceipt, Hit, Link, Note, Receipt, Scope
    from agentmem.recall.result import Recollection
    from agentmem.settings import Settings

__version__ = "0.1.0"

_HOME = {
    "AgentMemError": "agentmem.errors",
    "AsyncMemory": "agentmem.aio",
    "EditReceipt": "agentmem.notes.edit",
    "EditRequest": "agentmem.notes.edit",
    "Fact": "agentmem.notes.note",
    "ForgetReceipt": "agentmem.notes.note",
    "Hit": "agentmem.notes.note",
    "Link": "agentmem.notes.note",
    "Memory": "agentmem.memory",
    "Note": "agentmem.notes.note",
    "Receipt": "agentmem.notes.note",
    "Recollection": "agentmem.recall.result",
    "Record": "agentmem.keyed.record",
    "Scope": "agentmem.notes.note",
    "Settings": "agentmem.settings",
}

__all__ = [
    "AgentMemError",
    "AsyncMemory",
    "EditReceipt",
    "EditRequest",
    "Fact",
    "ForgetReceipt",
    "Hit",
    "Link",
    "Memory",
    "Note",
    "Receipt",
    "Recollection",
    "Record",
    "Scope",
    "Settings",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562), so that ``import agentmem`` stays cheap."""
    if name not in _HOME:
        raise AttributeError(f"module 'agentmem' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
