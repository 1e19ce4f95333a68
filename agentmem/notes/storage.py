"""What the memory layer asks of a store: one transaction, a few small areas of it.

Rows, ids and owners are those of :mod:`agentmem.notes.rows`. Reads take owners, never a scope, so that what may be seen is
decided in one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agentmem.notes.note import Fact, Note, NoteVersion, Scope
from agentmem.notes.rows import (
    SHARED_OWNER,
    Change,
    EditRow,
    EnrichmentRow,
    Facets,
    LedgerEntry,
    LinkRow,
    OutboxItem,
    SavedEnrichment,
    Selection,
    UseDay,
    UseSummary,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.int64]
    Digests = npt.NDArray[np.uint64]

__all__ = [
    "SHARED_OWNER",
    "Change",
    "EditRow",
    "EnrichmentRow",
    "Facets",
    "LedgerEntry",
    "LinkRow",
    "NoteTable",
    "OutboxItem",
    "SavedEnrichment",
    "Selection",
    "TextRows",
    "UseDay",
    "UseSummary",
]


class NoteTable(Protocol):
    """Notes, their versions, facts, owners, and what keeps them from being stored twice."""

    def owner(self, scope: Scope, *, create: bool = False) -> int | None: ...
    def visible_owners(self, scope: Scope) -> tuple[int, ...]:
        """Owners whose notes a request in ``scope`` may see; unknown users simply have none."""
        ...

    def has_owned(self) -> bool:
        """True when the store holds notes of any user or agent."""
        ...

    def insert(self, note: Note, owner: int, content_hash: bytes) -> int:
        """Store a note with its fact; returns its row. Full text, vector and links are their own areas."""
        ...

    def restore(self, note: Note, owner: int, content_hash: bytes, history: Sequence[NoteVersion]) -> int:
        """Store a note together with its history, the present version last; returns its row."""
        ...

    def replace(self, row: int, note: Note, content_hash: bytes, reason: str) -> None:
        """Write the next version of a note; the former one joins its history."""
        ...

    def close_validity(self, row: int, valid_to: int | None, reason: str) -> None:
        """End a note's validity, or with ``None`` take its end back: a new version with the same words."""
        ...

    def set_states(self, states: Sequence[tuple[int, float, float, int, int]]) -> None:
        """(row, stability, difficulty, last_review, recalls) each."""
        ...

    def set_archived(self, rows: Sequence[int], at: int | None) -> None: ...
    def delete(self, rows: Sequence[int]) -> Mapping[str, int]:
        """Remove notes, versions, facts and idempotency records; returns what was removed by place."""
        ...

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]: ...
    def owners_of(self, rows: Sequence[int]) -> dict[int, int]:
        """Whose those rows are that exist."""
        ...

    def of_owner(self, owner: int, limit: int) -> list[int]:
        """Up to ``limit`` rows of an owner, in no order."""
        ...

    def taken(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that name somebody's note, so that no other can bear them."""
        ...

    def ids_of(self, rows: Sequence[int]) -> dict[int, str]:
        """The ids of those rows that exist."""
        ...

    def load(self, rows: Sequence[int]) -> dict[int, Note]: ...
    def facets(self, rows: Sequence[int], selection: Selection) -> list[Facets]:
        """Facets of those of ``rows`` that the selection admits."""
        ...

    def select(
        self, selection: Selection, *, order: str = "created", limit: int | None = None, offset: int = 0
    ) -> list[int]:
        """Rows the selection admits; ``order`` is ``created``, ``occurred``, or ``-created``, ``-occurred``."""
        ...

    def page(self, selection: Selection | None, after: int, limit: int) -> list[int]:
        """Up to ``limit`` rows beyond ``after`` that the selection admits, by row; every owner's without one."""
        ...

    def select_all(self) -> list[int]:
        """Every row, of every owner, in order of creation: for rebuilding projections, never for answering."""
        ...

    def count(self, selection: Selection | None = None) -> int: ...
    def any(self, selection: Selection) -> bool:
        """Whether the selection admits a note; stops at the first."""
        ...

    def resting(self, owner: int, before: int, importance: float) -> list[Facets]:
        """Active notes last reviewed up to ``before``, under ``importance`` and without a fact; longest unreviewed first."""
        ...

    def history(self, row: int) -> list[NoteVersion]: ...
    def same_content(self, owner: int, content_hash: bytes) -> list[int]: ...
    def same_contents(self, owner: int, hashes: Sequence[bytes]) -> dict[bytes, list[int]]:
        """:meth:`same_content` of those of many hashes that are known."""
        ...

    def said(
        self,
        owner: int,
        content_hash: bytes,
        scope: Scope,
        actor: str | None,
        moment: int,
        occurred_at: int | None = None,
    ) -> int | None:
        """The oldest row with this content in this very scope, by this actor, that holds at ``moment``; of a time when one is given."""
        ...

    def said_by_another(self, owner: int, content_hash: bytes, actor: str | None) -> str | None:
        """The id of the oldest note with this content that is not by this actor."""
        ...

    def facts(
        self,
        owner: int,
        subject: str,
        relation: str | None = None,
        *,
        open_only: bool = True,
        holding_from: int | None = None,
    ) -> list[tuple[int, Fact]]:
        """Facts by normalised subject and relation; ``open_only`` leaves out notes whose validity was closed.

        With ``holding_from`` only those are left out whose validity had ended by that moment.
        """
        ...

    def actors(self, owners: Sequence[int]) -> list[str]: ...
    def all_owners(self) -> tuple[int, ...]:
        """Every owner that has a name, and the shared one; for jobs that act on each owner's notes in that owner's own scope."""
        ...

    def scope_of(self, owner: int) -> Scope:
        """The user or agent an owner stands for."""
        ...

    def empty_owners(self, owners: Sequence[int]) -> list[int]:
        """Those of ``owners`` whose name is kept, and nothing else: no note and no edit."""
        ...

    def unname(self, owners: Sequence[int]) -> None:
        """Take the names of owners out. Whoever comes back under such a name gets the same owner, and the name is kept again with the next note."""
        ...


class TextRows(NamedTuple):
    """The words of n notes. ``sizes`` has shape (2, n): how many words each has in content and in context; those lie one after another."""

    rows: Rows
    sizes: Rows
    content: Digests
    context: Digests
