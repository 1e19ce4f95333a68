"""The registry of consolidation: edits, the packs that serve them, leases, and a log of what happened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentmem.notes.engine import Row
from agentmem.notes.rows import EditRow, LedgerEntry
from agentmem.notes.tables import EDIT, LEASE, LEDGER, NOTE, PACK, Among, Span
from agentmem.records.area import Area, dumps

__all__ = ["Ledger", "edit_of"]


class Ledger(Area):
    """Edits by state, the ledger line by line, the pack of each method, and who works on what.

    How many edits there are, whose an id is or was, packs and leases are the same for everybody, and told to nobody.
    """

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
        if owner is None and note_id is not None:
            found = self._everybodys.find(NOTE, {"uid": note_id}, columns=("owner",))
            owner = found[0][0] if found else None
        self._tables.put(LEDGER, [(None, at, event, note_id, edit_id, dumps(details or {}), owner)])

    def entries(
        self,
        *,
        after: int = 0,
        note_ids: Sequence[str] | None = None,
        event: str | None = None,
        limit: int | None = 1000,
    ) -> list[LedgerEntry]:
        """Lines after a sequence number, oldest first; of some notes or one event when those are given; all without a limit."""
        where: dict[str, Any] = {"seq": Span(above=after)}
        if note_ids is not None:
            where["note_id"] = Among(note_ids)
        if event is not None:
            where["event"] = event
        found = self._tables.find(LEDGER, where, limit=limit)
        return [
            LedgerEntry(seq, at, event, note_id, edit_id, json.loads(details), owner)
            for seq, at, event, note_id, edit_id, details, owner in found
        ]

    def put_edit(self, edit: EditRow) -> None:
        """Write an edit, or its new state."""
        request = dumps(edit.request)
        self._tables.put(
            EDIT,
            [
                (
                    edit.id, edit.note_id, edit.owner, edit.method, edit.state, edit.note_version, request, edit.reason,
                    edit.changed_at,
                )
            ],
        )  # fmt: skip

    def edits(
        self,
        *,
        state: str | None = "active",
        note_ids: Sequence[str] | None = None,
        owners: Sequence[int] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[EditRow]:
        """Edits by state, note, owner and id, in the order of their ids; ``None`` asks for all."""
        where: dict[str, Any] = {} if state is None else {"state": state}
        for name, given in (("note_id", note_ids), ("owner", owners), ("id", ids)):
            if given is not None:
                where[name] = Among(given)
        return [edit_of(row) for row in self._tables.find(EDIT, where)]

    def delete_edits(self, ids: Sequence[str]) -> int:
        """Remove edits from the registry; returns how many."""
        return self._tables.delete(EDIT, {"id": Among(ids)})

    def held(self) -> int:
        """How many edits are active: whether the one side memory has room."""
        return self._everybodys.count(EDIT, {"state": "active"})

    def taken(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that name an edit."""
        return {id for (id,) in self._everybodys.find(EDIT, {"id": Among(ids)}, columns=("id",))}

    def forgotten(self, note_ids: Sequence[str]) -> dict[str, set[int | None]]:
        """Whose those of ``note_ids`` were that name a note which was forgotten; ``None`` where a line does not know."""
        asked = {"note_id": Among(note_ids)}
        gone = self._everybodys.find(LEDGER, {**asked, "event": "forgotten"}, columns=("note_id",))
        lines = self._everybodys.find(LEDGER, {"note_id": Among([id for (id,) in gone])}, columns=("note_id", "owner"))
        return _by_id(lines)

    def edited(self, ids: Sequence[str]) -> dict[str, set[int | None]]:
        """Whose those of ``ids`` are, or were, that name an edit; ``None`` where a line does not know."""
        standing = self._everybodys.find(EDIT, {"id": Among(ids)}, columns=("id", "owner"))
        lines = self._everybodys.find(LEDGER, {"edit_id": Among(ids)}, columns=("edit_id", "owner"))
        return _by_id([*standing, *lines])

    def active_pack(self, method: str) -> tuple[str, int] | None:
        """(sha256, version) of the pack to serve; ``None`` when there is none or it was withdrawn."""
        found = self._newest_pack(method)
        return None if not found or found[0][0] is None else (found[0][0], found[0][1])

    def set_active_pack(self, method: str, sha: str | None, at: int) -> int:
        """Name the pack to serve (``None``: none); returns the new version."""
        found = self._newest_pack(method)
        version = found[0][1] + 1 if found else 1
        self._tables.put(PACK, [(method, version, sha, at)])
        return version

    def lease(self, name: str, holder: str, now: int, until: int) -> bool:
        """Take or renew a lease; false when another holder's lease still runs."""
        if any(other != holder and end > now for _, other, end in self._tables.find(LEASE, {"name": name})):
            return False
        self._tables.put(LEASE, [(name, holder, until)])
        return True

    def lease_holder(self, name: str) -> str | None:
        """Who holds a lease, or held it last; ``None`` when nobody does."""
        found = self._tables.find(LEASE, {"name": name}, columns=("holder",))
        return str(found[0][0]) if found else None

    def release(self, name: str, holder: str) -> None:
        """Give a lease back; somebody else's stays."""
        self._tables.delete(LEASE, {"name": name, "holder": holder})

    def _newest_pack(self, method: str) -> list[Row]:
        return self._tables.find(
            PACK, {"method": method}, columns=("sha", "version"), order=("version",), newest=True, limit=1
        )


def _by_id(found: Iterable[Row]) -> dict[str, set[int | None]]:
    owners: dict[str, set[int | None]] = {}
    for id, owner in found:
        owners.setdefault(id, set()).add(owner)
    return owners


def edit_of(row: Row) -> EditRow:
    """An edit as its table has it."""
    (uid, note, owner, method, state, version, request, reason, changed) = row
    return EditRow(uid, note, owner, method, state, version, json.loads(request), reason, changed)
