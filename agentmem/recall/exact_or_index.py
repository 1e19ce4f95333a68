"""How to look for the nearest vectors of a scope: the cheapest way that is exact enough, and why. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from agentmem.settings import IndexSettings

__all__ = ["SearchPlan", "Way", "choose", "shortlist"]

Way = Literal["exact", "signs", "chroma", "hnsw"]

# Microseconds, as benchmarks/scale.py measures them (384 dimensions, one thread, nothing in the processor's cache). What
# matters is their ratio: it says from which size on counting sign bits is cheaper than multiplying.
SCAN = 0.10
"""… per vector that is compared in full."""
SIGNS = 0.02
"""… per vector whose sign bits are compared."""
RESCORE = 0.3
"""… per vector of the shortlist, which is gathered from all over the block."""

SHORTLIST = 36
"""Vectors compared in full per result wanted, among 100,000. Of the 200 nearest such a shortlist holds 0.996 where noise is most
of each vector; of MiniLM vectors, among 5,000 and with the shortlist that belongs to those, 0.998; of the ten nearest, all."""
AMONG = 100_000
FEWEST = 800
"""Never fewer than this: the first few results would suffer."""


def shortlist(size: int, wanted: int) -> int:
    """How many vectors the ``wanted`` nearest of ``size`` are sought among: the bits tell more of them apart the fewer there are."""
    return max(FEWEST, wanted, round(SHORTLIST * wanted * math.sqrt(size / AMONG)))


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """One way of finding the nearest vectors.

    ``exact``: every vector is compared; ``signs``: a shortlist by sign bits (``shortlist`` vectors of each owner) is
    compared in full; ``chroma``, ``hnsw``: the vector index, in files or in the database, proposes, and what it has not seen yet is compared too.
    """

    way: Way
    why: str
    size: int
    shortlist: int = 0

    def describe(self) -> dict[str, object]:
        """What a :class:`~agentmem.recall.result.Recollection` says about it."""
        named: dict[str, object] = {"vectors": self.way, "why": self.why, "size": self.size}
        return named | ({"shortlist": self.shortlist} if self.shortlist else {})


def choose(
    size: int,
    wanted: int,
    settings: IndexSettings,
    *,
    index: str = "none",
    only: int | None = None,
    way: Way = "chroma",
) -> SearchPlan:
    """The plan for a scope of ``size`` vectors of which the ``wanted`` nearest are asked for.

    Args:
        size: vectors in the scope; anything above ``settings.exact_limit`` means "more than that".
        wanted: how many results.
        settings: up to which size vectors are kept in memory.
        index: health of the vector index: ``ok``, or why it cannot be asked.
        way: which index that is.
        only: to how many rows a filter has narrowed the search already.
    """
    if only is not None:
        return SearchPlan("exact", f"a filter leaves {only} notes", only)
    if size > settings.exact_limit:
        if index == "ok":
            return SearchPlan(way, f"more than {settings.exact_limit:,} vectors are not kept in memory", size)
        why = f"the vector index is {index}"
    else:
        why = ""
    compared = shortlist(size, wanted)
    full, short = SCAN * size, SIGNS * size + RESCORE * compared
    if short < full:
        return SearchPlan(
            "signs", why or f"about {short / 1000:.1f} ms instead of {full / 1000:.1f} for all", size, compared
        )
    return SearchPlan("exact", why or f"{size:,} vectors are compared sooner than a shortlist is made", size)
