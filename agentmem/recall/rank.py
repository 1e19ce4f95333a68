"""From candidates to a ranking: pure arithmetic on a few hundred rows.

score = cosine + text·bm25 + spread·(activation of linked notes) + small terms for actor, length, session, time,
retrievability, importance, against notes that only ask, and against notes that a stronger memory interferes with. Every part is kept by name, so that a hit can say why it is there. Linear fusion is
used because reciprocal-rank fusion flattens the sharp head of BM25 (measured on LoCoMo: 0.54 against 0.76).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from agentmem.extract import MACHINES
from agentmem.notes.columns import FacetColumns, Flags, LinkColumns, Rows, Values, aligned, places
from agentmem.notes.passages import LONG
from agentmem.notes.quoting import UNTRUSTED_BELOW
from agentmem.recall.copies import onto_one, stand_for
from agentmem.recall.echoes import (
    ASKS,
    Alike,
    Echoes,
    SpokenTurns,
    answered_from_memory,
    behind_their_source,
    echoes,
    repeated,
)
from agentmem.recall.query import QueryView
from agentmem.recall.updates import LINK_CONDUCTANCE, AmongRanked, inherited, interference, newer_first, updated
from agentmem.recall.weights import SWAMPS, RankingWeights
from agentmem.runtime.lazily import cached_property

__all__ = [
    "FAINT",
    "RANKED",
    "Fits",
    "Ranked",
    "Ranking",
    "calibrated",
    "rank",
    "trusted",
]

FAINT = tuple(kind for kind, conductance in LINK_CONDUCTANCE.items() if conductance <= 0.1)
"""Kinds so thin that what they pass on changes no order; recall does not even read them."""

FORWARD = 1.5
"""Times this, activation flows from a turn to the one after it: answers come after what they answer."""
SPREAD_SEEDS = 64
SMALL_SCOPE = 600
"""Notes up to which a point of BM25 is worth its weight: as many as one long conversation has, which the weight was found with."""
RANKED = 160
"""Candidates that are ranked when the query names neither a time nor an actor, which could lift one from far below."""
MIDDLE = RANKED // 2
"""The candidate that fits no better than what would be found for any query."""
MAX_LENGTH = 200
"""Characters from which a note says enough to be an answer: "Yes, in Porto." says little by itself, two sentences do not say more than ten."""
LIFTING = ("semantic", "text", "links", "session", "answers", "actor", "time")
"""Parts by which a note stands high, and which what only asks, or repeats, has no right to."""
SAME_TEXT = 0.9999
"""Cosine from which a note that asks is the query itself, for whatever embedder."""
Conductors = tuple[Rows, Rows, Values]


class Ranked(NamedTuple):
    """A row with its score, the parts of it that are not zero, and the neighbours that lifted it most."""

    row: int
    score: float
    parts: dict[str, float]
    via: tuple[int, ...]


class Ranking:
    """Rows in the order of their scores, and the parts of each score by name.

    Args:
        rows: shape (n,); parts: arrays of shape (n,) that add up to the scores; conductors: (row, neighbour,
            activation that came from it) as three arrays.
    """

    def __init__(self, rows: Rows, parts: Mapping[str, Values], conductors: Conductors) -> None:
        self._names, self._parts = tuple(parts), np.stack(list(parts.values()))
        self._total: Values = self._parts.sum(axis=0)
        # Ties go to the newer row; rounding keeps the order the same on machines that add in another order.
        self._order = np.lexsort((-rows, -np.round(self._total, 9)))
        self._rows, self._conductors = rows, conductors

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, row: int) -> bool:
        return row in self._place

    @cached_property
    def _place(self) -> dict[int, int]:
        return {row: place for place, row in enumerate(self._rows[self._order].tolist())}

    def place(self, row: int) -> int:
        """The rank of a row, counting from 1."""
        return self._place[row] + 1

    def best(self, k: int) -> list[Ranked]:
        """The best ``k`` rows."""
        return self._ranked(self._order[:k])

    def of(self, row: int) -> Ranked:
        """What one row got."""
        place = self._place[row]
        return self._ranked(self._order[place : place + 1])[0]

    def _ranked(self, chosen: Rows) -> list[Ranked]:
        rows, via = self._rows[chosen].tolist(), self._via(self._rows[chosen])
        scores, parts = self._total[chosen].tolist(), self._parts[:, chosen].T.tolist()
        return [
            Ranked(row, score, {name: rounded for name, part in zip(self._names, mine, strict=True) if part and (rounded := round(part, 6))},
                via.get(row, ()))
            for row, score, mine in zip(rows, scores, parts, strict=True)
        ]  # fmt: skip

    def _via(self, rows: Rows, limit: int = 3) -> dict[int, tuple[int, ...]]:
        """For each of ``rows`` that was lifted, the neighbours that lifted it most."""
        here, there, flow = self._conductors
        at = np.flatnonzero(places(here, np.sort(rows)) >= 0)
        near: dict[int, dict[int, float]] = {}
        for row, other, width in zip(here[at].tolist(), there[at].tolist(), flow[at].tolist(), strict=True):
            mine = near.setdefault(row, {})
            mine[other] = max(mine.get(other, 0.0), width)
        return {row: tuple(sorted(mine, key=lambda other: -mine[other])[:limit]) for row, mine in near.items()}


@dataclass(frozen=True, eq=False)
class Fits:
    """How well n notes fit a query, each by itself.

    Attributes:
        rows: [n] ascending; cosine, words: [n], 0 where there is none; words: BM25 by its weight.
        same: [n] the row that stands for each among those of the same text: what is said again comes behind everything else.
    """

    rows: Rows
    cosine: Values
    words: Values
    same: Rows

    @classmethod
    def of(cls, rows: Rows, cosine: Values, words: Values) -> Fits:
        """Where nothing is known of copies."""
        return cls(rows, cosine, words, rows)

    def first(self, count: int) -> Rows:
        """The ``count`` rows with the largest sum of both, best first, equal ones newest first."""
        return self._order[:count]

    def seeds(self) -> Rows:
        """The rows that activation starts from, best first."""
        return self.first(SPREAD_SEEDS)

    def with_copies(self, rows: Rows) -> Rows:
        """Those of the same text as any of ``rows``, themselves among them."""
        found: Rows = self.rows[places(self.same, np.sort(rows)) >= 0]
        return found

    def times(self, rows: Rows) -> Rows:
        """[rows] how many of these notes are of the text of each, 1 for one that is not among them."""
        one, counts = np.unique(self.same, return_counts=True)
        at = places(rows, one)
        return np.where(at < 0, 1, counts[at]) if len(one) else np.ones(len(rows), np.int64)

    def joined(self, rows: Rows, cosine: Values) -> Fits:
        """With further rows that no word of the query is in."""
        if not len(rows):
            return self
        everything = np.concatenate((self.rows, rows))
        order = np.argsort(everything)
        cosines, words = np.concatenate((self.cosine, cosine)), np.concatenate((self.words, np.zeros(len(rows))))
        same = np.concatenate((self.same, rows))
        return Fits(everything[order], cosines[order], words[order], same[order])

    @cached_property
    def _order(self) -> Rows:
        scores = np.maximum(0.0, self.cosine) + self.words
        again = self.same != self.rows
        return self.rows[np.lexsort((-self.rows, -scores, again))]


def trusted(weights: RankingWeights, query: QueryView) -> RankingWeights:
    """The weights for a query: words count for more where it is in scripts that the embedder is not for."""
    if not query.foreign:
        return weights
    return replace(weights, text=min(SWAMPS, weights.text * (1.0 + weights.foreign * query.foreign)))


def calibrated(weights: RankingWeights, notes: int) -> RankingWeights:
    """The weights in a scope of so many notes: a word is the rarer the more there are, and tells no more of what is meant.

    What a rare word is worth grows with the logarithm of the notes, a cosine does not; so a point counts for as much less
    (``benchmarks/mixed_scope.py``).
    """
    if notes <= SMALL_SCOPE:
        return weights
    return replace(weights, text=weights.text * math.log(SMALL_SCOPE) / math.log(notes))


def believed(cosines: Values, query: QueryView) -> Values:
    """What cosines say where a query, and so what answers it, is in scripts that the embedder is not for: nothing. There, two notes of
    which it reads no letter are as near as can be.
    """
    return cosines * (1.0 - query.foreign)


def rank(
    facets: FacetColumns,
    fits: Fits,
    links: LinkColumns,
    query: QueryView,
    weights: RankingWeights,
    *,
    importance: float,
    retrievability: Values,
    ended: Flags,
    asking: Values,
    best: Alike,
    timed: tuple[Values, Values] | None = None,
) -> Ranking:
    """Rank candidates and the neighbours that may be lifted by them.

    Args:
        facets: ranking columns of the n notes to rank; rows that were not admitted are simply not among them.
        fits: cosine and full-text score of these notes, and of others.
        links: links among these rows; importance: what an important note has ahead of an unimportant one; retrievability: [n] R in [0, 1]; ended: [n] which notes no longer hold; asking: [n] how likely each only asks; best: what is known of
            those of them that fit best; timed: what it is worth that each is of the times that the query names, and what more, if those are
            all it asks for.
    """
    rows = facets.rows
    cosine, text = aligned(rows, fits.rows, fits.cosine), aligned(rows, fits.rows, fits.words)
    semantic, near = np.maximum(0.0, cosine), np.where(cosine >= SAME_TEXT, cosine, believed(cosine, query))
    base = semantic + text
    one = stand_for(facets, fits.rows, fits.same, (ended, facets.within(query.spans)))
    among = AmongRanked.of(facets, onto_one(facets, links, fits.rows, fits.same, one))
    meant = facets.having("actor", query.actors.__contains__)
    best = Alike(best.places, believed(best.cosines, query))
    turns = _turns(facets, among, asking)
    memory = answered_from_memory(facets, turns, best, fits.times(rows))
    echo = echoes(facets, near, replace(turns, asking=memory.asking))
    spread, conductors = _spread(rows, base, among, weights, echo)
    short = facets.numbers("length") <= LONG  # a long note says itself what it is about, whatever stands beside it
    parts = {"semantic": semantic, "text": text, "links": spread * short}
    parts["session"] = _session_heat(facets, np.where(echo.asks, 0.0, _telling(base)), weights)
    parts["answers"] = weights.answer * _asked_before(facets, semantic, among) * short
    if not query.spans:  # who asks about a time asks for what held then
        parts["successor"] = weights.successor * inherited(base, among, ended)
    # "What did you recommend?" asks for an assistant's own words, even where they repeat others'.
    parts["reply"] = -weights.reply * (turns.machine & ~meant)
    parts["actor"] = weights.actor * meant
    parts |= _small_terms(facets, weights, importance, retrievability, ended)
    if timed is not None and weights.time:
        parts["time"] = weights.time * timed[0] + timed[1]
    lifted = _sum(parts[name] for name in LIFTING if name in parts)
    parts["echo"] = -np.where(echo.asks, lifted, 0.0) - np.where(echo.replies, text + parts["answers"], 0.0)
    surely = np.where(echo.asks, 0.0, memory.asked)
    parts["asked"] = -np.maximum(weights.asked * echo.surely * base, weights.remembered * surely * lifted)
    parts["remembered"] = -weights.remembered * memory.answers * np.where(meant, 0.0, lifted + parts["echo"])
    parts["interference"] = -weights.interference * interference(facets, base, retrievability, best, query, ended)
    total = _sum(parts.values())
    parts["restates"] = np.where(meant, 0.0, behind_their_source(facets, total, best, turns, echo))
    total += parts["restates"]
    if not query.spans:
        parts["updates"] = updated(total, among)
        total += parts["updates"]
        tells = ~(turns.machine | echo.asks | facets.only_asks | ended) & (turns.asking < ASKS[0])
        parts["newer"] = weights.newer * newer_first(facets, total, best, tells)
        total += parts["newer"]
    # Said again at a time that is asked for it is an occurrence of its own, and stands before what is of no such time.
    lost = np.where(facets.within(query.spans), 1.0, np.maximum(1.0, lifted))
    parts["repeated"] = -weights.repeated * repeated(facets, total, best, one) * lost
    return Ranking(rows, parts, conductors)


def _turns(facets: FacetColumns, among: AmongRanked, asking: Values) -> SpokenTurns:
    machine = facets.having("actor", lambda actor: actor is not None and actor.casefold() in MACHINES)
    return SpokenTurns(
        np.where(machine, 0.0, asking), machine, among.sources[among.onward], among.targets[among.onward]
    )


def _sum(parts: Iterable[Values]) -> Values:
    total: Values = np.sum(list(parts), axis=0)
    return total


def _telling(base: Values) -> Values:
    """[n] by how much each fits better than what would be found for any query: only that tells of the conversation that it is from.

    Else whatever is from one would stand before what is from none, as documents beside chats (``benchmarks/mixed_scope.py``).
    """
    if len(base) <= MIDDLE:
        return base
    above: Values = np.maximum(0.0, base - np.partition(base, -MIDDLE)[-MIDDLE])
    return above


def _spread(
    rows: Rows, base: Values, links: AmongRanked, weights: RankingWeights, echo: Echoes
) -> tuple[Values, Conductors]:
    """One step of spreading activation: each note receives the mean activation of its neighbours, by conductance."""
    here = np.concatenate((links.sources, links.targets))
    there = np.concatenate((links.targets, links.sources))
    onward = np.where(links.onward, FORWARD, 1.0) * links.conductance
    width = np.concatenate((links.conductance, onward))
    width = np.where(echo.asks[there] & echo.replies[here], 0.0, width)
    received = width * base[there]
    total, flow = np.bincount(here, width, len(rows)), np.bincount(here, received, len(rows))
    # A note with one thin link must not receive as much as one with many strong ones: at least unit width.
    return weights.spread * flow / np.maximum(total, 1.0), (rows[here], rows[there], received)


def _asked_before(facets: FacetColumns, semantic: Values, links: AmongRanked) -> Values:
    """How near the question before each note comes to the query: what follows a question probably answers it."""
    asked = np.zeros(len(facets))
    after_question = links.onward & facets.asks[links.sources]
    np.maximum.at(asked, links.targets[after_question], semantic[links.sources[after_question]])
    return asked


def _small_terms(
    facets: FacetColumns, weights: RankingWeights, importance: float, strength: Values, ended: Flags
) -> dict[str, Values]:
    """The additive terms."""

    def mark(weight: float, holds: Flags) -> Values:
        return weight * holds.astype(float)

    return {
        "length": weights.length * np.log1p(np.minimum(facets.numbers("length"), MAX_LENGTH)),
        "retrievability": weights.retrievability * (strength - 1.0),
        "importance": importance * (facets.numbers("importance") - 0.5),
        "question": mark(-weights.question, facets.only_asks),
        "superseded": mark(-weights.superseded, ended),
        "untrusted": mark(-weights.untrusted, facets.numbers("trust") < UNTRUSTED_BELOW),
    }


def _session_heat(facets: FacetColumns, base: Values, weights: RankingWeights) -> Values:
    """Notes from a conversation that holds a strong candidate are a little more likely to be meant."""
    session = facets.codes("session")
    best = np.zeros(session.max(initial=-1) + 2)  # the last one stands for no session
    np.maximum.at(best, session, base)
    best[-1] = 0.0  # notes without a session are not from the same one
    return weights.session * best[session]
