"""What the parts of a memory's class have in common: whose it is, what it is made of, and how a question is checked."""

from __future__ import annotations

from typing import Final

from agentmem import wiring
from agentmem.errors import InvalidArgument
from agentmem.notes.note import Scope
from agentmem.settings import Settings

__all__ = ["MemoryBase"]

MAX_K: Final = 1000


class MemoryBase:
    """A scope, settings, and the parts that do the work; :class:`~agentmem.Memory` puts them in."""

    scope: Scope
    settings: Settings
    _parts: wiring.Parts

    @staticmethod
    def _query(query: object, k: int) -> str:
        if not isinstance(query, str) or not query.strip():
            raise InvalidArgument("The query is empty or not a text.", hint="ask in words, e.g. recall('where does Ana live?').")
        if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MAX_K:
            raise InvalidArgument(f"k must be a whole number from 1 to {MAX_K}, not {k!r}.", hint="k=10.")
        return query.encode("utf-8", "replace").decode("utf-8")
