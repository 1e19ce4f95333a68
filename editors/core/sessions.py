"""What one context sees of an editor: its scopes, whether it is silent, and its private copy of the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from agentmem.editors.core.scopes import per_row
from agentmem.editors.core.state import State
from agentmem.notes.edit import Route
from agentmem.notes.note import Scope

__all__ = ["OUTSIDE", "Routes", "Session", "Shadow", "View"]

S = TypeVar("S", bound=State[Any])

Routes = Callable[[], tuple[Route, ...]]
"""Finds out the routes of a request, one per row: looking takes time, and not everybody asks."""


class Shadow(Generic[S]):
    """A private copy of an editor's state; writes, deletes and requests inside act on it alone.

    Args:
        state: what to start from.
        commit: takes the shadow's changes over into the shared state.
    """

    def __init__(self, state: S, commit: Callable[[Shadow[S]], None]) -> None:
        self.state = self.base = state
        self._commit = commit

    def commit(self) -> None:
        """Make the changes so far visible to everybody, at once.

        Raises:
            EditError: somebody else has written an edit with the same id meanwhile; nothing changes.
        """
        self._commit(self)

    def changes(self) -> tuple[list[Any], set[str]]:
        """(edits added or replaced, ids removed or replaced) since the start or the last commit."""
        before = self.base.by_id
        added = [edit for edit in self.state.edits if before.get(edit.id) is not edit]
        gone = set(self.base.ids - self.state.ids)
        return added, gone | ({edit.id for edit in added} & self.base.ids)

    def rebase(self, state: S) -> None:
        """Go on from the shared state."""
        self.base = self.state = state


@dataclass(frozen=True)
class Session:
    """The settings of the calling context; ``scopes`` is ``None`` outside of a request."""

    scopes: tuple[Scope | None, ...] | None = None
    silent: bool = False
    shadow: Shadow[Any] | None = None

    def changed(self, **changes: Any) -> Session:
        """A copy with some settings changed."""
        return replace(self, **changes)


OUTSIDE = Session()
"""Outside of every request, silence and shadow."""


@dataclass(frozen=True)
class View(Generic[S]):
    """What a request sees: a state that is not empty, and whose request this is."""

    state: S
    scopes: tuple[Scope | None, ...]

    def per_row(self, batch: int) -> list[Scope | None]:
        """The scope of each row of a forward.

        Raises:
            InvalidArgument: the number of scopes does not fit the batch.
        """
        return per_row(self.scopes, batch)
