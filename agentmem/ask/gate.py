"""Which edit may answer a question, whatever its words: recall proposes those of the notes that it finds, and a reader of two questions confirms one.

A key in the model knows the words that its edit was written with. Recall knows slips of the fingers, first names, and what the turn before
was about; to it, what only looks like the question is as near. So proposing is its part and refusing the reader's
(:class:`~agentmem.embedding.same_question.SameQuestion`). What is confirmed is asked of the weights in the edit's own words, by itself:
however late in a conversation the question came, the key is that of the edit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from agentmem.ask.conversation import Turn
from agentmem.core import Core
from agentmem.notes.note import Hit, Scope
from agentmem.notes.protocols import SameAsked
from agentmem.notes.rows import EditRow, Selection
from agentmem.recall.result import Recollection

__all__ = ["PROPOSED", "EditGate"]

PROPOSED: Final = 3
"""Notes of which an edit may answer."""
_TURN: Final = 300
"""Characters of the turn before that may say what a question is about."""


class EditGate:
    """Finds the edit that answers a question.

    Args:
        core: the store and its clock.
        recall: (question, k, scope) -> the notes found.
        same: the reader.
    """

    def __init__(self, core: Core, recall: Callable[[str, int, Scope], Recollection], same: SameAsked) -> None:
        self._core, self._recall, self._same = core, recall, same

    def proposed(self, question: str, turns: Sequence[Turn], scope: Scope) -> EditRow | None:
        """The edit that says what a question asks for; with what was asked just before it where it does not say by itself what it is about."""
        before = next((turn.content for turn in reversed(turns) if turn.role == "user"), "")
        for asked in (question, f"{before} {question}" if 0 < len(before) <= _TURN else ""):
            if asked and (edit := self._confirmed(asked, scope)) is not None:
                return edit
        return None

    def _confirmed(self, asked: str, scope: Scope) -> EditRow | None:
        edits = self._edits(self._recall(asked, PROPOSED, scope).hits, scope)
        if not edits:
            return None
        chances = self._same.alike([(str(edit.request["prompt"]), asked) for edit in edits])
        chance, edit = max(zip(chances, edits, strict=True), key=lambda found: found[0])
        return edit if chance >= self._same.least else None

    def _edits(self, hits: Sequence[Hit], scope: Scope) -> list[EditRow]:
        if not hits:
            return []
        with self._core.selecting(scope, Selection(())) as (tx, selection):
            return tx.ledger.edits(owners=selection.owners, note_ids=[hit.note.id for hit in hits])
