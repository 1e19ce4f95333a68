"""The words that name times, as one pattern with a group for each kind of them; :mod:`agentmem.extract.english.dates` says what they mean together."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from agentmem.extract.lexicon import MONTHS, NUMBERS, WEEKDAYS
from agentmem.extract.spans import HOLIDAYS, SEASONS

__all__ = ["DAYS_OF_MONTH", "DAYTIMES", "GATE", "ORDINALS", "PARTS", "TENS", "pattern"]

_M = "|".join(sorted(MONTHS, key=len, reverse=True))
_W = "|".join(WEEKDAYS)
_S = "|".join(SEASONS)
_H = "|".join(re.sub("s\\b(?<=years|tines)", "['’]?s", each) for each in sorted(HOLIDAYS, key=len, reverse=True))
_N = "|".join(sorted(NUMBERS, key=len, reverse=True))
_COUNT = rf"(?:an? (?:couple of|couple|few)|couple of|{_N}|\d{{1,4}})"
_LONG = "weekend|week|fortnight|month|quarter|year|decade"
_UNIT = rf"(?:minute|hour|day|night|{_LONG})s?"
_DAY_OF = r"(?P<{0}>\d{{1,2}})(?:st|nd|rd|th)?"
TENS: Final = {
    "twenties": 2020, "thirties": 1930, "forties": 1940, "fifties": 1950, "sixties": 1960, "seventies": 1970, "eighties": 1980, "nineties": 1990,
}  # fmt: skip
ORDINALS: Final = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1, "final": -1, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4,
}  # fmt: skip
_UNITS = "first second third fourth fifth sixth seventh eighth ninth".split()
_TEENS = "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split()
DAYS_OF_MONTH: Final = {word: number for number, word in enumerate([*_UNITS, *_TEENS], 1)} | {
    f"twenty{mark}{word}": 20 + number for number, word in enumerate(_UNITS, 1) for mark in "- "
} | {"thirtieth": 30, "thirty-first": 31, "thirty first": 31}  # fmt: skip
_SPELLED = "|".join(sorted(DAYS_OF_MONTH, key=len, reverse=True))
# What follows "on the 10th" where it is a day, and no floor, attempt or street.
_DAY_ENDS = r"(?=\s*(?:[.,;:!?)]|$)| of (?P<da_t>this|the|last|next) month\b| (?:at|and|or|to|until|till|from|in the|i|we|you|he|she|they|it|there)\b)"
_SHARES = {"early": "early", "earlier": "early", "mid": "mid", "late": "late", "later": "late"}
PARTS: Final = _SHARES | {
    "beginning": "early", "start": "early", "middle": "mid", "end": "late", "first half": "first half", "second half": "second half",
    "latter half": "second half",
}  # fmt: skip
DAYTIMES: Final = {"morning": (5, 12), "afternoon": (12, 18), "evening": (17, 24), "night": (18, 30)}
_DAYTIME = "|".join(DAYTIMES)
_DECADE = rf"(?:(?:19|20)\d|['’]?\d)0s|{'|'.join(TENS)}"
# What a part lies in. Without it, "end" and "early" are words as any other.
_WHOLE = (
    rf"(?=(?:-| |,? (?:of|in) )(?:the )?(?:(?:early|mid|late)[ -])?(?:(?:this|last|next|past|coming) )?"
    rf"(?:{_M}|{_S}|(?:19|20)\d\d|week(?!end)|month|quarter|year|decade|{_DECADE}|Q[1-4])\b)"
)
_PART = "|".join(each if each in _SHARES else f"{each}(?= of)" for each in sorted(PARTS, key=len, reverse=True))
_NO_PLACE = r"(?! (?:in|at|to|from|home|on|with|into)\b)"

# One alternation, the longer readings first, so that one pass over the text finds everything and nothing twice.
_DATES: Final = (
    r"(?:(?<![\w/.-])|(?<=\bmid-))(?:"
    r"(?P<iso>(?P<iso_y>\d{4})-(?P<iso_m>\d\d)-(?P<iso_d>\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?))?)"
    r"|(?P<ymd>(?P<ymd_y>\d{4})/(?P<ymd_m>\d\d?)/(?P<ymd_d>\d\d?))"
    r"|(?P<dmy>(?P<dmy_d>\d\d?)(?P<dmy_s>[./])(?P<dmy_m>\d\d?)(?P=dmy_s)(?P<dmy_y>\d{4}))"
    rf"|(?P<month_day>(?P<md_m>{_M})\.? (?:the )?{_DAY_OF.format('md_d')}(?!\d|:)"
    rf"(?: ?(?:-|–|to) ?{_DAY_OF.format('md_t')}(?!\d|:| ?[ap]\.?m))?(?:,? (?P<md_y>\d{{4}}))?)"
    rf"|(?P<day_month>(?:the )?(?:{_DAY_OF.format('dm_f')} ?(?:-|–|to|until|(?:(?<=between \d )|(?<=between \d\d ))and) ?(?:the )?)?{_DAY_OF.format('dm_d')}"
    rf" (?:of )?(?P<dm_m>{_M})\b\.?(?:,? (?P<dm_y>\d{{4}}))?)"
    rf"|(?P<day_word>(?:the )?(?P<dw_d>{_SPELLED}) of (?P<dw_m>{_M})\b\.?(?:,? (?P<dw_y>\d{{4}}))?)"
    rf"|(?P<month_word>(?P<mw_m>{_M}) the (?P<mw_d>{_SPELLED})\b(?:,? (?P<mw_y>\d{{4}}))?)"
    rf"|(?P<day_alone>(?:(?:on |by |until |till |since |from )?(?:(?P<da_w>{_W}),? )|on |by |until |till |since |from )the (?P<da_d>\d\d?)(?:st|nd|rd|th)\b{_DAY_ENDS}"
    r"(?: of (?:this|the|last|next) month)?)"
    rf"|(?P<month_year>(?P<my_m>{_M})\.?,? (?:of )?(?P<my_y>\d{{4}}))"
    r"|(?P<year_month>(?P<ym_y>(?:19|20)\d\d)-(?P<ym_m>0[1-9]|1[0-2])(?![\w-]))"
    rf"|(?P<part>(?:the )?(?:very )?(?P<part_w>{_PART}){_WHOLE})"
    rf"|(?P<ordinal>(?:on |in |over |during )?(?:the )?(?:very )?(?P<ord_n>{'|'.join(ORDINALS)}) (?P<ord_u>{_W}|{_LONG}|day){_WHOLE})"
    rf"|(?P<month>(?:(?P<m_p>in|since|during|until|till|by|from|between|of|every) )?(?P<m_m>{_M})\b(?!\.?,? (?:the )?\d))"
    r"|(?P<year>(?:(?P<y_p>in|since|during|until|by|from|of|year|before|after|between) )?(?P<y_y>(?:19|20)\d\d)(?!\d|[-/.]\d|%))"
    rf"|(?P<decade>(?:(?P<d_p>(?:(?:in|during|since|from|of) )?the) )?(?P<d_d>{_DECADE}))"
    r"|(?P<quarter>(?:(?P<q_p>in|during|of|for|since|by|until) )?Q(?P<q_n>[1-4]))"
    r"|(?P<beyond>the (?:day|(?P<b_u>week(?:end)?|month|quarter|year|decade)) (?P<b_d>before (?:yesterday|last)|after (?:tomorrow|next)))"
    rf"|(?P<near>(?:yesterday|today|tomorrow)(?: (?:{_DAYTIME}))?|tonight|last night|this (?:morning|afternoon|evening))"
    rf"|(?P<ago>(?:about |around )?(?:(?P<ago_h>half an? )|(?P<ago_n>{_COUNT}) )(?P<ago_u>(?:{_W})s?|{_UNIT}) (?:ago|back{_NO_PLACE}))"
    rf"|(?P<ahead>in (?P<in_n>{_COUNT}) (?P<in_u>{_UNIT})(?! (?:of|ago|back)\b))"
    rf"|(?P<from_now>(?P<fn_n>{_COUNT}) (?P<fn_u>{_UNIT}) from (?:now|today))"
    rf"|(?P<past>(?:in |over |during |for |within )?(?:the|these) (?P<past_d>last|past|next|coming) (?P<past_n>{_COUNT}) (?P<past_u>{_UNIT})(?! of\b))"
    r"|(?P<past_one>(?:(?:in|over|during|within|for) the (?P<past_t>last|past|next|coming)|the past) (?P<past_v>week|month|year|decade)\b(?! of\b))"
    rf"|(?P<turn>(?<!\bthe )(?P<turn_t>last|next|this past|this coming|this|the past|the coming) (?P<turn_u>{_LONG})\b(?! of\b))"
    rf"|(?P<turn_day>(?<!\bthe )(?P<td_t>last|next|this past|this coming|this|on) (?P<td_w>{_W})\b(?: (?P<td_d>{_DAYTIME}))?(?! of (?!last|next|this))\b)"
    rf"|(?P<turn_time>(?<!\bthe )(?P<tt_t>last|next|this past|this coming|this) (?P<tt_w>{_M}|{_S}|{_H})\b(?! of\b))"
    r"|(?P<weekend>(?:(?P<we_p>over|on|at|during|for|by|since|until) )?the weekend)"
    rf"|(?P<weekday>(?:(?P<wd_p>since|by|until|till|from) )?(?P<wd_w>{_W})\b(?: (?P<wd_d>{_DAYTIME}))?)"
    rf"|(?P<season>(?:(?P<s_p>in|during|over|since|by|until) )?(?:(?P<s_t>the) )?(?P<s_s>{_S})(?! of (?!(?:19|20)\d\d|last|this|next)))"
    rf"|(?P<holiday>(?:(?P<h_p>at|on|over|for|during|since|until|before|after) )?(?P<h_h>{_H}))"
    r"|(?P<unit>(?:in |of )?the (?P<un_u>week|month|quarter|year|decade))"
    r")(?![\w])"
)
# Most texts name no date: a word or a digit that every reading above holds decides that in one cheap search.
GATE: Final = re.compile(
    rf"\d|\b(?:{_M}|{_W}|{_S}|{_H}|(?:yester|to)day|ton|tomo|ago|back|last|next|this|past|coming|now|"
    rf"(?:minute|hour|day|night|{_LONG})s?\b|{'|'.join(TENS)})",
    re.IGNORECASE,
)


@cache
def pattern() -> re.Pattern[str]:
    """Compiled on first use: it takes longer than importing the rest of this package."""
    return re.compile(_DATES, re.IGNORECASE)
