"""What was said several times in the same words: it is one occurrence, with one place among the candidates and one among the hits.

Who asks the same again and again fills a memory with copies of the question and of its reply. Each of them is as near to a query as the
first, so that together they would take the places of everything else.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agentmem.notes.columns import FacetColumns, Flags, LinkColumns, Rows, Values

__all__ = ["doubles", "onto_one", "said_once", "stand_for"]

EQUAL = 2e-6
"""By how much the cosines of one text and a query may differ: what arithmetic in 32 bits leaves."""


def doubles(rows: Rows, cosine: Values, words: Values) -> Rows:
    """Places of those notes that may be copies, since another comes as near to the query; the one first that would stand for the rest.

    Args:
        rows, cosine, words: [n] notes, ascending, and how well each fits by itself; 0 where there is no vector.
    """
    order = np.argsort(cosine, kind="stable")
    close = np.diff(cosine[order]) <= EQUAL
    doubted = np.zeros(len(order), dtype=bool)
    doubted[1:] |= close
    doubted[:-1] |= close
    at = order[doubted]
    at = at[cosine[at] != 0.0]
    found: Rows = at[np.lexsort((-rows[at], -words[at]))]
    return found


def said_once(rows: Rows, texts: Mapping[int, bytes]) -> Rows:
    """[n] which of ``rows`` stands for each: the first of the same text; ``texts``: a digest of what each says, an embedder's reading of it
    being no proof that two say the same.
    """
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(texts.get(row, b"%d" % row), row) for row in rows.tolist()], dtype=np.int64)


def stand_for(facets: FacetColumns, rows: Rows, same: Rows, alike: tuple[Flags, ...]) -> Rows:
    """[n] the place of the note that stands for each of n: its own, unless another of the same text, by the same actor, stands for it.

    Args:
        rows, same: [m] notes, ascending, and which of them stands for each by its text alone.
        alike: each [n]; two notes stand for each other only if both have each of these, or neither.
    """
    own = np.arange(len(facets))
    at = np.searchsorted(rows, facets.rows)
    at = np.where(rows[np.minimum(at, len(rows) - 1)] == facets.rows, at, -1) if len(rows) else np.full(len(own), -1)
    one = np.where(at < 0, own, facets.places(same[at])) if len(rows) else own
    actor = facets.codes("actor")
    for column in (actor, *alike):
        one = np.where((one >= 0) & (column[one] == column), one, own)
    found: Rows = one
    return _newest(found, facets.numbers("occurred_at"))


def _newest(one: Rows, moments: Values) -> Rows:
    """[n] the same, each of several represented by that of them which was said last, whenever it was told."""
    if np.array_equal(one, np.arange(len(one))):
        return one
    # The last of each group; of one moment, the one that stood for it.
    order = np.lexsort((np.arange(len(one)) == one, moments, one))
    last = np.append(one[order][1:] != one[order][:-1], True)
    newest = one.copy()
    newest[one[order][last]] = order[last]
    found: Rows = newest[one]
    return found


def onto_one(facets: FacetColumns, links: LinkColumns, rows: Rows, same: Rows, one: Rows) -> LinkColumns:
    """Links between what stands for their ends; ``rows``, ``same``: as in :func:`stand_for`, which gave ``one``."""
    if np.array_equal(rows, same):
        return links
    stands, here = same.copy(), facets.places(rows)
    stands[here >= 0] = facets.rows[one[here[here >= 0]]]
    return links.onto(rows, stands)
