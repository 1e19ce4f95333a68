"""What a time that a query names finds and lifts: notes that were said in it or tell of it (:mod:`agentmem.projections.readings`)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from agentmem.extract import dates, tense
from agentmem.extract.lexicon import FUNCTION_WORDS, MONTHS, words
from agentmem.extract.spans import Turn
from agentmem.notes.clock import as_utc, micros
from agentmem.notes.columns import FacetColumns, Values
from agentmem.records.transaction import Transaction

__all__ = ["NOWHEN", "AskedTimes", "OfTime", "asked_times"]

Span = tuple[int, int]

DAY: Final = 86_400_000_000
MOST: Final = 10_000
"""Notes of a time that are looked through. What holds more of them leaves open which are meant: there the rest of the query finds them."""
UNSEEN: Final = 20
"""Notes of other times that are taken to be there besides: among three notes alone no day would be rare."""
BESIDE: Final = 0.5
"""What the moment at which a note was said counts for who asks for a time alone, where the note tells of another."""
ALONE: Final = 2.0
"""Bonus of notes of a time for who asks for it alone: more than words and meaning can give any other."""
_OPEN: Final = FUNCTION_WORDS | frozenset(
    """happen happens happened happening occur occurred go goes going went gone took take taken place say said says
    tell told talk talked talking speak spoke spoken discuss discussed mention mentioned note noted notes write wrote
    written remember recall record recorded log logged entry entries diary journal event events activity activities
    get got gotten done look remind between since until till before after anything everything something thing things day days up like list show give summary summarize recap please spend
    spent work worked working know new news notable noteworthy interesting important""".split()
)
"""Words that leave open what was done or said: who asks in no others asks for a time alone."""
_WAYS: Final[Mapping[Turn, tuple[Turn, ...]]] = {-1: (-1,), 0: (0, -1, 1), 1: (0, 1)}
"""Which of several times around now may be meant, by what the question says of it: "in December" is the last one and the next."""
_OPENING: Final = re.compile(r"\b(before|until|till|since|after)(?: the)?$", re.IGNORECASE)
"""What opens the time behind it to one side."""


class AskedTimes(NamedTuple):
    """The times that a query names, half-open in microseconds; its words without those of a date; whether it asks for nothing besides."""

    spans: tuple[Span, ...]
    searched: str
    alone: bool


class OfTime(NamedTuple):
    """The rows of the notes of a time, unless that holds most, and what it is worth that a note is one of them: the natural logarithm of
    how few they are.
    """

    rows: Sequence[int]
    worth: float

    @classmethod
    def of(
        cls, tx: Transaction, spans: Sequence[Span], owners: Sequence[int], size: int, only: Sequence[int] | None
    ) -> OfTime:
        """The notes that were said in one of ``spans`` or tell of it.

        Args:
            owners: whose; size: how many notes they have; only: no others than these, when given.
        """
        rows: set[int] = set()
        among = 0
        for span in spans:
            said, told = tx.readings.said(owners, span, MOST + 1), tx.readings.told(owners, span, MOST + 1)
            if max(len(said), len(told)) <= MOST:
                rows.update(said, told)
            else:
                among += tx.readings.count_said(owners, span)
        if only is not None:
            rows, size, among = rows.intersection(only), len(only), min(among, len(only))
        held = len(rows) + among
        # What most notes are of tells none of them apart: they are found by the rest of the query.
        found = sorted(rows) if 2 * held <= size + UNSEEN else []
        return cls(found, max(0.0, math.log((size + UNSEEN) / max(1, held))))

    def fitting(
        self, tx: Transaction, facets: FacetColumns, asked: Sequence[Span], *, alone: bool
    ) -> tuple[Values, Values]:
        """[n] what it is worth that each note fits the times that are asked for, and what more where those are asked for alone."""
        fits = _fitting(facets, tx.readings.times(facets.rows.tolist()), asked, BESIDE if alone else 1.0)
        return self.worth * fits, ALONE * fits if alone else np.zeros(len(facets))


NOWHEN: Final = OfTime((), 0.0)
"""Of a query that names no time."""


def asked_times(query: str, now: datetime, named: frozenset[str]) -> AskedTimes:
    """The times in a query that is asked now.

    Args:
        named: the actors whom it names: who asks what they did asks for no more than that.
    """
    found = dates(query, now)
    if not found:
        return AskedTimes((), query, alone=False)
    read = [each for way in _WAYS[tense(query)] for each in (dates(query, now, way=way) if way else found)]
    spans = dict.fromkeys(_open_ended(query, (start, end), said, now) for start, end, said in read)
    rest = searched = query
    for *_, said in found:
        rest = rest.replace(said, " ", 1)
        if _is_date(said):
            searched = searched.replace(said, " ", 1)
    names = {word for actor in named for word in words(actor)}
    alone = not any(word not in _OPEN and word not in names for word in words(rest))
    return AskedTimes(tuple((micros(start), micros(end)) for start, end in spans), searched, alone)


def _open_ended(query: str, span: tuple[datetime, datetime], said: str, now: datetime) -> tuple[datetime, datetime]:
    """A span, or what comes before or after it where the word before it says so."""
    first = said.partition(" ")[0]
    found = _OPENING.fullmatch(first) or _OPENING.search(query[: query.find(said)].rstrip())
    if found is None:
        return span
    word, (start, end) = found[1].lower(), span
    if word in ("before", "until", "till"):
        return datetime.min.replace(tzinfo=UTC), start if word == "before" else end
    return (start if word == "since" else end), max(as_utc(now), end)


def _is_date(said: str) -> bool:
    """Whether words name a date, which notes of another time may have in theirs; "last weekend" is a word of any time."""
    return any(map(str.isdigit, said)) or any(word in MONTHS for word in words(said))


def _fitting(facets: FacetColumns, told: Mapping[int, Sequence[Span]], asked: Sequence[Span], beside: float) -> Values:
    """[n] how well each note fits the times that are asked for: 1 when it was said in one of them, or when all that it tells of lies in one.

    Args:
        told: what notes tell of, by row. "In 2023" is little of a day of that year.
        beside: what counts that it was said then, where it tells of another time: who tells of yesterday tells little of today.
    """
    fits = facets.within(asked).astype(float)
    moments = facets.numbers("occurred_at")
    for place in np.flatnonzero(np.isin(facets.rows, list(told))).tolist():
        times = told[int(facets.rows[place])]
        today = moments[place] // DAY * DAY
        of_now = any(start < today + DAY and end > today for start, end in times)
        share = max(_inside(time, span) for time in times for span in asked)
        fits[place] = max(share, fits[place] * (1.0 if of_now else beside))
    return fits


def _inside(time: Span, span: Span) -> float:
    """The share of a time that lies within a span."""
    return max(0, min(time[1], span[1]) - max(time[0], span[0])) / max(1, time[1] - time[0])
