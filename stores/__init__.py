"""Non-parametric memory: SQLite holds the notes, vector indexes are projections of it."""

from __future__ import annotations

if __name__ != "agentmem.stores":
    raise ImportError(f"import agentmem.stores, not {__name__}: this folder is the package agentmem.stores")

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmem.stores.chroma.chroma import ChromaIndex
    from agentmem.stores.sqlite.store import SqliteStore
    from agentmem.stores.vectors.exact import ExactIndex

_HOME = {
    "ChromaIndex": "agentmem.stores.chroma.chroma",
    "ExactIndex": "agentmem.stores.vectors.exact",
    "SqliteStore": "agentmem.stores.sqlite.store",
}

__all__ = ["ChromaIndex", "ExactIndex", "SqliteStore"]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562): chromadb takes seconds, numpy a fraction of one."""
    if name not in _HOME:
        raise AttributeError(f"module 'agentmem.stores' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
