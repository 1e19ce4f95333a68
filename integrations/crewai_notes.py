"""What CrewAI calls memories, as notes of one user: paths of scopes, categories, and what is private to a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from agentmem.errors import UnknownNote
from agentmem.memory import MAX_K, Memory
from agentmem.notes.note import Hit, Note

__all__ = ["CrewNotes"]

SCOPE: Final = "crew_scope"
WITHIN: Final = "crew_within"
"""Every path that leads to the scope, so that what lies below one is a condition on a single field."""
OWN: Final = "crew_metadata"
CATEGORIES: Final = "crew_categories"
"""As they were given: among the tags of a note are also those that it was found to have."""
SOURCE: Final = "crew_source"
PRIVATE: Final = "crew_private"


class CrewNotes:
    """Memories of crews among the notes of one user and agent; what is told here of a memory is a mapping of CrewAI's fields.

    Args:
        memory: where they are kept.
        user, agent: whose they are. Deleting and listing touch what is exactly theirs and was stored here; recall sees what they see.
    """

    def __init__(self, memory: Memory, *, user: str | None = None, agent: str | None = None) -> None:
        self.memory = memory
        self._whose: dict[str, Any] = {"user": user, "agent": agent}

    def add(self, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
        """Remember several in one transaction; ``None`` for what was not remembered, such as recalled text."""
        given = [
            {
                "content": item["content"], "tags": item["categories"], "importance": item["importance"],
                "metadata": _kept(item), "merge": False,
            }
            for item in items
        ]  # fmt: skip
        receipts = self.memory.remember_many(given, progress=False, **self._whose)
        return [None if receipt.id is None else self.get(receipt.id) for receipt in receipts]

    def recall(
        self,
        query: str,
        scope: str | None,
        categories: Sequence[str] | None,
        limit: int,
        source: str | None,
        include_private: bool,
    ) -> list[tuple[Hit, dict[str, Any]]]:
        """The best hits with their memories, without what no longer holds."""
        conditions: list[dict[str, Any]] = []
        if path := _path(scope):
            conditions.append({f"metadata.{WITHIN}": {"$contains": path}})
        if categories:
            conditions.append({"$or": [{f"metadata.{CATEGORIES}": {"$contains": name}} for name in categories]})
        if not include_private:
            mine = [] if source is None else [{f"metadata.{SOURCE}": source}]
            conditions.append({"$or": [{f"metadata.{PRIVATE}": {"$ne": True}}, *mine]})
        where = {"$and": conditions} if conditions else None
        found = self.memory.recall(query, k=max(1, min(limit, MAX_K)), where=where, **self._whose)
        holding = [hit for hit in found if hit.note.valid_to is None or hit.note.valid_to > found.at]
        return [(hit, _told(hit.note)) for hit in holding]

    def all(self, scope: str | None = None) -> list[dict[str, Any]]:
        """All memories in a scope and below it, oldest first."""
        return [_told(note) for note in self._mine(scope)]

    def get(self, id: str) -> dict[str, Any] | None:
        """One memory; ``None`` where there is none of this id."""
        try:
            return _told(self.memory.get(id, **self._whose))
        except UnknownNote:
            return None

    def update(self, id: str, item: Mapping[str, Any]) -> None:
        """Give a memory other words, scope, categories, metadata or importance.

        Raises:
            UnknownNote: there is none of this id.
        """
        content = None if self.memory.get(id, **self._whose).content == item["content"] else item["content"]
        self.memory.update(
            id, content, tags=item["categories"], importance=item["importance"], metadata=_kept(item), **self._whose
        )

    def delete(
        self,
        scope: str | None = None,
        categories: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        older_than: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> int:
        """Forget, from everywhere, the memories that satisfy every condition; returns how many."""
        before = None if older_than is None else older_than.replace(tzinfo=older_than.tzinfo or UTC)

        def meant(note: Note) -> bool:
            return (
                (not categories or bool(set(categories) & set(_told(note)["categories"])))
                and (ids is None or note.id in ids)
                and (before is None or note.created_at < before)
                and dict(metadata or {}).items() <= _told(note)["metadata"].items()
            )

        gone = [note.id for note in self._mine(scope) if meant(note)]
        if gone:
            self.memory.forget(gone, **self._whose)
        return len(gone)

    def _mine(self, scope: str | None) -> list[Note]:
        where: dict[str, Any] = {f"metadata.{SCOPE}": {"$exists": True}}
        if path := _path(scope):
            where[f"metadata.{WITHIN}"] = {"$contains": path}
        notes = self.memory.notes(where=where, **self._whose)
        return [n for n in notes if (n.scope.user, n.scope.agent) == (self._whose["user"], self._whose["agent"])]


def _path(scope: str | None) -> str:
    """A scope with one slash before each name; empty for the root, which holds everything."""
    return "".join(f"/{name}" for name in (scope or "").split("/") if name)


def _kept(item: Mapping[str, Any]) -> dict[str, Any]:
    path = _path(item["scope"])
    names = path.split("/")
    told = {
        SCOPE: path or "/",
        WITHIN: ["/".join(names[: n + 1]) for n in range(1, len(names))],
        OWN: dict(item["metadata"]),
        CATEGORIES: list(item["categories"]),
    }
    return told | ({SOURCE: item["source"]} if item["source"] else {}) | ({PRIVATE: True} if item["private"] else {})


def _told(note: Note) -> dict[str, Any]:
    """A note as a memory of CrewAI, whose moments are in UTC without saying so."""
    at, own = note.created_at.astimezone(UTC).replace(tzinfo=None), note.metadata
    used = note.state.last_review.astimezone(UTC).replace(tzinfo=None)
    kept, named = own.get(OWN), own.get(CATEGORIES)
    return {
        "id": note.id, "content": note.content, "scope": own.get(SCOPE, "/"), "categories": list(named if isinstance(named, list) else note.tags),
        "metadata": dict(kept) if isinstance(kept, Mapping) else {}, "importance": note.importance, "created_at": at,
        "last_accessed": used, "source": own.get(SOURCE), "private": own.get(PRIVATE, False),
    }  # fmt: skip
