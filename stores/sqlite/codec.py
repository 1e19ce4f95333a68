"""Notes as rows, rows as notes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from agentmem.errors import AgentMemError, InvalidNote, StoreCorrupt
from agentmem.notes.clock import from_micros, micros
from agentmem.notes.note import Fact, Kind, MemoryState, Note, Scope
from agentmem.records.area import dumps

__all__ = ["COLUMNS", "LOAD", "LOAD_ROWS", "decode", "encode", "encode_fact", "fact_of", "normalised"]

COLUMNS: Final = (
    "actor agent session thread position occurred_at created_at valid_from valid_to archived_at length importance "
    "trust stability difficulty last_review recalls uid kind source tags keywords metadata context content"
).split()
"""What :func:`encode` returns, in order."""

LOAD: Final = """
    SELECT n.id, n.owner, s.whose, n.agent, n.session, n.actor, n.thread, n.position, n.occurred_at, n.created_at, n.valid_from,
        n.valid_to, n.archived_at, n.importance, n.trust, n.stability, n.difficulty, n.last_review, n.recalls, n.uid,
        n.kind, n.version, n.source, n.tags, n.keywords, n.metadata, n.context, n.content,
        f.subject, f.relation, f.object, f.functional, f.question, f.paraphrases
    FROM note n LEFT JOIN seal s ON s.row = n.id LEFT JOIN fact f ON f.row = n.id
"""

LOAD_ROWS: Final = LOAD.replace("FROM note n", "FROM json_each(?) j CROSS JOIN note n ON n.id = j.value")
"""The same for a list of rows as JSON."""


def encode(note: Note) -> tuple[object, ...]:
    """The values of a note in the order of ``COLUMNS``.

    Raises:
        InvalidNote: metadata that is not JSON.
    """
    state = note.state
    return (
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
        float(note.importance),
        float(note.trust),
        float(state.stability),
        float(state.difficulty),
        micros(state.last_review),
        state.recalls,
        note.id,
        note.kind,
        note.source,
        dumps(note.tags),
        dumps(note.keywords),
        _metadata(note.metadata),
        note.context,
        note.content,
    )


def decode(row: tuple[Any, ...], user: str | None) -> Note:
    """The note of a row that ``LOAD`` selected; it begins with row, owner and the owner's seal. ``user`` is who that owner is.

    Raises:
        StoreCorrupt: its values are none that a note can have.
    """
    try:
        return _decoded(row[3:], user)
    except (AgentMemError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise StoreCorrupt(
            f"The note in row {row[0]} is damaged: {error}.", hint="check() says what else is; restore the last backup."
        ) from error


def _decoded(row: tuple[Any, ...], user: str | None) -> Note:
    (agent, session, actor, thread, position, occurred, created, starts, ends, archived) = row[:10]
    (importance, trust, stability, difficulty, reviewed, recalls, uid, kind, version, source) = row[10:20]
    (tags, keywords, metadata, context, content) = row[20:25]
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
        fact=None if row[25] is None else fact_of(row[25:31]),
        metadata={} if metadata == "{}" else json.loads(metadata),
        version=version,
    )


def encode_fact(fact: Fact) -> tuple[object, ...]:
    """subject_key, relation_key, subject, relation, object, functional, question, paraphrases."""
    return (
        normalised(fact.subject),
        normalised(fact.relation),
        fact.subject,
        fact.relation,
        fact.object,
        int(fact.functional),
        fact.question,
        dumps(fact.paraphrases),
    )


def fact_of(columns: tuple[Any, ...]) -> Fact:
    """The fact of (subject, relation, object, functional, question, paraphrases)."""
    subject, relation, value, functional, question, paraphrases = columns
    return Fact(subject, relation, value, bool(functional), question, _texts(paraphrases))


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
