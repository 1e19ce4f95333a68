"""What a value of each shape looks like: a place, a name, an occupation; everything else is not believed."""

from __future__ import annotations

import re
from typing import Final

from agentmem.extract.english.verbs import ELSEWHERE, PEOPLES, ROLES, SMALL_TALK
from agentmem.extract.lexicon import MONTHS, WEEKDAYS
from agentmem.extract.secrets import MAIL

__all__ = ["ARTICLE", "POINTERS", "SHAPES", "YEAR", "name_part"]

_SMALL: Final = frozenset(
    "of the de da do dos du des del della di van von der den zu la le les las los and & el al bin ibn".split()
)
POINTERS: Final = frozenset(
    """it this that these those he she they him her them his their its you your we us our me my mine someone somebody
    anyone everyone something everything one here there who what which to i yours ours hers theirs myself yourself himself
    herself ourselves themselves""".split()
)
_COMPANION: Final = re.compile(r",? (?:with|near|together|and (?=[a-z])|because|where|since|on|at|for)\b.*$")
ARTICLE: Final = re.compile(r"^(?:an?|the|my|his|her|their|our) ", re.IGNORECASE)
YEAR: Final = re.compile(r"(?:1\d|20)\d\d")
_DAY: Final = re.compile(
    rf"(?:(?:{'|'.join(MONTHS)})\.? \d{{1,2}}(?:st|nd|rd|th)?|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{'|'.join(MONTHS)}))"
    r"(?:,? \d{4})?|\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{4}",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"[$€£]?\+?[\d][\d .,()/-]*(?: ?[a-zA-Z%€°]{1,12}){0,2}")
_WITHIN: Final = frozenset(
    "apartment flat room house building block unit dorm hall floor street road avenue lane".split()
)
"""Where in a town somebody lives is no other town."""
_WITH_AND: Final = frozenset(
    {
        "bosnia and herzegovina",
        "trinidad and tobago",
        "antigua and barbuda",
        "newfoundland and labrador",
        "brighton and hove",
        "tyne and wear",
    }
)
_NO_ROLES: Final = frozenset(
    "team charm group pair rule whole result unit reminder placeholder treat couple duo joke".split()
)
_NO_EMPLOYERS: Final = frozenset("living while bit change computer desk laptop meeting lot pittance song dream".split())
_PHONE_DIGITS: Final = 5


def name_part(part: str) -> bool:
    """Whether a word may stand in a name: it has a capital or a digit, or is one of the small words of names."""
    return part[0].isupper() or part[0].isdigit() or part.lower() in _SMALL


def _place(value: str) -> str | None:
    value = _COMPANION.sub("", value.removeprefix("in "))
    parts = [part.strip() for part in value.split(",")]
    if len(parts) > 3 or not all(_is_name(part) for part in parts) or parts[0].lower() in ELSEWHERE:
        return None
    if not _WITHIN.isdisjoint(parts[0].lower().split()) or any(c.isdigit() for c in parts[0]):
        return None
    several = "/" in value or " & " in value or (" and " in value and parts[0].lower() not in _WITH_AND)
    return None if several else value


def _is_name(value: str) -> bool:
    parts = value.split()
    if parts and parts[0].lower() == "the":
        parts = parts[1:]
    if not parts or len(parts) > 5 or not parts[0][0].isupper() or not all(map(name_part, parts)):
        return False
    return parts[0].lower() not in WEEKDAYS and parts[0].lower() not in MONTHS


def _name(value: str) -> str | None:
    value = re.sub(r"^the (?=[A-Z])", "", value)
    return value if _is_name(value) and "," not in value and " and " not in value else None


def _person(value: str) -> str | None:
    return _name(value) if value.lower() not in PEOPLES else None


def _organisation(value: str) -> str | None:
    value = re.sub(r",? (?:as an?|in|and (?=[a-z])|with|since|where) .*$", "", value)
    if _is_name(value) and "," not in value:
        return None if value.lower() in ("church", "mass", "court") else value
    plain = re.fullmatch(r"an? [a-z-]+(?: [a-z-]+){0,2}", value)
    return value if plain and value.split()[-1] not in _NO_EMPLOYERS else None


def _role(value: str) -> str | None:
    """An occupation: behind an article, or one of those known: "works as expected" and "as a team" name none."""
    bare = re.sub(r",? (?:at|for|in|with|and|near|on) .*$", "", ARTICLE.sub("", value))
    words = bare.lower().split()
    if (
        re.fullmatch(r"[A-Za-z-]+(?: [a-z-]+){0,3}", bare) is None
        or not SMALL_TALK.isdisjoint(words)
        or words[-1] in _NO_ROLES
    ):
        return None
    return bare if words[-1] in ROLES or ARTICLE.match(value) else None


def _thing(value: str) -> str | None:
    value = ARTICLE.sub("", value)
    parts = value.split()
    plain = 1 <= len(parts) <= 5 and not value.endswith(":") and "," not in value
    if not plain or parts[0].lower() in SMALL_TALK or any(p.lower() in POINTERS for p in parts):
        return None
    return value


def _year(value: str) -> str | None:
    match = YEAR.match(value)
    return match.group() if match and len(value.split()) <= 3 else None


def _date(value: str) -> str | None:
    match = _DAY.fullmatch(re.sub(r"^(?:on |the )+", "", value))
    return match.group() if match else None


def _number(value: str) -> str | None:
    return value if _NUMBER.fullmatch(value) else None


def _phone(value: str) -> str | None:
    return _number(value) if sum(c.isdigit() for c in value) >= _PHONE_DIGITS else None


def _email(value: str) -> str | None:
    return value if MAIL.fullmatch(value) else None


def _address(value: str) -> str | None:
    plain = any(c.isdigit() for c in value) and len(value.split()) >= 3 and not value[0].islower()
    return value if plain else None


SHAPES: Final = {
    "place": _place,
    "name": _name,
    "person": _person,
    "organisation": _organisation,
    "role": _role,
    "thing": _thing,
    "year": _year,
    "date": _date,
    "number": _number,
    "phone": _phone,
    "email": _email,
    "address": _address,
}
