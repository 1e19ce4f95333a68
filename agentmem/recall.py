"""From candidates to a ranking: pure arithmetic on a few hundred rows.

score = cosine + text·bm25/max + spread·(activation of linked notes) + small terms for actor, length, session, time,
retrievability, importance, against notes that only ask, and against notes that a stronger memory interferes with. Every part is kept by name, so that a hit can say why it is there. Linear fusion is
used because reciprocal-rank fusion flattens the sharp head of BM25 (measured on LoCoMo: 0.54 against 0.76).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agentmem.prompts import UNTRUSTED_BELOW
from agentmem.settings import RecallSettings
from agentmem.storage import Facets, LinkRow

__all__ = [
    "FAINT",
    "LINK_CONDUCTANCE",
    "RANKED",
    "Candidates",
    "QueryView",
    "Ranking",
    "interference",
    "named_actors",
    "query_words",
    "rank",
    "without_names",
]

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
}
"""How much activation a link of each kind passes on; neighbours in a conversation explain each other best."""

FAINT = tuple(kind for kind, conductance in LINK_CONDUCTANCE.items() if conductance <= 0.1)
"""Kinds so thin that what they pass on changes no order; recall does not even read them."""

DEFAULT_CONDUCTANCE = 0.5
FORWARD = 1.5
"""Times this, activation flows from a turn to the one after it: answers come after what they answer."""
SPREAD_SEEDS = 64
SEED_TEXT = 0.02
"""What a point of BM25 is worth, in units of cosine, when choosing them."""
RANKED = 160
"""Candidates that are ranked when the query names neither a time nor an actor, which could lift one from far below."""
ALIKE = 0.7
"""Cosine from which two notes may be versions of one thing."""
AS_GOOD = 0.15
"""A rival fits the query at most this much worse: what does not answer it cannot stand for the answer."""
MAX_LENGTH = 2000
Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Conductors = tuple[Rows, Rows, Values]
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?", re.UNICODE)
_STOP = frozenset(
    "a about after all also am an and any are as at be because been before being but by can could did do does doing for from "
    "had has have having he her hers him his how i if in into is it its itself just me my of on or our ours she should so some "
    "such than that the their theirs them then there these they this those to too up us was we were what when where which "
    "while who whom whose why will with would you your yours s t d ll m re ve tell don didn doesn".split()
)


@dataclass(frozen=True, slots=True)
class QueryView:
    """What a query asks for, beside its words: whom it names, and which time (microseconds, half-open spans)."""

    text: str
    actors: frozenset[str] = frozenset()
    spans: tuple[tuple[int, int], ...] = ()


class Ranking:
    """Rows in the order of their scores, and the parts of each score by name.

    Args:
        rows: shape (n,); parts: arrays of shape (n,) that add up to the scores; conductors: (row, neighbour,
            activation that came from it) as three arrays.
    """

    def __init__(self, rows: Rows, parts: Mapping[str, Values], conductors: Conductors) -> None:
        total: Values = np.zeros(len(rows))
        for part in parts.values():
            total += part
        # Ties go to the newer row; rounding keeps the order the same on machines that add in another order.
        self._order = np.lexsort((-rows, -np.round(total, 9)))
        self._rows, self._total, self._parts, self._conductors = rows, total, parts, conductors
        self._place = {row: n for n, row in enumerate(rows[self._order].tolist())}

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, row: int) -> bool:
        return row in self._place

    def top(self, k: int) -> list[int]:
        """The best ``k`` rows."""
        return [int(row) for row in self._rows[self._order[:k]]]

    def place(self, row: int) -> int:
        """The rank of a row, counting from 1."""
        return self._place[row] + 1

    def score(self, row: int) -> float:
        return float(self._total[self._order[self._place[row]]])

    def parts(self, row: int) -> dict[str, float]:
        """What the score of a row is made of; parts that are zero are left out."""
        i = self._order[self._place[row]]
        return {name: value for name, part in self._parts.items() if (value := round(part.item(i), 6))}

    def via(self, row: int, limit: int = 3) -> list[int]:
        """The neighbours that lifted a row most."""
        here, there, flow = self._conductors
        at = np.flatnonzero(here == row)
        near: dict[int, float] = {}
        for other, width in zip(there[at].tolist(), flow[at].tolist(), strict=True):
            near[other] = max(near.get(other, 0.0), width)
        return sorted(near, key=lambda other: -near[other])[:limit]


def query_words(text: str) -> list[str]:
    """The words of a query that carry meaning, in order, without repeats; all words if none does."""
    words = list(dict.fromkeys(w.lower() for w in _WORD.findall(text)))
    return [w for w in words if w not in _STOP] or words


def named_actors(text: str, actors: Sequence[str]) -> frozenset[str]:
    """Those of ``actors`` whom the text names, by their full name or its first word."""
    present = {w.lower().removesuffix("'s").removesuffix("’s") for w in _WORD.findall(text)}
    found = set()
    for actor in actors:
        parts = [p.lower() for p in _WORD.findall(actor)]
        if parts and (parts[0] in present or all(p in present for p in parts)):
            found.add(actor)
    return frozenset(found)


def without_names(text: str, actors: frozenset[str]) -> str:
    """The query as it is embedded: notes are embedded without their speaker, so names would only mislead."""
    for actor in actors:
        for part in [actor, *_WORD.findall(actor)]:
            text = re.sub(rf"\b{re.escape(part)}(?:['’]s)?\b", " ", text, flags=re.IGNORECASE)
    stripped = re.sub(r"\s+", " ", text).strip()
    return stripped if any(c.isalnum() for c in stripped) else text


class Candidates:
    """What full text and vectors found, newest row first, with a cosine and a BM25 score each (0 where there is none).

    Args:
        rows: the candidates; cosine, bm25: scores of those that have them.
    """

    def __init__(self, rows: Iterable[int], cosine: Mapping[int, float], bm25: Mapping[int, float]) -> None:
        self._rows = sorted(rows, reverse=True)
        self._semantic = np.array([cosine.get(row, 0.0) for row in self._rows])
        self._words = np.array([bm25.get(row, 0.0) for row in self._rows])

    def first(self, settings: RecallSettings, count: int) -> list[int]:
        """The ``count`` rows with the largest cosine + text·bm25/max, best first."""
        scale = settings.text / (self._words.max(initial=0.0) or 1.0)
        return self._best(np.maximum(0.0, self._semantic) + scale * self._words, count)

    def seeds(self) -> list[int]:
        """The rows that activation starts from, best first."""
        return self._best(self._semantic + SEED_TEXT * self._words, SPREAD_SEEDS)

    def _best(self, scores: Values, count: int) -> list[int]:
        order = np.argsort(-scores, kind="stable")[:count]
        return [self._rows[place] for place in order.tolist()]


def rank(
    facets: Sequence[Facets],
    cosine: Mapping[int, float],
    bm25: Mapping[int, float],
    links: Sequence[LinkRow],
    query: QueryView,
    settings: RecallSettings,
    *,
    retrievability: Sequence[float],
    ended: frozenset[int] = frozenset(),
    alike: tuple[Sequence[int], Values] | None = None,
) -> Ranking:
    """Rank candidates and the neighbours that may be lifted by them.

    Args:
        facets: ranking columns of the rows to rank; rows that were not admitted are simply not among them.
        cosine: cosine of query and note; bm25: full-text score (both absent for rows not found that way).
        links: links among these rows; retrievability: R in [0, 1] in the order of ``facets``; ended: rows that no longer
            hold; alike: the best candidates, and the cosines between each two of them.
    """
    columns = Facets._make(zip(*facets, strict=True)) if facets else Facets._make([()] * len(Facets._fields))
    ids: Sequence[int] = columns.row  # type: ignore[assignment]  # a column of rows
    rows = np.array(ids, dtype=np.int64)
    words = np.array([bm25.get(row, 0.0) for row in ids])
    semantic = np.maximum(0.0, [cosine.get(row, 0.0) for row in ids])
    text = settings.text * words / (words.max(initial=0.0) or 1.0)
    base = semantic + text
    spread, conductors = _spread(rows, base, links, settings)
    parts = {"semantic": semantic, "text": text, "links": spread, "session": _session_heat(facets, base, settings)}
    parts["answers"] = settings.answer * _asked_before(columns, semantic, links)
    strength = np.asarray(retrievability, dtype=float)
    parts |= _small_terms(columns, query, settings, strength, ended)
    if alike is not None:
        parts["interference"] = -settings.interference * interference(facets, base, strength, alike, query, ended)
    return Ranking(rows, parts, conductors)


def _spread(rows: Rows, base: Values, links: Sequence[LinkRow], settings: RecallSettings) -> tuple[Values, Conductors]:
    """One step of spreading activation: each note receives the mean activation of its neighbours, by conductance."""
    index = {row: i for i, row in enumerate(rows.tolist())}
    found: list[tuple[int, int, float, float]] = []
    for source, target, kind, weight, *_ in links:
        a, b = index.get(source), index.get(target)
        if a is not None and b is not None and a != b:
            back = LINK_CONDUCTANCE.get(kind, DEFAULT_CONDUCTANCE) * weight
            found.append((a, b, back, back * FORWARD if kind == "next" else back))
    ends = np.array([(a, b) for a, b, _, _ in found], dtype=np.int64).reshape(-1, 2)
    here, there = np.concatenate([ends[:, 0], ends[:, 1]]), np.concatenate([ends[:, 1], ends[:, 0]])
    width = np.array([w for *_, w, _ in found] + [w for *_, w in found])
    received = width * base[there]
    total, flow = np.bincount(here, width, len(rows)), np.bincount(here, received, len(rows))
    # A note with one thin link must not receive as much as one with many strong ones: at least unit width.
    return settings.spread * flow / np.maximum(total, 1.0), (rows[here], rows[there], received)


def _asked_before(columns: Any, semantic: Values, links: Sequence[LinkRow]) -> Values:
    """How near the question before each note comes to the query: what follows a question probably answers it."""
    index = {row: place for place, row in enumerate(columns.row)}
    asked = np.zeros(len(columns.row))
    for source, target, kind, *_ in links:
        before, after = index.get(source), index.get(target)
        if kind == "next" and before is not None and after is not None and columns.asks[before]:
            asked[after] = max(asked[after], semantic[before])
    return asked


def _small_terms(
    columns: Any, query: QueryView, settings: RecallSettings, strength: Values, ended: frozenset[int]
) -> dict[str, Values]:
    """The additive terms; ``columns`` has the names of :class:`~agentmem.storage.Facets` and a sequence under each."""

    def mark(weight: float, holds: Sequence[bool]) -> Values:
        return weight * np.array(holds, dtype=float)

    actors, spans, none = query.actors, query.spans, np.zeros(len(columns.row))
    return {
        "length": settings.length * np.log1p(np.minimum(columns.length, MAX_LENGTH)),
        "retrievability": settings.retrievability * (strength - 1.0),
        "importance": settings.importance * (np.array(columns.importance, dtype=float) - 0.5),
        "actor": mark(settings.actor, [actor in actors for actor in columns.actor]) if actors else none,
        "time": mark(settings.time, [_within(moment, spans) for moment in columns.occurred_at]) if spans else none,
        "question": mark(-settings.question, columns.asks),
        "superseded": mark(-settings.superseded, [row in ended for row in columns.row]) if ended else none,
        "untrusted": -settings.untrusted * (np.array(columns.trust, dtype=float) < UNTRUSTED_BELOW),
    }


def _within(moment: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= moment < end for start, end in spans)


def interference(
    facets: Sequence[Facets],
    base: Values,
    strength: Values,
    alike: tuple[Sequence[int], Values],
    query: QueryView,
    ended: frozenset[int] = frozenset(),
) -> Values:
    """How much stronger the strongest rival of each note is, in [0, 1]; shape (n,), zero where there is none.

    Retroactive interference (McGeoch 1932, https://doi.org/10.1037/h0069819): what is forgotten is not what is old, but what newer
    or more practised memories of the same kind have taken the place of. So the curve decides among notes that say nearly the
    same and fit about as well, and costs an old note nothing that is alone in what it says. Notes of another actor, that ask, or
    that no longer hold are no rivals; where the query names a time, notes from that time have rivals only among each other.

    Args:
        base: how well each note fits by itself; strength: retrievability in [0, 1]; both of shape (n,), as ``facets``.
        alike: rows, and the cosines between each two of them, shape (rows, rows).
    """
    lost = np.zeros(len(facets))
    near = alike[1] >= ALIKE
    if near.sum() == np.diagonal(near).sum():  # each is near itself at most, and nothing has a rival in itself
        return lost
    index = {facet.row: i for i, facet in enumerate(facets)}
    known = [(place, index[row]) for place, row in enumerate(alike[0]) if row in index]
    if len(known) < 2:
        return lost
    places, here = (np.array(column) for column in zip(*known, strict=True))
    chosen = [facets[i] for i in here]
    able = np.array([not f.asks and f.row not in ended for f in chosen])
    timed = np.array([_within(f.occurred_at, query.spans) for f in chosen]) if query.spans else np.zeros(len(chosen), dtype=bool)
    rival = near[np.ix_(places, places)] & (base[here][None, :] >= base[here][:, None] - AS_GOOD)
    rival &= able[None, :] & (timed[None, :] | ~timed[:, None])
    numbers: dict[str | None, int] = {}
    actor = np.array([numbers.setdefault(f.actor, len(numbers)) for f in chosen])
    rival &= actor[:, None] == actor[None, :]
    ahead = np.where(rival, strength[here][None, :] - strength[here][:, None], 0.0)
    lost[here] = np.maximum(ahead, 0.0).max(axis=1)
    return lost


def _session_heat(facets: Sequence[Facets], base: Values, settings: RecallSettings) -> Values:
    """Notes from a conversation that holds a strong candidate are a little more likely to be meant."""
    best: dict[str | None, float] = {}
    for facet, value in zip(facets, base.tolist(), strict=True):
        if value > best.get(facet.session, 0.0):
            best[facet.session] = value
    best.pop(None, None)  # notes without a session are not from the same one
    return settings.session * np.array([best.get(f.session, 0.0) for f in facets])
