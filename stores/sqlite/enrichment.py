"""Which notes a language model has seen, what it added to them, and what that was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from agentmem.notes.storage import EnrichmentRow, SavedEnrichment
from agentmem.stores.sqlite.codec import dumps
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.seals import SEAL_OF_ENRICHMENT, SEAL_OF_VERSION, kept
from agentmem.stores.sqlite.where import json_list

__all__ = ["EVOLVED", "SqliteEnrichment"]

EVOLVED: Final = "evolved"
"""How the reason of a version begins when a model's words stand in it."""

# `note_hash` covers owner, hash and id: what is done already is passed over without reading the notes. What reflection
# made of notes is a model's work already.
_OUTSTANDING: Final = """
    FROM note n LEFT JOIN enrichment e ON e.row = n.id
    WHERE (e.row IS NULL OR e.hash <> n.hash OR (e.state = 'failed' AND e.attempts < ?))
        AND n.kind NOT IN ('summary', 'portrait', 'thought')
"""
_FAILED: Final = """
    INSERT INTO enrichment (row, hash, state, attempts, at, tags, keywords)
    SELECT id, hash, 'failed', 1, ?, '[]', '[]' FROM note WHERE id = ?
    ON CONFLICT (row) DO UPDATE SET
        attempts = CASE WHEN hash = excluded.hash THEN attempts + 1 ELSE 1 END,
        hash = excluded.hash, state = 'failed', at = excluded.at
"""
_PUT: Final = """
    INSERT INTO enrichment (row, hash, state, attempts, at, context, tags, keywords)
    SELECT id, hash, ?, 0, ?, ?, ?, ? FROM note WHERE id = ?
    ON CONFLICT (row) DO UPDATE SET
        hash = excluded.hash, state = excluded.state, attempts = 0, at = excluded.at, context = excluded.context,
        tags = excluded.tags, keywords = excluded.keywords
"""
_EVER: Final = 2**31
_SEALED: Final = f"UPDATE enrichment AS m SET seal = {SEAL_OF_ENRICHMENT} WHERE row = ?"  # noqa: S608 - constants
_SILENCE: Final = "UPDATE note SET reason = ?1 WHERE id IN (SELECT value FROM json_each(?2)) AND reason LIKE ?3"
_SILENCE_VERSIONS: Final = f"""
    UPDATE note_version AS v SET reason = ?1,
        seal = CASE WHEN seal = {SEAL_OF_VERSION} THEN {SEAL_OF_VERSION.replace("v.reason", "?1")} ELSE seal END
    WHERE row IN (SELECT value FROM json_each(?2)) AND reason LIKE ?3
"""  # noqa: S608 - constants


class SqliteEnrichment:
    """:class:`agentmem.notes.storage.EnrichmentTable` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def outstanding(self, owners: Sequence[int], attempts: int | None) -> list[int]:
        """Rows still to be enriched, by failures and age; without ``attempts`` none is given up."""
        found = self._db.rows(
            f"SELECT n.id {_OUTSTANDING} AND n.owner IN (SELECT value FROM json_each(?)) "  # noqa: S608 - constants
            "ORDER BY coalesce(e.attempts, 0), n.id",
            (_EVER if attempts is None else attempts, json_list(owners)),
        )
        return [row for (row,) in found]

    def load(self, rows: Sequence[int]) -> dict[int, EnrichmentRow]:
        """The records of those rows that have one."""
        found = self._db.rows(
            "SELECT e.row, e.context, e.tags, e.keywords, e.state, e.attempts, e.hash = n.hash "
            "FROM json_each(?) j CROSS JOIN enrichment e ON e.row = j.value JOIN note n ON n.id = e.row",
            (json_list(rows),),
        )
        return {
            row: EnrichmentRow(context, tuple(json.loads(tags)), tuple(json.loads(words)), state, attempts, bool(same))
            for row, context, tags, words, state, attempts, same in found
        }

    def put(self, row: int, record: EnrichmentRow, at: int) -> None:
        """Record what was added to a note, for the words it has now."""
        self._db.run(
            _PUT, (record.state, int(at), record.context, dumps(record.tags), dumps(record.keywords), int(row))
        )
        self._seal(row)

    def failed(self, row: int, at: int) -> int:
        """Count a failed run; failures on former words do not count."""
        self._db.run(_FAILED, (int(at), int(row)))
        self._seal(row)
        return int(self._db.value("SELECT attempts FROM enrichment WHERE row = ?", (int(row),)) or 0)

    def add_sources(self, row: int, sources: Sequence[int]) -> None:
        """Remember what the enrichment of ``row`` was made from, besides itself."""
        self._db.many(
            "INSERT INTO enrichment_source (row, source) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(int(row), int(source)) for source in sources if source != row],
        )

    def sources(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """What the enrichment of each of ``rows`` was made from besides itself, where it was."""
        found: dict[int, list[int]] = {}
        sql = "SELECT row, source FROM enrichment_source WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row, source"
        for row, source in self._db.rows(sql, (json_list(rows),)):
            found.setdefault(row, []).append(source)
        return found

    def saved(self, rows: Sequence[int]) -> dict[int, SavedEnrichment]:
        """The records of those rows that have one, with the hash and the time that belong to them."""
        records = self.load(rows)
        found = self._db.rows(
            "SELECT row, hash, at FROM enrichment WHERE row IN (SELECT value FROM json_each(?))", (json_list(rows),)
        )
        return {row: SavedEnrichment(records[row], words, at) for row, words, at in found if row in records}

    def restore(self, row: int, saved: SavedEnrichment) -> None:
        """Write down the record of a note that has none yet."""
        record = saved.record
        self._db.run(
            "INSERT INTO enrichment (row, hash, state, attempts, at, context, tags, keywords) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                int(row), saved.hash, record.state, int(record.attempts), int(saved.at), record.context, dumps(record.tags),
                dumps(record.keywords),
            ),
        )  # fmt: skip
        self._seal(row)

    def _seal(self, row: int) -> None:
        self._db.run(_SEALED, (int(row),))

    def made_from(self, sources: Sequence[int]) -> list[int]:
        """Rows whose enrichment was made from any of ``sources``."""
        found = self._db.rows(
            "SELECT DISTINCT row FROM enrichment_source WHERE source IN (SELECT value FROM json_each(?)) ORDER BY row",
            (json_list(sources),),
        )
        return [row for (row,) in found]

    def clear(self, rows: Sequence[int]) -> int:
        """Forget the records, and the model's words in the history: they may quote what is being forgotten."""
        among = (EVOLVED, json_list(rows), f"{EVOLVED}%")
        with kept(self._db, rows):
            self._db.run(_SILENCE, among)
        self._db.run(_SILENCE_VERSIONS, among)
        return self._db.run("DELETE FROM enrichment WHERE row IN (SELECT value FROM json_each(?))", (json_list(rows),))

    def counts(self, attempts: int) -> Mapping[str, int]:
        """How many notes are in each state."""
        found = dict(
            self._db.rows(
                "SELECT e.state, count(*) FROM enrichment e JOIN note n ON n.id = e.row WHERE e.hash = n.hash "
                "AND (e.state <> 'failed' OR e.attempts >= ?) GROUP BY e.state",
                (attempts,),
            )
        )
        outstanding = int(self._db.value(f"SELECT count(*) {_OUTSTANDING}", (attempts,)))
        return {name: found.get(name, 0) for name in ("done", "kept", "failed")} | {"outstanding": outstanding}
