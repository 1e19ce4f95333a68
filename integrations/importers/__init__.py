"""Other systems' dumps as items for :meth:`agentmem.Memory.remember_many`: one small file per shape.

Shapes: ``mem0`` (``get_all()`` and exports), ``memorybank`` (its JSON of histories by user and day), ``langgraph`` (items
of a store), ``locomo`` (conversations with dated sessions), ``chat`` (lists of messages). An agentmem export is no
such dump: :meth:`agentmem.Memory.load_export` reads it.
"""

from __future__ import annotations

from agentmem.integrations.importers.reading import FORMATS, Dump, read

__all__ = ["FORMATS", "Dump", "read"]
