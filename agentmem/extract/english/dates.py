"""Find dates in a text and resolve them against the moment it was said.

A small grammar: words that name a time (a date, a month, "yesterday", "two weeks ago", "last summer"), some of which lie within another that
follows ("end" of "March", "Tuesday" of "last week", "summer" of "2024"), and ranges between two of them. Words that are more than that, such
as "may", "fall" or a number that could be a year, count only where a preposition, another time or a part of it says that they are one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from agentmem.extract.english.date_readings import INSIDE, READ
from agentmem.extract.english.date_words import GATE, pattern
from agentmem.extract.english.tenses import tense
from agentmem.extract.spans import Anchor, Pair, Turn
from agentmem.notes.clock import as_utc
from agentmem.notes.passages import SENTENCE_END

__all__ = ["Span", "dates"]

Span = tuple[datetime, datetime, str]
"""Start, end (exclusive), and the words that said so."""
_T = TypeVar("_T", Anchor, Pair)

_PREPOSITIONS: Final = {
    "month": "m_p",
    "year": "y_p",
    "season": "s_p",
    "holiday": "h_p",
    "weekend": "we_p",
    "quarter": "q_p",
}
_CORE: Final = {"month": "m_m", "year": "y_y", "season": "s_s", "holiday": "h_h", "decade": "d_d", "weekday": "wd_w"}
_KINDS: Final = (*READ, "part", "ordinal")
_YEARLY: Final = frozenset({"year", "turn"})
_LONGER: Final = frozenset(
    {"month", "month_year", "year_month", "year", "season", "quarter", "decade", "turn", "turn_time", "unit", "beyond"}
)
_INNER: Final = {
    "part": _LONGER,
    "ordinal": _LONGER,
    "month": _YEARLY,
    "season": _YEARLY,
    "holiday": _YEARLY,
    "quarter": _YEARLY,
    "month_day": _YEARLY - {"year"},
    "day_month": _YEARLY - {"year"},
    "weekday": frozenset({"turn", "beyond"}),
    "turn_day": frozenset({"turn", "beyond"}),
    "weekend": frozenset({"iso", "month_day", "day_month"}),
}
"""What may lie in what."""
_SENTENCE: Final = 400
"""Characters on each side of a time that are read as its sentence: a longer one would be read once for each of its times."""
_WITHIN: Final = re.compile(r"[- ]|,? (?:of |in |from )?(?:the )?", re.IGNORECASE)
"""What may stand between a time and the one that it lies in."""
_UP_TO: Final = re.compile(r" ?[-–—] ?| (?:to|until|till|through|thru|and) (?:the )?", re.IGNORECASE)
"""What may stand between the two ends of a range."""
_MOVED: Final = re.compile(
    r"\b(?:mov|reschedul|postpon|shift|chang|push|delay|switch|brought|bring)\w*\b[^.;]{0,40}\bfrom (?:the )?$",
    re.IGNORECASE,
)
"""Before a time: what leads from one time to another is none between them."""
_FOR: Final = re.compile(r"\b(?:for|by|until|till)\s+(?:the )?$", re.IGNORECASE)
_RANGE: Final = re.compile(r"\b(?:from|between)\b[^,.;]{0,12}$", re.IGNORECASE)


def dates(text: str, anchor: datetime, *, way: Turn | None = 0) -> list[Span]:
    """The dates a text names, as half-open spans in UTC, in order of appearance.

    A date without a year is the one nearest to the anchor; a week runs from Monday; "last Friday" and "next Friday" are
    the Fridays strictly before and after the anchor's day; "two weeks ago" is the week around that day, "two months ago"
    that month; "last month" is the calendar's, "the past month" and "in the last month" the 30 days up to now; "early",
    "mid" and "late" are thirds; seasons are those of the northern half of the world. A day and month that could be either
    way round (``05/06/2023``) is left alone.

    Args:
        text: any text.
        anchor: when it was said.
        way: which a date without a year is, or a day of the week: 0 the nearest, -1 the last that has begun by then, 1 the next that is not over;
            ``None``: as its sentence tells of what was or of what is to come ("we ate there on Friday", "we meet on Friday").
    """
    if GATE.search(text) is None:
        return []
    reader = _Reader(text, list(pattern().finditer(text)), as_utc(anchor), way)
    found: list[Span] = []
    place = 0
    while place < len(reader.matches):
        start = reader.matches[place].start()
        pair, after = reader.range_at(place)
        if pair is not None:
            found.append((*pair, text[start : reader.matches[after - 1].end()]))
        place = after
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the matches in a text, from any one on, as many as belong together."""

    text: str
    matches: Sequence[re.Match[str]]
    now: datetime
    way: Turn | None

    def range_at(self, place: int) -> tuple[Pair | None, int]:
        """The time that begins with a match, up to another where a range says so; and the place behind it."""
        at = Anchor(self.now, self._way(place) if self.way is None else self.way)
        pair, after = self._within_at(place, at)
        if not self._goes_on(place, after):
            return pair, after
        last, end = self._within_at(after, at, bare=True)
        if last is None:
            return pair, after
        before = Anchor(last[0], -1)  # "March to May 2024": the March before
        first, _ = self._within_at(place, before, bare=True)
        if first is None or first[0] >= last[1] or (pair is None and not self._opened(place)):
            return pair, after
        return (first[0], last[1]), end

    def _way(self, place: int) -> Turn:
        """What its sentence says of a time; what was booked "for" a day may be to come all the same."""
        match = self.matches[place]
        first, last = max(0, match.start() - _SENTENCE), match.end() + _SENTENCE
        start = max((each.end() for each in SENTENCE_END.finditer(self.text, first, match.start())), default=first)
        end = SENTENCE_END.search(self.text, match.end(), last)
        told = tense(self.text[start : end.start() if end else last])
        meant = told < 0 and _FOR.search(self.text[max(0, match.start() - 12) : match.start(_last_group(match))])
        return 0 if meant else told

    def _goes_on(self, place: int, after: int) -> bool:
        """Whether what stands before a place is the first end of a range, and the match there the other."""
        if after >= len(self.matches):
            return False
        between = self.text[self.matches[after - 1].end() : self.matches[after].start()]
        if not _UP_TO.fullmatch(between) or _MOVED.search(self._before(place)):
            return False
        same = _kind(self.matches[after - 1]) == _kind(self.matches[after])
        return self._opened(place) or (same and "and" not in between)

    def _opened(self, place: int) -> bool:
        """Whether "from" or "between" stands before a time."""
        return _RANGE.search(self._before(place)) is not None

    def _before(self, place: int) -> str:
        """What stands before a time, behind whose preposition it begins."""
        match = self.matches[place]
        return self.text[max(0, match.start() - 60) : match.start(_last_group(match))]

    def _within_at(self, place: int, at: Anchor, *, bare: bool = False) -> tuple[Pair | None, int]:
        """The time of a match, within that of the following ones where it lies in it; and the place behind it."""
        match = self.matches[place]
        kind = _kind(match)
        if kind in _INNER and place + 1 < len(self.matches):
            following = self.matches[place + 1]
            if _may_lie_in(match, following) and _WITHIN.fullmatch(self.text[match.end() : following.start()]):
                outer, after = self._within_at(place + 1, at, bare=True)
                inner = None if outer is None else _tried(INSIDE[kind], match, outer)
                if inner is not None:
                    return inner, after
        if kind not in READ or not (bare or _says_so(match)):
            return None, place + 1
        return _tried(READ[kind], match, at), place + 1


def _tried(read: Callable[[re.Match[str], _T], Pair | None], match: re.Match[str], given: _T) -> Pair | None:
    """The 31st of June, the year 0, a million days ago: written like a date, but none."""
    try:
        return read(match, given)
    except (ValueError, OverflowError, LookupError):
        return None


def _may_lie_in(match: re.Match[str], following: re.Match[str]) -> bool:
    """Whether one time may lie in another, by their kinds; "early thirties" without "the" are an age."""
    outer = _kind(following)
    if outer == "decade" and not (_says_so(following) or match.group().lower().startswith("the ")):
        return False
    return outer in _INNER[_kind(match)]


def _kind(match: re.Match[str]) -> str:
    return next(name for name in _KINDS if match.group(name) is not None)


def _last_group(match: re.Match[str]) -> str:
    """The group that names the time itself, behind a preposition."""
    return _CORE.get(_kind(match), _kind(match))


def _says_so(match: re.Match[str]) -> bool:
    """Whether a match says by itself that it is a time."""
    kind = _kind(match)
    if kind == "weekday":
        daytime = match["wd_d"]
        return bool(match["wd_p"] or (daytime and daytime.islower()))
    if kind == "decade":
        return bool(match["d_p"]) or (len(match["d_d"]) == len("1990s") and match["d_d"][0].isdigit())
    return kind != "unit" and (kind not in _PREPOSITIONS or match[_PREPOSITIONS[kind]] is not None)
