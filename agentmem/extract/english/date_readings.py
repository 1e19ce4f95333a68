"""What words that name a time mean, seen from a moment, or within a longer time: a match of one kind to a span."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from agentmem.extract import spans
from agentmem.extract.english.date_words import DAYS_OF_MONTH, DAYTIMES, ORDINALS, PARTS, TENS
from agentmem.extract.lexicon import MONTHS, NUMBERS, WEEKDAYS
from agentmem.extract.spans import DAY, SEASONS, Anchor, Pair
from agentmem.notes.clock import as_utc

__all__ = ["INSIDE", "READ"]


def _count(words: str) -> int:
    words = words.lower()
    if words.isdigit():
        return int(words)
    found = words.removesuffix(" of")
    return NUMBERS[found.removeprefix("a ").removeprefix("an ") if " " in found else found]


def _unit(words: str) -> str:
    return words.lower().removesuffix("s")


def _iso(m: re.Match[str], _: Anchor) -> Pair:
    if not m["time"]:
        return spans.day(int(m["iso_y"]), int(m["iso_m"]), int(m["iso_d"]))
    moment = as_utc(datetime.fromisoformat(f"{m['iso_y']}-{m['iso_m']}-{m['iso_d']}T{m['time']}"))
    return moment, moment + timedelta(minutes=1)


def _dmy(m: re.Match[str], _: Anchor) -> Pair | None:
    day, month = int(m["dmy_d"]), int(m["dmy_m"])
    if m["dmy_s"] == "/" and day != month and day <= 12 and month <= 12:
        return None
    return spans.day(int(m["dmy_y"]), *((day, month) if month > 12 else (month, day)))


def _days(month: str, first: str, last: str, year: int) -> Pair:
    number = MONTHS[month.lower()]
    pair = spans.day(year, number, int(first))[0], spans.day(year, number, int(last))[1]
    if pair[0] >= pair[1]:
        raise ValueError(pair)
    return pair


def _day_of(m: re.Match[str]) -> tuple[Callable[[int], Pair], str | None]:
    """A day, or some that follow each other, in whatever year; and the year, if it is said."""
    if m["md_m"]:
        return partial(_days, m["md_m"], m["md_d"], m["md_t"] or m["md_d"]), m["md_y"]
    if m["dm_m"]:
        return partial(_days, m["dm_m"], m["dm_f"] or m["dm_d"], m["dm_d"]), m["dm_y"]
    kind = "dw" if m["dw_m"] else "mw"  # "the tenth of March", "March the tenth"
    number = str(DAYS_OF_MONTH[m[f"{kind}_d"].lower()])
    return partial(_days, m[f"{kind}_m"], number, number), m[f"{kind}_y"]


def _day_in_year(m: re.Match[str], at: Anchor) -> Pair:
    make, year = _day_of(m)
    return make(int(year)) if year else spans.nearest(make, at)


def _day_alone(m: re.Match[str], at: Anchor) -> Pair | None:
    """The day of that number, of the month that is meant: "on the 10th", "Tuesday the 10th", "on the 10th of last month"."""
    wanted = None if m["da_w"] is None else WEEKDAYS[m["da_w"].lower()]
    turn = None if m["da_t"] is None else {"last": -1, "next": 1}.get(m["da_t"].lower(), 0)
    return spans.day_of_month(int(m["da_d"]), at, turn, wanted)


def _beyond(m: re.Match[str], at: Anchor) -> Pair:
    step = -2 if m["b_d"].lower().startswith("before") else 2
    if m["b_u"]:
        return spans.calendar_unit(at.now, m["b_u"].lower(), step)
    return spans.one_day(spans.midnight(at.now) + DAY * step)


def _daytime(day: datetime, name: str | None) -> Pair:
    """A day, or the hours of it that are called so."""
    start, end = DAYTIMES[name.lower()] if name else (0, 24)
    return day + timedelta(hours=start), day + timedelta(hours=end)


def _near(m: re.Match[str], at: Anchor) -> Pair:
    today, (first, *rest) = spans.midnight(at.now), m["near"].lower().split()
    if first == "last":
        return today - timedelta(hours=6), today + timedelta(hours=6)
    step = {"yesterday": -1, "tomorrow": 1}.get(first, 0)
    return _daytime(today + DAY * step, "night" if first == "tonight" else (rest or [None])[0])


def _ago(m: re.Match[str], at: Anchor) -> Pair:
    unit = _unit(m["ago_u"])
    count = 0.5 if m["ago_h"] else _count(m["ago_n"])
    if unit in WEEKDAYS:
        return spans.weekday(at.now, WEEKDAYS[unit], -int(count))
    return spans.around(at.now, unit, -count)


_LENGTHS: Final = {
    "minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": DAY, "night": DAY,
    "week": 7 * DAY, "weekend": 7 * DAY, "fortnight": 14 * DAY, "month": 30 * DAY, "quarter": 91 * DAY, "year": 365 * DAY, "decade": 3652 * DAY,
}  # fmt: skip


def _past(m: re.Match[str], at: Anchor) -> Pair:
    return _window(at.now, m["past_d"], _LENGTHS[_unit(m["past_u"])] * _count(m["past_n"]))


def _window(now: datetime, turn: str, length: timedelta) -> Pair:
    return (now - length, now) if _turn(turn) < 0 else (now, now + length)


_TURNS: Final[Mapping[str, spans.Turn]] = {"last": -1, "past": -1, "this": 0, "next": 1, "coming": 1}


def _turn(words: str) -> spans.Turn:
    return _TURNS[words.lower().split()[-1]]


def _turn_unit(m: re.Match[str], at: Anchor) -> Pair:
    unit = m["turn_u"].lower()
    if unit == "fortnight":
        step = _turn(m["turn_t"]) or 1
        return (at.now - 14 * DAY, at.now) if step < 0 else (at.now, at.now + 14 * DAY)
    near = unit == "weekend" and "coming" in m["turn_t"].lower() and at.now.weekday() < 5
    return spans.calendar_unit(at.now, unit, 0 if near else _turn(m["turn_t"]))


def _turn_day(m: re.Match[str], at: Anchor) -> Pair:
    turn, today, number = m["td_t"].lower(), spans.midnight(at.now), WEEKDAYS[m["td_w"].lower()]
    if turn == "on":
        return _weekday_near(number, m["td_d"], at)
    step = _turn(turn)
    day = spans.weekday(today, number, step)[0] if step else spans.week(at.now)[0] + DAY * number
    return _daytime(day, m["td_d"])


def _weekday_near(number: int, daytime: str | None, at: Anchor) -> Pair:
    ahead = (number - at.now.weekday()) % 7
    gone = ahead > 0 if at.way < 0 else ahead > 3 and not at.way
    return _daytime(spans.midnight(at.now) + DAY * (ahead - 7 if gone else ahead), daytime)


def _of_a_year(words: str) -> Callable[[int], Pair]:
    """A month, season or holiday in whatever year."""
    name = words.lower()
    if name in MONTHS:
        return lambda year: spans.month(year, MONTHS[name])
    if name in SEASONS:
        return lambda year: spans.season(year, name)
    name = name.replace("'", "").replace("’", "")
    return lambda year: spans.holiday(year, name)


def _turn_time(m: re.Match[str], at: Anchor) -> Pair | None:
    if m["tt_t"].lower() == "this" and m["tt_w"] == "may":
        return None  # "this may be a silly question"
    return spans.turned(_of_a_year(m["tt_w"]), at.now, _turn(m["tt_t"]))


def _weekend(m: re.Match[str], at: Anchor) -> Pair:
    """The one that is going on, else the last; the coming one for what is to come, and from Thursday on for what is to be "at" or "for" it."""
    weekday = at.now.weekday()
    ahead = weekday in (3, 4) and (m["we_p"] or "").lower() in ("on", "at", "for", "by", "until")
    return spans.weekend(at.now if weekday > 4 or at.way > 0 or (ahead and not at.way) else at.now - 7 * DAY)


def _decade(m: re.Match[str], _: Anchor) -> Pair:
    name = m["d_d"].lower().lstrip("'’")
    if name in TENS:
        return spans.year(TENS[name], 10)
    number = int(name[:-1])
    return spans.year(number if number > 99 else number + (1900 if number > 20 else 2000), 10)


READ: Final[Mapping[str, Callable[[re.Match[str], Anchor], Pair | None]]] = {
    "iso": _iso,
    "ymd": lambda m, _: spans.day(int(m["ymd_y"]), int(m["ymd_m"]), int(m["ymd_d"])),
    "dmy": _dmy,
    "month_day": _day_in_year,
    "day_month": _day_in_year,
    "day_word": _day_in_year,
    "month_word": _day_in_year,
    "day_alone": _day_alone,
    "month_year": lambda m, _: spans.month(int(m["my_y"]), MONTHS[m["my_m"].lower()]),
    "year_month": lambda m, _: spans.month(int(m["ym_y"]), int(m["ym_m"])),
    "month": lambda m, at: spans.nearest(_of_a_year(m["m_m"]), at),
    "year": lambda m, _: spans.year(int(m["y_y"])),
    "decade": _decade,
    "quarter": lambda m, at: spans.nearest(lambda year: spans.quarter(year, int(m["q_n"])), at),
    "beyond": _beyond,
    "near": _near,
    "ago": _ago,
    "ahead": lambda m, at: spans.around(at.now, _unit(m["in_u"]), _count(m["in_n"])),
    "from_now": lambda m, at: spans.around(at.now, _unit(m["fn_u"]), _count(m["fn_n"])),
    "past": _past,
    "past_one": lambda m, at: _window(at.now, m["past_t"] or "past", _LENGTHS[m["past_v"].lower()]),
    "turn": _turn_unit,
    "turn_day": _turn_day,
    "turn_time": _turn_time,
    "weekend": _weekend,
    "weekday": lambda m, at: _weekday_near(WEEKDAYS[m["wd_w"].lower()], m["wd_d"], at),
    "season": lambda m, at: spans.nearest(_of_a_year(m["s_s"]), at),
    "holiday": lambda m, at: spans.nearest(_of_a_year(m["h_h"]), at),
    "unit": lambda m, at: spans.calendar_unit(at.now, m["un_u"].lower(), 0),
}
"""What each kind of words means by itself."""


def _in_one(make: Callable[[int], Pair], outer: Pair) -> Pair | None:
    """What comes once a year, in the year that is meant."""
    return make(outer[0].year) if outer == spans.year(outer[0].year) else None


def _in_week(number: int, outer: Pair) -> Pair | None:
    return spans.one_day(outer[0] + DAY * number) if outer[1] - outer[0] == 7 * DAY else None


def _ordinal(m: re.Match[str], outer: Pair) -> Pair:
    unit = m["ord_u"].lower()
    return spans.nth(outer, WEEKDAYS.get(unit, unit), ORDINALS[m["ord_n"].lower()])


INSIDE: Final[Mapping[str, Callable[[re.Match[str], Pair], Pair | None]]] = {
    "part": lambda m, outer: spans.part(outer, PARTS[m["part_w"].lower()]),
    "ordinal": _ordinal,
    "month": lambda m, outer: _in_one(_of_a_year(m["m_m"]), outer),
    "season": lambda m, outer: _in_one(_of_a_year(m["s_s"]), outer),
    "holiday": lambda m, outer: _in_one(_of_a_year(m["h_h"]), outer),
    "quarter": lambda m, outer: _in_one(lambda year: spans.quarter(year, int(m["q_n"])), outer),
    "month_day": lambda m, outer: None if _day_of(m)[1] else _in_one(_day_of(m)[0], outer),
    "day_month": lambda m, outer: None if _day_of(m)[1] else _in_one(_day_of(m)[0], outer),
    "weekday": lambda m, outer: _in_week(WEEKDAYS[m["wd_w"].lower()], outer),
    "turn_day": lambda m, outer: _in_week(WEEKDAYS[m["td_w"].lower()], outer) if m["td_t"].lower() == "on" else None,
    "weekend": lambda _, outer: spans.weekend(outer[0]),
}
"""What it means within a longer time, if that holds it once."""
