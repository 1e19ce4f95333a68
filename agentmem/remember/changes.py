"""What a caller wants changed of a note that is there: checked before anything is read or written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentmem.errors import InvalidArgument
from agentmem.extract import tags as tags_in
from agentmem.notes.names import clean_text, flag
from agentmem.notes.note import Note
from agentmem.remember.draft import json_metadata, share, tag_list

__all__ = ["Changes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """New words, tags, importance, metadata and origin (source and trust) of a note; ``None`` leaves what there is.

    ``facts``: new words may be read for what they state.
    """

    content: str | None = None
    tags: tuple[str, ...] | None = None
    importance: float | None = None
    metadata: Mapping[str, object] | None = None
    origin: tuple[str | None, float] | None = None
    facts: bool = True

    @classmethod
    def of(
        cls,
        content: Any,
        *,
        tags: Iterable[str] | None = None,
        importance: float | None = None,
        metadata: Mapping[str, object] | None = None,
        facts: bool = True,
    ) -> Changes:
        """Checked as :meth:`~agentmem.Memory.remember` checks them.

        Raises:
            InvalidNote, InvalidArgument: one is wrong, or nothing is to be changed.
        """
        if content is None and tags is None and importance is None and metadata is None:
            raise InvalidArgument(
                "Nothing was said to be changed.", hint="update(id, 'new words'), or update(id, tags=['work'])."
            )
        return cls(
            content=None if content is None else clean_text(content),
            tags=None if tags is None else tag_list(tags),
            importance=share(importance, "importance"),
            metadata=None if metadata is None else json_metadata(metadata),
            facts=flag(facts, "facts"),
        )

    def of_note(self, note: Note) -> Note:
        """The note with these changes, but for what follows from new words: keywords, fact, version."""
        content = note.content if self.content is None else self.content
        source, trust = (note.source, note.trust) if self.origin is None else self.origin
        return replace(
            note,
            content=content,
            tags=note.tags if self.tags is None else tuple(dict.fromkeys((*self.tags, *tags_in(content)))),
            importance=note.importance if self.importance is None else self.importance,
            metadata=note.metadata if self.metadata is None else self.metadata,
            source=source,
            trust=trust,
        )
