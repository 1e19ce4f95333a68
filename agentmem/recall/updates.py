"""What newer notes make of older ones: links between them, and who stands for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agentmem.notes.columns import FacetColumns, Flags, LinkColumns, Rows, Values
from agentmem.recall.echoes import BEHIND, Alike
from agentmem.recall.query import QueryView

__all__ = ["LINK_CONDUCTANCE", "AmongRanked", "inherited", "interference", "newer_first", "updated"]

LINK_CONDUCTANCE: Mapping[str, float] = {
    "next": 1.0,
    "user": 1.0,
    "used_together": 1.0,
    "derived_from": 0.5,
    "supports": 0.5,
    "shares": 0.05,
    "similar": 0.1,
    "related": 0.1,
    "contradicts": 0.3,
    "supersedes": 0.3,
    "updates": 0.3,
}
"""How much activation a link of each kind passes on; neighbours in a conversation explain each other best."""

DEFAULT_CONDUCTANCE = 0.5
ALIKE = 0.7
"""Cosine from which two notes may be versions of one thing."""
AS_GOOD = 0.15
"""A rival fits the query at most this much worse: what does not answer it cannot stand for the answer."""
GENERATIONS = 16
"""Values of one fact, each superseded by the next, along which a score is handed on."""
UPDATED = 0.3
"""By how much a note may fit less than an older one that it is surely an update of, and still stand before it; by less the less sure that
is, since a mark may be wrong, and what hardly fits answers nothing.
"""

MARKED = 0.85
"""The probability of a mark from which it orders notes that are both among the first."""
SAME_MATTER = 0.4
"""Cosine from which two notes that fit a query about equally well may be about the same thing at two times; with ..."""
AS_WELL = 0.05
"""... the newer one fitting it at most this much worse, it stands first; and ..."""
LATER = 3_600_000_000
"""... being told at least an hour later, in microseconds."""
FIRST = 10
"""Of so many notes the newer ones stand before older ones: who reads the first page reads the same notes, in another order."""


@dataclass(frozen=True, eq=False)
class AmongRanked:
    """The m links between rows that are ranked: [m] the places of their ends, their weights, which lead to the next turn, and which
    from a note to one that it superseded; the probabilities of those that mark an update, 0 for others.
    """

    sources: Rows
    targets: Rows
    conductance: Values
    onward: Flags
    after: Flags
    updates: Values

    @classmethod
    def of(cls, facets: FacetColumns, links: LinkColumns) -> AmongRanked:
        sources, targets = facets.places(links.sources), facets.places(links.targets)
        known = np.flatnonzero((sources >= 0) & (targets >= 0) & (sources != targets))
        codes: dict[str, int] = {}
        code = np.array([codes.setdefault(kind, len(codes)) for kind in links.kinds], dtype=np.int64)[known]
        passed = np.array([LINK_CONDUCTANCE.get(kind, DEFAULT_CONDUCTANCE) for kind in codes])[code]
        onward, after, marks = (code == codes.get(kind, -1) for kind in ("next", "supersedes", "updates"))
        weights = links.weights[known]
        return cls(sources[known], targets[known], passed * weights, onward, after, weights * marks)


def inherited(base: Values, links: AmongRanked, ended: Flags) -> Values:
    """What a note that no longer holds fits the query better than the one that superseded it; shape (n,).

    It asks for the present value, in the words of the former one perhaps: "My favorite movie is now Parasite" answers for "My
    favourite film is Amelie", and the last of a row of values for all before it.
    """
    passing = links.after & ended[links.targets]
    if not passing.any():
        return np.zeros_like(base)
    newer, older, lifted = links.sources[passing], links.targets[passing], base.copy()
    for _ in range(GENERATIONS):
        before = lifted.copy()
        np.maximum.at(lifted, newer, lifted[older])
        if np.array_equal(lifted, before):
            break
    return lifted - base


def updated(scores: Values, links: AmongRanked) -> Values:
    """[n] what notes gain, so that each stands right before the best older one that it is marked as an update of; ``scores``: [n] so far.

    Among the first ones it does so however much better the older one fits, since both are read anyway.
    """
    gained = np.zeros_like(scores)
    marks = links.updates > 0.0
    if not marks.any():
        return gained
    newer, older, chance = links.sources[marks], links.targets[marks], links.updates[marks]
    missing = scores[older] - scores[newer]
    near = (missing > 0.0) & (missing <= UPDATED * (2.0 * chance - 1.0))
    if len(scores) >= FIRST:
        least = np.partition(scores, -FIRST)[-FIRST]
        near |= (missing > 0.0) & (chance >= MARKED) & (scores[newer] >= least)
    np.maximum.at(gained, newer[near], missing[near] + BEHIND)
    return gained


def newer_first(facets: FacetColumns, scores: Values, alike: Alike, tells: Flags) -> Values:
    """[n] what notes gain, so that each stands before older ones of the same actor and matter that fit hardly better.

    Args:
        scores: [n] theirs so far; alike: of m of them the cosines; tells: [n] which tell something and hold.
    """
    gained = np.zeros_like(scores)
    order = np.argsort(-scores[alike.places], kind="stable")[:FIRST]
    here, cosines = alike.places[order], alike.cosines[np.ix_(order, order)]
    moments, actor, mine = facets.numbers("occurred_at")[here], facets.codes("actor")[here], scores[here]
    ahead = mine[None, :] - mine[:, None]  # [newer, older]
    passes = (cosines >= SAME_MATTER) & (ahead <= AS_WELL) & tells[here][:, None] & tells[here][None, :]
    passes &= (moments[:, None] - moments[None, :] >= LATER) & (actor[:, None] == actor[None, :])
    lifted, most = mine.copy(), mine + AS_WELL + len(here) * BEHIND
    # Of three, the second is put before the first, then the third before both.
    for place in np.argsort(moments, kind="stable"):
        older = lifted[passes[place]]
        older = older[(older >= lifted[place]) & (older < most[place])]
        lifted[place] = max(lifted[place], older.max(initial=-np.inf) + BEHIND)
    gained[here] = lifted - mine
    return gained


def interference(
    facets: FacetColumns,
    base: Values,
    strength: Values,
    alike: Alike,
    query: QueryView,
    ended: Flags | None = None,
) -> Values:
    """How much stronger the strongest rival of each note is, in [0, 1]; shape (n,), zero where there is none.

    Retroactive interference (McGeoch 1932, https://doi.org/10.1037/h0069819): what is forgotten is not what is old, but what newer
    or more practised memories of the same kind have taken the place of. So the curve decides among notes that say nearly the
    same and fit about as well, and costs an old note nothing that is alone in what it says. Notes of another actor, that ask, or
    that no longer hold are no rivals; where the query names a time, notes from that time have rivals only among each other.

    Args:
        base: how well each note fits by itself; strength: retrievability in [0, 1]; ended: which notes no longer hold, none
            without it; all of shape (n,), as ``facets``.
        alike: m of them, and the cosines between each two, shape (m, m).
    """
    lost = np.zeros(len(facets))
    own, other = np.nonzero(alike.cosines >= ALIKE)
    apart = own != other  # nothing has a rival in itself
    if not apart.any():
        return lost
    note, rival = alike.places[own[apart]], alike.places[other[apart]]  # few of all pairs
    able = ~facets.asks if ended is None else ~(facets.asks | ended)
    actor = facets.codes("actor")
    passes = able[rival] & (base[rival] >= base[note] - AS_GOOD) & (actor[note] == actor[rival])
    if query.spans:
        timed = facets.within(query.spans)
        passes &= timed[rival] | ~timed[note]
    np.maximum.at(lost, note[passes], (strength[rival] - strength[note])[passes])
    return lost
