"""What a batch of new notes writes in one go at its end, and what its own items must see of that before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentmem.notes.note import Link, Note
from agentmem.notes.rows import LinkRow
from agentmem.projections.project import Projected, project
from agentmem.records.transaction import Transaction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["PendingRows"]


class PendingRows:
    """Vectors, outbox, links, terms and full text of the notes of one transaction.

    A statement per note and table costs more than the rows themselves, so they are collected; notes and facts are not, since
    later items of the batch look them up. Terms are looked up too: those found once are kept here with what was added since.

    Args:
        tx: the write that stores the batch; vectors: of its items, shape (items, dimension), ``None`` without items; passages: of
            those items that are long, shape (passages, dimension) each.
        mentions: how many rows that mention a term are wanted at most.
    """

    def __init__(
        self, tx: Transaction, vectors: Vectors | None, passages: Sequence[Vectors | None], mentions: int
    ) -> None:
        self._tx = tx
        self._vectors = vectors
        self._passages = passages
        self._mentions = mentions
        self._stored: list[Projected] = []
        self._links: list[LinkRow] = []
        self._terms: dict[int, Sequence[str]] = {}
        self._found: dict[int, dict[str, list[int]]] = {}

    def store(self, row: int, owner: int, place: int, note: Note) -> None:
        """The note of item ``place`` lies in ``row``."""
        assert self._vectors is not None
        self._stored.append(Projected(row, owner, note, self._vectors[place], self._passages[place]))

    def link(self, links: Sequence[LinkRow]) -> None:
        self._links += links

    def expect(self, owner: int, terms: Sequence[str]) -> None:
        """These terms are going to be mentioned: look all of them up at once."""
        found = self._found.setdefault(owner, {})
        unknown = [term for term in terms if term not in found]
        if unknown:
            read = self._tx.terms.find(owner, unknown, self._mentions)
            found.update((term, read.get(term, [])[::-1]) for term in unknown)

    def mention(self, row: int, owner: int, terms: Sequence[str]) -> dict[str, list[int]]:
        """Note that a row mentions these terms; returns which rows mentioned each of them before, oldest first."""
        self.expect(owner, terms)
        found, before = self._found[owner], {}
        for term in terms:
            rows = found[term]
            if rows:
                before[term] = rows[-self._mentions :]
            rows.append(row)
        self._terms[row] = terms
        return before

    def mentioning(self, owner: int, term: str) -> Sequence[int]:
        """Which rows mention a term, those of the batch among them, oldest first."""
        self.expect(owner, [term])
        return self._found[owner][term][-self._mentions :]

    def write(self) -> None:
        """Everything collected, table by table."""
        project(self._tx, self._stored, terms=self._terms)
        self._tx.links.put(self._links)

    def public(self, linked: Sequence[Sequence[LinkRow]], known: dict[int, str]) -> list[tuple[Link, ...]]:
        """Several lists of links with ids instead of rows; ``known`` has the ids of the batch's own rows."""
        ends = {row for links in linked for link in links for row in (link.source, link.target)}
        ids = known | self._tx.notes.ids_of(sorted(ends - known.keys()))
        return [
            tuple(
                Link(ids[link.source], ids[link.target], link.kind, link.weight, link.reason)
                for link in links
                if link.source in ids and link.target in ids
            )
            for links in linked
        ]
