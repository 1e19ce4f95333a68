"""A memory for crews of CrewAI: recall by words, meaning and links, and nothing that needs a language model or an embedding service.

    crew = Crew(agents=[…], tasks=[…], memory=CrewMemory(memory, user="ana"))

CrewAI's storages are asked with a vector alone, without the words; so this is a memory of its own rather than a storage for its. It needs an
older `openai` than agentmem's extra, and so an environment of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import Any, Final

from typing_extensions import override

from agentmem.errors import InvalidArgument, InvalidNote, MissingExtra
from agentmem.integrations.crewai_notes import CrewNotes
from agentmem.memory import Memory as Notes
from agentmem.notes.quoting import hit_line

if find_spec("crewai") is None:
    raise MissingExtra(
        "This needs the package 'crewai', which is not installed.",
        hint='install the `crewai` extra, in an environment of its own: pip install "agentmem-toolkit[crewai]"',
    )

from crewai.memory.types import MemoryMatch, MemoryRecord, ScopeInfo
from crewai.memory.unified_memory import Memory
from crewai.memory.utils import join_scope_paths
from pydantic import Field

__all__ = ["CrewMatch", "CrewMemory", "CrewStorage"]

RESULT: Final = "\nResult: "
ANSWER: Final = "Final Answer:"


class CrewMatch(MemoryMatch):
    """A match that is shown on one line, with its day and who said it, whatever its words are."""

    line: str = Field(default="", exclude=True)

    def format(self) -> str:
        return self.line


class CrewStorage:
    """CrewAI's storage protocol over :class:`CrewNotes`, all but the search by a vector."""

    def __init__(self, notes: CrewNotes) -> None:
        self.notes = notes

    def __deepcopy__(self, memo: dict[int, Any]) -> CrewStorage:
        """Crews copy their memory; the notes are the same ones."""
        return self

    def save(self, records: Sequence[MemoryRecord]) -> None:
        self.notes.add([_item(record) for record in records])

    def search(self, *_: Any, **__: Any) -> list[tuple[MemoryRecord, float]]:
        raise InvalidArgument("Notes are recalled by words, not by a vector.", hint="CrewMemory(…).recall('…').")

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        return self.notes.delete(scope_prefix, categories, record_ids, older_than, metadata_filter)

    def update(self, record: MemoryRecord) -> None:
        self.notes.update(record.id, _item(record))

    def get_record(self, record_id: str) -> MemoryRecord | None:
        found = self.notes.get(record_id)
        return None if found is None else MemoryRecord(**found)

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        newest = self.notes.all(scope_prefix)[::-1]
        return [MemoryRecord(**each) for each in newest[offset : offset + limit]]

    def get_scope_info(self, scope: str) -> ScopeInfo:
        found = self.notes.all(scope)
        times = sorted(each["created_at"] for each in found)
        return ScopeInfo(
            path=scope, record_count=len(found), categories=sorted({name for each in found for name in each["categories"]}),
            oldest_record=times[0] if times else None, newest_record=times[-1] if times else None,
            child_scopes=self.list_scopes(scope),
        )  # fmt: skip

    def list_scopes(self, parent: str = "/") -> list[str]:
        start = parent.rstrip("/") + "/"
        below = [
            each["scope"]
            for each in self.notes.all(parent)
            if each["scope"].startswith(start) and each["scope"] != start
        ]
        return sorted({start + path[len(start) :].split("/")[0] for path in below})

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        names = [name for each in self.notes.all(scope_prefix) for name in each["categories"]]
        return {name: names.count(name) for name in sorted(set(names))}

    def count(self, scope_prefix: str | None = None) -> int:
        return len(self.notes.all(scope_prefix))

    def reset(self, scope_prefix: str | None = None) -> None:
        self.notes.delete(scope_prefix)

    async def asave(self, records: Sequence[MemoryRecord]) -> None:
        await asyncio.to_thread(self.save, records)

    async def asearch(self, *_: Any, **__: Any) -> list[tuple[MemoryRecord, float]]:
        return self.search()

    async def adelete(self, *args: Any, **kwargs: Any) -> int:
        return await asyncio.to_thread(self.delete, *args, **kwargs)


class CrewMemory(Memory):
    """CrewAI's memory over a memory of notes, for crews, agents and flows, with their scopes and slices.

    Nothing is sent anywhere: what is remembered is read by rule, and recalled by words, meaning and links. Without ``llm=``, what a task came to
    is kept as it is; with one, CrewAI lets it take out what matters.

    Args:
        memory: where the notes are kept; it is not closed with the crew.
        user, agent: whose they are; CrewAI's scopes are paths within them.
        options: of CrewAI's ``Memory``: ``root_scope``, ``read_only``, ``llm`` and so on.
    """

    def __init__(self, memory: Notes, *, user: str | None = None, agent: str | None = None, **options: Any) -> None:
        if not isinstance(memory, Notes):
            raise InvalidArgument(f"memory must be a Memory, not {type(memory).__name__}.", hint='Memory("my-memory").')
        super().__init__(storage=CrewStorage(CrewNotes(memory, user=user, agent=agent)), embedder=_no_vector, **options)

    def extract_memories(self, content: str) -> list[str]:
        """What of a finished task is worth keeping: its result, unless a language model was given."""
        if "llm" in self.model_fields_set:
            found: list[str] = super().extract_memories(content)
            return found
        result = content.split(RESULT, 1)[-1].rsplit(ANSWER, 1)[-1].strip()  # what stands before was thought
        return [result] if result else []

    @override
    def recall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: str = "deep",
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        """What fits a query best, with what was saved until now; ``depth`` makes no difference.

        Within a scope, what was stored there by a crew; without one, all notes of the user.
        """
        self.drain_writes()
        if not query.strip():
            return []
        found = self._notes.recall(
            query, self._below(scope, self.root_scope), categories, limit, source, include_private
        )
        return [
            CrewMatch(
                record=MemoryRecord(**record), score=hit.score, match_reasons=list(hit.reasons), line=hit_line(hit)
            )
            for hit, record in found
        ]

    async def arecall(self, *args: Any, **kwargs: Any) -> list[MemoryMatch]:
        """:meth:`recall`, beside the event loop."""
        return await asyncio.to_thread(self.recall, *args, **kwargs)

    async def aremember(self, *args: Any, **kwargs: Any) -> MemoryRecord | None:
        """``remember``, beside the event loop."""
        return await asyncio.to_thread(self.remember, *args, **kwargs)

    async def aextract_memories(self, content: str) -> list[str]:
        """:meth:`extract_memories`, beside the event loop."""
        return await asyncio.to_thread(self.extract_memories, content)

    def _encode_batch(
        self,
        contents: list[str],
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        root_scope: str | None = None,
    ) -> list[MemoryRecord]:
        """What ``remember`` and ``remember_many`` do in CrewAI's thread for saves, after its events."""
        at = self._below(scope, root_scope) or "/"
        items = [
            {
                "content": text, "scope": at, "categories": categories or [], "metadata": metadata or {},
                "importance": self.default_importance if importance is None else importance, "source": source, "private": private,
            }
            for text in contents
        ]  # fmt: skip
        stored = self._notes.add(items)
        if not any(record is not None for record in stored):
            raise InvalidNote(
                "Nothing of it could be remembered.", hint="not what was just recalled, and no more than 64 KiB."
            )
        return [MemoryRecord(**record) for record in stored if record is not None]

    @property
    def _notes(self) -> CrewNotes:
        notes: CrewNotes = self._storage.notes
        return notes

    @staticmethod
    def _below(scope: str | None, root: str | None) -> str | None:
        if scope is None:
            return root
        return join_scope_paths(root, scope) if root else scope


def _no_vector(_texts: Any) -> list[Any]:
    """CrewAI asks for an embedder; the notes have one."""
    return []


def _item(record: MemoryRecord) -> Mapping[str, Any]:
    return dict(record.model_dump(exclude={"created_at", "last_accessed", "embedding"}))
