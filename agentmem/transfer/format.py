"""The file that memories are exchanged in: JSON lines, a header first, a footer with counts and a checksum last.

Lines in between are notes (each with its facts, history, uses, edits, the value whose text it is, what acting taught of it, what a language model added to it,
and, on request, its vector), then links, then what those additions were made from, on request what was asked and answered from notes, then
lines of the ledger whose notes are gone.
Times are ISO 8601 in UTC.

Not in it are tombstones and the open windows of episodes. Both are made with a secret of their store: tombstones, so that nobody who
has the file can test guesses at what was forgotten (what was forgotten leaves an id in the ledger); windows, because the name of an
episode and the state it has come to are kept as keyed digests only. So the last steps of an episode that had not ended, fewer than
``settings.experience.n_steps``, are in the copy as experiences, but not valued until they are taken again.

A file that was exported with a key has one line more: HMAC-SHA256 over every byte before it.

Version 1 had no experiences, no enrichment and no last use of links, version 2 no signature and no edits that are candidates, version 3
no records, version 4 one fact at most in a note, version 5 no evidence; such files are still read, and a file without evidence is
still written as version 5.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from agentmem.errors import InvalidArgument, InvalidImport
from agentmem.keyed.record import labels
from agentmem.notes.clock import from_micros
from agentmem.notes.episode import ExperienceRow
from agentmem.notes.note import Fact, Note, NoteVersion, Scope
from agentmem.notes.rows import SAID, EditRow, LedgerEntry, LinkRow, SavedEnrichment, UseDay
from agentmem.records.evidence import Asked
from agentmem.records.keyed import KeyedRow
from agentmem.remember.duplicates import content_hash
from agentmem.transfer.records import (
    LINE,
    EditRecord,
    EvidenceRecord,
    Footer,
    Header,
    LedgerRecord,
    LinkRecord,
    MadeFromRecord,
    NoteRecord,
    Record,
    SignatureRecord,
)

__all__ = [
    "FORMAT",
    "VERSION",
    "WITHOUT_EVIDENCE",
    "EditRecord",
    "EvidenceRecord",
    "Footer",
    "Header",
    "LedgerRecord",
    "LinkRecord",
    "MadeFromRecord",
    "NoteRecord",
    "Record",
    "SignatureRecord",
    "Tally",
    "evidence_values",
    "line_of",
    "link_values",
    "loose_values",
    "made_from_values",
    "note_values",
    "parse",
    "said",
    "signer",
]  # fmt: skip

FORMAT: Final = "agentmem-export"
VERSION: Final = 6
WITHOUT_EVIDENCE: Final = 5
MIN_KEY: Final = 16


class Tally:
    """Counts lines and takes their checksum, the same way for the writer and the reader."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._sha = hashlib.sha256()

    def add(self, kind: str, line: bytes) -> None:
        self.counts[kind] += 1
        self._sha.update(line)

    def footer(self) -> dict[str, Any]:
        """The footer that goes with what was added."""
        counts = {"notes": self.counts["note"], "links": self.counts["link"], "ledger": self.counts["ledger"]}
        return {"type": "end", **counts, "sha256": self._sha.hexdigest()}


def signer(key: bytes | str | None) -> hmac.HMAC | None:
    """What signs a stream with a key of the user's, fed with every line; ``None`` without a key.

    Raises:
        InvalidArgument: the key is shorter than 16 bytes.
    """
    if key is None:
        return None
    secret = key.encode("utf-8") if isinstance(key, str) else key
    if not isinstance(secret, bytes) or len(secret) < MIN_KEY:
        raise InvalidArgument(
            f"A key needs {MIN_KEY} bytes or more.",
            hint="secrets.token_bytes(32) makes one; keep it apart from the files.",
        )
    return hmac.new(secret, digestmod=hashlib.sha256)


def line_of(values: Mapping[str, Any]) -> bytes:
    """One line; keys in their order, so that equal values are equal bytes."""
    return _ENCODER.encode(values).encode("utf-8") + b"\n"


def parse(line: bytes, number: int) -> tuple[Record | Header, dict[str, Any]]:
    """The checked record of a line, and its plain values.

    Raises:
        InvalidImport: with the number of the line and what is wrong with it.
    """
    cure = "the file was changed or cut after it was written; export the memory again."
    try:
        if not line.endswith(b"\n"):
            raise InvalidImport(f"Line {number} ends in the middle.", hint=cure)
        values = json.loads(line.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_once)
        if not isinstance(values, dict):
            raise InvalidImport(
                f"Line {number} is not a JSON object.", hint="an export holds one JSON object per line."
            )
        line_of(values)  # half a surrogate pair can be escaped in JSON, but is no text
        record: Record | Header = Header.model_validate(values) if number == 1 else LINE.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidImport(f"Line {number}, {where or 'as a whole'}: {first['msg']}.", hint=cure) from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidImport):
            raise
        raise InvalidImport(f"Line {number} is not JSON: {error}.", hint=cure) from error
    return record, values


def said(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a note says, without what its use changes: two notes with one id must agree in this."""
    return {
        name: value
        for name, value in values.items()
        if name not in _LIVING
        and (name not in ("record", "facts") or value is not None)  # which older files do not have
    }


# -- values as they are written --------------------------------------------------------------------------------


def note_values(
    note: Note,
    history: Sequence[NoteVersion],
    *,
    uses: Sequence[UseDay] = (),
    keys: Sequence[tuple[str, Mapping[str, object]]] = (),
    edits: Sequence[EditRow] = (),
    ledger: Sequence[LedgerEntry] = (),
    vector: bytes | None = None,
    experience: ExperienceRow | None = None,
    enrichment: SavedEnrichment | None = None,
    record: KeyedRow | None = None,
) -> dict[str, Any]:
    """The line of a note; ``history`` ends with the present version, ``vector`` is float16 in little-endian."""
    state, last = note.state, history[-1]
    single = len(note.facts) < 2 and note.facts == tuple(fact.stated for fact in note.facts)
    return {
        "type": "note", "id": note.id, "content": note.content, "kind": note.kind,
        "user": note.scope.user, "agent": note.scope.agent, "session": note.scope.session,
        "actor": note.actor, "thread": note.thread, "position": note.position,
        "occurred_at": note.occurred_at.isoformat(), "created_at": note.created_at.isoformat(),
        "valid_from": _iso(note.valid_from), "valid_to": _iso(note.valid_to),
        "keywords": list(note.keywords), "tags": list(note.tags), "context": note.context,
        "importance": note.importance, "source": note.source, "trust": note.trust, "metadata": note.metadata,
        "fact": _fact_values(note.facts[0]) if note.facts and single else None,
        "facts": None if single else [
            {
                **_fact_values(fact), "valid_from": _iso(fact.valid_from), "valid_to": _iso(fact.valid_to),
                "ended_by": fact.ended_by,
            }
            for fact in note.facts
        ],
        "version": note.version, "changed_at": last.changed_at.isoformat(), "reason": last.reason,
        "history": [
            {"version": v.version, "content": v.content, "changed_at": v.changed_at.isoformat(), "reason": v.reason}
            for v in history[:-1]
        ],
        "state": {
            "stability": state.stability, "difficulty": state.difficulty,
            "last_review": state.last_review.isoformat(), "recalls": state.recalls,
        },
        "archived_at": _iso(note.archived_at),
        "uses": [{"events": u.events, "tokens": u.tokens, "last": _at(u.last)} for u in uses],
        "keys": [{"key": key, "receipt": _plain_receipt(receipt)} for key, receipt in keys],
        "edits": [
            {
                "id": e.id, "method": e.method, "state": e.state, "note_version": e.note_version, "request": e.request,
                "reason": e.reason, "changed_at": _at(e.changed_at),
            }
            for e in edits
        ],
        "ledger": [{"at": _at(e.at), "event": e.event, "edit_id": e.edit_id, "details": e.details} for e in ledger],
        "vector": None if vector is None else base64.b64encode(vector).decode("ascii"),
        "experience": None if experience is None else {"q": experience.q, "visits": experience.visits},
        "enrichment": None if enrichment is None else _enrichment_values(enrichment, history),
        "record": None if record is None else {
            "namespace": list(labels(record.namespace)), "key": record.key, "value": json.loads(record.value),
            "index": json.loads(record.fields), "ttl": record.ttl, "created_at": _at(record.created_at),
        },
        "record_times": None if record is None else {
            "updated_at": _at(record.put_at), "expires_at": None if record.expires_at is None else _at(record.expires_at),
        },
    }  # fmt: skip


def _fact_values(fact: Fact) -> dict[str, Any]:
    return {
        "subject": fact.subject, "relation": fact.relation, "object": fact.object, "functional": fact.functional,
        "question": fact.question, "paraphrases": list(fact.paraphrases),
    }  # fmt: skip


def _plain_receipt(receipt: Mapping[str, object]) -> dict[str, object]:
    """Without the keyed digest of what was said under it: that is the secret of a store."""
    return {name: value for name, value in receipt.items() if name != SAID}


def _enrichment_values(saved: SavedEnrichment, history: Sequence[NoteVersion]) -> dict[str, Any]:
    record = saved.record
    same = [version.version for version in history if content_hash(version.content) == saved.hash]
    return {
        "state": record.state, "attempts": record.attempts, "at": _at(saved.at), "version": same[-1] if same else None,
        "context": record.context, "tags": list(record.tags), "keywords": list(record.keywords),
    }  # fmt: skip


def link_values(link: LinkRow, ids: Mapping[int, str]) -> dict[str, Any]:
    """The line of a link; ``ids`` names its rows."""
    return {
        "type": "link", "source": ids[link.source], "target": ids[link.target], "kind": link.kind, "weight": link.weight,
        "reason": link.reason, "used_at": None if link.used_at is None else _at(link.used_at),
    }  # fmt: skip


def made_from_values(note: str, sources: Sequence[str]) -> dict[str, Any]:
    """The line that names what a model's words about a note were made from."""
    return {"type": "made_from", "note": note, "sources": list(sources)}


def evidence_values(asked: Asked, whose: Scope, ids: Mapping[int, str]) -> dict[str, Any]:
    """The line of a question that was answered from notes; ``ids`` names their rows, ``whose`` its owner."""
    return {
        "type": "evidence", "notes": [ids[row] for row in asked.rows], "user": whose.user, "agent": asked.agent,
        "session": asked.session, "question": asked.question, "answer": asked.answer, "times": asked.times, "at": _at(asked.at),
    }  # fmt: skip


def loose_values(entry: LedgerEntry) -> dict[str, Any]:
    """The line of a ledger entry whose note is gone."""
    return {
        "type": "ledger", "at": _at(entry.at), "event": entry.event, "note_id": entry.note_id, "edit_id": entry.edit_id,
        "details": entry.details,
    }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _at(stored: int) -> str:
    return from_micros(stored).isoformat()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which each name stands once: of two, readers would take different ones."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the name {twice!r:.60} stands twice in one object")
    return found


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_LIVING: Final = frozenset(
    "state archived_at uses keys edits ledger vector experience enrichment trust record_times".split()
)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
