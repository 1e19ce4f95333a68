"""Notes as rows, rows as notes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

from agentmem.errors import AgentMemError, InvalidNote, StoreCorrupt
from agentmem.notes.clock import from_micros, micros
from agentmem.notes.engine import Row
from agentmem.notes.note import Fact, Kind, MemoryState, Note, Scope
from agentmem.records.area import dumps

__all__ = ["FACT_COLUMNS", "decode", "encode", "encode_facts", "fact_of", "normalised"]


FACT_COLUMNS: Final = (
    "subject", "relation", "object", "functional", "question", "paraphrases", "valid_from", "valid_to", "ended_by",
)  # fmt: skip
"""What a fact is made of, as a row holds it."""


def encode(note: Note, *, row: int | None, owner: int, content_hash: bytes, changed_at: int, reason: str) -> Row:
    """The row of a note, in the order of :data:`~agentmem.notes.tables.NOTE`.

    Raises:
        InvalidNote: metadata that is not JSON.
    """
    state = note.state
    return (
        row,
        owner,
        note.actor,
        note.scope.agent,
        note.scope.session,
        note.thread,
        note.position,
        micros(note.occurred_at),
        micros(note.created_at),
        _time(note.valid_from),
        _time(note.valid_to),
        _time(note.archived_at),
        len(note.content),
        note.importance,
        note.trust,
        state.stability,
        state.difficulty,
        micros(state.last_review),
        state.recalls,
        note.id,
        note.kind,
        note.version,
        content_hash,
        changed_at,
        reason,
        note.source,
        dumps(note.tags),
        dumps(note.keywords),
        _metadata(note.metadata),
        note.context,
        note.content,
    )


def decode(row: Row, facts: Sequence[Sequence[Any]], user: str | None) -> Note:
    """The note of a row; each of ``facts`` holds :data:`FACT_COLUMNS`, ``user`` who its owner is.

    Raises:
        StoreCorrupt: its values are none that a note can have.
    """
    try:
        return _decoded(row, facts, user)
    except (AgentMemError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise StoreCorrupt(
            f"The note in row {row[0]} is damaged: {error}.", hint="check() says what else is; restore the last backup."
        ) from error


def _decoded(row: Row, facts: Sequence[Sequence[Any]], user: str | None) -> Note:
    (actor, agent, session, thread, position, occurred, created, starts, ends, archived) = row[2:12]
    (importance, trust, stability, difficulty, reviewed, recalls, uid, kind, version) = row[13:22]
    (source, tags, keywords, metadata, context, content) = row[25:31]
    return Note(
        id=uid,
        content=content,
        kind=cast(Kind, kind),
        scope=Scope(user, agent, session),
        actor=actor,
        thread=thread,
        position=position,
        occurred_at=from_micros(occurred),
        created_at=from_micros(created),
        valid_from=_moment(starts),
        valid_to=_moment(ends),
        keywords=_texts(keywords),
        tags=_texts(tags),
        context=context,
        importance=importance,
        source=source,
        trust=trust,
        state=MemoryState(stability, difficulty, from_micros(reviewed), recalls),
        archived_at=_moment(archived),
        facts=tuple(map(fact_of, facts)),
        metadata={} if metadata == "{}" else json.loads(metadata),
        version=version,
    )


def encode_facts(row: int, owner: int, facts: Sequence[Fact]) -> list[Row]:
    """The rows of a note's facts, in the order of :data:`~agentmem.notes.tables.FACT`."""
    return [
        (
            row,
            place,
            owner,
            normalised(fact.subject),
            normalised(fact.relation),
            fact.subject,
            fact.relation,
            fact.object,
            fact.functional,
            fact.question,
            dumps(fact.paraphrases),
            _time(fact.valid_from),
            _time(fact.valid_to),
            fact.ended_by,
        )
        for place, fact in enumerate(facts)
    ]


def fact_of(columns: Sequence[Any]) -> Fact:
    """The fact of :data:`FACT_COLUMNS`."""
    subject, relation, value, functional, question, paraphrases, starts, ends, ended_by = columns
    told = Fact(subject, relation, value, bool(functional), question, _texts(paraphrases))
    if starts is None and ends is None and ended_by is None:
        return told
    return replace(told, valid_from=_moment(starts), valid_to=_moment(ends), ended_by=ended_by)


def normalised(name: str) -> str:
    """``name`` as it is compared: without case, and with single spaces."""
    return " ".join(name.casefold().split())


def _metadata(metadata: Mapping[str, object]) -> str:
    if not metadata:
        return "{}"
    if not all(isinstance(key, str) for key in metadata):
        raise InvalidNote("The metadata has keys that are not text.", hint="use str keys.")
    try:
        return dumps(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidNote(
            f"The metadata is not JSON: {error}.", hint="use text, finite numbers, booleans, lists and dicts."
        ) from error


def _texts(stored: str) -> tuple[str, ...]:
    return () if stored == "[]" else tuple(json.loads(stored))


def _time(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def _moment(stored: int | None) -> datetime | None:
    return None if stored is None else from_micros(stored)
