"""Which older notes a new one may say something else about: near ones by the same teller, of the same owner, that still hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from agentmem.core import Core
from agentmem.extract import by_agent
from agentmem.notes.note import Note, reaches_all
from agentmem.records.transaction import Transaction
from agentmem.remember.supersede import TRUSTED

__all__ = ["OlderNotes", "may_update", "older_notes"]

NEAR: Final = 0.25
"""The least cosine: of sentences that strangers wrote, one in ten lies further from what it replaces."""
LOOKED_AT: Final = 24
MOST: Final = 8
"""Older notes that one new note is read against."""
LONGEST: Final = 800
"""Characters of both notes together; a page is no statement that another one replaces."""
TOLD: Final = ("episodic", "semantic")


class OlderNotes(NamedTuple):
    """The notes concerned by row, and for each new one the rows of the older ones that it may update, nearest first."""

    notes: Mapping[int, Note]
    of: Mapping[int, Sequence[int]]


def older_notes(core: Core, tx: Transaction, ids: Sequence[str]) -> OlderNotes:
    """What the notes with these ids may update; those that are gone, or have nothing older near them, are passed over."""
    notes: dict[int, Note] = {}
    near: dict[int, list[int]] = {}
    rows = list(tx.notes.rows_of(ids).values())
    for owner, mine in tx.by_space(rows).items():
        known, vectors = tx.vectors.load(mine)
        limit = core.settings.remember.neighbour_limit
        if owner < 0 or not len(known) or core.exact.count(tx, (owner,), limit) > limit:
            continue
        later = tx.notes.load(known.tolist())
        found = core.exact.nearest(tx, owner, vectors, LOOKED_AT, NEAR, before=known.tolist())
        for row, others in zip(known.tolist(), found, strict=True):
            note = later[row]
            before = tx.notes.load([other for other, _ in others]) if _tells(note) else {}
            befores = [other for other, _ in others if other in before and _fits(note, before[other])][:MOST]
            near |= {row: befores} if befores else {}
            notes |= {each: before[each] for each in befores} | {row: note}
    return OlderNotes(notes, near)


def may_update(note: Note, older: Note) -> bool:
    """By the same teller, about an earlier time, holding until then, and seen by all who see that; what is not trusted says nothing about what is."""
    return (
        _tells(note)
        and _tells(older)
        and note.valid_from is not None
        and _teller(note) == _teller(older)
        and _after(note, older)
        and older.valid_at(note.valid_from)
        and reaches_all(note.scope.agent, older.scope.agent)
        and not note.trust < TRUSTED <= older.trust
    )


def _fits(note: Note, older: Note) -> bool:
    return len(note.content) + len(older.content) <= LONGEST and may_update(note, older)


def _tells(note: Note) -> bool:
    """Whether a person's statement is in the note, not what an agent said or what was made of other notes."""
    return note.kind in TOLD and not by_agent(note) and note.valid_from is not None


def _after(note: Note, older: Note) -> bool:
    """Whether the note holds from a later time; of one moment, the turns of a conversation tell."""
    assert note.valid_from is not None
    assert older.valid_from is not None
    if note.valid_from != older.valid_from:
        return note.valid_from > older.valid_from
    return note.thread is not None and note.thread == older.thread and (note.position or 0) > (older.position or 0)


def _teller(note: Note) -> str | None:
    return None if note.actor == "user" else note.actor
