"""The relations that facts are read in and asked about: one canonical name each.

``functional`` says that a subject has one value at a time, so that a newer one closes the older; ``shape`` says what
the value must look like before a rule believes it (see :mod:`agentmem.extract.english.facts`).
"""

from __future__ import annotations

import re
import unicodedata
from types import MappingProxyType
from typing import Final, NamedTuple

from agentmem.extract.lexicon import MONTHS

__all__ = ["RELATIONS", "Relation", "canonical", "meant", "plain", "relation", "same_value"]


class Relation(NamedTuple):
    """One relation: its canonical name, and what is known about its values."""

    name: str
    functional: bool = True
    shape: str = "thing"
    volatile: bool = False
    private: bool = False


def _table() -> dict[str, Relation]:
    one = [
        ("lives in", "place"), ("from", "place"), ("born in", "place"), ("works at", "organisation"),
        ("works as", "role"), ("studies at", "organisation"), ("name", "name"), ("nickname", "name"),
        ("nationality", "thing"), ("birthday", "date"), ("born on", "date"), ("birth year", "year"),
        ("married to", "person"), ("hobby", "thing"), ("boss", "person"), ("mother tongue", "name"),
        ("favourite food", "thing"), ("favourite colour", "thing"), ("favourite book", "thing"),
        ("favourite film", "thing"), ("favourite music", "thing"), ("favourite drink", "thing"),
        ("headquarters", "place"), ("founder", "person"), ("founded in", "year"), ("ceo", "person"),
        ("diet", "thing"), ("main product", "thing"), ("industry", "thing"), ("owner", "person"), ("author", "person"),
        ("capital", "name"), ("country", "place"), ("region", "place"), ("located in", "place"),
        ("river", "name"), ("mayor", "person"), ("president", "person"), ("currency", "thing"),
        ("official language", "thing"), ("national dish", "thing"), ("famous dish", "thing"),
        ("main export", "thing"), ("architect", "person"), ("director", "person"), ("inventor", "person"),
    ]  # fmt: skip
    many = [
        ("likes", "thing"), ("dislikes", "thing"), ("allergic to", "thing"), ("speaks", "name"), ("plays", "thing"),
        ("knows", "name"), ("visited", "place"), ("owns", "thing"), ("makes", "thing"), ("studies", "thing"),
        ("famous for", "thing"), ("member of", "organisation"),
    ]  # fmt: skip
    table = [Relation(name, True, shape) for name, shape in one]
    table += [Relation(name, False, shape) for name, shape in many]
    table += [Relation(name, True, shape, private=True) for name, shape in (("phone", "phone"), ("email", "email"))]
    table += [Relation("address", True, "address", private=True)]
    table += [Relation(name, True, "number", volatile=True) for name in ("age", "price", "population", "temperature")]
    return {entry.name: entry for entry in table}


RELATIONS: Final = MappingProxyType(_table())
"""Canonical name to relation. Any other ``favourite X`` is a relation too: see :func:`relation`."""

_ALIASES: Final = {
    alias: name
    for name, aliases in {
        "lives in": "live in, living in, resides in, home city, home town now, city of residence, residence, home, "
        "lives at, moved to, current city, location",
        "from": "comes from, is from, hometown, home town, origin, place of origin",
        "born in": "birthplace, place of birth, was born in, birth place, birth city",
        "works at": "works for, employer, company, employed by, employed at, workplace, place of work, work at",
        "works as": "job, occupation, profession, job title, work as, is a, role",
        "studies at": "university, school, college, attends",
        "name": "is called, full name, is named, called, first name",
        "married to": "husband, wife, spouse",
        "hobby": "hobbies, main hobby, pastime",
        "plays": "instrument, musical instrument, plays the",
        "boss": "manager, supervisor",
        "mother tongue": "native language, first language",
        "birthday": "date of birth, birth date, birthdate",
        "birth year": "year of birth",
        "phone": "phone number, telephone, telephone number, mobile, mobile number, cell, cell number, number",
        "email": "e-mail, email address, e-mail address, mail address",
        "address": "home address, postal address",
        "headquarters": "headquartered in, based in, head office, seat, main office",
        "founder": "founded by, established by, started by, created by, creator",
        "founded in": "founding year, year of foundation, established in, founded, foundation year, year founded",
        "ceo": "chief executive, chief executive officer, head, boss of the company",
        "main product": "product, flagship product, best-known product, makes mainly",
        "owner": "owned by",
        "author": "written by, writer",
        "country": "nation, state",
        "located in": "is in, lies in, situated in",
        "river": "lies on, stands on, main river",
        "mayor": "lord mayor",
        "currency": "money",
        "famous dish": "dish, local dish, best-known dish, speciality, specialty, signature dish",
        "main export": "export, exports, famous export, chief export",
        "famous for": "known for, renowned for",
        "allergic to": "allergy, allergies, has an allergy to",
        "likes": "loves, enjoys, is fond of, adores",
        "dislikes": "hates, cannot stand, does not like",
        "speaks": "language, languages, speaks fluently",
        "owns": "has, drives",
        "makes": "produces, manufactures",
        "studies": "subject, major, field of study, majors in",
        "age": "years old",
        "inventor": "invented by",
        "director": "directed by",
        "architect": "designed by",
        "favourite colour": "favourite color",
        "favourite film": "favourite movie",
        "favourite food": "favourite dish, favourite meal",
    }.items()
    for alias in aliases.split(", ")
}


def canonical(name: str) -> str:
    """The canonical name of a relation; an unknown one is only put in lower case, with single spaces."""
    key = " ".join(name.replace("_", " ").casefold().split()).removeprefix("the ")
    key = key.replace("favorite", "favourite")
    return key if key in RELATIONS else _ALIASES.get(key, key)


def meant(name: str, subject: str, value: str) -> str:
    """The canonical name of a relation as a fact means it; its own words where these have another meaning of their subject or value.

    A company's seat is its headquarters, a passenger's is 14A; the number of a person is called, that of a room stands on its door.
    Words that are a canonical name mean what they say.
    """
    own = " ".join(name.replace("_", " ").casefold().split()).removeprefix("the ").replace("favorite", "favourite")
    key = canonical(name)
    if key == own or key not in RELATIONS:
        return key
    return key if _has_shape(RELATIONS[key].shape, value) and not (key in _OF_BEINGS and _is_thing(subject)) else own


_OF_BEINGS: Final = frozenset(
    """lives in|from|born in|works at|works as|studies at|studies|married to|hobby|boss|mother tongue|nationality|phone|email|headquarters|ceo|plays|speaks|owns
    |likes|dislikes|allergic to|main product|founder|birthday|age|name|makes""".replace("\n    ", "").split("|")
)
"""What people, companies and other beings have, and things have in another sense."""
_NAMELIKE: Final = frozenset(("place", "person", "name"))


def _has_shape(shape: str, value: str) -> bool:
    """Whether a value may be one of this shape: as little as tells "14A" from a place, and a room's number from a telephone's."""
    value = value.strip()
    digits = sum(c.isdigit() for c in value)
    if shape in _NAMELIKE:
        return bool(value) and not digits and not value[0].islower()
    if shape == "phone":
        return digits >= _PHONE_DIGITS
    return (
        digits > 0
        if shape in ("date", "year")
        else not (digits and shape in ("role", "organisation") and value[0].isdigit())
    )


_PHONE_DIGITS: Final = 5


def _is_thing(subject: str) -> bool:
    """Whether a subject is called by what it is and not by a name: "the server", "room 12", "Flight 442"; nobody's relative, and not the user."""
    words = subject.split()
    owned = re.search(r"['’]s?\s", subject) is not None
    if not words or subject.casefold() == "user" or owned or words[0].casefold() in ("my", "our"):
        return False
    core = words[1:] if words[0].casefold() in ("the", "a", "an", "this") and len(words) > 1 else words
    return any(c.isdigit() for c in subject) or all(word[0].islower() for word in core)


def relation(name: str) -> Relation | None:
    """The relation of this name or alias; ``None`` when nothing is known about it."""
    key = canonical(name)
    known = RELATIONS.get(key)
    if known is None and key.startswith("favourite ") and 2 <= len(key.split()) <= 4:
        return Relation(key)
    return known


_LEGAL: Final = re.compile(r",? (?:corp|inc|ltd|co|llc|plc|gmbh|ag|sa|corporation|company|limited)\.?$")
_MONTHS: Final = "|".join(sorted(MONTHS, key=len, reverse=True))
_DAY: Final = re.compile(
    rf"(?P<y1>\d{{4}})-(?P<m1>\d\d)-(?P<d1>\d\d)|(?P<m2>{_MONTHS})\.? (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<y2>\d{{4}}))?"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<m3>{_MONTHS})\.?(?:,? (?P<y3>\d{{4}}))?"
)


def same_value(name: str, one: str, other: str) -> bool:
    """Whether two values of a relation are one value, perhaps said more fully: "Porto" and "Porto, Portugal", "May 7th" and "7 May 1990".

    Case, spacing and a final full stop never count; how a shape of values may be said more fully is known for the relations of the table.
    """
    a, b = plain(one), plain(other)
    if a == b:
        return True
    known = relation(name)
    if known is None or known.shape not in ("place", "name", "person", "organisation", "date", "phone"):
        return False
    if known.shape == "date":
        return _same_day(a, b)
    if known.shape == "phone":
        return re.sub(r"\D", "", a) == re.sub(r"\D", "", b) != ""
    a, b = _folded(a), _folded(b)
    if known.shape == "organisation":
        return _LEGAL.sub("", a) == _LEGAL.sub("", b)
    short, long = sorted((_parts(a, known.shape), _parts(b, known.shape)), key=len)
    return bool(short) and long[: len(short)] == short


def plain(text: str) -> str:
    """The words alone: case, spacing and a final full stop tell no two values apart."""
    return " ".join(text.casefold().split()).rstrip(" .")


def _folded(text: str) -> str:
    """Without accents and a leading article."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return bare.removeprefix("the ")


def _parts(text: str, shape: str) -> list[str]:
    return [part.strip(" .") for part in text.split(",")] if shape == "place" else text.split()


def _same_day(a: str, b: str) -> bool:
    """The same day and month, and no two different years."""
    one, other = _DAY.fullmatch(a), _DAY.fullmatch(b)
    if one is None or other is None:
        return False
    (year, *day), (also, *days) = _day(one), _day(other)
    return day == days and (year == also or None in (year, also))


def _day(found: re.Match[str]) -> tuple[int | None, int, int]:
    year, month, day = (found[f"{part}1"] or found[f"{part}2" if found["m2"] else f"{part}3"] for part in "ymd")
    return int(year) if year else None, MONTHS[month] if month in MONTHS else int(month), int(day)
