"""What finds a note without searching: content hashes, facts, threads, terms, tombstones, idempotency keys."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from agentmem.notes.note import Fact, Scope
from agentmem.stores.sqlite.codec import dumps, fact_of, normalised
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.owners import refused_key
from agentmem.stores.sqlite.where import json_list

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

_MENTIONS: Final = """
    SELECT t.term, t.row FROM json_each(?1) j CROSS JOIN term t ON t.owner = ?2 AND t.term = j.value AND t.row >= coalesce(
        (SELECT row FROM term WHERE owner = ?2 AND term = j.value ORDER BY row DESC LIMIT 1 OFFSET ?3), 0)
"""
_MENTIONS_BEFORE: Final = """
    SELECT t.term, t.row FROM json_each(?1) j CROSS JOIN term t ON t.owner = ?2 AND t.term = j.value AND t.row < ?4 AND t.row >= coalesce(
        (SELECT row FROM term WHERE owner = ?2 AND term = j.value AND row < ?4 ORDER BY row DESC LIMIT 1 OFFSET ?3), 0)
"""
_FIRST_MENTIONS: Final = """
    SELECT DISTINCT t.row FROM json_each(?1) j CROSS JOIN term t ON t.owner = ?2 AND t.term = j.value AND t.row <= coalesce(
        (SELECT row FROM term WHERE owner = ?2 AND term = j.value ORDER BY row LIMIT 1 OFFSET ?3), 9223372036854775807) ORDER BY t.row
"""
_BESIDE: Final = """
    SELECT j.value, (SELECT id FROM note WHERE owner = n.owner AND thread = n.thread AND (position, id) {} (n.position, n.id)
        ORDER BY position {}, id {} LIMIT 1)
    FROM json_each(?) j CROSS JOIN note n ON n.id = j.value WHERE n.thread IS NOT NULL AND n.position IS NOT NULL
"""
_TOGETHER: Final = 512
_BURY: Final = """
    INSERT INTO tombstone (owner, mac, at, seal) VALUES (?1, ?2, ?3, seal_of(?1, ?2, ?3))
    ON CONFLICT (owner, mac) DO UPDATE SET at = excluded.at, seal = excluded.seal WHERE excluded.at > at
"""
_KEEP: Final = """
    INSERT INTO idempotency (owner, key, row, receipt, seal) VALUES (?1, ?2, ?3, ?4, seal_of(?1, CAST(?2 AS BLOB), ?3, CAST(?4 AS BLOB)))
    ON CONFLICT (owner, key) DO UPDATE SET row = excluded.row, receipt = excluded.receipt, seal = excluded.seal
"""
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

    def __init__(self, database: Database, key: Callable[[], bytes]) -> None:
        self._db = database
        self._key = key

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

    def thread_tail(self, owner: int, thread: str) -> tuple[int, int] | None:
        """(row, position) of the last note in a thread."""
        found = self._db.one(
            "SELECT id, coalesce(position, 0) FROM note WHERE owner = ? AND thread = ? "
            "ORDER BY position DESC, id DESC LIMIT 1",
            (owner, thread),
        )
        return None if found is None else (found[0], found[1])

    def neighbours_in_thread(self, row: int, span: int = 1) -> list[int]:
        """Up to ``span`` notes before and after a note in its thread, in the thread's order."""
        here = self._db.one("SELECT owner, thread, position FROM note WHERE id = ?", (int(row),))
        if here is None or here[1] is None or here[2] is None:
            return []
        sql = (
            "SELECT id FROM note WHERE owner = ? AND thread = ? AND (position, id) {} (?, ?) "
            "ORDER BY position {}, id {} LIMIT ?"
        )
        values = (*here, int(row), span)
        before = self._db.rows(sql.format("<", "DESC", "DESC"), values)
        after = self._db.rows(sql.format(">", "ASC", "ASC"), values)
        return [other for (other,) in [*reversed(before), *after]]

    def thread_before(self, rows: Sequence[int]) -> dict[int, int]:
        """For those of ``rows`` that follow a note in their thread, which one."""
        return self._beside(_BESIDE.format("<", "DESC", "DESC"), rows)

    def thread_after(self, rows: Sequence[int]) -> dict[int, int]:
        """For those of ``rows`` that a note follows in their thread, which one."""
        return self._beside(_BESIDE.format(">", "ASC", "ASC"), rows)

    def _beside(self, sql: str, rows: Sequence[int]) -> dict[int, int]:
        return {row: other for row, other in self._db.rows(sql, (json_list(rows),)) if other is not None}

    def terms_of(self, rows: Sequence[int]) -> dict[int, list[str]]:
        """The terms that each of ``rows`` mentions, in alphabetical order."""
        sql = "SELECT t.row, t.term FROM json_each(?) j CROSS JOIN term t ON t.row = j.value ORDER BY t.row, t.term"
        found: dict[int, list[str]] = {row: [] for row in rows}
        for row, term in self._db.rows(sql, (json_list(rows),)):
            found[row].append(term)
        return found

    def terms_before(self, owner: int, row: int, terms: Sequence[str], limit: int) -> dict[str, list[int]]:
        """For each known term the last rows before ``row`` that mention it, at most ``limit``."""
        found: dict[str, list[int]] = {}
        for term, other in self._db.rows(_MENTIONS_BEFORE, (json.dumps(list(terms)), owner, limit - 1, int(row))):
            found.setdefault(term, []).append(other)
        return found

    def terms_first(self, owner: int, terms: Sequence[str], limit: int) -> list[int]:
        """The rows among the first ``limit`` that mention one of these terms."""
        return [row for (row,) in self._db.rows(_FIRST_MENTIONS, (json.dumps(list(terms)), owner, limit - 1))]

    def terms_add(self, owner: int, row: int, terms: Iterable[str]) -> None:
        """Remember which entities and rare keywords a note mentions."""
        self.terms_add_many([(owner, row, terms)])

    def terms_replace(self, owner: int, row: int, terms: Iterable[str]) -> None:
        """Remember what a note mentions now, in place of what it mentioned before."""
        self._db.run("DELETE FROM term WHERE row = ?", (int(row),))
        self.terms_add(owner, row, terms)

    def terms_add_many(self, mentions: Iterable[tuple[int, int, Iterable[str]]]) -> None:
        """The same for (owner, row, terms) each."""
        self._db.many(
            "INSERT INTO term (owner, term, row) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(owner, term, int(row)) for owner, row, terms in mentions for term in terms],
        )

    def terms_find(self, owner: int, terms: Sequence[str], limit: int = 32) -> dict[str, list[int]]:
        """For each known term the most recent rows that mention it, newest first."""
        found: dict[str, list[int]] = {term: [] for term in terms} if limit > 0 else {}
        if found:
            values = (json.dumps(list(found)), owner, limit - 1)
            for term, row in self._db.rows(_MENTIONS, values):
                found[term].append(row)
        return {term: sorted(rows, reverse=True) for term, rows in found.items() if rows}

    def tombstone_add(self, owner: int, content_hash: bytes, at: int) -> None:
        """Remember that content was forgotten, in a form that does not tell what it was."""
        self._db.run(_BURY, (int(owner), self._mac(owner, content_hash), int(at)))

    def tombstone_find(self, owner: int, content_hash: bytes) -> int | None:
        """When content with this hash was last forgotten, or ``None``."""
        found = self._db.value(
            "SELECT at FROM tombstone WHERE owner = ? AND mac = ?", (owner, self._mac(owner, content_hash))
        )
        return None if found is None else int(found)

    def has_tombstones(self, owner: int) -> bool:
        """Whether anything of an owner was forgotten."""
        return bool(self._db.value("SELECT EXISTS (SELECT 1 FROM tombstone WHERE owner = ?)", (owner,)))

    def idempotency_keys(self, rows: Sequence[int]) -> list[tuple[int, str]]:
        """(owner, key) of the idempotency records that led to these rows."""
        return self._db.rows(
            "SELECT i.owner, i.key FROM json_each(?) j CROSS JOIN idempotency i ON i.row = j.value "
            "ORDER BY i.owner, i.key",
            (json_list(rows),),
        )

    def idempotent_get(self, owner: int, key: str) -> Mapping[str, object] | None:
        """The receipt of an earlier call with this key."""
        sql = "SELECT receipt FROM idempotency WHERE owner = ? AND key IN (?, ?)"
        found = self._db.value(sql, (owner, key, refused_key(self._key(), owner, key)))
        receipt: Any = None if found is None else json.loads(found)
        return None if found is None else dict(receipt)

    def idempotent_put(self, owner: int, key: str, row: int | None, receipt: Mapping[str, object]) -> None:
        """Keep the receipt of a call under its key; it goes when the note in ``row`` goes.

        What led to no note goes with none: so of its key, in which a caller may have put a name, there is a keyed digest only.
        """
        kept = refused_key(self._key(), owner, key) if row is None else key
        self._db.run(_KEEP, (int(owner), kept, None if row is None else int(row), dumps(receipt)))

    def _mac(self, owner: int, content_hash: bytes) -> bytes:
        return hmac.digest(self._key(), b"%d:" % owner + content_hash, "sha256")
