"""The links that words made, as a trusted file has them: put in the place of those that were made when its notes came in.

They are a function of the notes, but not of the notes alone: vectors that are computed again may differ in their last digits, an owner
may have been too large to be compared when a note was stored, and settings change. A backup brings back what was. That holds for an owner
all of whose notes are the file's; where others stand between them, the links are those that all of them make together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agentmem.notes.rows import LinkRow, Selection
from agentmem.projections.linking import NEXT, SHARES, SIMILAR, by_words
from agentmem.records.transaction import Transaction
from agentmem.transfer.format import LinkRecord

__all__ = ["TakenOver"]

_KINDS: Final = (NEXT, SHARES, SIMILAR)
_AT_ONCE: Final = 512


class TakenOver:
    """Goes through the links of a file beside the notes that they start at; an export names both in one order.

    So when a link starts at a note, all links of the notes before it are known, and what else is held of those goes. Only the links of one
    note are kept back from one call to the next.
    """

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._owners: list[int] = []
        self._place: dict[int, int] = {}
        self._notes: Counter[int] = Counter()
        self._open: list[LinkRow] = []
        self._done = 0

    def notes(self, found: Iterable[tuple[int, int]]) -> None:
        """(row, owner) of the next notes of the file that are here, with the words that it has."""
        for row, owner in found:
            self._place[row] = len(self._rows)
            self._rows.append(row)
            self._owners.append(owner)
            self._notes[owner] += 1

    def links(self, tx: Transaction, batch: Sequence[LinkRecord], rows: Mapping[str, int]) -> int:
        """The next links of the file; returns how many more there are now. ``rows`` has their ends that are here."""
        starts = [self._place[rows[link.source]] for link in batch if rows.get(link.source) in self._place]
        known = [*self._open, *_by_words(batch, rows)]
        reached = max([self._done, *starts])
        self._open = [link for link in known if self._place.get(link.source) == reached]
        return self._upto(tx, reached, [link for link in known if self._place.get(link.source, reached) < reached])

    def end(self, tx: Transaction) -> int:
        """The file has no more links; returns how many more there are now."""
        left, self._open = self._open, []
        return self._upto(tx, len(self._rows), left)

    def _upto(self, tx: Transaction, reached: int, links: Sequence[LinkRow]) -> int:
        """Notes before ``reached`` have the links that the file names, and no others that words make."""
        whole = {owner: self._whole(tx, owner) for owner in {self._owners[self._place[link.source]] for link in links}}
        late = [
            link
            for link in links
            if self._place[link.source] < self._done and whole[self._owners[self._place[link.source]]]
        ]
        tx.links.put(late)  # of a file that was put together by hand, in an order of its own
        more = 0
        for start in range(self._done, reached, _AT_ONCE):
            part = range(start, min(start + _AT_ONCE, reached))
            whole |= {owner: self._whole(tx, owner) for owner in {self._owners[place] for place in part} - whole.keys()}
            of = {self._rows[place] for place in part if whole[self._owners[place]]}
            more += _replace(tx, of, [link for link in links if link.source in of])
        self._done = max(self._done, reached)
        return more

    def _whole(self, tx: Transaction, owner: int) -> bool:
        """Whether all notes of an owner are the file's."""
        return tx.notes.count(Selection((owner,), archived=True)) == self._notes[owner]


def _replace(tx: Transaction, rows: set[int], links: Iterable[LinkRow]) -> int:
    wanted = {link[:3]: link for link in links}
    held = {link[:3]: link for link in tx.links.touching(sorted(rows), _KINDS) if link.source in rows and link.derived}
    wrong = [link for key, link in held.items() if wanted.get(key) != link]
    for link in wrong:
        tx.links.delete(link.source, link.target, link.kind)
    tx.links.put([link for key, link in wanted.items() if held.get(key) != link])
    return len(wanted) - len(held)


def _by_words(batch: Iterable[LinkRecord], rows: Mapping[str, int]) -> list[LinkRow]:
    return [
        LinkRow(rows[link.source], rows[link.target], link.kind, link.weight, link.reason, derived=True)
        for link in batch
        if by_words(link.kind, link.reason) and link.source in rows and link.target in rows
    ]
