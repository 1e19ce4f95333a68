"""A memory as the memory service of Google's Agent Development Kit: sessions become notes, and searches recall them.

    runner = Runner(…, memory_service=MemoryService(AsyncMemory("my-memory")))

What belongs to one application and one user is seen by that pair alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.integrations.awaited import AnyMemory, checked_memory, reading, writing
from agentmem.integrations.extras import needs
from agentmem.integrations.turns import asked_with, remember_each, whole_number
from agentmem.memory import MAX_K, Memory
from agentmem.notes.note import Hit
from agentmem.notes.quoting import one_line, over_mark

needs("adk", "google", "google.adk")

from google.adk.memory.base_memory_service import (  # noqa: E402 - behind the question whether it is there
    BaseMemoryService,
    SearchMemoryResponse,
)
from google.adk.memory.memory_entry import MemoryEntry  # noqa: E402
from google.genai import types  # noqa: E402

if TYPE_CHECKING:
    from google.adk.events.event import Event
    from google.adk.sessions.session import Session

__all__ = ["MemoryService"]

EVENT: Final = "adk_event"
ENTRY: Final = "adk_entry"


class MemoryService(BaseMemoryService):
    """Events and entries of one application and user, as notes of that user and of an agent named like the application.

    A session may be added as often as one likes: an event is one note, known by its id, and one that was deleted does not come back with the
    next adding. Notes that the memory has of the same user without an agent, and notes of nobody, are found by searches as well.

    Args:
        memory: an :class:`~agentmem.AsyncMemory`, or a :class:`~agentmem.Memory`, which is then used on threads.
        k: how many memories a search returns at most; ``preload_memory`` shows the model all of them.
        context_tokens: room for what a search returns; a long note is quoted by the passage that comes nearest.
    """

    def __init__(self, memory: AnyMemory, *, k: int = 10, context_tokens: int = 1500) -> None:
        self.memory = checked_memory(memory)
        self.k, self.context_tokens = whole_number(k, "k", most=MAX_K, usual=10), context_tokens

    async def add_session_to_memory(self, session: Session) -> None:
        """Keep what was said in a session; events that are kept already stay as they are."""
        await self.add_events_to_memory(
            app_name=session.app_name, user_id=session.user_id, events=session.events, session_id=session.id
        )

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Keep the words of events; thoughts, calls of tools and what these returned are left out, and so are pieces of an event still to come.

        An event whose words cannot be a note (over 64 KiB) is left out, the others are kept.
        """
        whose = _whose(app_name, user_id)
        items = [_of_event(event, [app_name, session_id], custom_metadata) for event in events]
        given = [item for item in items if item is not None]
        if session_id is not None:
            whose["session"] = session_id
        await self._keep(given, whose)

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Keep entries as they are; one with an id is kept once.

        Raises:
            InvalidArgument: an entry has no words, or a time that is none; nothing is written.
        """
        whose = _whose(app_name, user_id)
        items = [_of_entry(entry, app_name, custom_metadata) for entry in memories]
        if items:
            await writing(self.memory, lambda memory: memory.remember_many(items, progress=False, **whose))

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        """What fits a query best, the best first, without what no longer holds; nothing for an empty query."""
        whose = _whose(app_name, user_id)
        if not isinstance(query, str) or not query.strip():
            return SearchMemoryResponse()
        found = await reading(self.memory, lambda memory: memory.recall(asked_with(query), k=self.k, **whose))
        return SearchMemoryResponse(memories=[_entry(hit) for hit in found.within(self.context_tokens)])

    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: str | None = None) -> None:
        """Forget a memory from everywhere, by the id that a search gave or that of its event; an unknown id is no error."""
        whose = _whose(app_name, user_id)
        if not memory_id:
            return
        where = {"$or": [{"id": memory_id}, {f"metadata.{EVENT}": memory_id}, {f"metadata.{ENTRY}": memory_id}]}

        def delete(memory: Memory) -> None:
            mine = [note.id for note in memory.notes(where=where, **whose) if note.scope.agent == app_name]
            if mine:
                memory.forget(mine, **whose)

        await writing(self.memory, delete)

    async def _keep(self, items: Sequence[dict[str, Any]], whose: dict[str, Any]) -> None:
        """All in one transaction; where one cannot be a note, each by itself."""
        if items:
            await writing(self.memory, lambda memory: remember_each(memory, items, whose, spare=(InvalidNote,)))


def _whose(app_name: str, user_id: str) -> dict[str, Any]:
    """The scope of a pair; a pair that lacks one would see what is everybody's, so it is refused."""
    for name, value in (("app_name", app_name), ("user_id", user_id)):
        if not isinstance(value, str) or not value.strip():
            raise InvalidArgument(f"{name} must be a text, not {value!r:.80}.", hint=f'{name}="ana".')
    return {"user": user_id, "agent": app_name}


def _of_event(
    event: Event, place: Sequence[str | None], custom_metadata: Mapping[str, object] | None
) -> dict[str, Any] | None:
    words = _words(event.content)
    if not words.strip() or event.partial:
        return None
    at = datetime.fromtimestamp(event.timestamp, UTC)
    # An event that has no id yet is known by what it is.
    id = event.id or _digest([event.author, event.timestamp, words])
    by_user = event.author == "user" or (
        not event.author and event.content is not None and event.content.role == "user"
    )
    item: dict[str, Any] = {
        "role": "user" if by_user else "assistant", "content": words, "occurred_at": at, "merge": False,
        "metadata": {**(custom_metadata or {}), EVENT: id}, "idempotency_key": f"adk:{_digest([*place, id])}",
    }  # fmt: skip
    return item if by_user or not event.author else item | {"actor": event.author}


def _of_entry(entry: MemoryEntry, app_name: str, custom_metadata: Mapping[str, object] | None) -> dict[str, Any]:
    words = _words(entry.content)
    if not words.strip():
        raise InvalidArgument(
            "A memory has no words.", hint="MemoryEntry(content=types.Content(parts=[types.Part(text=…)]))."
        )
    item: dict[str, Any] = {"content": words, "metadata": {**entry.custom_metadata, **(custom_metadata or {})}}
    if entry.author:
        item["actor"] = entry.author
    if entry.timestamp:
        item["occurred_at"] = entry.timestamp
    if entry.id:
        item["metadata"][ENTRY] = entry.id
        item["idempotency_key"] = f"adk:{_digest(['entry', app_name, entry.id])}"
    return item


def _words(content: types.Content | None) -> str:
    parts = content.parts if content is not None and content.parts else []
    return "\n".join(part.text for part in parts if part.text and not part.thought)


def _digest(parts: Sequence[object]) -> str:
    """One short name for several that may be long, or hold each other's separators."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def _entry(hit: Hit) -> MemoryEntry:
    """A hit on one line: a line break in a memory must not pass for the end of the block that it is shown in."""
    note = hit.note
    author = note.actor or "user"
    said = types.Content(
        role="user" if author == "user" else "model",
        parts=[types.Part(text=one_line(hit.quoted) + over_mark(note, cut=hit.quoted == hit.holding))],
    )
    told = {name: value for name, value in note.metadata.items() if name not in (EVENT, ENTRY)}
    return MemoryEntry(
        content=said,
        author=author,
        id=note.id,
        timestamp=note.occurred_at.isoformat(),
        custom_metadata={**told, "score": hit.score},
    )
