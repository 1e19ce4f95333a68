"""Whose the ids are that a file brings: one that another owner has, or had, is taken, and what was forgotten here is known here.

An id outlives its note: who forgot a note may bring it back from a backup, and nobody else may put something in its place, or learn whether
it is there or was. Whose an id was stands in the ledger. Where a line does not know, since it is older than that, or came from a file, it is
only for an import that is bound to nobody to bring it back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agentmem.notes.clock import micros
from agentmem.records.transaction import Transaction
from agentmem.remember.duplicates import content_hash
from agentmem.remember.write import key_hash
from agentmem.transfer.format import NoteRecord

__all__ = ["edits_of_others", "taken_by_others", "was_forgotten"]


def taken_by_others(tx: Transaction, records: Sequence[NoteRecord], *, bound: bool) -> set[str]:
    """Ids of those of ``records`` that name somebody's note, or named another owner's before it was forgotten.

    Args:
        bound: the import is bound to a scope, and may not bring back what may have been anybody's.
    """
    ids = [record.id for record in records]
    former = tx.ledger.forgotten(ids)
    lost = {r.id for r in records if r.id in former and _anothers(former[r.id], tx.notes.owner(r.scope), bound=bound)}
    return tx.notes.taken(ids) | lost


def edits_of_others(tx: Transaction, records: Sequence[NoteRecord], *, bound: bool) -> set[str]:
    """Ids of edits, in the notes or in the lines of their ledger, that name an edit which is, or was, of another owner."""
    named = {
        r.id: {*(edit.id for edit in r.edits), *(entry.edit_id for entry in r.ledger if entry.edit_id is not None)}
        for r in records
    }
    owners = tx.ledger.edited(sorted(set().union(*named.values())))
    if not owners:
        return set()
    return {
        id
        for record in records
        for id in named[record.id]
        if id in owners and _anothers(owners[id], tx.notes.owner(record.scope), bound=bound)
    }


def was_forgotten(tx: Transaction, record: NoteRecord, *, bound: bool) -> bool:
    """This very note was forgotten here, and by its owner; or words that it said before they were forgotten."""
    owner = tx.notes.owner(record.scope)
    former = tx.ledger.forgotten([record.id]).get(record.id, ())
    if former and not _anothers(former, owner, bound=bound):
        return True
    if owner is None:
        return False
    versions = record.versions()
    moments = [record.occurred_at, *(v.changed_at for v in versions[1:])]
    for version, moment in zip(versions, moments, strict=True):
        at = tx.tombstones.find(owner, content_hash(version.content)) if version.content else None
        if at is not None and micros(moment) <= at:
            return True
    return any(tx.tombstones.find(owner, key_hash(key.key)) is not None for key in record.keys)


def _anothers(owners: Collection[int | None], own: int | None, *, bound: bool) -> bool:
    """Whether what had these owners is not for ``own`` to bring; ``own`` is ``None`` for one who has nothing here yet."""
    if own is not None and own in owners:
        return False
    return bound or any(owner is not None for owner in owners)
