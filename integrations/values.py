"""Values of a memory as JSON, with stable names: what the command line prints and what servers answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentmem.ask.answer import Answer, Part
    from agentmem.keyed.record import Record
    from agentmem.notes.edit import EditRequest
    from agentmem.notes.evidence import Evidence
    from agentmem.notes.note import Fact, ForgetReceipt, Link, Note, NoteVersion, Receipt
    from agentmem.recall.result import Recollection

__all__ = [
    "answer_dict", "edit_dict", "evidence_dict", "fact_dict", "forgotten_dict", "link_dict", "note_dict", "part_dict", "plain", "receipt_dict",
    "recollection_dict", "record_dict", "version_dict",
]  # fmt: skip


def plain(value: object) -> object:
    """What JSON has no word for, as what it has: moments are ISO 8601, sets and tuples lists. The ``default`` of ``json.dumps``."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


def fact_dict(fact: Fact | None) -> dict[str, object] | None:
    """A fact, or null."""
    if fact is None:
        return None
    told = {"subject": fact.subject, "relation": fact.relation, "object": fact.object, "functional": fact.functional}
    span = {"valid_from": fact.valid_from, "valid_to": fact.valid_to, "ended_by": fact.ended_by}
    return told | {name: value for name, value in span.items() if value is not None}


def note_dict(note: Note) -> dict[str, object]:
    """A note with stable names; times are ISO 8601 in UTC."""
    return {
        "id": note.id,
        "content": note.content,
        "kind": note.kind,
        "user": note.scope.user,
        "agent": note.scope.agent,
        "session": note.scope.session,
        "actor": note.actor,
        "occurred_at": note.occurred_at,
        "created_at": note.created_at,
        "valid_from": note.valid_from,
        "valid_to": note.valid_to,
        "tags": list(note.tags),
        "keywords": list(note.keywords),
        "importance": note.importance,
        "source": note.source,
        "trust": note.trust,
        "recalls": note.state.recalls,
        "stability_days": round(note.state.stability, 3),
        "archived": note.archived_at is not None,
        "fact": fact_dict(note.fact),
        "facts": [fact_dict(fact) for fact in note.facts],
        "metadata": dict(note.metadata),
        "version": note.version,
    }


def link_dict(link: Link) -> dict[str, object]:
    """A link of the note graph."""
    return {
        "source": link.source,
        "target": link.target,
        "kind": link.kind,
        "weight": link.weight,
        "reason": link.reason,
    }


def receipt_dict(receipt: Receipt) -> dict[str, object]:
    """What became of one remembered item."""
    return {
        "id": receipt.id,
        "status": receipt.status,
        "reason": receipt.reason,
        "links": [link_dict(link) for link in receipt.links],
        "superseded": list(receipt.superseded),
        "warnings": list(receipt.warnings),
    }


def forgotten_dict(receipt: ForgetReceipt) -> dict[str, Any]:
    """What was forgotten, where, and what the probes found."""
    return {
        "ids": list(receipt.ids),
        "places": dict(receipt.places),
        "derived": list(receipt.derived),
        "edits": list(receipt.edits),
        "exports": list(receipt.exports),
        "probes": dict(receipt.probes),
        "gone": receipt.gone,
        "dry_run": receipt.dry_run,
        "warnings": list(receipt.warnings),
    }


def recollection_dict(found: Recollection) -> dict[str, Any]:
    """The hits of a recall, best first, each with its reasons."""
    hits = [
        {
            "note": note_dict(h.note), "score": h.score, "reasons": dict(h.reasons), "via": list(h.via), "passage": h.passage,
            "newer": list(h.newer),
        }
        for h in found
    ]  # fmt: skip
    return {"query": found.query, "hits": hits, "degraded": found.degraded, "warnings": list(found.warnings)}


def answer_dict(answer: Answer) -> dict[str, Any]:
    """What was answered, and where it came from."""
    return {
        "text": answer.text,
        "source": answer.source,
        "notes": [note.id for note in answer.notes],
        "used": [note.id for note in answer.used],
        "edits": list(answer.edits),
        "prompt_tokens": answer.prompt_tokens,
        "warnings": list(answer.warnings),
        "degraded": answer.degraded,
    }


def part_dict(part: Part) -> dict[str, Any]:
    """One question of a message, and what was answered to it."""
    said = {"question": part.question, "text": part.text, "source": part.source, "why": part.why, "about": part.about}
    return {**said, "known": [note.id for note in part.known]}


def record_dict(record: Record) -> dict[str, Any]:
    """A value under its key."""
    return {
        "namespace": record.namespace, "key": record.key, "value": record.value, "id": record.id, "created_at": record.created_at,
        "updated_at": record.updated_at, "expires_at": record.expires_at, "score": record.score,
    }  # fmt: skip


def version_dict(version: NoteVersion) -> dict[str, Any]:
    """What a note said at a time, and why it was changed."""
    return {
        "version": version.version, "content": version.content, "changed_at": version.changed_at, "reason": version.reason,
    }  # fmt: skip


def edit_dict(edit: EditRequest) -> dict[str, Any]:
    """What the weights hold of a note."""
    return {
        "id": edit.id, "note_id": edit.note_id, "question": edit.prompt, "answer": edit.target, "subject": edit.subject,
        "paraphrases": list(edit.paraphrases), "user": edit.scope.user if edit.scope else None,
        "agent": edit.scope.agent if edit.scope else None,
    }  # fmt: skip


def evidence_dict(evidence: Evidence) -> dict[str, Any]:
    """What was asked and answered from notes."""
    return {
        "question": evidence.question, "answer": evidence.answer, "notes": evidence.notes, "times": evidence.times, "at": evidence.at,
    }  # fmt: skip
