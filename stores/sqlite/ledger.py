"""The books of consolidation: edits, the packs that serve them, leases, and a log of what happened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from agentmem.notes.storage import EditRow, LedgerEntry
from agentmem.stores.sqlite.codec import dumps
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.seals import SEAL_OF_ENTRY
from agentmem.stores.sqlite.where import json_list

__all__ = ["SqliteLedger"]

_PUT_EDIT: Final = """
    INSERT INTO edit (id, note_id, owner, method, state, note_version, request, reason, changed_at, seal)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, seal_of(CAST(?1 AS BLOB), CAST(?2 AS BLOB), ?3, CAST(?4 AS BLOB), CAST(?5 AS BLOB), ?6,
        CAST(?7 AS BLOB), CAST(?8 AS BLOB), ?9))
    ON CONFLICT (id) DO UPDATE SET
        note_id = excluded.note_id, owner = excluded.owner, method = excluded.method, state = excluded.state,
        note_version = excluded.note_version, request = excluded.request, reason = excluded.reason,
        changed_at = excluded.changed_at, seal = excluded.seal
"""
_EDITS: Final = "SELECT id, note_id, owner, method, state, note_version, request, reason, changed_at FROM edit"
_LEASE: Final = """
    INSERT INTO lease (name, holder, until) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE holder = excluded.holder OR until <= ?
"""


_APPEND: Final = """
    INSERT INTO ledger (at, event, note_id, edit_id, details, owner)
    VALUES (?, ?, ?, ?, ?, coalesce(?, (SELECT owner FROM note WHERE uid = ?)))
"""
_SEALED: Final = f"UPDATE ledger AS g SET seal = {SEAL_OF_ENTRY} WHERE seq = ?"  # noqa: S608 - constants
_FORGOTTEN: Final = """
    SELECT DISTINCT l.note_id, l.owner FROM ledger l WHERE l.note_id IN (
        SELECT g.note_id FROM json_each(?) j CROSS JOIN ledger g ON g.note_id = j.value WHERE g.event = 'forgotten'
    )
"""
_EDITED: Final = """
    SELECT e.id, e.owner FROM json_each(?1) j CROSS JOIN edit e ON e.id = j.value
    UNION SELECT l.edit_id, l.owner FROM json_each(?1) j CROSS JOIN ledger l ON l.edit_id = j.value
"""


class SqliteLedger:
    """:class:`agentmem.notes.storage.LedgerTable` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def append(
        self,
        at: int,
        event: str,
        *,
        note_id: str | None = None,
        edit_id: str | None = None,
        details: Mapping[str, object] | None = None,
        owner: int | None = None,
    ) -> None:
        """Write one line; ``details`` must not hold note text. It is of the owner of its note, who must be named once the note is gone."""
        seq = self._db.insert(_APPEND, (int(at), event, note_id, edit_id, dumps(details or {}), owner, note_id))
        self._db.run(_SEALED, (seq,))

    def entries(
        self,
        *,
        after: int = 0,
        note_ids: Sequence[str] | None = None,
        event: str | None = None,
        limit: int | None = 1000,
    ) -> list[LedgerEntry]:
        """Lines after a sequence number, oldest first; of some notes or one event when those are given; all without a limit."""
        sql, bound = (
            "SELECT seq, at, event, note_id, edit_id, details, owner FROM ledger WHERE seq > ?",
            list[object]([int(after)]),
        )
        if note_ids is not None:
            sql += " AND note_id IN (SELECT value FROM json_each(?))"
            bound.append(json.dumps(list(note_ids)))
        if event is not None:
            sql += " AND event = ?"
            bound.append(event)
        found = self._db.rows(f"{sql} ORDER BY seq LIMIT ?", (*bound, -1 if limit is None else limit))
        return [
            LedgerEntry(seq, at, event, note, edit, json.loads(details), owner)
            for seq, at, event, note, edit, details, owner in found
        ]

    def put_edit(self, edit: EditRow) -> None:
        """Write an edit, or its new state."""
        self._db.run(
            _PUT_EDIT,
            (
                edit.id,
                edit.note_id,
                int(edit.owner),
                edit.method,
                edit.state,
                int(edit.note_version),
                dumps(edit.request),
                edit.reason,
                int(edit.changed_at),
            ),
        )

    def edits(
        self,
        *,
        state: str | None = "active",
        note_ids: Sequence[str] | None = None,
        owners: Sequence[int] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[EditRow]:
        """Edits by state, note, owner and id, in the order of their ids; ``None`` asks for all."""
        tests, values = ["1"], list[object]()
        if state is not None:
            tests.append("state = ?")
            values.append(state)
        if note_ids is not None:
            tests.append("note_id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(note_ids)))
        if owners is not None:
            tests.append("owner IN (SELECT value FROM json_each(?))")
            values.append(json_list(owners))
        if ids is not None:
            tests.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(ids)))
        found = self._db.rows(f"{_EDITS} WHERE {' AND '.join(tests)} ORDER BY id", values)
        return [_edit(row) for row in found]

    def delete_edits(self, ids: Sequence[str]) -> int:
        """Remove edits from the books; returns how many."""
        return self._db.run("DELETE FROM edit WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))

    def held(self) -> int:
        """How many edits are active."""
        return int(self._db.value("SELECT count(*) FROM edit WHERE state = 'active'"))

    def taken(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that name an edit."""
        found = self._db.rows(
            "SELECT id FROM edit WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),)
        )
        return {id for (id,) in found}

    def forgotten(self, note_ids: Sequence[str]) -> dict[str, set[int | None]]:
        """Whose those of ``note_ids`` were that name a note which was forgotten; ``None`` where a line does not know."""
        return _owners(self._db.rows(_FORGOTTEN, (json.dumps(list(note_ids)),)))

    def edited(self, ids: Sequence[str]) -> dict[str, set[int | None]]:
        """Whose those of ``ids`` are, or were, that name an edit; ``None`` where a line does not know."""
        return _owners(self._db.rows(_EDITED, (json.dumps(list(ids)),)))

    def active_pack(self, method: str) -> tuple[str, int] | None:
        """(sha256, version) of the pack to serve; ``None`` when there is none or it was withdrawn."""
        found = self._db.one("SELECT sha, version FROM pack WHERE method = ? ORDER BY version DESC LIMIT 1", (method,))
        return None if found is None or found[0] is None else (found[0], found[1])

    def set_active_pack(self, method: str, sha: str | None, at: int) -> int:
        """Name the pack to serve (``None``: none); returns the new version."""
        version = int(self._db.value("SELECT coalesce(max(version), 0) + 1 FROM pack WHERE method = ?", (method,)))
        self._db.run("INSERT INTO pack (method, version, sha, at) VALUES (?, ?, ?, ?)", (method, version, sha, int(at)))
        return version

    def lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take or renew a lease; false when another holder's lease still runs."""
        return self._db.run(_LEASE, (name, holder, int(until), int(now))) > 0

    def lease_holder(self, name: str) -> str | None:
        """Who holds a lease, or held it last; ``None`` when nobody does."""
        found = self._db.value("SELECT holder FROM lease WHERE name = ?", (name,))
        return None if found is None else str(found)

    def release(self, name: str, holder: str) -> None:
        """Give a lease back; somebody else's stays."""
        self._db.run("DELETE FROM lease WHERE name = ? AND holder = ?", (name, holder))


def _owners(found: Iterable[tuple[str, int | None]]) -> dict[str, set[int | None]]:
    owners: dict[str, set[int | None]] = {}
    for id, owner in found:
        owners.setdefault(id, set()).add(owner)
    return owners


def _edit(row: tuple[Any, ...]) -> EditRow:
    (uid, note, owner, method, state, version, request, reason, changed) = row
    return EditRow(uid, note, owner, method, state, version, json.loads(request), reason, changed)
