"""What one context sees of an editor whose state is a :class:`~agentmem.editors.deltas.records.Book`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from agentmem.editors.deltas.records import Book, Record
from agentmem.notes.note import Scope

__all__ = ["OUTSIDE", "BookSession", "BookShadow"]


class BookShadow:
    """A private copy of an editor's state; writes, deletes and requests inside act on it alone.

    Args:
        book: the state to start from.
        commit: takes the shadow's changes over into the shared state.
    """

    def __init__(self, book: Book, commit: Callable[[BookShadow], None]) -> None:
        self.book = book
        self.base = book
        self._commit = commit

    def commit(self) -> None:
        """Make the changes so far visible to everybody, at once.

        Raises:
            EditError: somebody else has written an edit with the same id meanwhile; nothing changes.
        """
        self._commit(self)

    def changes(self) -> tuple[list[Record], set[str]]:
        """(records added or replaced, ids removed or replaced) since the start or the last commit."""
        before = {record.id: record for record in self.base.records}
        added = [record for record in self.book.records if before.get(record.id) is not record]
        gone = set(self.base.ids) - self.book.ids
        return added, gone | ({record.id for record in added} & set(self.base.ids))


@dataclass(frozen=True)
class BookSession:
    """The settings of the calling context; ``scopes`` is ``None`` outside of a request."""

    scopes: tuple[Scope | None, ...] | None = None
    silent: bool = False
    shadow: BookShadow | None = None

    def changed(self, **changes: Any) -> BookSession:
        """A copy with some settings changed."""
        return replace(self, **changes)


OUTSIDE = BookSession()
"""Outside of every request, silence and shadow."""
