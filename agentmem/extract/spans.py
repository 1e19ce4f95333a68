"""Spans of the calendar: days, weeks, months, seasons, holidays, and parts of them; half-open, in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

__all__ = [
    "DAY", "HOLIDAYS", "SEASONS", "Anchor", "Pair", "Turn", "around", "calendar_unit", "day", "day_of_month", "holiday", "midnight", "month", "nearest", "nth", "one_day",
    "part", "quarter", "season", "turned", "week", "weekday", "weekend", "year",
]  # fmt: skip

Pair = tuple[datetime, datetime]
Turn = Literal[-1, 0, 1]

DAY: Final = timedelta(days=1)
SEASONS: Final = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
"""Of the northern half of the world, by their first month."""
HOLIDAYS: Final = {
    "christmas": (12, 25), "xmas": (12, 25), "christmas day": (12, 25), "christmas eve": (12, 24), "boxing day": (12, 26),
    "new year": (1, 1), "new years": (1, 1), "new years day": (1, 1), "new years eve": (12, 31), "halloween": (10, 31),
    "valentines": (2, 14), "valentines day": (2, 14), "easter": None, "easter sunday": None, "easter monday": None, "good friday": None,
    "thanksgiving": None,
}  # fmt: skip
"""The days that are the same every year, and those that are not."""
_BESIDE_EASTER: Final = {"easter": 0, "easter sunday": 0, "easter monday": 1, "good friday": -2}
_AROUND: Final = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": DAY,
}


class Anchor(NamedTuple):
    """When something was said, and which of the times around then one without a year is: the last that has begun, the nearest, or the next that is
    not over.
    """

    now: datetime
    way: Turn = 0


def midnight(moment: datetime) -> datetime:
    """The beginning of its day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def one_day(moment: datetime) -> Pair:
    """The 24 hours from a moment on."""
    return moment, moment + DAY


def day(year: int, month: int, day: int) -> Pair:
    """A day by its date."""
    return one_day(datetime(year, month, day, tzinfo=UTC))


def month(year: int, month: int, count: int = 1) -> Pair:
    """So many months; those beyond a year's end, or before its beginning, are of another year."""
    first, last = (12 * year + month - 1, 12 * year + month - 1 + count)
    return datetime(first // 12, first % 12 + 1, 1, tzinfo=UTC), datetime(last // 12, last % 12 + 1, 1, tzinfo=UTC)


def year(year: int, count: int = 1) -> Pair:
    """So many years."""
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + count, 1, 1, tzinfo=UTC)


def week(moment: datetime) -> Pair:
    """From Monday on."""
    monday = midnight(moment) - DAY * moment.weekday()
    return monday, monday + 7 * DAY


def weekend(moment: datetime) -> Pair:
    """That of its week."""
    monday, end = week(moment)
    return monday + 5 * DAY, end


def quarter(year: int, number: int) -> Pair:
    """One of the four of a year."""
    return month(year, 3 * number - 2, 3)


def season(year: int, name: str) -> Pair:
    """That which begins in a year."""
    return month(year, SEASONS[name], 3)


def holiday(year: int, name: str) -> Pair:
    """That of a year."""
    if name == "thanksgiving":
        first = datetime(year, 11, 1, tzinfo=UTC)
        return one_day(first + DAY * ((3 - first.weekday()) % 7 + 21))
    fixed = HOLIDAYS[name]
    return one_day(_easter(year) + DAY * _BESIDE_EASTER[name]) if fixed is None else day(year, *fixed)


def _easter(year: int) -> datetime:
    """Easter Sunday, by the algorithm of Meeus, Jones and Butcher."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    number, rest = divmod(h + m - 7 * n + 114, 31)
    return datetime(year, number, rest + 1, tzinfo=UTC)


def nearest(make: Callable[[int], Pair], at: Anchor) -> Pair:
    """Of this time in the years around now, the one that is nearest, on the way that is said; the past one of two that are."""
    spans = [
        span
        for span in _of_years(make, at.now)
        if not at.way or (span[0] <= at.now if at.way < 0 else span[1] > at.now)
    ]
    if not spans:
        raise ValueError(at.now)
    return min(spans, key=lambda span: abs(span[0] + (span[1] - span[0]) / 2 - at.now))


def day_of_month(number: int, at: Anchor, turn: int | None = None, weekday: int | None = None) -> Pair | None:
    """A day by its number alone, in the month that its way tells: the last that has begun, the nearest, or the next that is not over.

    Args:
        turn: which month it is, from the present one on, if that is said; weekday: which the day has to be.
    """
    first = at.now.year * 12 + at.now.month - 1
    found: list[Pair] = []
    for step in (turn,) if turn is not None else range(-12, 13):
        try:
            pair = day((first + step) // 12, (first + step) % 12 + 1, number)
        except (ValueError, OverflowError):
            continue  # February has no 30th, nor the calendar a year 0
        if weekday is None or pair[0].weekday() == weekday:
            found.append(pair)
    if turn is None and at.way:
        found = [pair for pair in found if (pair[0] <= at.now if at.way < 0 else pair[1] > at.now)]
    return min(found, key=lambda pair: abs(pair[0] + DAY / 2 - at.now), default=None)


def turned(make: Callable[[int], Pair], now: datetime, turn: Turn) -> Pair:
    """Of this time in the years around now the last one that is over, the next one to begin, or the one of this year."""
    if turn == 0:
        return make(now.year)
    spans = _of_years(make, now)
    return max(span for span in spans if span[1] <= now) if turn < 0 else min(span for span in spans if span[0] > now)


def _of_years(make: Callable[[int], Pair], now: datetime) -> list[Pair]:
    spans: list[Pair] = []
    for number in range(now.year - 2, now.year + 2):
        try:
            spans.append(make(number))
        except ValueError:  # the 29th of February exists in one of them at most
            continue
    return spans


def calendar_unit(now: datetime, unit: str, count: int) -> Pair:
    """The calendar's unit that is so many after the present one."""
    if unit == "decade":
        return year(now.year // 10 * 10 + 10 * count, 10)
    if unit == "year":
        return year(now.year + count)
    if unit == "quarter":
        return quarter(now.year, (now.month + 2) // 3 + count)
    if unit == "month":
        return month(now.year, now.month + count)
    return (weekend if unit == "weekend" else week)(now + 7 * count * DAY)


def around(now: datetime, unit: str, count: float) -> Pair:
    """The time that is so many units after now, as exactly as the unit is: the week around a day, that month, that year."""
    if unit in ("decade", "year", "month", "quarter"):
        months = round(count * {"decade": 120, "year": 12, "quarter": 3, "month": 1}[unit])
        if unit in ("decade", "year") and months % 12 == 0:
            return year(now.year + months // 12)
        return month(now.year, now.month + months)
    if unit in ("week", "fortnight"):
        middle = midnight(now) + round(count * (14 if unit == "fortnight" else 7)) * DAY
        return middle - 3 * DAY, middle + 4 * DAY
    if unit == "weekend":
        return weekend(now + round(count) * 7 * DAY)
    if unit == "night":
        start = midnight(now) + round(count) * DAY + timedelta(hours=18)
        return start, start + timedelta(hours=12)
    if unit == "day" and count == round(count):
        return one_day(midnight(now) + round(count) * DAY)
    step = _AROUND[unit]
    return now + count * step - step / 2, now + count * step + step / 2


def weekday(now: datetime, number: int, count: int) -> Pair:
    """The n-th of these days after today, or before it when the count is below zero."""
    ahead = (number - now.weekday()) % 7
    return one_day(midnight(now) + DAY * (ahead + 7 * count if count < 0 or not ahead else ahead + 7 * (count - 1)))


def part(span: Pair, name: str) -> Pair:
    """Part of a span, in whole months or else in whole days: its first, middle or last third, or one of its halves."""
    start, end = span
    least, most = {"early": (0, 2), "mid": (2, 4), "late": (4, 6), "first half": (0, 3), "second half": (3, 6)}[name]
    months = (end.year - start.year) * 12 + end.month - start.month
    if start.day == end.day == 1 and months % 3 == 0 and start + 31 * DAY < end:
        first, last = least * months // 6, -(-most * months // 6)
        return month(start.year, start.month + first, last - first)
    days = (end - start) // DAY
    return start + DAY * (least * days // 6), start + DAY * -(-most * days // 6)


def nth(span: Pair, unit: str | int, number: int) -> Pair:
    """The n-th unit of a span, counted from its end when below zero; a weekday is a number."""
    start, end = span
    if isinstance(unit, int):
        first = start + DAY * ((unit - start.weekday()) % 7)
        days = [first + 7 * DAY * place for place in range((end - first) // (7 * DAY) + 1)]
        return one_day([each for each in days if each < end][_place(number)])
    if unit == "weekend":
        saturday = nth(span, 5, number)[0]
        return saturday, saturday + 2 * DAY
    if unit == "month":
        months = (end.year - start.year) * 12 + end.month - start.month
        return month(start.year, start.month + range(months)[_place(number)])
    if unit == "quarter":
        return nth_of(span, 4, number)
    length = DAY * {"day": 1, "week": 7, "fortnight": 14}[unit]
    first = start + (number - 1) * length if number > 0 else end + number * length
    return max(start, first), min(end, first + length)


def nth_of(span: Pair, count: int, number: int) -> Pair:
    """The n-th of so many equal parts of a year or a longer span, by months."""
    start, end = span
    months = (end.year - start.year) * 12 + end.month - start.month
    each = months // count
    if each == 0:
        raise ValueError(span)
    return month(start.year, start.month + each * range(count)[_place(number)], each)


def _place(number: int) -> int:
    return number - 1 if number > 0 else number
