"""Full text: BM25 over the words of a note and of its neighbours, within the owners of a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.where import json_list

__all__ = ["SqliteText", "match_expression"]

_MAX_WORDS: Final = 64
_MAX_LENGTH: Final = 200
_SEARCH: Final = "SELECT rowid, -bm25(fts, 1.0, 0.5, 0.0) AS score FROM fts WHERE fts MATCH ? ORDER BY score DESC, rowid LIMIT ?"
_SOME: Final = "SELECT count(*) FROM (SELECT 1 FROM fts WHERE fts MATCH ? LIMIT ?)"
_MANY: Final = "SELECT 1 FROM fts_docsize LIMIT 1 OFFSET ?"
_MANY_OF: Final = "SELECT 1 FROM note WHERE owner = ? LIMIT 1 OFFSET ?"
_SCORED: Final = 1500
"""How many matches are scored: BM25 costs twenty times what finding a match costs."""
_PUT: Final = "INSERT OR REPLACE INTO fts (rowid, content, context, scope) VALUES (?, ?, ?, ?)"


class SqliteText:
    """:class:`agentmem.storage.TextTable` on FTS5."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, row: int, owner: int, content: str, context: str) -> None:
        """Index a note, or index it anew."""
        self._db.run(_PUT, (int(row), content, context, f"o{int(owner)}"))

    def put_many(self, items: Iterable[tuple[int, int, str, str]]) -> None:
        """Index (row, owner, content, context) each."""
        self._db.many(
            _PUT, ((int(row), text, context, f"o{int(owner)}") for row, owner, text, context in items)
        )

    def set_context(self, row: int, context: str) -> None:
        """Change what the neighbours of a note say."""
        self._db.run("UPDATE fts SET context = ? WHERE rowid = ?", (context, int(row)))

    def delete(self, rows: Sequence[int]) -> int:
        """Take notes out of the index; returns how many were in it."""
        return self._db.run(
            "DELETE FROM fts WHERE rowid IN (SELECT value FROM json_each(?))", (json_list(rows),)
        )

    def search(self, words: Sequence[str], owners: Sequence[int], limit: int) -> list[tuple[int, float]]:
        """(row, score), best first; any of ``words`` may match, several words in one as a phrase.

        In a large scope the commonest words are left out where rarer ones remain: they match nearly everything, decide
        next to nothing, and would take nearly all of the time.
        """
        if not owners or limit < 1:
            return []
        among = () if self._all(owners) else owners
        expression = match_expression(self._telling(words, among, max(_SCORED, 5 * limit)), among)
        return self._db.rows(_SEARCH, (expression, limit)) if expression else []

    def differing(self, items: Iterable[tuple[int, int, str, str]]) -> list[int]:
        """Those rows of (row, owner, content, context) that are indexed otherwise, or not at all."""
        wanted = {int(row): (content, context, f"o{int(owner)}") for row, owner, content, context in items}
        sql = "SELECT j.value, f.content, f.context, f.scope FROM json_each(?) j LEFT JOIN fts f ON f.rowid = j.value"
        return [row for row, *found in self._db.rows(sql, (json_list(list(wanted)),)) if tuple(found) != wanted[row]]

    def count(self) -> int:
        """How many notes are indexed."""
        return int(self._db.value("SELECT count(*) FROM fts_docsize"))

    def clear(self) -> None:
        """Take every note out of the index."""
        self._db.run("DELETE FROM fts")

    def rebuild(self) -> int:
        """Build the index anew from the texts it was given; returns how many there are."""
        self._db.run("INSERT INTO fts (fts) VALUES ('rebuild')")
        return self.count()

    def _telling(self, words: Sequence[str], owners: Sequence[int], enough: int) -> Sequence[str]:
        """The rarest of ``words``, as many as match about ``enough`` notes together; one at least."""
        counted = [self._db.answer(_MANY_OF, (int(owner), enough)) for owner in owners] or [self._db.answer(_MANY, (enough,))]
        if len(words) < 2 or not any(counted):
            return words
        together = match_expression(words, owners)
        if not together or int(self._db.value(_SOME, (together, enough + 1))) <= enough:
            return words
        matches: dict[str, int] = {}
        for word in list(dict.fromkeys(words))[:_MAX_WORDS]:
            expression = match_expression([word], owners)
            matches[word] = int(self._db.value(_SOME, (expression, enough + 1))) if expression else 0
        kept: set[str] = set()
        total = 0
        for word in sorted(matches, key=lambda word: matches[word]):
            total += matches[word]
            if total > enough and any(matches[other] for other in kept):
                break
            kept.add(word)
        return [word for word in words if word in kept]

    def _all(self, owners: Sequence[int]) -> bool:
        """True when nobody else's notes exist, so that the scope need not be searched for."""
        others = "SELECT EXISTS (SELECT 1 FROM owner WHERE id NOT IN (SELECT value FROM json_each(?)))"
        return not self._db.answer(others, (json_list(owners),))[0][0]


def match_expression(words: Sequence[str], owners: Sequence[int]) -> str:
    """An FTS5 query for any of ``words`` within ``owners`` (all when empty); each word is data, never syntax.

    Words without a letter or digit have no tokens and are left out; at most 64 words are used.
    """
    quoted: dict[str, None] = {}
    for word in words:
        cleaned = word[:_MAX_LENGTH].replace("\0", " ").encode("utf-8", "ignore").decode()
        if any(character.isalnum() for character in cleaned):
            quoted['"' + cleaned.replace('"', '""') + '"'] = None
        if len(quoted) == _MAX_WORDS:
            break
    if not quoted:
        return ""
    # the columns are named, so that a word like "o7" cannot match somebody's scope token
    anything = "{content context} : (" + " OR ".join(quoted) + ")"
    if not owners:
        return anything
    scope = " OR ".join(f'"o{int(owner)}"' for owner in owners)
    return f"scope : ({scope}) AND {anything}"
