"""What finds a note without searching: content hashes, facts, actors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentmem.notes.note import Fact, Scope
from agentmem.stores.sqlite.codec import fact_of, normalised
from agentmem.stores.sqlite.connection import Database

__all__ = ["NoteKeys"]

_ACTORS = """
    WITH RECURSIVE known (actor) AS (
        SELECT min(actor) FROM note WHERE owner = ?1 AND actor IS NOT NULL
        UNION ALL
        SELECT (SELECT min(actor) FROM note WHERE owner = ?1 AND actor IS NOT NULL AND actor > known.actor)
        FROM known WHERE known.actor IS NOT NULL
    )
    SELECT actor FROM known WHERE actor IS NOT NULL
"""

_TOGETHER: Final = 512
# What is said often is said at many times: the time leads to it at once, the words to all of these.
_SAID: Final = """
    SELECT id FROM note WHERE owner = ? AND hash = ? AND actor IS ? AND agent IS ? AND session IS ?
        AND (valid_from IS NULL OR valid_from <= ?) AND (valid_to IS NULL OR valid_to > ?) ORDER BY id LIMIT 1
"""
_SAID_THEN: Final = _SAID.replace("FROM note", "FROM note INDEXED BY note_occurred").replace(
    " ORDER", " AND occurred_at = ? ORDER"
)


class NoteKeys:
    """The part of the note table that looks up by key."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def same_content(self, owner: int, content_hash: bytes) -> list[int]:
        """Rows of an owner with this content hash, oldest first."""
        found = self._db.rows("SELECT id FROM note WHERE owner = ? AND hash = ? ORDER BY id", (owner, content_hash))
        return [row for (row,) in found]

    def same_contents(self, owner: int, hashes: Sequence[bytes]) -> dict[bytes, list[int]]:
        """:meth:`same_content` of those of many hashes that are known."""
        found: dict[bytes, list[int]] = {}
        for start in range(0, len(hashes), _TOGETHER):
            among = hashes[start : start + _TOGETHER]
            marks = ",".join("?" * len(among))
            sql = f"SELECT hash, id FROM note WHERE owner = ? AND hash IN ({marks}) ORDER BY id"  # noqa: S608 - marks
            for content_hash, row in self._db.rows(sql, (owner, *among)):
                found.setdefault(content_hash, []).append(row)
        return found

    def said(
        self,
        owner: int,
        content_hash: bytes,
        scope: Scope,
        actor: str | None,
        moment: int,
        occurred_at: int | None = None,
    ) -> int | None:
        """The oldest row with this content in this very scope, by this actor, that holds at ``moment``; of a time when one is given."""
        values = (owner, content_hash, actor, scope.agent, scope.session, moment, moment)
        found = self._db.value(
            _SAID if occurred_at is None else _SAID_THEN, values if occurred_at is None else (*values, occurred_at)
        )
        return None if found is None else int(found)

    def said_by_another(self, owner: int, content_hash: bytes, actor: str | None) -> str | None:
        """The id of the oldest note with this content that is not by this actor."""
        sql = "SELECT uid FROM note WHERE owner = ? AND hash = ? AND actor IS NOT ? ORDER BY id LIMIT 1"
        found = self._db.value(sql, (owner, content_hash, actor))
        return None if found is None else str(found)

    def facts(
        self,
        owner: int,
        subject: str,
        relation: str | None = None,
        *,
        open_only: bool = True,
        holding_from: int | None = None,
    ) -> list[tuple[int, Fact]]:
        """Facts by normalised subject and relation, oldest row first."""
        sql = (
            "SELECT f.row, f.subject, f.relation, f.object, f.functional, f.question, f.paraphrases "
            "FROM fact f JOIN note n ON n.id = f.row WHERE f.owner = ? AND f.subject_key = ?"
        )
        values: list[object] = [owner, normalised(subject)]
        if relation is not None:
            sql += " AND f.relation_key = ?"
            values.append(normalised(relation))
        if holding_from is not None:
            sql += " AND (n.valid_to IS NULL OR n.valid_to > ?)"
            values.append(int(holding_from))
        elif open_only:
            sql += " AND n.valid_to IS NULL"
        return [(row[0], fact_of(row[1:])) for row in self._db.rows(f"{sql} ORDER BY f.row", values)]

    def actors(self, owners: Sequence[int]) -> list[str]:
        """The actors of some owners, sorted; a hop along the index per actor, not a scan of the notes."""
        names = {name for owner in owners for (name,) in self._db.answer(_ACTORS, (int(owner),))}
        return sorted(names)
