"""Which entities and rare keywords notes mention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agentmem.notes.engine import Row
from agentmem.notes.tables import TERM, Among, Span
from agentmem.records.area import Area

__all__ = ["Terms"]


class Terms(Area):
    """Terms by note, and notes by term, each owner's apart."""

    def of(self, rows: Sequence[int]) -> dict[int, list[str]]:
        """The terms that each of ``rows`` mentions, in alphabetical order."""
        found: dict[int, list[str]] = {row: [] for row in rows}
        for row, term in self._tables.find(TERM, {"row": Among(rows)}, columns=("row", "term"), order=("row", "term")):
            found[row].append(term)
        return found

    def find(self, owner: int, terms: Sequence[str], limit: int = 32) -> dict[str, list[int]]:
        """For each known term the most recent rows that mention it, newest first."""
        found = self._tables.find_of_each(
            TERM, {"owner": owner, "term": Among(terms)}, "term",
            columns=("term", "row"), order="row", limit=limit, newest=True,
        )  # fmt: skip
        return {term: rows[::-1] for term, rows in _by_term(found).items()}

    def before(self, owner: int, row: int, terms: Sequence[str], limit: int) -> dict[str, list[int]]:
        """For each known term the last rows before ``row`` that mention it, at most ``limit``, oldest first."""
        asked = {"owner": owner, "term": Among(terms), "row": Span(below=row)}
        return _by_term(
            self._tables.find_of_each(
                TERM, asked, "term", columns=("term", "row"), order="row", limit=limit, newest=True
            )
        )

    def first(self, owner: int, terms: Sequence[str], limit: int) -> list[int]:
        """The rows that are among the first ``limit`` to mention one of these terms."""
        asked = {"owner": owner, "term": Among(terms)}
        found = self._tables.find_of_each(TERM, asked, "term", columns=("row",), order="row", limit=limit)
        return sorted({row for (row,) in found})

    def add(self, mentions: Iterable[tuple[int, int, Iterable[str]]]) -> None:
        """Remember which terms notes mention: (owner, row, terms) each."""
        self._tables.put(TERM, [(owner, term, row) for owner, row, terms in mentions for term in terms], keep=True)

    def replace(self, owner: int, row: int, terms: Iterable[str]) -> None:
        """Remember what a note mentions now, in place of what it mentioned before."""
        self._tables.delete(TERM, {"row": row})
        self.add([(owner, row, terms)])

    def delete(self, rows: Sequence[int]) -> int:
        """Forget what notes mention; returns how many mentions there were."""
        return self._tables.delete(TERM, {"row": Among(rows)})


def _by_term(found: Iterable[Row]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for term, row in found:
        rows.setdefault(term, []).append(row)
    return rows
