"""What stands beside a note that is imported: its edits, its value as an experience, what a model added, and its links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from agentmem.enrich.take_back import plain_again
from agentmem.experience.values import action_digest, state_digest
from agentmem.extract import is_private
from agentmem.keyed.record import address, checked_value
from agentmem.notes.clock import micros
from agentmem.notes.evidence import said_again
from agentmem.notes.note import Scope
from agentmem.notes.quoting import one_line
from agentmem.notes.rows import EditRow, EnrichmentRow, LinkRow, SavedEnrichment
from agentmem.projections.linking import TOGETHER, by_words
from agentmem.records.area import dumps
from agentmem.records.evidence import Asked
from agentmem.records.keyed import KeyedRow
from agentmem.records.transaction import Transaction
from agentmem.remember.duplicates import content_hash
from agentmem.remember.evidence import holder
from agentmem.transfer.format import EditRecord, EvidenceRecord, LinkRecord, MadeFromRecord, NoteRecord
from agentmem.transfer.records import EntryRecord, TimesRecord, ValueRecord

__all__ = ["restore_beside", "restore_edits", "restore_evidence", "restore_links", "restore_made_from"]

_NO_WORDS: Final = b""
"""The hash of words that the note does not say any more: it equals none."""


def restore_beside(tx: Transaction, record: NoteRecord, row: int, owner: int, others: Collection[str] = ()) -> bool:
    """Idempotency keys, ledger, enrichment, and the value of an experience.

    Args:
        others: edits of other owners, of which a line about this note can tell nothing.

    Returns:
        False when the same action in the same situation is known here under another note: that one's value stays.
    """
    for key in record.keys:
        if tx.keys.get(owner, key.key) is None:
            tx.keys.put(owner, key.key, row, key.receipt)
    for entry in _new_entries(tx, record):
        if entry.edit_id not in others:
            tx.ledger.append(
                micros(entry.at), entry.event, note_id=record.id, edit_id=entry.edit_id, details=entry.details
            )
    _enrichment(tx, record, row)
    if record.record is not None and record.record_times is not None:
        tx.keyed.put(_keyed_row(record.record, record.record_times, row, owner, record.scope))
    return _experience(tx, record, row, owner)


def _keyed_row(kept: ValueRecord, times: TimesRecord, row: int, owner: int, scope: Scope) -> KeyedRow:
    ends = None if times.expires_at is None else micros(times.expires_at)
    return KeyedRow(
        row, *address(owner, scope, kept.namespace, kept.key), checked_value(kept.value), dumps(kept.index), kept.ttl, ends,
        micros(kept.created_at), micros(times.updated_at),
    )  # fmt: skip


def _new_entries(tx: Transaction, record: NoteRecord) -> list[EntryRecord]:
    """Those that do not stand here yet: the ledger keeps the lines of a note that is forgotten and brought back."""
    if not record.ledger:
        return []
    standing = Counter(
        (e.at, e.event, e.edit_id, repr(dict(e.details))) for e in tx.ledger.entries(note_ids=[record.id], limit=None)
    )
    new = []
    for entry in record.ledger:
        key = (micros(entry.at), entry.event, entry.edit_id, repr(dict(entry.details)))
        standing[key] -= 1
        if standing[key] < 0:
            new.append(entry)
    return new


def _experience(tx: Transaction, record: NoteRecord, row: int, owner: int) -> bool:
    """Digests are keyed with the secret of a store, so they are made anew from the words of the note."""
    if record.experience is None or record.acted is None:
        return True
    task, observation, action = record.acted
    table = tx.experiences
    state = table.mark(owner, state_digest(record.scope.agent, task, observation))
    act = table.mark(owner, action_digest(action))
    if table.find(owner, state, act) is not None:
        return False
    table.insert(row, owner, state, act)
    table.set_value(row, record.experience.q, record.experience.visits)
    return True


def _enrichment(tx: Transaction, record: NoteRecord, row: int) -> None:
    kept = record.enrichment
    if kept is None:
        return
    words = {version.version: version.content for version in record.versions()}
    words_hash = _NO_WORDS if kept.version is None else content_hash(words[kept.version])
    fields = EnrichmentRow(kept.context, tuple(kept.tags), tuple(kept.keywords), kept.state, kept.attempts)
    tx.enrichment.restore(row, SavedEnrichment(fields, words_hash, micros(kept.at)))


def restore_edits(tx: Transaction, record: NoteRecord, owner: int, taken: Collection[str], *, proven: bool) -> int:
    """The edits of a note, but for ids that are ``taken``; returns how many of them the file calls active.

    Args:
        proven: the file is one's own, by its signature. Else an active edit is what somebody says: it enters as a candidate, which no
            weights are written from. Whether its note's fact is worth an edit is decided here, and what that would say is read off the note.
    """
    new = [edit for edit in record.edits if edit.id not in taken]
    for edit in new:
        tx.ledger.put_edit(_edit_row(edit, record.id, owner, proven=proven))
    return sum(edit.state == "active" for edit in new)


def _edit_row(edit: EditRecord, note_id: str, owner: int, *, proven: bool) -> EditRow:
    state = edit.state if proven or edit.state != "active" else "candidate"
    return EditRow(
        edit.id,
        note_id,
        owner,
        edit.method,
        state,
        edit.note_version,
        edit.request,
        edit.reason,
        micros(edit.changed_at),
    )


def restore_links(tx: Transaction, batch: Sequence[LinkRecord], rows: Mapping[str, int]) -> int:
    """Links between notes that have a row; one that is held here stays as it is, unless words made it. Returns how many are new.

    Those that words made are none of these: they have been made here, of the notes that are here.
    """
    named = [
        link for link in batch if link.source in rows and link.target in rows and not by_words(link.kind, link.reason)
    ]
    ends = sorted({rows[end] for link in named for end in (link.source, link.target)})
    held = {link[:3]: link.derived for link in tx.links.touching(ends, sorted({link.kind for link in named}))}
    new = [link for link in (_link_row(link, rows) for link in named) if held.get(link[:3], True)]
    tx.links.put(new)
    return sum(link[:3] not in held for link in new)


def _link_row(link: LinkRecord, rows: Mapping[str, int]) -> LinkRow:
    source, target = rows[link.source], rows[link.target]
    if link.kind == TOGETHER:  # goes from the lower row to the higher one, and rows are not what they were
        source, target = min(source, target), max(source, target)
    used_at = None if link.used_at is None else micros(link.used_at)
    return LinkRow(source, target, link.kind, link.weight, link.reason, used_at)


def restore_evidence(
    tx: Transaction, batch: Sequence[EvidenceRecord], rows: Mapping[str, int], forgotten: Sequence[str]
) -> int:
    """Questions whose notes are all there, but for such as stand here, look like secrets, or have words of what was forgotten here.

    Args:
        rows: of the notes that say what the file does.
        forgotten: what those of the file said that stay forgotten.

    Returns:
        How many are new.
    """
    new = 0
    said = (
        {row: one_line(note.content) for row, note in tx.notes.load(sorted(rows.values())).items()} if forgotten else {}
    )
    for record in batch:
        owner = holder(tx, record.scope)
        if (
            owner is None
            or not rows.keys() >= set(record.notes)
            or any(map(is_private, (record.question, record.answer)))
        ):
            continue
        if any(tx.tombstones.find(owner, content_hash(text)) is not None for text in (record.question, record.answer)):
            continue
        known = " ".join(said.get(rows[id], "") for id in record.notes)
        if any(said_again(text, record.question, record.answer, known) for text in forgotten):
            continue
        asked = Asked(
            owner, record.agent, record.session, record.question, record.answer, record.times, micros(record.at),
            tuple(sorted(rows[id] for id in record.notes)),
        )  # fmt: skip
        new += tx.evidence.restore(asked)
    return new


def restore_made_from(
    tx: Transaction, batch: Sequence[MadeFromRecord], rows: Mapping[str, int], forgotten: AbstractSet[str]
) -> None:
    """What the enrichment of notes was made from; what was made from a note that is ``forgotten`` here is taken back."""
    known = tx.enrichment.load([rows[each.note] for each in batch if each.note in rows])
    lines = [(rows[each.note], each.sources) for each in batch if each.note in rows and rows[each.note] in known]
    for row, sources in lines:
        tx.enrichment.add_sources(row, [rows[source] for source in sources if source in rows])
    plain_again(tx, [row for row, sources in lines if not forgotten.isdisjoint(sources)])
