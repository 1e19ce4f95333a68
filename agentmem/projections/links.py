"""The links that notes have by their words, kept what they would be if they were made anew.

A note has these links with what was stored before it: `next` from the note before it in its thread, `similar` to the nearest ones, and
`shares` to those with which it shares rare terms (:func:`agentmem.projections.linking.link_words`). They are a function of the notes as they are
now, in the order in which they were stored, whatever happened in between:

* words that were changed count as if they had been said at first, with all that followed from them for later notes;
* a note that was forgotten was never there: the notes around it in its thread follow each other, and the next best take its place;
* a note that is archived, superseded or closed is linked as any other, and what was merged into one is no note;
* an imported note is stored when it is imported, and the links that the file says words made are made here instead; but for an owner who
  has nothing but the notes of a trusted file, they are what the file says (:mod:`agentmem.transfer.restored_links`).

So incremental writing, an import and a rebuild make the same graph: the same ends, kinds, reasons and weights, to the last bit where the
vectors are the same (:mod:`agentmem.notes.cosines`). A model that computes them anew may give others in their last digits; a link of which only
that, or which of several equally near notes it leads to, would be other is left as it is. Links that a person, history, use or a model made are none of this, and
stay as they are. Experiences are met by acting: they have none, and lie in a space of their own. An owner with more notes than ``settings.remember.neighbour_limit`` is not
compared for similarity: there the `similar` links are what they were when they were made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from agentmem.core import Core
from agentmem.notes.rows import LinkRow
from agentmem.notes.spaces import is_lived
from agentmem.projections.linking import SIMILAR, link_words, terms_of
from agentmem.records.transaction import Transaction

__all__ = ["GRAPH_DUE", "WordLinks", "named"]

GRAPH_DUE: Final = "graph_due"
"""Under which the store keeps that terms and links have to be made anew, of other words or other vectors: the next flush does it."""

NEIGHBOURS: Final = 8
CHUNK: Final = 256
DIGITS: Final = 1e-4
"""Cosines of the same words differ by less, wherever and beside whatever else their vectors are computed."""
Near = tuple[int, float]


class WordLinks:
    """Makes, renews and compares the links of notes by their words, inside one transaction.

    Args:
        core: the settings, and the vectors in memory; tx: where the notes are, with their vectors and terms.
    """

    def __init__(self, core: Core, tx: Transaction) -> None:
        self._core, self._tx = core, tx
        self._settings = core.settings.remember

    def of(self, rows: Iterable[int]) -> dict[int, list[LinkRow]]:
        """The links that belong to each of ``rows``, as the notes are now."""
        made: dict[int, list[LinkRow]] = {}
        for owner, notes in self._by_owner(sorted(set(rows))).items():
            before, near, terms = self._tx.threads.before(notes), self._near(owner, notes), self._tx.terms.of(notes)
            for row in notes:
                mentions = self._tx.terms.before(owner, row, terms[row], self._settings.rare + 1) if terms[row] else {}
                made[row] = link_words(
                    row, self._settings, before=before.get(row), near=near.get(row, ()), mentions=mentions
                )
            if self._too_large(owner):  # its `similar` links stay as they are
                for link in self._tx.links.belonging(notes):
                    if link.kind == SIMILAR and link.derived:
                        made[link.source].append(link)
        return made

    def renew(self, rows: Iterable[int]) -> int:
        """Make the links of ``rows`` what they should be; returns how many were missing."""
        wanted, added = sorted(set(rows)), 0
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            missing, left = self._compared(part)
            for link in left:
                self._tx.links.delete(link.source, link.target, link.kind)
            self._tx.links.put(missing)
            added += len(missing)
        return added

    def depending(self, rows: Sequence[int], unchanged: Collection[str] = ()) -> set[int]:
        """Other notes whose links may be others without ``rows``, or with other words in them: asked before those go or change.

        Args:
            unchanged: terms that the rows keep.
        """
        gone = set(rows)
        found = set(self._tx.threads.after(rows).values())
        found |= {
            link.source for link in self._tx.links.touching(rows, (SIMILAR,)) if link.derived and link.target in gone
        }
        for owner, notes in self._by_owner(rows).items():
            terms = {term for each in self._tx.terms.of(notes).values() for term in each}.difference(unchanged)
            first, reach = (
                min(notes),
                self._settings.rare + 1 + len(notes),
            )  # a term that is rare, or becomes so without these
            found |= {row for row in self._tx.terms.first(owner, sorted(terms), reach) if row > first}
        return found - gone

    def drawn(self, row: int) -> set[int]:
        """Later notes that are near enough to the words that a note has now to be linked to it, unless they have nearer ones in plenty."""
        (owner,) = self._by_owner([row])
        known, vectors = self._tx.vectors.load([row])
        most = self._settings.max_similar
        if not len(known) or not most or self._too_large(owner):
            return set()
        (found,) = self._core.exact.nearest(self._tx, owner, vectors, 1 << 31, self._settings.similar)
        near = {other: cosine for other, cosine in found if other > row}
        weakest = self._tx.links.weakest(list(near))
        return {other for other, (count, least) in weakest.items() if count < most or near[other] > least - DIGITS}

    def differences(self, rows: Sequence[int]) -> tuple[list[LinkRow], list[LinkRow]]:
        """(missing, too many) among the links of ``rows``; of equally near notes either may be linked."""
        missing, left = self._compared(rows)
        for link in [each for each in left if each.kind == SIMILAR]:
            equal = [
                k
                for k in missing
                if k[0] == link.source
                and k[1] != link.target
                and k.kind == SIMILAR
                and abs(k.weight - link.weight) < DIGITS
            ]
            if equal and abs(self._cosine(link) - link.weight) < DIGITS:
                left.remove(link)
                missing.remove(equal[0])
        edge = self._settings.similar
        missing = [link for link in missing if link.kind != SIMILAR or link.weight > edge + DIGITS]
        left = [link for link in left if link.kind != SIMILAR or abs(self._cosine(link) - edge) > DIGITS]
        return missing, left

    def terms(self, rows: Sequence[int]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
        """The terms that each of ``rows`` should have, and those that it has."""
        notes, spaces = self._tx.notes.load(rows), self._tx.spaces(rows)
        wanted = {row: [] if is_lived(spaces[row]) else sorted(terms_of(note.content)) for row, note in notes.items()}
        return wanted, self._tx.terms.of(rows)

    def _compared(self, rows: Sequence[int]) -> tuple[list[LinkRow], list[LinkRow]]:
        wanted = {link[:3]: link for links in self.of(rows).values() for link in links}
        there = {link[:3]: link for link in self._tx.links.belonging(rows)}
        held = {key: link for key, link in there.items() if link.derived}
        wrong = {key for key, link in held.items() if key not in wanted or not _same(wanted[key], link)}
        missing = [link for key, link in wanted.items() if key not in there or key in wrong]
        return missing, [held[key] for key in sorted(wrong)]

    def _by_owner(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """Those of ``rows`` that words can link."""
        return {space: found for space, found in self._tx.by_space(rows).items() if not is_lived(space)}

    def _near(self, owner: int, rows: Sequence[int]) -> dict[int, list[Near]]:
        """(row, cosine) of the nearest notes stored before each of ``rows``; nothing of an owner that is too large to be compared."""
        known, vectors = self._tx.vectors.load(rows)
        if not len(known) or self._too_large(owner):
            return {}
        k = max(NEIGHBOURS, self._settings.max_similar)
        before = known.tolist()
        near = self._core.exact.nearest(self._tx, owner, vectors, k, self._settings.similar, before=before)
        return dict(zip(before, near, strict=True))

    def _too_large(self, owner: int) -> bool:
        limit = self._settings.neighbour_limit
        return self._core.exact.count(self._tx, (owner,), limit) > limit

    def _cosine(self, link: LinkRow) -> float:
        """Of the two ends of a link, as their vectors are now; below any other when one has none."""
        from agentmem.notes.cosines import as_stored, cosines

        rows, vectors = self._tx.vectors.load(link[:2])
        if len(rows) < 2:
            return -2.0
        stored = as_stored(vectors)
        return float(cosines(stored[0], stored[1:])[0])


def _same(wanted: LinkRow, held: LinkRow) -> bool:
    """Equal but for the last digits of a cosine; the reason is then the one that goes with the weight that is held."""
    if wanted.kind != SIMILAR:
        return abs(wanted.weight - held.weight) < 1e-9 and wanted.reason == held.reason
    return (
        abs(wanted.weight - held.weight) < DIGITS
        and held.reason == f"{wanted.reason.rpartition('(')[0]}({held.weight:.2f})"
    )


def named(link: LinkRow, ids: Mapping[int, str]) -> str:
    """A link in words, for reports."""
    return f"{link.kind} from {ids.get(link.source, '?')} to {ids.get(link.target, '?')}"
