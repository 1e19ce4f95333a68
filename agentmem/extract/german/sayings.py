"""How German says relations, that they are over, and what their values look like: data."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from agentmem.extract.frames import Frame, Frames, Saying

__all__ = ["FRAMES"]

_NAME: Final = r"[A-ZÄÖÜ][\wäöüß'-]+"
_KIN: Final = {
    "mutter": "mother", "mama": "mother", "vater": "father", "papa": "father", "schwester": "sister", "bruder": "brother", "mann": "husband",
    "ehemann": "husband", "frau": "wife", "ehefrau": "wife", "tochter": "daughter", "sohn": "son", "oma": "grandmother", "großmutter": "grandmother",
    "opa": "grandfather", "großvater": "grandfather", "hund": "dog", "katze": "cat", "chef": "boss", "chefin": "boss", "verlobter": "fiance",
    "verlobte": "fiancee", "hausarzt": "doctor", "hausärztin": "doctor", "ältere": "older", "älterer": "older", "große": "older", "großer": "older",
    "jüngere": "younger", "jüngerer": "younger", "kleine": "younger", "kleiner": "younger",
}  # fmt: skip
"""Whom one has several of ("mein Freund", "meine Kollegin") is missing on purpose: two sentences are about two of them."""
_ADVERBS: Final = (
    r"jetzt|nun|inzwischen|mittlerweile|derzeit|aktuell|heute|endlich|übrigens|auch|wirklich|sehr|total|hauptberuflich|schon|bereits|vor kurzem|kürzlich|neulich|gestern"
    r"|seit (?:\w+\.? ){0,2}(?:\d{4}|Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Montag|gestern|kurzem|langem|Jahren|Monaten|Wochen)"
    r"|(?:letzten|letzte|letztes|diesen|dieses) (?:Woche|Monat|Jahr|Sommer|Winter|Frühling|Herbst|Wochenende)"
    r"|im (?:Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Sommer|Winter|Frühling|Herbst)"
    r"|vor (?:\w+ ){1,2}(?:Jahr|Jahren|Monat|Monaten|Woche|Wochen|Tagen)"
)
_NO_PLACE: Final = re.compile(
    r"(?:\w+(?:ung|heit|keit|schaft|tum|nähe|miete|zeit|stand|viertel|reichweite|verhältnissen|laune)"
    r"|Angst|Armut|Frieden|Freiheit|Rente|Urlaub|Hause|Karenz|Pension|Ruhe|Stille|Panik|Sorge|Haft|Not|Trauer|Liebe|Gedanken|Erinnerungen|Versehen"
    r"|Python|Java|Rust|Excel|Word|Notion|Slack|Linux|Windows|GitHub|Teams|Zoom|Figma|Jira)"
)
"""Where one lives, or what one moves to, without living there: states, and tools."""
_NO_COMPANY: Final = frozenset(
    "nacht tag tageslicht licht regen wind bedarf gelegenheit kerzenlicht hitze kälte lärm musik tisch".split()
)
_NO_ROLE: Final = frozenset(
    "team gruppe erste erster letzte letzter ersatz paar ausgleich notlösung beispiel hobby kind strafe belohnung dank".split()
)
_ROLES: Final = frozenset(
    """lehrer arzt klempner installateur pfleger krankenpfleger koch bäcker anwalt rechtsanwalt ingenieur programmierer entwickler softwareentwickler mechaniker
    elektriker tischler schreiner maler friseur verkäufer buchhalter journalist architekt apotheker polizist richter professor pilot bauer landwirt gärtner
    physiker chemiker biologe psychologe therapeut übersetzer bibliothekar kellner metzger briefträger steuerberater zahnarzt tierarzt hebamme ärztin köchin
    zahnärztin tierärztin anwältin rechtsanwältin krankenschwester bäuerin biologin psychologin journalistin""".split()
)


def _place(value: str) -> str | None:
    plain = re.fullmatch(
        rf"{_NAME}(?: (?:(?:am|an der|im|bei|ob der|in der) )?{_NAME}){{0,3}}(?:, {_NAME}(?: {_NAME})?)?", value
    )
    return (
        value
        if plain
        and not _NO_PLACE.fullmatch(value.split(",", maxsplit=1)[0].rsplit(maxsplit=1)[-1])
        and " und " not in value
        else None
    )


def _name(value: str) -> str | None:
    return value if re.fullmatch(rf"{_NAME}(?: (?:(?:von|van|de|der|den|zu) )*{_NAME}){{0,2}}", value) else None


def _person(value: str) -> str | None:
    first = value.split(maxsplit=1)[0].casefold()
    return _name(value) if first not in _POINTERS else None


_POINTERS: Final = frozenset(
    """er sie es wir ihr man jemand niemand jeder alle wer das dies dieser diese dieses der die ein eine sein seine ihre unser unsere dein deine euer eure
    leider jetzt hier dort heute gestern morgen dann so also vielleicht mein meine du""".split()
)


def _organisation(value: str) -> str | None:
    value = re.sub(r" (?:in|als|im|am) .*$|, .*$", "", value)
    found = re.fullmatch(
        r"(?:(?:der|dem|den) )?(?P<bare>[A-ZÄÖÜ0-9][\w&.äöüß-]*(?: (?:und |& )?[A-ZÄÖÜ][\w&.äöüß-]*){0,3})", value
    )
    return found["bare"] if found and found["bare"].casefold() not in _NO_COMPANY else None


def _role(value: str) -> str | None:
    value = re.sub(r" (?:bei|in|im|für|an|am) .*$", "", value)
    found = re.fullmatch(r"(?:(?:selbst(?:st)?ändige[r]?|freie[r]?|leitende[r]?) )?[A-ZÄÖÜ][a-zäöüß-]+", value)
    return value if found and value.split()[-1].casefold() not in _NO_ROLE else None


def _trade(value: str) -> str | None:
    """An occupation that is known: every noun has a capital, and "Ich bin Vater" tells no work."""
    role = _role(value)
    return (
        role
        if role and role.casefold().split()[-1].removesuffix("in") in _ROLES | {r.removesuffix("in") for r in _ROLES}
        else None
    )


def _thing(value: str) -> str | None:
    """What is liked: nouns, with an adjective perhaps; not what a pointer or an article points at, nor a sentence."""
    words = value.split()
    plain = (
        1 <= len(words) <= 4 and "," not in value and words[-1][0].isupper() and words[0].casefold() not in _NO_THING
    )
    return value if plain else None


_NO_THING: Final = _POINTERS | frozenset("den dem des dich mich ihn ihm uns euch wie wenn dass zu am im".split())


def _kind(value: str) -> str | None:
    words = value.split()
    return (
        value
        if 1 <= len(words) <= 4
        and "," not in value
        and words[0].casefold() not in _NO_THING | {"gerade", "noch", "sehr", "nie"}
        else None
    )


_DAY: Final = r"\d{1,2}\. ?(?:\d{1,2}\.|Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember)(?: ?\d{4})?"


def _matching(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)
    return lambda value: value if compiled.fullmatch(value) else None


def _sayings(*sayings: tuple[str, tuple[str, ...], str, bool]) -> tuple[Saying, ...]:
    return tuple(
        Saying(re.compile(pattern, re.IGNORECASE), affirmed, rest, which) for pattern, affirmed, rest, which in sayings
    )


_ONCE: Final = rf"(?: (?:{_ADVERBS}))*"
_SUBJECT: Final = rf"(?:ich|mein(?:e|er)?(?: [a-zäöüß]+)? {_NAME}(?: {_NAME})?|{_NAME}(?: {_NAME}){{0,2}})"
_WORKS: Final = ("{who} arbeite{t} {what}",)

FRAMES: Final = Frames(
    who=_SUBJECT,
    me="ich",
    mine=re.compile(rf"[Mm]ein(?:e|er)?(?: (?P<which>[a-zäöüß]+))? (?P<kin>{_NAME})(?: (?P<name>{_NAME}))?"),
    kin=_KIN,
    frames=(
        Frame("lives in", "wohne|wohnt|lebe|lebt", "in {v}", "place", lasts=True),
        Frame("lives in", "bin|ist", "nach {v}", "place", "(?:gezogen|umgezogen|übersiedelt)", lasts=True),
        Frame("works as", "arbeite|arbeitet", "als {v}", "role", lasts=True),
        Frame("works as", "bin|ist", "{v} von Beruf", "role"),
        Frame("works at", "arbeite|arbeitet", "(?:bei|für) {v}", "organisation", lasts=True),
        Frame("works at", "bin|ist", "bei {v}", "organisation", "(?:angestellt|beschäftigt)", lasts=True),
        Frame("married to", "bin|ist", "mit {v}", "person", "verheiratet"),
        Frame("allergic to", "bin|ist", "allergisch (?:gegen|auf) {v}", "thing"),
        Frame("age", "bin|ist", "{v}", "number", "Jahre alt"),
        Frame("diet", "bin|ist", "{v}", "diet"),
        Frame("works as", "bin|ist", "{v}", "trade"),
        Frame("name", "heiße|heißt", "{v}", "name"),
        Frame("from", "komme|kommt|stamme|stammt", "aus {v}", "place"),
        Frame("studies at", "studiere|studiert", "an (?:der|dem) {v}", "organisation", lasts=True),
        Frame("studies", "studiere|studiert", "{v}", "thing"),
        Frame("speaks", "spreche|spricht", "{v}", "name"),
        Frame("likes", "mag|liebe|liebt", "{v}", "thing"),
        Frame("dislikes", "hasse|hasst", "{v}", "thing"),
        Frame("birthday", "habe|hat", "am {v}", "day", "Geburtstag"),
    ),
    shapes={
        "place": _place, "name": _name, "person": _person, "organisation": _organisation, "role": _role, "trade": _trade, "thing": _thing, "kind": _kind,
        "number": _matching(r"\d{1,3}"), "day": _matching(_DAY), "diet": _matching(r"[Vv]egetarier(?:in)?|[Vv]eganer(?:in)?|vegan|vegetarisch"),
    },
    adverbs=_ADVERBS,
    passing=re.compile(
        r"\b(?:diese (?:Woche|Nacht)|diesen Monat|dieses (?:Wochenende|Semester)|für (?:ein|eine|einen|zwei|drei|vier|fünf|sechs|\d+|ein paar|einige) \w+|vorübergehend|zeitweise"
        r"|vorerst|gerade|momentan|bis \w+|übers? \w+|während|heute|am Wochenende|im (?:Sommer|Winter))\b",
        re.IGNORECASE,
    ),
    reject=re.compile(
        r"[?;\U0001f602\U0001f923\U0001f609]|\b(?:nicht|nie|niemals|kein\w*|ohne|vielleicht|wahrscheinlich|vermutlich|angeblich|möglicherweise|eventuell|wohl|wenn|falls|ob|würden?|könnten?|möchten?|will"
        r"|wollen|wollte|werden?|wird|soll|sollte|müsste|hätten?|wären?|hoffe|hofft|hoffentlich|wünsch\w*|träum\w*|plan(?:e|t|en)|glaube|glaubt|denke|denkt|meint|sagt|sagte|sagen|erzählt\w*"
        r"|behauptet\w*|laut|dass|als ob|was|wer|wo|warum|wie|wann|wieso|weshalb|obwohl|aber|fast|beinahe|bald|demnächst|morgen|nächste[nsrm]?|früher|damals|ehemals|einst|ehemalige\w*|sozusagen"
        r"|gern(?:e)? wohnen|tu so|so tun|statt|angenommen)\b",
        re.IGNORECASE,
    ),
    openers=re.compile(
        r"^(?:(?:hallo|hi|hey|servus|übrigens|also|ja|ok|okay|naja|ach|merk dir|notiz|zur info|gute nachrichten)(?:,|:| -)|(?:übrigens|also)) +", re.IGNORECASE
    ),
    joint=re.compile(r",? und (?:auch |jetzt )?", re.IGNORECASE),
    sayings=_sayings(
        (r"(?P<head>.+?) nicht mehr (?P<old>.+?),? sondern (?:jetzt )?(?P<new>.+)", ("{head} {old}",), "{head} {new}", False),
        (r"(?P<head>.+?) nicht mehr(?P<what> .+)?", ("{head}{what}",), "", False),
        (r"(?P<head>.+?) keine?n? (?P<what>.+) mehr", ("{head} {what}",), "", False),
        (rf"(?P<who>{_SUBJECT}) (?:bin|ist){_ONCE} (?:von|aus) (?P<old>.+?) nach (?P<new>.+) (?:gezogen|umgezogen)", ("{who} wohn{e} in {old}",), "{who} {be} nach {new} gezogen", False),
        (rf"(?P<who>{_SUBJECT}) (?:bin|ist){_ONCE} (?:aus|von) (?P<what>.+) (?:weggezogen|fortgezogen|ausgezogen)", ("{who} wohn{e} in {what}",), "", False),
        (rf"(?:früher (?:wohnte|lebte) (?P<who>{_SUBJECT})|(?P<who_>{_SUBJECT}) (?:wohnte|lebte) früher) (?P<what>in .+)", ("{who}{who_} wohn{e} {what}",), "", False),
        (rf"(?:früher (?:habe|hat) (?P<who>{_SUBJECT})|(?P<who_>{_SUBJECT}) (?:habe|hat) früher) (?P<what>in .+) (?:gewohnt|gelebt)", ("{who}{who_} wohn{e} {what}",), "", False),
        (rf"(?:früher arbeitete (?P<who>{_SUBJECT})|(?P<who_>{_SUBJECT}) arbeitete früher) (?P<what>(?:bei|für|als) .+)", ("{who}{who_} arbeite{t} {what}",), "", False),
        (rf"(?:früher (?:habe|hat) (?P<who>{_SUBJECT})|(?P<who_>{_SUBJECT}) (?:habe|hat) früher) (?P<what>(?:bei|für|als) .+) gearbeitet", ("{who}{who_} arbeite{t} {what}",), "", False),
        (rf"(?:früher war (?P<who>{_SUBJECT})|(?P<who_>{_SUBJECT}) war früher) (?P<what>.+)", ("{who}{who_} {be} {what}",), "", False),
        (rf"(?:früher mochte (?P<who>{_SUBJECT})|(?P<who_>{_SUBJECT}) mochte früher) (?P<what>.+)", ("{who}{who_} mag {what}",), "", False),
        (rf"(?P<who>{_SUBJECT}) (?:habe|hat){_ONCE} (?P<what>bei .+) (?:gekündigt|aufgehört)", _WORKS, "", False),
        (rf"(?P<who>{_SUBJECT}) (?:habe|hat){_ONCE} (?:meinen|ihren|seinen|den) Job (?:gekündigt|verloren)", ("{who} arbeite{t} bei Xx", "{who} arbeite{t} als Lehrer"), "", True),
        (rf"(?P<who>{_SUBJECT}) (?:bin|ist){_ONCE} geschieden", ("{who} {be} mit Xx verheiratet",), "", True),
    ),
    rest=re.compile(r",? (?:und |aber |sondern )?(?=(?:jetzt|nun|heute|inzwischen|mittlerweile) )|, (?:ich |und )?(?=(?:wohne|arbeite|lebe|bin)\b)|,? und (?=(?:wohne|arbeite|lebe|bin|wohnt|arbeitet|lebt|ist) )", re.IGNORECASE),
    me_forms={"e": "e", "t": "", "be": "bin"},
    others_forms={"e": "t", "t": "t", "be": "ist"},
    favourite=re.compile(r"mein(?:e|er)? lieblings(?P<kind>\w+) ist (?:jetzt )?(?P<v>.+)", re.IGNORECASE),
    kinds={
        "essen": "food", "speise": "food", "gericht": "food", "farbe": "colour", "buch": "book", "film": "film", "musik": "music", "getränk": "drink",
        "stadt": "city", "tier": "animal", "lied": "song", "band": "band", "sport": "sport", "verein": "team", "serie": "series",
    },
)  # fmt: skip
