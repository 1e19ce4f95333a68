"""What is near to a query because it was asked before, and what repeats a note: neither may crowd out the note itself.

An agent stores every turn. After a while the memory holds each question several times, each with its reply, and nothing is as near to
a question as the question. But what asks tells nothing, and a reply repeats what the memory had, or did not know. Three things tell:
how near a note is to the query, how likely it is that it asks (a question mark, or :mod:`agentmem.extract.kinds`), and what was
replied to it: what is nearer to something told before than to what it answers was not told by that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agentmem.notes.columns import FacetColumns, Flags, Rows, Values
from agentmem.notes.passages import LONG

__all__ = [
    "Alike",
    "Echoes",
    "Turns",
    "behind_their_source",
    "behind_what_fits",
    "echoes",
    "repeated",
]

ECHO = 0.85
"""Cosine from which a note that only asks is the query, asked before in much the same words."""
SAME = 0.9
"""Cosine from which a note is the query in nearly the same words; then ..."""
ASKS, MAY_ASK = 0.5, 0.12
"""Likelihoods from which a note asks, and from which one in the query's words does whose reply is about an older note."""
RESTATES = 0.6
"""Cosine from which what an assistant says repeats what its user told before."""
FITS = 0.3
"""Cosine from which a note may be what is asked for."""
TOLD_BEFORE = 0.3
"""Cosine from which a reply may be about an older note, if it is nearer to it than to what it replies to."""
REPEATED = 0.98
"""Cosine from which two notes are one told twice."""
BEHIND = 0.001
"""By how much what repeats a note stands behind it at least."""


@dataclass(frozen=True, eq=False)
class Alike:
    """Of n notes the m best: [m] their places among the n, the cosines between each two, shape (m, m), and how likely each is of which
    kind (:mod:`agentmem.extract.kinds`), shape (m, kinds), where that can be told.
    """

    places: Rows
    cosines: Values
    kinds: Values | None = None


@dataclass(frozen=True, eq=False)
class Turns:
    """Of n notes: [n] how likely it only asks for something; [n] what an assistant said; [pairs] turns that follow each other."""

    asking: Values
    machine: Flags
    before: Rows
    after: Rows


@dataclass(frozen=True, eq=False)
class Echoes:
    """Of n notes: [n] which are the query, asked before; [n] what an assistant replied to those; [n] which only asked for what was told;
    [n] which are the query in its own words, and may have asked or told it.
    """

    asks: Flags
    replies: Flags
    spent: Flags
    doubtful: Flags


def echoes(facets: FacetColumns, cosine: Values, turns: Turns, alike: Alike) -> Echoes:
    """Notes that tell nothing about the query, near as they may be; ``cosine``: [n] of each and the query."""
    answered = _answered_from_before(facets, turns, alike)
    asks = facets.asks & (turns.asking >= MAY_ASK) & (cosine >= ECHO)
    asks |= answered & (turns.asking >= MAY_ASK) & (cosine >= np.where(turns.asking >= ASKS, ECHO, SAME))
    replied = np.zeros(len(facets), dtype=bool)
    replied[turns.after[asks[turns.before]]] = True
    doubtful = ~asks & (turns.asking >= MAY_ASK) & (cosine >= SAME) & ~turns.machine
    doubtful[turns.before] &= turns.machine[turns.after]
    return Echoes(asks, replied & turns.machine, answered & (turns.asking >= ASKS), doubtful)


def _answered_from_before(facets: FacetColumns, turns: Turns, alike: Alike) -> Flags:
    """[n] which notes got a reply from an assistant that is nearer to an older note than to them."""
    found = np.zeros(len(facets), dtype=bool)
    place = np.full(len(facets), -1)
    place[alike.places] = np.arange(len(alike.places))
    pairs = (place[turns.before] >= 0) & (place[turns.after] >= 0)
    pairs &= turns.machine[turns.after] & ~turns.machine[turns.before]
    asked, reply = turns.before[pairs], turns.after[pairs]
    moments = facets.numbers("occurred_at")
    told = ~turns.machine[alike.places] & (turns.asking[alike.places] < ASKS)
    older = told[None, :] & (moments[alike.places][None, :] < moments[asked][:, None])
    nearest = np.where(older, alike.cosines[place[reply]], -1.0).max(axis=1, initial=-1.0)
    found[asked[nearest > np.maximum(alike.cosines[place[reply], place[asked]], TOLD_BEFORE)]] = True
    return found


def behind_their_source(facets: FacetColumns, scores: Values, alike: Alike, turns: Turns, echo: Echoes) -> Values:
    """[n] what notes that an assistant said lose, so that each stands behind what it repeats: the nearest note that others told before;
    ``scores``: [n] theirs so far.
    """
    lost, here = np.zeros(len(facets)), alike.places
    said = (turns.machine & (facets.numbers("length") <= LONG))[here]  # a long one says more than it repeats
    if not said.any() or said.all():
        return lost
    moments = facets.numbers("occurred_at")[here]
    source = ~turns.machine[here] & ~echo.asks[here] & ~facets.only_asks[here]
    near = np.where(said[:, None] & source[None, :] & (moments[None, :] < moments[:, None]), alike.cosines, -1.0)
    best = near.argmax(axis=1)
    repeats = near[np.arange(len(here)), best] >= RESTATES
    lost[here[repeats]] = np.minimum(0.0, scores[here[best[repeats]]] - BEHIND - scores[here[repeats]])
    return lost


def behind_what_fits(scores: Values, cosine: Values, turns: Turns, echo: Echoes) -> Values:
    """[n] what doubtful notes lose, so that they stand behind the best of what was told that fits the query, if anything else does."""
    lost = np.zeros(len(scores))
    others = ~echo.doubtful & ~echo.asks & ~turns.machine & (turns.asking < ASKS) & (cosine >= FITS)
    if others.any():
        lost[echo.doubtful] = np.minimum(0.0, scores[others].max() - BEHIND - scores[echo.doubtful])
    return lost


def repeated(facets: FacetColumns, scores: Values, alike: Alike) -> Flags:
    """[n] which notes say the same, nearly word for word, as one that stands before them; ``scores``: [n] theirs so far."""
    here = alike.places
    ahead = np.lexsort((-facets.rows[here], -scores[here]))
    place = np.empty(len(here), np.int64)
    place[ahead] = np.arange(len(here))
    behind = np.zeros(len(facets), dtype=bool)
    behind[here] = ((alike.cosines >= REPEATED) & (place[None, :] < place[:, None])).any(axis=1)
    return behind
