"""The note graph as a table of links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from agentmem.errors import InvalidArgument
from agentmem.notes.engine import Row, Tables
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.note import Link
from agentmem.notes.rows import LinkRow
from agentmem.notes.tables import LINK, NOTE, Among, Without
from agentmem.records.area import Area
from agentmem.records.known import KnownRows

__all__ = ["Links"]

_ROW: Final = LinkRow._fields
_OF_LATER: Final = ("similar", "shares")
"""Kinds that belong to the note at their start, which was stored later; ``next`` belongs to the one at its end."""


class Links(Area):
    """Links by the rows of their ends, each once for its ends and kind."""

    def __init__(self, tables: GuardedTables, everybodys: Tables) -> None:
        super().__init__(tables, everybodys)
        self._touching: dict[tuple[str, ...], KnownRows[tuple[LinkRow, ...]]] = {}

    def put(self, links: Sequence[LinkRow]) -> None:
        """Insert links; an existing one keeps the larger weight and the reason that goes with it, and no derived one replaces another."""
        if any(link.source == link.target for link in links):
            raise InvalidArgument("A note cannot be linked to itself.", hint="leave such links out.")
        if not links:
            return
        self._tables.need_rows({row for link in links for row in link[:2]}, "link: put")
        self._changed(row for link in links for row in link[:2])
        asked = {"source": Among([link.source for link in links]), "target": Among([link.target for link in links])}
        standing = {link[:3]: link for link in map(_link, self._tables.find(LINK, asked, columns=_ROW, order=()))}
        new: dict[tuple[int, int, str], LinkRow] = {}
        for link in links:
            key = link[:3]
            if key in standing:
                self._strengthen(standing, key, link)
            else:
                new[key] = _merged(new[key], link) if key in new else link
        self._tables.put(LINK, new.values())

    def replace(self, links: Sequence[LinkRow]) -> None:
        """Write links, each once for its ends and kind, in the place of those that are there, whatever these weigh."""
        self._tables.put(LINK, links)
        self._changed(row for link in links for row in link[:2])

    def touching(
        self, rows: Sequence[int], kinds: Sequence[str] | None = None, *, without: Sequence[str] = ()
    ) -> list[LinkRow]:
        """Links that start or end at any of ``rows``, each once; those of the kinds ``without`` are not read."""
        left = tuple(without)
        if not left:  # only who reads again and again says what may be left out
            found = {link for links in self._read(rows, left).values() for link in links}
        else:
            known = self._touching.setdefault(left, KnownRows(self._tables))
            found = {link for links in known.get(rows, lambda rows: self._read(rows, left)).values() for link in links}
        return self._admitted(link for link in sorted(found) if kinds is None or link.kind in kinds)

    def starting(self, rows: Sequence[int]) -> int:
        """How many links start at ``rows`` and end at notes that the request may see."""
        return self._tables.count(LINK, {"source": Among(rows)})

    def delete(self, source: int, target: int, kind: str | None = None) -> int:
        """Remove the link of a kind between two rows, or all of them; returns how many."""
        self._tables.need_rows({source, target}, "link: delete")
        self._changed((source, target))
        asked = {"source": source, "target": target}
        return self._everybodys.delete(LINK, asked if kind is None else {**asked, "kind": kind})

    def belonging(self, rows: Sequence[int]) -> list[LinkRow]:
        """The links of the kinds that words make, derived or not, that belong to ``rows``."""
        found = self._tables.find(LINK, {"source": Among(rows), "kind": Among(_OF_LATER)}, columns=_ROW)
        found += self._tables.find(LINK, {"target": Among(rows), "kind": "next"}, columns=_ROW)
        return list(map(_link, found))

    def weakest(self, rows: Sequence[int]) -> dict[int, tuple[int, float]]:
        """Of each of ``rows`` how many derived `similar` links it has, and the least weight among them (1 without any)."""
        asked = {"source": Among(rows), "kind": "similar", "derived": 1}
        found = dict.fromkeys(rows, (0, 1.0))
        for source, weight in self._tables.find(LINK, asked, columns=("source", "weight"), order=()):
            count, least = found[source]
            found[source] = (count + 1, min(least, weight) if count else weight)
        return found

    def delete_rows(self, rows: Sequence[int]) -> int:
        """Remove every link that touches ``rows``; returns how many."""
        self._tables.need_rows(set(rows), "link: delete")
        self._changed(link_end for link in self.touching(rows) for link_end in link[:2])
        starting = self._tables.delete(LINK, {"source": Among(rows)})
        return starting + self._tables.delete(LINK, {"target": Among(rows)})

    def derived_from(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """Rows directly derived from any of ``rows``, each with all the rows it was derived from."""
        derived = {"kind": "derived_from"}
        made = self._tables.find(LINK, {**derived, "target": Among(rows)}, columns=("source",), order=())
        asked = {**derived, "source": Among({source for (source,) in made})}
        origins: dict[int, list[int]] = {}
        for source, target in self._tables.find(LINK, asked, columns=("source", "target")):
            origins.setdefault(source, []).append(target)
        return origins

    def count(self) -> int:
        """How many links there are."""
        return self._tables.count(LINK, {})

    def public(self, rows: Sequence[int]) -> list[Link]:
        """Links touching ``rows``, with ids instead of rows."""
        links = self.touching(rows)
        ends = {row for link in links for row in link[:2]}
        ids: dict[int, str] = dict(self._tables.find(NOTE, {"id": Among(ends)}, columns=("id", "uid"), order=()))
        return [Link(ids[link.source], ids[link.target], *link[2:5]) for link in links]

    def _strengthen(
        self, standing: dict[tuple[int, int, str], LinkRow], key: tuple[int, int, str], link: LinkRow
    ) -> None:
        """What is there gains by what comes; a link that was damaged stays known as such."""
        merged = _merged(standing[key], link)
        if merged != standing[key]:
            values = dict(zip(_ROW[3:], merged[3:], strict=True))
            self._everybodys.change(LINK, dict(zip(LINK.key, key, strict=True)), values)
            standing[key] = merged

    def _read(self, rows: Sequence[int], without: tuple[str, ...]) -> dict[int, tuple[LinkRow, ...]]:
        """The links of each row, from the table, whosever the other end is: what a request may see is asked of each anew."""
        links: dict[int, set[LinkRow]] = {row: set() for row in rows}
        left = {"kind": Without(without)} if without else {}
        for end in ("source", "target"):
            for link in map(_link, self._everybodys.find(LINK, {end: Among(rows), **left}, columns=_ROW, order=())):
                for row in link[:2]:
                    if row in links:
                        links[row].add(link)
        return {row: tuple(found) for row, found in links.items()}

    def _admitted(self, links: Iterable[LinkRow]) -> list[LinkRow]:
        found = list(links)
        foreign = self._tables.foreign({row for link in found for row in link[:2]})
        return [link for link in found if not foreign.intersection(link[:2])] if foreign else found

    def _changed(self, rows: Iterable[int]) -> None:
        ends = list(rows) if self._touching else []
        for known in self._touching.values():
            known.drop(ends)


def _merged(before: LinkRow, link: LinkRow) -> LinkRow:
    """A link that is made once more."""
    if link.derived > before.derived:
        return before
    mine = link.derived < before.derived
    better = mine or link.weight > before.weight or not before.reason
    used = [at for at in (before.used_at, link.used_at) if at is not None]
    return LinkRow(
        *before[:3],
        weight=link.weight if mine else max(before.weight, link.weight),
        reason=link.reason if better else before.reason,
        used_at=max(used) if used else None,
        derived=link.derived,
    )


def _link(found: Row) -> LinkRow:
    return LinkRow._make((*found[:6], bool(found[6])))
