"""Find dates in a text and resolve them against the moment it was said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from agentmem.extract.lexicon import MONTHS, NUMBERS, WEEKDAYS
from agentmem.notes.clock import as_utc

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Span", "dates"]

Span = tuple[datetime, datetime, str]
"""Start, end (exclusive), and the words that said so."""

_M = "|".join(sorted(MONTHS, key=len, reverse=True))
_W = "|".join(WEEKDAYS)
_N = "|".join(sorted(NUMBERS, key=len, reverse=True))
_COUNT = rf"(?:a couple of|a few|{_N}|\d{{1,4}})"
_UNIT = r"(?:day|week|month|year)s?"
_DAY_OF = r"(?P<{0}>\d{{1,2}})(?:st|nd|rd|th)?"

# One alternation, the longer readings first, so that one pass over the text finds everything and nothing twice.
_DATES: Final = (
    r"(?<![\w/.-])(?:"
    r"(?P<iso>(?P<iso_y>\d{4})-(?P<iso_m>\d\d)-(?P<iso_d>\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?))?)"
    r"|(?P<ymd>(?P<ymd_y>\d{4})/(?P<ymd_m>\d\d?)/(?P<ymd_d>\d\d?))"
    r"|(?P<dmy>(?P<dmy_d>\d\d?)(?P<dmy_s>[./])(?P<dmy_m>\d\d?)(?P=dmy_s)(?P<dmy_y>\d{4}))"
    r"|(?P<month_day>(?P<md_m>" + _M + r")\.? (?:the )?" + _DAY_OF.format("md_d") + r"(?!\d|:)(?:,? (?P<md_y>\d{4}))?)"
    r"|(?P<day_month>(?:the )?"
    + _DAY_OF.format("dm_d")
    + r" (?:of )?(?P<dm_m>"
    + _M
    + r")\b\.?(?:,? (?P<dm_y>\d{4}))?)"
    r"|(?P<month_year>(?P<my_m>" + _M + r")\.?,? (?:of )?(?P<my_y>\d{4}))"
    r"|(?P<year_month>(?P<ym_y>(?:19|20)\d\d)-(?P<ym_m>0[1-9]|1[0-2])(?![\w-]))"
    r"|(?P<month>(?:in|since|during|until|by|from|early|late|mid|every|of) (?:early |late |mid-?)?(?P<m_m>"
    + _M
    + r")\b(?:,? (?:of )?(?P<m_y>\d{4})\b|(?!\.?,? (?:the )?\d)))"
    r"|(?P<turn_month>(?P<tm_t>last|next|this) (?P<tm_m>" + _M + r"))"
    r"|(?P<year>(?:in|since|during|until|by|from|of|year|before|after) (?P<y_y>(?:19|20)\d\d)(?!\d|[-/.]\d|%))"
    r"|(?P<beyond>the day (?:before yesterday|after tomorrow))"
    r"|(?P<near>yesterday|today|tonight|tomorrow|last night|this (?:morning|afternoon|evening))"
    r"|(?P<ago>(?:about |around )?(?P<ago_n>" + _COUNT + r") (?P<ago_u>" + _UNIT + r") ago)"
    r"|(?P<ahead>in (?P<in_n>" + _COUNT + r") (?P<in_u>" + _UNIT + r")(?! of))"
    r"|(?P<half>half a year ago)"
    r"|(?P<past>(?:in |over |during )?the (?:last|past) (?P<past_n>"
    + _COUNT
    + r") (?P<past_u>"
    + _UNIT
    + r")(?! of\b))"
    r"|(?P<past_one>(?:(?:in|over|during|within|for) the (?:last|past)|the past) (?P<past_v>week|month|year)\b(?! of\b))"
    r"|(?P<turn>(?P<turn_t>last|next|this|the past) (?P<turn_u>week(?:end)?|month|year)\b(?! of\b))"
    r"|(?P<turn_day>(?P<td_t>last|next|this|on|this past|this coming) (?P<td_w>" + _W + r")\b(?! of\b))"
    r")(?![\w])"
)
# Most texts name no date: a word or a digit that every reading above holds decides that in one cheap search.
_GATE: Final = re.compile(
    rf"\d|\b(?:{_M}|{_W}|(?:yester|to)day|ton|tomo|ago|last|next|this|past|days?|weeks?|months?|years?)",
    re.IGNORECASE,
)

_DAY = timedelta(days=1)


@cache
def _pattern() -> re.Pattern[str]:
    """Compiled on first use: it takes longer than importing the rest of this package."""
    return re.compile(_DATES, re.IGNORECASE)


def dates(text: str, anchor: datetime) -> list[Span]:
    """The dates a text names, as half-open spans in UTC, in order of appearance.

    A date without a year is the one nearest to the anchor; a week runs from Monday; "last Friday" and "next Friday" are
    the Fridays strictly before and after the anchor's day; "two weeks ago" is the week around that day, "two months ago"
    that month; "last month" is the calendar's, "the past month" and "in the last month" the 30 days up to now. A day and month that could be either way round (``05/06/2023``) is left alone.

    Args:
        text: any text.
        anchor: when it was said.
    """
    if _GATE.search(text) is None:
        return []
    now = as_utc(anchor)
    found: list[Span] = []
    for match in _pattern().finditer(text):
        try:
            span = _READ[_reading(match)](match, now)
        except (ValueError, OverflowError):
            continue  # the 31st of June, the year 0, a million days ago: written like a date, but none
        if span is not None:
            found.append((*span, match.group()))
    return found


Pair = tuple[datetime, datetime]


def _reading(match: re.Match[str]) -> str:
    return next(name for name in _READ if match.group(name) is not None)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _one_day(day: datetime) -> Pair:
    return day, day + _DAY


def _day(year: int, month: int, day: int) -> Pair:
    return _one_day(datetime(year, month, day, tzinfo=UTC))


def _month(year: int, month: int) -> Pair:
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    following = (year + month // 12, month % 12 + 1)
    return datetime(year, month, 1, tzinfo=UTC), datetime(*following, 1, tzinfo=UTC)


def _year(year: int) -> Pair:
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)


def _week(moment: datetime) -> Pair:
    monday = _midnight(moment) - _DAY * moment.weekday()
    return monday, monday + 7 * _DAY


def _nearest(make: Callable[[int], Pair], now: datetime) -> Pair:
    """Of this date in the years around now, the one that is nearest; the past one of two that are."""
    spans: list[Pair] = []
    for year in (now.year - 1, now.year, now.year + 1):
        try:
            spans.append(make(year))
        except ValueError:  # the 29th of February exists in one of them at most
            continue
    if not spans:
        raise ValueError(now)
    return min(spans, key=lambda span: abs(span[0] + (span[1] - span[0]) / 2 - now))


def _count(words: str) -> int:
    words = words.lower()
    if words.isdigit():
        return int(words)
    return NUMBERS[words.removeprefix("a ").removesuffix(" of") if words.startswith("a ") else words]


def _iso(m: re.Match[str], _: datetime) -> Pair:
    if not m["time"]:
        return _day(int(m["iso_y"]), int(m["iso_m"]), int(m["iso_d"]))
    moment = as_utc(datetime.fromisoformat(f"{m['iso_y']}-{m['iso_m']}-{m['iso_d']}T{m['time']}"))
    return moment, moment + timedelta(minutes=1)


def _ymd(m: re.Match[str], _: datetime) -> Pair:
    return _day(int(m["ymd_y"]), int(m["ymd_m"]), int(m["ymd_d"]))


def _dmy(m: re.Match[str], _: datetime) -> Pair | None:
    day, month = int(m["dmy_d"]), int(m["dmy_m"])
    if m["dmy_s"] == "/" and day != month and day <= 12 and month <= 12:
        return None
    return _day(int(m["dmy_y"]), *((day, month) if month > 12 else (month, day)))


def _in_year(month: str, day: str, year: str | None, now: datetime) -> Pair:
    number = MONTHS[month.lower()]
    if year:
        return _day(int(year), number, int(day))
    return _nearest(lambda y: _day(y, number, int(day)), now)


def _month_alone(m: re.Match[str], now: datetime) -> Pair:
    number = MONTHS[m["m_m"].lower()]
    if m["m_y"]:
        return _month(int(m["m_y"]), number)
    return _nearest(lambda year: _month(year, number), now)


def _turn_month(m: re.Match[str], now: datetime) -> Pair | None:
    number, turn = MONTHS[m["tm_m"].lower()], m["tm_t"].lower()
    if turn == "this" and m["tm_m"] == "may":
        return None  # "this may be a silly question"
    if turn == "this":
        return _month(now.year, number)
    if turn == "last":
        return _month(now.year - (number >= now.month), number)
    return _month(now.year + (number <= now.month), number)


def _beyond(m: re.Match[str], now: datetime) -> Pair:
    return _one_day(_midnight(now) + _DAY * (-2 if "before" in m["beyond"].lower() else 2))


def _near(m: re.Match[str], now: datetime) -> Pair:
    today, word = _midnight(now), m["near"].lower()
    hours = {
        "last night": (-6, 6),
        "this morning": (5, 12),
        "this afternoon": (12, 18),
        "this evening": (17, 24),
    }
    if word in hours:
        start, end = hours[word]
        return today + timedelta(hours=start), today + timedelta(hours=end)
    if word == "tonight":
        return today + timedelta(hours=18), today + timedelta(hours=30)
    return _one_day(today + _DAY * {"yesterday": -1, "today": 0, "tomorrow": 1}[word])


def _shifted(now: datetime, unit: str, count: int) -> Pair:
    unit = unit.lower().rstrip("s")
    if unit == "year":
        return _year(now.year + count)
    if unit == "month":
        return _month(now.year, now.month + count)
    if unit == "week":
        middle = _midnight(now) + 7 * count * _DAY
        return middle - 3 * _DAY, middle + 4 * _DAY
    return _one_day(_midnight(now) + count * _DAY)


_LENGTHS: Final = {"day": 1, "week": 7, "month": 30, "year": 365}


def _past(m: re.Match[str], now: datetime) -> Pair:
    return now - _DAY * _LENGTHS[m["past_u"].lower().rstrip("s")] * _count(m["past_n"]), now


def _turn(m: re.Match[str], now: datetime) -> Pair:
    step = {"last": -1, "the past": -1, "this": 0, "next": 1}[m["turn_t"].lower()]
    unit = m["turn_u"].lower()
    if unit == "year":
        return _year(now.year + step)
    if unit == "month":
        return _month(now.year, now.month + step)
    start, end = _week(now + 7 * step * _DAY)
    return (start + 5 * _DAY, end) if unit == "weekend" else (start, end)


def _turn_day(m: re.Match[str], now: datetime) -> Pair:
    turn, today = m["td_t"].lower(), _midnight(now)
    ahead = (WEEKDAYS[m["td_w"].lower()] - now.weekday()) % 7
    if turn in ("last", "this past"):
        return _one_day(today + _DAY * (ahead - 7))
    if turn in ("next", "this coming"):
        return _one_day(today + _DAY * (ahead or 7))
    if turn == "this":
        return _one_day(_week(now)[0] + _DAY * WEEKDAYS[m["td_w"].lower()])
    return _one_day(today + _DAY * (ahead if ahead <= 3 else ahead - 7))


_READ: Final[dict[str, Callable[[re.Match[str], datetime], Pair | None]]] = {
    "iso": _iso,
    "ymd": _ymd,
    "dmy": _dmy,
    "month_day": lambda m, now: _in_year(m["md_m"], m["md_d"], m["md_y"], now),
    "day_month": lambda m, now: _in_year(m["dm_m"], m["dm_d"], m["dm_y"], now),
    "month_year": lambda m, _: _month(int(m["my_y"]), MONTHS[m["my_m"].lower()]),
    "year_month": lambda m, _: _month(int(m["ym_y"]), int(m["ym_m"])),
    "month": _month_alone,
    "turn_month": _turn_month,
    "year": lambda m, _: _year(int(m["y_y"])),
    "beyond": _beyond,
    "near": _near,
    "ago": lambda m, now: _shifted(now, m["ago_u"], -_count(m["ago_n"])),
    "ahead": lambda m, now: _shifted(now, m["in_u"], _count(m["in_n"])),
    "half": lambda m, now: _shifted(now, "month", -6),
    "past": _past,
    "past_one": lambda m, now: (now - _DAY * _LENGTHS[m["past_v"].lower()], now),
    "turn": _turn,
    "turn_day": _turn_day,
}
