"""The note graph as a table of links."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from agentmem.errors import InvalidArgument
from agentmem.notes.note import Link
from agentmem.notes.storage import LinkRow
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.known import KnownRows
from agentmem.stores.sqlite.seals import SEAL_OF_LINK
from agentmem.stores.sqlite.where import json_list

__all__ = ["SqliteLinks"]

_PUT: Final = """
    INSERT INTO link (source, target, kind, weight, reason, used_at, derived) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (source, target, kind) DO UPDATE SET
        used_at = coalesce(max(used_at, excluded.used_at), used_at, excluded.used_at),
        reason = CASE WHEN excluded.derived < derived OR excluded.weight > weight OR reason = '' THEN excluded.reason ELSE reason END,
        weight = CASE WHEN excluded.derived < derived THEN excluded.weight ELSE max(weight, excluded.weight) END,
        derived = excluded.derived
    WHERE excluded.derived <= derived
"""
_SEALED: Final = (
    f"UPDATE link AS l SET seal = {SEAL_OF_LINK} WHERE source = ? AND target = ? AND kind = ? AND NOT derived"  # noqa: S608 - constants
)
_BROKEN: Final = f"""
    SELECT l.source, l.target, l.kind FROM json_each(?) j CROSS JOIN link l ON l.source = j.value
    WHERE NOT l.derived AND l.seal IS NOT {SEAL_OF_LINK}
"""  # noqa: S608 - constants
# The note that such a link belongs to: the later one in a thread, else the one that was stored later.
_BELONGING: Final = """
    SELECT l.source, l.target, l.kind, l.weight, l.reason, l.used_at, l.derived
    FROM json_each(?) j CROSS JOIN link l ON l.source = j.value AND l.kind IN ('similar', 'shares')
    UNION ALL
    SELECT l.source, l.target, l.kind, l.weight, l.reason, l.used_at, l.derived
    FROM json_each(?) j CROSS JOIN link l ON l.target = j.value AND l.kind = 'next'
"""
_FULL: Final = """
    SELECT j.value, count(l.source), min(l.weight) FROM json_each(?) j
    LEFT JOIN link l ON l.source = j.value AND l.kind = 'similar' AND l.derived GROUP BY j.value
"""
# The second part rules out by the index on targets alone (`i`), and reads the rest of a link (`l`) only when it is wanted. A link
# between two of the rows is found from both ends.
_TOUCHING: Final = """
    SELECT l.source, l.target, l.kind, l.weight, l.reason, l.used_at, l.derived
    FROM json_each(?1) j CROSS JOIN link l ON l.source = j.value
    WHERE {wanted_l}
    UNION ALL
    SELECT l.source, l.target, l.kind, l.weight, l.reason, l.used_at, l.derived
    FROM json_each(?1) j CROSS JOIN link i ON i.target = j.value CROSS JOIN link l USING (source, target, kind)
    WHERE {wanted_i}
"""
_PUBLIC: Final = """
    SELECT a.uid, b.uid, t.kind, t.weight, t.reason
    FROM (SELECT DISTINCT * FROM ({})) t JOIN note a ON a.id = t.source JOIN note b ON b.id = t.target ORDER BY t.source, t.target, t.kind
"""


class SqliteLinks:
    """:class:`agentmem.notes.storage.LinkTable` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._touching: dict[tuple[str, ...], KnownRows[tuple[LinkRow, ...]]] = {}

    def put(self, links: Sequence[LinkRow]) -> None:
        """Insert links; an existing one keeps the larger weight and the reason that goes with it, and no derived one replaces another."""
        if any(link.source == link.target for link in links):
            raise InvalidArgument("A note cannot be linked to itself.", hint="leave such links out.")
        self._changed(row for link in links for row in link[:2])
        made = [(int(s), int(t), kind) for s, t, kind, _, _, _, derived in links if not derived]
        broken = set(self._db.rows(_BROKEN, (json_list(sorted({link[0] for link in made})),))) if made else set()
        self._db.many(
            _PUT,
            [
                (int(s), int(t), kind, float(w), reason, used, int(derived))
                for s, t, kind, w, reason, used, derived in links
            ],
        )
        if made:  # a link that was damaged stays so, whatever it gains
            self._db.many(_SEALED, [key for key in made if key not in broken])

    def touching(
        self, rows: Sequence[int], kinds: Sequence[str] | None = None, *, without: Sequence[str] = ()
    ) -> list[LinkRow]:
        """Links that start or end at any of ``rows``, each once; those of the kinds ``without`` are not read."""
        left = tuple(without)
        if not left:  # only who reads again and again says what may be left out
            found = {link for links in self._read(rows, left).values() for link in links}
        else:
            known = self._touching.setdefault(left, KnownRows(self._db))
            found = {link for links in known.get(rows, lambda rows: self._read(rows, left)).values() for link in links}
        return [link for link in sorted(found) if kinds is None or link.kind in kinds]

    def _read(self, rows: Sequence[int], without: tuple[str, ...]) -> dict[int, tuple[LinkRow, ...]]:
        """The links of each row, from the table."""
        links: dict[int, list[LinkRow]] = {row: [] for row in rows}
        for found in set(self._db.rows(_touching(len(without)), (json_list(list(links)), *without))):
            link = _link(found)
            for row in link[:2]:
                if row in links:
                    links[row].append(link)
        return {row: tuple(found) for row, found in links.items()}

    def _changed(self, rows: Iterable[int]) -> None:
        ends = list(rows) if self._touching else []
        for known in self._touching.values():
            known.drop(ends)

    def delete(self, source: int, target: int, kind: str | None = None) -> int:
        """Remove the link of a kind between two rows, or all of them; returns how many."""
        self._changed((source, target))
        sql, values = "DELETE FROM link WHERE source = ? AND target = ?", [int(source), int(target)]
        if kind is None:
            return self._db.run(sql, values)
        return self._db.run(f"{sql} AND kind = ?", [*values, kind])

    def belonging(self, rows: Sequence[int]) -> list[LinkRow]:
        """The links of the kinds that words make, derived or not, that belong to ``rows``."""
        among = json_list(rows)
        return [_link(found) for found in self._db.rows(_BELONGING, (among, among))]

    def weakest(self, rows: Sequence[int]) -> dict[int, tuple[int, float]]:
        """Of each of ``rows`` how many derived `similar` links it has, and the least weight among them (1 without any)."""
        return {
            row: (count, 1.0 if least is None else least)
            for row, count, least in self._db.rows(_FULL, (json_list(rows),))
        }

    def delete_rows(self, rows: Sequence[int]) -> int:
        """Remove every link that touches ``rows``; returns how many."""
        self._db.unsettle()
        among = (json_list(rows),)
        starting = self._db.run("DELETE FROM link WHERE source IN (SELECT value FROM json_each(?))", among)
        return starting + self._db.run("DELETE FROM link WHERE target IN (SELECT value FROM json_each(?))", among)

    def delete_kinds(self, kinds: Sequence[str]) -> int:
        """Remove every link of these kinds; returns how many."""
        self._db.unsettle()
        return self._db.run(
            "DELETE FROM link WHERE kind IN (SELECT value FROM json_each(?))", (json.dumps(list(kinds)),)
        )

    def derived_from(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """Rows directly derived from any of ``rows``, each with all the rows it was derived from."""
        found = self._db.rows(
            "SELECT source, target FROM link WHERE kind = 'derived_from' AND source IN (SELECT l.source FROM link l "
            "WHERE l.kind = 'derived_from' AND l.target IN (SELECT value FROM json_each(?))) ORDER BY source, target",
            (json_list(rows),),
        )
        origins: dict[int, list[int]] = {}
        for source, target in found:
            origins.setdefault(source, []).append(target)
        return origins

    def count(self) -> int:
        """How many links there are."""
        return int(self._db.value("SELECT count(*) FROM link"))

    def public(self, rows: Sequence[int]) -> list[Link]:
        """Links touching ``rows``, with ids instead of rows."""
        return [
            Link(*row) for row in self._db.rows(_PUBLIC.format(_touching(0)), (json_list(list(dict.fromkeys(rows))),))
        ]


def _link(found: tuple[Any, ...]) -> LinkRow:
    return LinkRow._make((*found[:6], bool(found[6])))


def _touching(kinds: int) -> str:
    """Links that start or end at given rows, without so many kinds; comparing a few texts is cheaper than a look-up in a list."""
    left = {
        f"wanted_{name}": " AND ".join(f"{name}.kind <> ?{2 + n}" for n in range(kinds)) or "1" for name in ("l", "i")
    }
    return _TOUCHING.format(**left)
