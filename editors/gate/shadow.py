"""What one context sees: its scopes, whether it is silent, and its private copy of the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.packs import PackedEdit
from agentmem.notes.note import Scope

__all__ = ["OUTSIDE", "Session", "Shadow"]


class Shadow:
    """A private copy of an editor's state; writes, deletes and requests inside act on it alone.

    Args:
        codebook: the state to start from.
        commit: takes the shadow's changes over into the shared state.
    """

    def __init__(self, codebook: Codebook, commit: Callable[[Shadow], None]) -> None:
        self.codebook = codebook
        self._base = codebook
        self._commit = commit

    def commit(self) -> None:
        """Make the changes so far visible to everybody, at once.

        Raises:
            EditError: somebody else has written an edit with the same id meanwhile; nothing changes.
        """
        self._commit(self)

    def changes(self) -> tuple[list[PackedEdit], set[str]]:
        """(edits added or replaced, ids removed or replaced) since the start or the last commit."""
        before = {edit.id: edit for edit in self._base.edits}
        added = [edit for edit in self.codebook.edits if before.get(edit.id) is not edit]
        gone = set(self._base.ids) - self.codebook.ids
        return added, gone | ({edit.id for edit in added} & set(self._base.ids))

    def rebase(self, codebook: Codebook) -> None:
        """Go on from the shared state."""
        self._base = self.codebook = codebook


@dataclass(frozen=True)
class Session:
    """The settings of the calling context; ``scopes`` is ``None`` outside of a request."""

    scopes: tuple[Scope | None, ...] | None = None
    silent: bool = False
    shadow: Shadow | None = None

    def changed(self, **changes: Any) -> Session:
        """A copy with some settings changed."""
        return replace(self, **changes)


OUTSIDE = Session()
"""Outside of every request, silence and shadow."""
