"""Seals: a digest of what was written into a row, kept beside it, by which damage is found that SQLite does not see.

SQLite notices damage of its structure, not of a value: a bit that flips inside a cell changes a word, a time or a number, and nobody is told. So
what is written nowhere else is sealed, by the bytes of all its columns: notes, their facts, former versions, owners, links that no
words make, experiences with the steps that wait, records, evidence, what a model added, keys and tombstones, edits and the ledger. Not sealed is what changes with every use, the state
of a curve and the uses themselves, and what can be made again.

A seal is taken anew only over what was whole before: a change of one column must not make the damage of another one true.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from agentmem.stores.sqlite.connection import Database

__all__ = ["broken", "keep_version", "kept", "seal", "seal_versions", "teach", "whole"]

# Named one by one, since migrations seal with them: a column that comes later needs another seal. As bytes: what is damaged may be no text any more.
_NUMBERS: Final = "position occurred_at created_at valid_from length importance trust".split()
_TEXTS: Final = "actor agent session thread uid kind source tags keywords metadata context content".split()
_FACT: Final = "subject_key relation_key subject relation object question paraphrases".split()
_OF_NOTE: Final = [*(f"n.{name}" for name in _NUMBERS), *(f"CAST(n.{name} AS BLOB)" for name in _TEXTS)]
_OF_FACT: Final = [f"CAST(f.{name} AS BLOB)" for name in _FACT]
_SAID: Final = f"n.id, n.owner, n.hash, {', '.join(_OF_NOTE)}, f.owner, f.functional, {', '.join(_OF_FACT)}"
FIRST_SEAL: Final = f"seal_of({_SAID})"
"""The seal that notes had first: without the end of its validity, archiving, version, and the reason of that."""
FIRST_SEAL_OF_VERSION: Final = "seal_of(v.row, v.version, v.changed_at, CAST(v.content AS BLOB))"
_LATER: Final = f"{_SAID}, n.valid_to, n.archived_at, n.version, n.changed_at, CAST(n.reason AS BLOB)"
SECOND_SEAL: Final = f"seal_of({_LATER})"
"""The seal that notes had when each had one fact at most."""
_OTHERS: Final = "(SELECT count(*) FROM fact x WHERE x.row = n.id AND x.place > 0)"
SEAL: Final = f"seal_of_note({_LATER}, {_OTHERS})"
"""The seal of a note ``n`` with the first of its facts ``f`` and the number of others, in SQL; :func:`teach` gives a connection the function."""
SEAL_OF_VERSION: Final = "seal_of(v.row, v.version, v.changed_at, CAST(v.content AS BLOB), CAST(v.reason AS BLOB))"
SEAL_OF_OWNER: Final = "seal_of(o.id, CAST(o.user AS BLOB), CAST(o.agent AS BLOB), o.mac)"
"""A note's seal stands beside that of its owner: so a note is known to be whose it was when it was written."""
SEAL_OF_LINK: Final = (
    "seal_of(l.source, l.target, CAST(l.kind AS BLOB), l.weight, CAST(l.reason AS BLOB), l.used_at, l.derived)"
)
SEAL_OF_EXPERIENCE: Final = "seal_of(e.row, e.owner, e.state, e.action, e.q, e.visits)"
SEAL_OF_RECORD: Final = (
    "seal_of(k.row, k.owner, CAST(k.whose AS BLOB), CAST(k.namespace AS BLOB), CAST(k.key AS BLOB), CAST(k.value AS BLOB), "
    "CAST(k.fields AS BLOB), k.ttl, k.expires_at, k.created_at, k.put_at)"
)
SEAL_OF_EVIDENCE: Final = (
    "seal_of(a.row, a.owner, a.mark, CAST(a.agent AS BLOB), CAST(a.session AS BLOB), CAST(a.question AS BLOB), CAST(a.answer AS BLOB), "
    "a.notes, a.times, a.at)"
)
SEAL_OF_FACT: Final = (
    "seal_of(f.row, f.place, f.owner, CAST(f.subject_key AS BLOB), CAST(f.relation_key AS BLOB), CAST(f.subject AS BLOB), "
    "CAST(f.relation AS BLOB), CAST(f.object AS BLOB), f.functional, CAST(f.question AS BLOB), CAST(f.paraphrases AS BLOB), "
    "f.valid_from, f.valid_to, CAST(f.ended_by AS BLOB))"
)
SEAL_OF_STEP: Final = "seal_of(t.owner, t.episode, t.step, t.row, t.reward, t.next)"
SEAL_OF_KEY: Final = "seal_of(i.owner, CAST(i.key AS BLOB), i.row, CAST(i.receipt AS BLOB))"
SEAL_OF_TOMBSTONE: Final = "seal_of(b.owner, b.mac, b.at)"
SEAL_OF_EDIT: Final = (
    "seal_of(CAST(d.id AS BLOB), CAST(d.note_id AS BLOB), d.owner, CAST(d.method AS BLOB), CAST(d.state AS BLOB), d.note_version, "
    "CAST(d.request AS BLOB), CAST(d.reason AS BLOB), d.changed_at)"
)
SEAL_OF_ENRICHMENT: Final = "seal_of(m.row, m.hash, CAST(m.state AS BLOB), m.attempts, m.at, CAST(m.context AS BLOB), CAST(m.tags AS BLOB), CAST(m.keywords AS BLOB))"
SEAL_OF_ENTRY: Final = "seal_of(g.seq, g.at, CAST(g.event AS BLOB), CAST(g.note_id AS BLOB), CAST(g.edit_id AS BLOB), CAST(g.details AS BLOB), g.owner)"

FIRST_FACT: Final = "LEFT JOIN fact f ON f.row = n.id AND f.place = 0"
_AMONG: Final = "(SELECT value FROM json_each(?))"
_SEALED: Final = f"""
    INSERT INTO seal (row, digest, whose)
    SELECT n.id, {SEAL}, (SELECT o.seal FROM owner o WHERE o.id = n.owner) FROM note n {FIRST_FACT} WHERE n.id {{}}
    ON CONFLICT (row) DO UPDATE SET digest = excluded.digest, whose = excluded.whose
"""  # noqa: S608 - constants
_ONE: Final = _SEALED.format("= ?")
_MANY: Final = _SEALED.format(f"IN {_AMONG}")
_WHOLE: Final = f"""
    SELECT n.id FROM json_each(?) j CROSS JOIN note n ON n.id = j.value JOIN seal s ON s.row = n.id JOIN owner o ON o.id = n.owner
    {FIRST_FACT} WHERE s.digest = {SEAL} AND s.whose = o.seal
"""  # noqa: S608 - constants
_KEEP: Final = """
    INSERT INTO note_version (row, version, changed_at, reason, content, seal) SELECT id, version, changed_at, reason, content, ?2 FROM note WHERE id = ?1
"""
_KEPT: Final = f"UPDATE note_version AS v SET seal = {SEAL_OF_VERSION} WHERE row = ? AND seal IS NULL"  # noqa: S608 - constants
_NEVER: Final = b""
"""In place of the seal of what was not whole when it was written down."""
_BROKEN: Final = f"""
    SELECT n.id, CAST(n.uid AS BLOB), s.digest IS {SEAL} FROM note n LEFT JOIN owner o ON o.id = n.owner {FIRST_FACT}
    LEFT JOIN seal s ON s.row = n.id WHERE s.digest IS NOT {SEAL} OR coalesce(s.whose <> o.seal, 1) ORDER BY n.id
"""  # noqa: S608 - constants
_NAME: Final = "coalesce((SELECT CAST(uid AS BLOB) FROM note WHERE id = {0}), 'in row ' || {0})"
_WRONG_LINK: Final = f"l.seal IS NOT CASE l.derived WHEN 1 THEN NULL ELSE {SEAL_OF_LINK} END"
_OF_ROWS: Final = (
    (
        f"SELECT v.version, {_NAME.format('v.row')} FROM note_version v WHERE v.seal IS NOT {SEAL_OF_VERSION} ORDER BY v.row, v.version",  # noqa: S608
        "version {} of note {} is not what was written: restore a backup, or forget() the note",
    ),
    (
        f"SELECT o.id FROM owner o WHERE o.seal IS NOT {SEAL_OF_OWNER} ORDER BY o.id",  # noqa: S608
        "owner {} is not who was written: none of its notes is handed out; restore a backup",
    ),
    (
        f"SELECT CAST(l.kind AS BLOB), {_NAME.format('l.source')}, {_NAME.format('l.target')} FROM link l WHERE {_WRONG_LINK} ORDER BY 2, 3, 1",  # noqa: S608
        "the link {} from note {} to note {} is not what was written: restore a backup",
    ),
    (
        f"SELECT {_NAME.format('e.row')} FROM experience e WHERE e.seal IS NOT {SEAL_OF_EXPERIENCE} ORDER BY e.row",  # noqa: S608
        "the value of experience {} is not what was learnt: restore a backup, or forget() it",
    ),
    (
        f"SELECT {_NAME.format('f.row')} FROM fact f WHERE f.seal IS NOT {SEAL_OF_FACT} ORDER BY f.row, f.place",  # noqa: S608
        "a fact of note {} is not what was written: restore a backup, update() its words, or forget() it",
    ),
    (
        f"SELECT t.step, {_NAME.format('t.row')} FROM experience_step t WHERE t.seal IS NOT {SEAL_OF_STEP} ORDER BY t.row",  # noqa: S608
        "step {} of an open episode, experience {}, is not what was written: restore a backup, or forget() it",
    ),
    (
        f"SELECT CAST(k.key AS BLOB), {_NAME.format('k.row')} FROM record k WHERE k.seal IS NOT {SEAL_OF_RECORD} ORDER BY k.row",  # noqa: S608
        "the record {}, of note {}, is not what was put: restore a backup, or put() or delete() it",
    ),
    (
        f"SELECT {_NAME.format('a.row')} FROM evidence a WHERE a.seal IS NOT {SEAL_OF_EVIDENCE} ORDER BY a.row, a.mark",  # noqa: S608
        "a question that was answered from note {}, or its answer, is not what was written: restore a backup, or forget() the note",
    ),
    (
        f"SELECT CAST(i.key AS BLOB), i.owner FROM idempotency i WHERE i.seal IS NOT {SEAL_OF_KEY} ORDER BY i.owner, i.key",  # noqa: S608
        "the idempotency key {}, of owner {}, or its receipt is not what was written: restore a backup",
    ),
    (
        f"SELECT b.owner FROM tombstone b WHERE b.seal IS NOT {SEAL_OF_TOMBSTONE} ORDER BY b.owner",  # noqa: S608
        "a tombstone of owner {} is not what was written, so a late write may come back: restore a backup",
    ),
    (
        f"SELECT CAST(d.id AS BLOB), CAST(d.note_id AS BLOB) FROM edit d WHERE d.seal IS NOT {SEAL_OF_EDIT} ORDER BY d.id",  # noqa: S608
        "edit {} of note {} is not what was written in the registry: restore a backup, or forget() the note",
    ),
    (
        f"SELECT {_NAME.format('m.row')} FROM enrichment m WHERE m.seal IS NOT {SEAL_OF_ENRICHMENT} ORDER BY m.row",  # noqa: S608
        "what a model added to note {}, or what stood there before, is not what was written: restore a backup, or forget() the note",
    ),
    (
        f"SELECT g.seq FROM ledger g WHERE g.seal IS NOT {SEAL_OF_ENTRY} ORDER BY g.seq",  # noqa: S608
        "line {} of the ledger is not what was written: restore a backup",
    ),
)


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection the function that makes seals."""
    connection.create_function("seal_of", -1, _seal_of, deterministic=True)
    connection.create_function("seal_of_note", -1, _seal_of_note, deterministic=True)


def seal(database: Database, row: int) -> None:
    """Take the seal of a note anew, together with its first fact and its owner."""
    database.run(_ONE, (int(row),))


def whole(database: Database, rows: Sequence[int]) -> list[int]:
    """Those of ``rows`` that are what was written."""
    return [row for (row,) in database.rows(_WHOLE, (_listed(rows),))]


@contextmanager
def kept(database: Database, rows: Sequence[int]) -> Iterator[None]:
    """Change some columns of these notes inside the block: those that were whole before are sealed anew behind it."""
    sound = whole(database, rows)
    yield
    if sound:
        database.run(_MANY, (_listed(sound),))


def keep_version(database: Database, row: int, *, sound: bool) -> None:
    """Let the present version of a note join its history, under a seal of its own if the note is ``sound``."""
    database.run(_KEEP, (int(row), None if sound else _NEVER))
    if sound:
        seal_versions(database, row)


def seal_versions(database: Database, row: int) -> None:
    """Take the seals of those former versions of a note that have none."""
    database.run(_KEPT, (int(row),))


def broken(database: Database) -> list[str]:
    """Whatever is not what was written, in words; every sealed row is looked at."""
    found = []
    for row, uid, said in database.rows(_BROKEN):
        name, cure = _text(uid or f"in row {row}"), "restore a backup"
        if said:
            found.append(
                f"note {name} does not stand under the owner it was written for, and is not handed out: {cure}"
            )
        else:
            found.append(f"note {name} is not what was written: {cure}, update() its words, or forget() it")
    for sql, sentence in _OF_ROWS:
        found += [sentence.format(*map(_text, row)) for row in database.rows(sql)]
    return found


def _listed(rows: Sequence[int]) -> str:
    return f"[{','.join(str(int(row)) for row in rows)}]"


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _seal_of_note(*values: object) -> bytes:
    """One with several facts says how many others there are; one without is sealed as notes always were."""
    return _seal_of(*values) if values[-1] else _seal_of(*values[:-1])


def _seal_of(*values: object) -> bytes:
    return hashlib.blake2b(repr(values).encode(), digest_size=16).digest()
