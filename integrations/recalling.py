"""What a model is told of a memory beside a conversation: the notes that fit what was asked, but for what the conversation shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from agentmem.integrations.awaited import AnyMemory, names_of, reading
from agentmem.integrations.history import noted
from agentmem.integrations.turns import asked_with, whole_number
from agentmem.memory import MAX_K
from agentmem.notes.note import Hit, Scope
from agentmem.notes.quoting import notes_block

__all__ = ["Recalling"]

MOST_SHOWN: Final = 100
"""So many more notes are looked at, for what the conversation shows already."""


@dataclass(frozen=True, slots=True)
class Recalling:
    """How notes come into a prompt.

    Args:
        k: how many at most.
        max_tokens: the room for them, header and all, by a safe estimate.
    """

    memory: AnyMemory
    k: int = 8
    max_tokens: int = 400

    def __post_init__(self) -> None:
        whole_number(self.k, "k", most=MAX_K - MOST_SHOWN)
        whole_number(self.max_tokens, "max_tokens", usual=400)

    async def hits(self, query: str, scope: Scope, shown: Iterable[str] = ()) -> tuple[Hit, ...]:
        """The notes of a scope, of any session, that fit a query and say nothing that is ``shown``; none for a query without words."""
        asked = asked_with(query)
        if not asked:
            return ()
        said = {words.text for text in shown if (words := noted(text, "")) is not None}
        looked_at = self.k + min(len(said), MOST_SHOWN)
        found = await reading(
            self.memory, lambda memory: memory.recall(asked, k=looked_at, **names_of(scope, but=("session",)))
        )
        fresh = tuple(hit for hit in found if hit.note.content not in said)[: self.k]
        return replace(found, hits=fresh).within(self.max_tokens)

    async def block(self, query: str, scope: Scope, shown: Iterable[str] = ()) -> str:
        """The same as prompt text; empty where nothing fits."""
        return notes_block(await self.hits(query, scope, shown))
