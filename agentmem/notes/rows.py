"""What a store gives and takes: rows of its tables as plain values.

A *row* is the store's own integer for a note (stable while the note lives, never reused); an *id* is the note's public
name. An *owner* is the integer of a boundary: one user, or one agent without a user, or the shared notes (owner 1).
Times are in microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agentmem.notes.filters import Filter, asks_for
from agentmem.notes.spaces import both

__all__ = [
    "ASKING",
    "HALF_LIFE",
    "SAID",
    "SHARED_OWNER",
    "Change",
    "EditRow",
    "EnrichmentRow",
    "Facets",
    "LedgerEntry",
    "LinkRow",
    "OutboxItem",
    "SavedEnrichment",
    "Selection",
    "UseDay",
    "UseSummary",
    "asks",
]

SHARED_OWNER = 1
SAID: Final = "said"
"""Under this name a kept receipt has the keyed digest of the words that its idempotency key came with."""
HALF_LIFE: Final = 90 * 86_400_000_000
"""Microseconds after which a link that uses made is half as strong, unless its notes are used together again."""

ASKING = ("?", "？", "؟")
"""What a question ends with, one character each."""
TOLD = 160
"""Characters after which a note that ends as a question has told something before it."""


class Facets(NamedTuple):
    """The few columns of a note that ranking needs: times in microseconds since 1970; ``asks``: 0, or 1 for a note that ends as a question,
    2 when a sentence before that ends beyond its first ``TOLD`` characters: it has told something, too.
    """

    row: int
    owner: int
    actor: str | None
    session: str | None
    occurred_at: int
    length: int
    importance: float
    trust: float
    stability: float
    difficulty: float
    last_review: int
    recalls: int
    archived: bool
    thread: str | None
    position: int | None
    valid_from: int | None
    valid_to: int | None
    asks: int = 0
    agent: str | None = None


class LinkRow(NamedTuple):
    """A link by rows.

    ``used_at`` (microseconds) is when its two notes were last used together, for links that fade; ``derived``: the words of its notes
    make it, and make it again; any other link was made by a person, by history, by use or by a model, and is nowhere else.
    """

    source: int
    target: int
    kind: str
    weight: float
    reason: str
    used_at: int | None = None
    derived: bool = False


def asks(content: str) -> int:
    """What ``Facets.asks`` says of a text."""
    words = content.rstrip("\t\n\r ")
    if not words.endswith(ASKING):
        return 0
    rest = words[TOLD - 1 :]
    return 2 if any(end in rest for end in (". ", "! ", "。", "！", "\n")) else 1


class OutboxItem(NamedTuple):
    """One change that the vector index has not seen yet: ``op`` is ``upsert`` or ``remove``."""

    seq: int
    op: str
    owner: int
    row: int


class Change(NamedTuple):
    """A vector that was added (or removed) after a given change counter."""

    seq: int
    owner: int
    row: int
    removed: bool


class UseSummary(NamedTuple):
    """How a note was used: events, distinct days, prompt tokens it cost, last time (microseconds)."""

    events: int
    days: int
    tokens: int
    last: int


class UseDay(NamedTuple):
    """The uses of a note on one day: events, prompt tokens they cost, and the last of them (microseconds)."""

    events: int
    tokens: int
    last: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which notes a read is about. ``as_of`` (microseconds) keeps only what was valid then.

    ``session`` and ``agent`` narrow within the owners (notes without one stay visible); ``archived=False`` leaves
    out what has faded; ``closed=True`` keeps notes whose validity has ended, ignoring ``as_of``; ``without`` are rows that are left out
    whatever else they are.
    """

    owners: tuple[int, ...]
    agent: str | None = None
    session: str | None = None
    where: Filter | None = None
    as_of: int | None = None
    archived: bool = False
    closed: bool = True
    without: tuple[int, ...] = ()

    @property
    def spaces(self) -> tuple[int, ...]:
        """Where a search for it looks: among experiences only if it asks for some."""
        return both(self.owners) if asks_for(self.where, "kind", "experience") else self.owners


@dataclass(frozen=True, slots=True)
class EditRow:
    """One edit in the registry: which note it came from, and whether the active pack holds it.

    ``state`` is ``active`` or ``retired``; ``request`` is the edit request as JSON-able values (removed when the note is
    forgotten).
    """

    id: str
    note_id: str
    owner: int
    method: str
    state: str
    note_version: int
    request: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""
    changed_at: int = 0

    @property
    def taught(self) -> frozenset[str]:
        """By what the store knows the questions that it was learnt from, in hexadecimal digits."""
        marks = self.request.get("taught")
        return frozenset(map(str, marks)) if isinstance(marks, list) else frozenset()


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the append-only ledger; ``details`` never holds note text, so that forgetting stays complete.

    ``owner`` is whose note it is about, or was; ``None`` for a line about none, and where that cannot be told any more.
    """

    seq: int
    at: int
    event: str
    note_id: str | None = None
    edit_id: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)
    owner: int | None = None


@dataclass(frozen=True, slots=True)
class EnrichmentRow:
    """What a language model added to a note, so that it can be taken back: ``context`` is the one before it came.

    ``state`` is ``done``, ``failed`` or ``kept`` (not to be shown to a model); ``current`` says that the note has the same
    words as then; ``attempts`` counts failed runs.
    """

    context: str | None = None
    tags: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    state: str = "done"
    attempts: int = 0
    current: bool = True


class SavedEnrichment(NamedTuple):
    """A record as it leaves a store: ``hash`` is that of the words the model was asked about, ``at`` is in microseconds."""

    record: EnrichmentRow
    hash: bytes
    at: int
