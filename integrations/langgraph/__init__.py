"""LangGraph's long-term memory: a ``BaseStore`` whose items are records of a memory.

    store = AgentMemStore("my-memory", user="ana")
    graph = builder.compile(store=store)

What a graph puts under a key is a record (``docs/records.md``): recalled by :meth:`agentmem.Memory.recall`, exported and forgotten as any
note. Needs the ``langgraph`` extra.
"""

from __future__ import annotations

from agentmem.integrations.extras import needs

needs("langgraph", "langgraph")

from agentmem.integrations.langgraph.store import AgentMemStore, AsyncAgentMemStore  # noqa: E402 - only where it is installed

__all__ = ["AgentMemStore", "AsyncAgentMemStore"]
