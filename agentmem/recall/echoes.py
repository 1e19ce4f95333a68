"""What is near to a query because it was asked before, and what repeats a note: neither may crowd out the note itself.

An agent stores every turn. After a while the memory holds each question several times, each with its reply, and nothing is as near to
a question as the question. But what only asks tells nothing (:mod:`agentmem.extract.asking` reads which does), and a reply repeats what the
memory had, or did not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agentmem.notes.columns import FacetColumns, Flags, Rows, Values
from agentmem.notes.passages import LONG

__all__ = [
    "ASKS",
    "Alike",
    "Echoes",
    "FromMemory",
    "SpokenTurns",
    "answered_from_memory",
    "behind_their_source",
    "echoes",
    "repeated",
]

ECHO = 0.85
"""Cosine from which a note that may ask is the query, asked before."""
MAY_ASK = 0.2
"""Likelihood from which a note in the query's words only asks."""
ASKS = (0.4, 0.6)
"""Likelihoods up to which a note tells something, and from which on it only asks, whatever the query."""
RESTATES = 0.6
"""Cosine from which what an assistant says repeats what its user told before."""
REPLIED = 3.0
"""What it adds to the log odds that a turn only asks, per cosine by which its reply is nearer to what was told before than to the turn:
logistic regression over all turns of six lives gives 3.9.
"""
FROM_MEMORY = (0.25, 0.45)
"""Likelihoods up to which a turn that was replied to tells something, and from which on it was answered out of what was told before."""
NEARER = 0.1
"""Cosine by which such a reply is nearer to that than to the question, so that it surely repeats it."""
REQUESTS = 0.85
"""How likely a text only asks that does in the query's own words, without a question mark or a reply: terse notes reach .8."""
REPEATED = 0.98
"""Cosine from which two notes are one told twice."""
BEHIND = 0.001
"""By how much what repeats a note stands behind it at least."""


@dataclass(frozen=True, eq=False)
class Alike:
    """Of n notes the m best: [m] their places among the n, and the cosines between each two, shape (m, m)."""

    places: Rows
    cosines: Values


@dataclass(frozen=True, eq=False)
class SpokenTurns:
    """Of n notes: [n] how likely it only asks; [n] what an assistant said; [pairs] turns that follow each other."""

    asking: Values
    machine: Flags
    before: Rows
    after: Rows


@dataclass(frozen=True, eq=False)
class Echoes:
    """Of n notes: [n] which are the query, asked before; [n] what an assistant replied to those; [n] how surely others only ask, in [0, 1]."""

    asks: Flags
    replies: Flags
    surely: Values


@dataclass(frozen=True, eq=False)
class FromMemory:
    """Of n notes: [n] how likely it only asks; [n] how surely it was answered out of what was told before; [n] how surely it is such an answer."""

    asking: Values
    asked: Values
    answers: Values


def answered_from_memory(facets: FacetColumns, turns: SpokenTurns, alike: Alike, times: Rows) -> FromMemory:
    """What the replies say of the turns before them.

    What an assistant says to a statement is about the statement; what it says to a question is about what it found, and so is nearer to notes
    that are older than both. Whoever says the same again, and is replied to again, asks.

    Args:
        times: [n] how often each was said, in these words.
    """
    found = FromMemory(turns.asking.copy(), np.zeros(len(facets)), np.zeros(len(facets)))
    at = np.full(len(facets), -1)
    at[alike.places] = np.arange(len(alike.places))
    pairs = (at[turns.before] >= 0) & (at[turns.after] >= 0) & ~turns.machine[turns.before]
    pairs &= turns.machine[turns.after] & (facets.numbers("length")[turns.after] <= LONG)  # a long one says more
    asked, reply = turns.before[pairs], turns.after[pairs]
    if not len(asked):
        return found
    moments = facets.numbers("occurred_at")
    told = (~turns.machine & (turns.asking < ASKS[0]))[alike.places]
    older = told[None, :] & (moments[alike.places][None, :] < moments[asked][:, None])
    nearest = np.where(older, alike.cosines[at[reply]], -1.0).max(axis=1)
    nearer = np.where(nearest > 0.0, nearest - alike.cosines[at[reply], at[asked]], 0.0)
    odds = np.log((turns.asking[asked] + 0.02) / (1.02 - turns.asking[asked])) + REPLIED * nearer
    told_more = (nearer != 0.0) | (times[asked] > 1)  # else the reply says nothing of the turn
    likely = np.where(told_more, 1.0 / (1.0 + np.exp(-odds - np.log(times[asked]))), turns.asking[asked])
    least, most = FROM_MEMORY
    surely = np.clip((likely - least) / (most - least), 0.0, 1.0)
    found.asking[asked] = likely
    np.maximum.at(found.asked, asked, surely)
    np.maximum.at(found.answers, reply, surely * np.clip(nearer / NEARER, 0.0, 1.0))
    return found


def echoes(facets: FacetColumns, cosine: Values, turns: SpokenTurns) -> Echoes:
    """Notes that tell nothing about the query, near as they may be; ``cosine``: [n] of each and the query.

    What stands in the query's own words without a question mark, and was never replied to, may be what one searches for, unless it is
    surely a request ("Tell me when the pool closes").
    """
    answered = np.zeros(len(cosine), dtype=bool)
    answered[turns.before[turns.machine[turns.after]]] = True
    own_words = cosine >= ECHO
    least, most = ASKS
    surely = np.clip((turns.asking - least) / (most - least), 0.0, 1.0)
    asks = own_words & (turns.asking >= MAY_ASK) & (answered | facets.asks | (turns.asking >= REQUESTS))
    replied = np.zeros(len(cosine), dtype=bool)
    replied[turns.after[asks[turns.before]]] = True
    return Echoes(asks, replied & turns.machine, np.where(own_words, 0.0, surely))


def behind_their_source(facets: FacetColumns, scores: Values, alike: Alike, turns: SpokenTurns, echo: Echoes) -> Values:
    """[n] what notes that an assistant said lose, so that each stands behind what it repeats: the nearest note that others told before;
    ``scores``: [n] theirs so far.
    """
    lost, here = np.zeros(len(facets)), alike.places
    said = (turns.machine & (facets.numbers("length") <= LONG))[here]  # a long one says more than it repeats
    if not said.any() or said.all():
        return lost
    moments = facets.numbers("occurred_at")[here]
    source = ~turns.machine[here] & ~echo.asks[here] & ~facets.only_asks[here] & (echo.surely[here] < 1.0)
    near = np.where(said[:, None] & source[None, :] & (moments[None, :] < moments[:, None]), alike.cosines, -1.0)
    best = near.argmax(axis=1)
    repeats = near[np.arange(len(here)), best] >= RESTATES
    lost[here[repeats]] = np.minimum(0.0, scores[here[best[repeats]]] - BEHIND - scores[here[repeats]])
    return lost


def repeated(facets: FacetColumns, scores: Values, alike: Alike, one: Rows) -> Flags:
    """[n] which notes say the same, nearly word for word, as one that stands before them; ``scores``: [n] theirs so far; ``one``: [n] the
    place of what stands for each, which is before it.
    """
    here = alike.places
    ahead = np.lexsort((-facets.rows[here], -scores[here]))
    place = np.empty(len(here), np.int64)
    place[ahead] = np.arange(len(here))
    behind = np.zeros(len(facets), dtype=bool)
    behind[here] = ((alike.cosines >= REPEATED) & (place[None, :] < place[:, None])).any(axis=1)
    behind |= one != np.arange(len(one))
    return behind
