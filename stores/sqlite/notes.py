"""The note table: what is written, and how it is read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from agentmem.errors import InvalidArgument, StoreCorrupt, UnknownNote
from agentmem.notes.clock import from_micros, micros
from agentmem.notes.note import Note, NoteVersion, Scope
from agentmem.notes.protocols import Clock
from agentmem.notes.rows import TOLD
from agentmem.notes.storage import SHARED_OWNER, Facets, Selection
from agentmem.records.known import KnownRows, Present
from agentmem.stores.sqlite.codec import COLUMNS, LOAD_ROWS, decode, encode, encode_fact
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.keys import NoteKeys
from agentmem.stores.sqlite.owners import Owners
from agentmem.stores.sqlite.seals import keep_version, kept, seal, seal_versions, whole
from agentmem.stores.sqlite.tables import SqliteTables
from agentmem.stores.sqlite.where import Condition, admitted, asked, json_list

__all__ = ["SqliteNotes"]

_VALUES: Final = ", ".join("?" * (5 + len(COLUMNS)))
_INSERT: Final = f"INSERT INTO note (owner, hash, version, changed_at, reason, {', '.join(COLUMNS)}) VALUES ({_VALUES})"  # noqa: S608 - constants
_ASSIGNED: Final = ", ".join(f"{name} = ?" for name in COLUMNS)
_UPDATE: Final = (
    f"UPDATE note SET hash = ?, version = version + 1, changed_at = ?, reason = ?, {_ASSIGNED} WHERE id = ?"  # noqa: S608 - constants
)
_WORDS: Final = "rtrim(n.content, char(9, 10, 13, 32))"
_TELLS: Final = " OR ".join(f"instr(substr({_WORDS}, {TOLD}), {end})" for end in ("'. '", "'! '", "char(10)"))
_RANKED: Final = f"""
    SELECT n.id, n.owner, n.actor, n.session, n.occurred_at, n.length, n.importance, n.trust, n.stability,
        n.difficulty, n.last_review, n.recalls, n.archived_at IS NOT NULL, n.thread, n.position, n.valid_from, n.valid_to,
        CASE WHEN substr({_WORDS}, -1) <> '?' THEN 0 WHEN {_TELLS} THEN 2 ELSE 1 END
"""
_NAMED: Final = "json_each(?) j CROSS JOIN note n ON n.id = j.value"
_FACETS_OF: Final = f"{_RANKED} FROM {_NAMED}"
_RESTING: Final = f"""
    {_RANKED} FROM note n INDEXED BY note_resting
    WHERE n.archived_at IS NULL AND n.owner = ? AND n.last_review <= ? AND n.importance < ?
        AND NOT EXISTS (SELECT 1 FROM fact WHERE fact.row = n.id)
    ORDER BY n.last_review, n.id
"""  # noqa: S608 - constants
_ORDERS: Final[Mapping[str, tuple[str, str]]] = {
    "created": ("created_at", "ASC"),
    "-created": ("created_at", "DESC"),
    "occurred": ("occurred_at", "ASC"),
    "-occurred": ("occurred_at", "DESC"),
}
_WHOSE: Final = """
    SELECT n.id, n.owner, s.whose = o.seal FROM json_each(?) j CROSS JOIN note n ON n.id = j.value
    LEFT JOIN seal s ON s.row = n.id LEFT JOIN owner o ON o.id = n.owner
"""
_ARCHIVE: Final = "UPDATE note SET archived_at = ? WHERE id IN (SELECT value FROM json_each(?))"
_PLACES: Final[Mapping[str, str]] = {
    "versions": "DELETE FROM note_version WHERE row IN (SELECT value FROM json_each(?))",
    "facts": "DELETE FROM fact WHERE row IN (SELECT value FROM json_each(?))",
    "terms": "DELETE FROM term WHERE row IN (SELECT value FROM json_each(?))",
    "idempotency": "DELETE FROM idempotency WHERE row IN (SELECT value FROM json_each(?))",
    "notes": "DELETE FROM note WHERE id IN (SELECT value FROM json_each(?))",
}


class SqliteNotes(NoteKeys):
    """:class:`agentmem.notes.storage.NoteTable` on SQLite.

    Args:
        database: where the statements run; tables: the plain tables in it.
        clock: dates the versions of a note.
        key: makes the tombstones of this store; asked for when the first one is needed.
    """

    def __init__(self, database: Database, tables: SqliteTables, clock: Clock, key: Callable[[], bytes]) -> None:
        super().__init__(database)
        self._clock = clock
        self._owners = Owners(database, key)
        self._facets: KnownRows[Facets] = KnownRows(tables)
        self._ids: KnownRows[str] = KnownRows(tables)  # nobody changes one

    def owner(self, scope: Scope, *, create: bool = False) -> int | None:
        """The owner of notes with this scope; ``None`` when it has none yet and ``create`` is false."""
        return self._owners.make(scope) if create else self._owners.find(scope)

    def visible_owners(self, scope: Scope) -> tuple[int, ...]:
        """Owners whose notes a request in ``scope`` may see."""
        return self._owners.visible(scope)

    def all_owners(self) -> tuple[int, ...]:
        """Every owner that has a name, and the shared one."""
        return self._owners.all()

    def scope_of(self, owner: int) -> Scope:
        """The user or agent an owner stands for; the empty scope for the shared notes."""
        return self._owners.scope_of(owner)

    def empty_owners(self, owners: Sequence[int]) -> list[int]:
        """Those of ``owners`` whose name is kept, and nothing else."""
        return self._owners.empty(owners)

    def unname(self, owners: Sequence[int]) -> None:
        """Take the names of owners out; who comes back is still known, and gets the same owner."""
        self._owners.unname(owners)

    def has_owned(self) -> bool:
        """True when the store holds notes of any user or agent."""
        return bool(self._db.answer("SELECT EXISTS (SELECT 1 FROM note WHERE owner > ?)", (SHARED_OWNER,))[0][0])

    def insert(self, note: Note, owner: int, content_hash: bytes) -> int:
        """Store a note with its fact; returns its row."""
        return self._insert(note, owner, content_hash, (micros(note.created_at), "stored"))

    def restore(self, note: Note, owner: int, content_hash: bytes, history: Sequence[NoteVersion]) -> int:
        """Store a note together with its history, the present version last; returns its row."""
        last = history[-1]
        row = self._insert(note, owner, content_hash, (micros(last.changed_at), last.reason))
        self._db.many(
            "INSERT INTO note_version (row, version, changed_at, reason, content) VALUES (?, ?, ?, ?, ?)",
            [(row, v.version, micros(v.changed_at), v.reason, v.content) for v in history[:-1]],
        )
        seal_versions(self._db, row)
        return row

    def replace(self, row: int, note: Note, content_hash: bytes, reason: str) -> None:
        """Write the next version of a note; the former one joins its history."""
        self._facets.drop([row])
        found = self._db.one("SELECT owner, CAST(content AS BLOB) FROM note WHERE id = ?", (int(row),))
        if found is None:
            raise UnknownNote(f"No note in row {row}.", hint="it may have been forgotten meanwhile.")
        owner, said = found
        self._owners.need(note.scope, owner)
        sound = bool(whole(self._db, [row]))
        keep_version(self._db, row, sound=sound)
        self._db.run(_UPDATE, (content_hash, micros(self._clock.now()), reason, *encode(note), int(row)))
        self._db.run("DELETE FROM fact WHERE row = ?", (int(row),))
        self._put_fact(row, owner, note)
        if sound or said != note.content.encode():  # what keeps the words of a damaged note keeps the doubt
            seal(self._db, row)

    def close_validity(self, row: int, valid_to: int | None, reason: str) -> None:
        """End a note's validity, or with ``None`` take its end back: a new version with the same words."""
        self._facets.drop([row])
        sound = bool(whole(self._db, [row]))
        keep_version(self._db, row, sound=sound)
        self._db.run(
            "UPDATE note SET valid_to = ?, version = version + 1, changed_at = ?, reason = ? WHERE id = ?",
            (None if valid_to is None else int(valid_to), micros(self._clock.now()), reason, int(row)),
        )
        if sound:
            seal(self._db, row)

    def set_states(self, states: Sequence[tuple[int, float, float, int, int]]) -> None:
        """(row, stability, difficulty, last_review, recalls) each."""
        self._facets.drop(row for row, *_ in states)
        self._db.many(
            "UPDATE note SET stability = ?, difficulty = ?, last_review = ?, recalls = ? WHERE id = ?",
            [(float(s), float(d), int(last), int(n), int(row)) for row, s, d, last, n in states],
        )

    def set_archived(self, rows: Sequence[int], at: int | None) -> None:
        """Archive notes at a time, or bring them back with ``None``."""
        self._facets.drop(rows)
        with kept(self._db, rows):
            self._db.run(_ARCHIVE, (at, json_list(rows)))

    def delete(self, rows: Sequence[int]) -> Mapping[str, int]:
        """Remove notes, versions, facts, terms and idempotency records; returns the counts by place.

        Links, vectors and uses of the notes go with them; full text has to be deleted by its own area.
        """
        self._db.invalidate()
        among = (json_list(rows),)
        return {place: self._db.run(sql, among) for place, sql in _PLACES.items()}

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """The rows of those ids that exist."""
        found = self._db.rows(
            "SELECT n.uid, n.id FROM json_each(?) j CROSS JOIN note n ON n.uid = j.value",
            (json.dumps(list(ids)),),
        )
        return dict(found)

    def owners_of(self, rows: Sequence[int]) -> dict[int, int]:
        """Whose those rows are that exist."""
        found = self._db.rows(_WHOSE, (json_list(rows),))
        return {row: owner for row, owner, sealed in found if sealed or _stray(row)}

    def of_owner(self, owner: int, limit: int) -> list[int]:
        """Up to ``limit`` rows of an owner, read off an index."""
        return [
            row for (row,) in self._db.rows("SELECT id FROM note WHERE owner = ? LIMIT ?", (int(owner), int(limit)))
        ]

    def taken(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that name somebody's note."""
        return set(self.rows_of(ids))

    def ids_of(self, rows: Sequence[int]) -> dict[int, str]:
        """The ids of those rows that exist."""
        return Present(self._ids.get(rows, self._ids_of)) if rows else {}

    def _ids_of(self, rows: Sequence[int]) -> dict[int, str]:
        found = self._db.rows(
            "SELECT n.id, n.uid FROM json_each(?) j CROSS JOIN note n ON n.id = j.value", (json_list(rows),)
        )
        return dict(found)

    def load(self, rows: Sequence[int]) -> dict[int, Note]:
        """The notes of those rows that exist, in the order of ``rows``."""
        if not rows:
            return {}
        found = self._decoded(self._db.rows(LOAD_ROWS, (json_list(rows),)))
        return Present((row, found[row]) for row in map(int, rows) if row in found)

    def _decoded(self, found: Sequence[tuple[Any, ...]]) -> dict[int, Note]:
        """Notes by row, each as its owner's, and none that was written for another one."""
        owners = self._owners.among({columns[1] for columns in found})
        users = {(owner.id, owner.seal): owner.user for owner in owners.values()}
        if not users.keys() >= {columns[1:3] for columns in found}:
            _stray(next(columns[0] for columns in found if columns[1:3] not in users))
        return {columns[0]: decode(columns, users[columns[1:3]]) for columns in found}

    def facets(self, rows: Sequence[int], selection: Selection) -> list[Facets]:
        """Facets of those of ``rows`` that the selection admits, in the order of ``rows``."""
        if selection.where is not None or selection.agent is not None:  # what facets do not tell
            sql, values = _admitted(_RANKED, selection, among=_NAMED)
            return list(map(Facets._make, self._db.rows(sql, (json_list(rows), *values))))
        owners, faded = selection.owners, selection.archived
        known = self._facets.get(rows, self._facets_of).values()
        admitted = [facets for facets in known if facets.owner in owners and (faded or not facets.archived)]
        if selection.session is None and selection.closed:  # as most ask
            return admitted
        return [facets for facets in admitted if _holds(selection, facets)]

    def _facets_of(self, rows: Sequence[int]) -> dict[int, Facets]:
        return {row[0]: Facets._make(row) for row in self._db.rows(_FACETS_OF, (json_list(rows),))}

    def select(
        self, selection: Selection, *, order: str = "created", limit: int | None = None, offset: int = 0
    ) -> list[int]:
        """Rows the selection admits; each owner is read along its own index, and the streams are merged."""
        if order not in _ORDERS:
            raise InvalidArgument(f"Unknown order {order!r}.", hint=f"it is one of {', '.join(_ORDERS)}.")
        column, direction = _ORDERS[order]
        parts, values = [], []
        for owner in dict.fromkeys(selection.owners):
            # the column comes from _ORDERS
            sql, bound = _admitted(f"SELECT n.id AS row, n.{column} AS moment", selection, owners=(owner,))
            parts.append(sql)
            values += bound
        if not parts:
            return []
        sql = f"{' UNION ALL '.join(parts)} ORDER BY moment {direction}, row {direction} LIMIT ? OFFSET ?"
        found = self._db.rows(sql, (*values, -1 if limit is None else limit, offset))
        return [row for row, _ in found]

    def page(self, selection: Selection | None, after: int, limit: int) -> list[int]:
        """Up to ``limit`` rows beyond ``after`` that the selection admits, by row; every owner's without one."""
        if selection is None:
            found = self._db.rows("SELECT n.id FROM note n WHERE n.id > ? ORDER BY n.id LIMIT ?", (int(after), limit))
        else:
            sql, values = _admitted("SELECT n.id", selection, among="(SELECT n.* FROM note n WHERE n.id > ?) n")
            found = self._db.rows(f"{sql} ORDER BY n.id LIMIT ?", (int(after), *values, limit))
        return [row for (row,) in found]

    def select_all(self) -> list[int]:
        """Every row, oldest first."""
        return [row for (row,) in self._db.rows("SELECT id FROM note ORDER BY id", ())]

    def count(self, selection: Selection | None = None) -> int:
        """How many notes the selection admits; all of them without one."""
        if selection is None:
            return int(self._db.value("SELECT count(*) FROM note"))
        return int(self._db.value(*_admitted("SELECT count(*)", selection)))

    def any(self, selection: Selection) -> bool:
        """Whether the selection admits a note; stops at the first."""
        sql, values = _admitted("SELECT 1", selection)
        return bool(self._db.answer(f"SELECT EXISTS ({sql})", tuple(values))[0][0])

    def resting(self, owner: int, before: int, importance: float) -> list[Facets]:
        """Active notes last reviewed up to ``before``, under ``importance`` and without a fact; longest unreviewed first."""
        found = self._db.rows(_RESTING, (int(owner), int(before), float(importance)))
        return [Facets._make(row) for row in found]

    def history(self, row: int) -> list[NoteVersion]:
        """Every version of a note, oldest first, the present one last."""
        found = self._db.rows(
            "SELECT version, content, changed_at, reason FROM note_version WHERE row = ? UNION ALL "
            "SELECT version, content, changed_at, reason FROM note WHERE id = ? ORDER BY version",
            (int(row), int(row)),
        )
        return [NoteVersion(version, content, from_micros(at), reason) for version, content, at, reason in found]

    def _insert(self, note: Note, owner: int, content_hash: bytes, changed: tuple[int, str]) -> int:
        self._owners.need(note.scope, owner)
        row = self._db.insert(_INSERT, (owner, content_hash, note.version, *changed, *encode(note)))
        self._put_fact(row, owner, note)
        seal(self._db, row)
        return row

    def _put_fact(self, row: int, owner: int, note: Note) -> None:
        if note.fact is not None:
            self._db.run(
                "INSERT INTO fact VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (row, owner, *encode_fact(note.fact)),
            )


def _stray(row: int) -> bool:
    raise StoreCorrupt(
        f"The note in row {row} does not stand under the owner it was written for, so it is not handed out.",
        hint="check() says what else is damaged; restore the last backup.",
    )


def _admitted(
    columns: str, selection: Selection, *, owners: Sequence[int] | None = None, among: str = "note n"
) -> Condition:
    """A statement over what a selection admits: its filter is asked of the relation of admitted rows, and of nothing else."""
    relation, values = admitted(selection, owners=owners, among=among)
    text, bound = asked(selection.where)
    return f"{columns} FROM {relation}{text}", [*values, *bound]


def _holds(selection: Selection, facets: Facets) -> bool:
    """Session and validity as :func:`~agentmem.stores.sqlite.where.admitted` asks for them, of a note whose facets are known."""
    if selection.session is not None and facets.session not in (None, selection.session):
        return False
    if selection.closed:
        return True
    start, end, moment = facets.valid_from, facets.valid_to, selection.as_of
    if moment is None:
        return end is None
    return (start is None or start <= moment) and (end is None or end > moment)
