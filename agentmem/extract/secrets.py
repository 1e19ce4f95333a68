"""What must not be kept for long, or not be learnt by heart: secrets, personal numbers, passing states."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from agentmem.extract.relations import relation

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAIL", "Secret", "is_private", "is_volatile", "secrets"]


class Secret(NamedTuple):
    """Where a text holds something private, and what kind of thing it is; never a copy of it."""

    kind: str
    start: int
    end: int


_KEYS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b[sr]k[-_](?=[A-Za-z_-]{0,60}\d)[A-Za-z0-9_-]{16,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bxox[abprs]-[\w-]{10,}|\bAKIA[0-9A-Z]{12,}|\bASIA[0-9A-Z]{12,}|\bAIza[\w-]{30,}|\bhf_[A-Za-z0-9]{20,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}"
)
MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PASSWORD: Final = re.compile(
    r"(?<![a-z0-9])(?:(?:[a-z]+-?)?passwor[dt]|passwords|passphrase|contraseña|mot de passe|senha|wachtwoord|passcode|pass\s?code|pin(?:\s?code)?|(?:door|gate|alarm|entry|access|safe|security)[-_ ]?code|api[-_ ]?key|secret(?:[-_ ]?key)?|access[-_ ]?token"
    r"|auth[-_ ]?token|bearer|pwd|(?P<part>(?<=[a-z0-9][-_])(?:key|token|secret)))\b(?:\s+(?:for|of|to)\s+[^\n:=]{1,40}?)?\s*(?:is|are|ist|es|est|é|[:=])\s*(?:(?:still|now|just|simply|always|currently|called|spelled)\s+)*"
    r"[\"'`“]?(?P<value>(?![$<{%]|[a-z_]\w*(?:\.\w+)+[(\[])[^\s\"'`”]{3,})",
    re.IGNORECASE,
)
_LOGIN: Final = re.compile(r"(?<=://)[^\s:/@]*:(?P<value>[^\s@/]+)@")
_TOKEN: Final = re.compile(r"[\w+/=~.-]{16,}", re.ASCII)
_RUN: Final = re.compile(r"[A-Za-z0-9]{16,}")
_SWITCH: Final = re.compile(r"(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[0-9]|(?<=[0-9])[A-Za-z]")
_NUMBERS: Final = re.compile(r"\d+")
_LABEL: Final = re.compile(r"[A-Za-z][A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*[-_.]")
_SHOWN: Final = re.compile(
    r"\b(?:https?://|data:|sha\d+-|md5-)\S+|\b(?:ssh|ecdsa)-[\w@.-]{1,40}\s+\S+"
    r"|-----BEGIN (?!(?:[A-Z ]+ )?PRIVATE)[^-]+-----[^-]*"
)
"""What looks drawn and is meant to be shown: addresses, check sums, public keys, certificates."""
_DOCUMENT: Final = re.compile(
    r"\b(?:passport|licen[cs]e|id(?:entity)?(?: card)?|national insurance|social security|tax(?:payer)?|insurance|account|membership|ssn|nin)"
    r"\s*(?:number|no\.?|nr\.?|id|#)\s*(?:is|[:=])?\s*(?P<value>(?:[a-z]{0,3}\d[a-z0-9]*|[a-z]{1,3}\b)(?:[ -](?:[a-z]{0,3}\d[a-z0-9]*|[a-z]{1,2}\b))*)",
    re.IGNORECASE,
)
_IBAN: Final = re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,3})?\b")
_CARD: Final = re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d.-]*\d)")
_SSN: Final = re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])")
_PHONE: Final = re.compile(
    r"(?<![\w.+-])(?<!\d )(?:\+\d{1,3}[ ./-]?(?:\(\d{1,4}\)[ ./-]?)?|\(\d{2,5}\)[ ./-]?|0)\d{1,4}(?:[ ./-]?\d{2,4}){1,4}(?![\w-])"
    r"|(?<![\w.+-])(?<!\d )\d{3}[ .-]\d{3}[ .-]\d{3,4}(?![\w-])"
)
_DATE: Final = re.compile(r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})")
_WEAK: Final = frozenset(
    "a an the not in on at for safe secret hidden wrong required needed too very changed there".split()
)

_VOLATILE: Final = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|right now|just now|for now|at the moment|at present|currently|temporar(?:y|ily)"
    r"|this (?:week|month|morning|afternoon|evening|weekend)|next (?:week|month|weekend)|until|deadline|appointment"
    r"|on (?:my|his|her|their) way|in (?:a few|five|ten|\d+) minutes|weather|temperature|mood|feel(?:s|ing)?|tired|hungry"
    r"|price of|share price|stock price|exchange rate|score is|in stock|sold out|is (?:open|closed|online|offline|busy))\b",
    re.IGNORECASE,
)


def _luhn(digits: str) -> bool:
    """The check digit of payment cards: every second digit from the right doubled, the sum divisible by ten."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _iban(text: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as numbers from 10, modulo 97 equals 1."""
    code = "".join(text.split())
    if not 15 <= len(code) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97 == 1


def _card(text: str) -> bool:
    digits = "".join(c for c in text if c.isdigit())
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and _luhn(digits)


def _phone(text: str) -> bool:
    return 8 <= sum(c.isdigit() for c in text) <= 15 and not _DATE.fullmatch(text.strip())


def _drawn(text: str) -> list[tuple[int, int]]:
    """Where a text holds a token that nobody made up, so that any vendor's key is known by its shape.

    A run of 16 or more letters of both cases and digits that changes between them every four characters or more often: drawn from 62 characters
    it does so nearly every second time, a name in camel case at each word. Of digits and one case, as check sums and numbers of all kinds
    are, it takes 24, and a label before it, as in ``vendor_…``.
    """
    found = [
        token.span()
        for token in _TOKEN.finditer(text)
        if any(_random(token.group(), run) for run in _RUN.finditer(token.group()))
    ]
    if not found:
        return []
    shown = _SHOWN.sub(lambda match: " " * len(match.group()), text)
    return [span for span in found if shown[span[0]] != " "]


def _random(token: str, run: re.Match[str]) -> bool:
    drawn, switches = run.group(), len(_SWITCH.findall(run.group()))
    if drawn.isalpha() or drawn.isdigit() or 4 * switches < len(drawn):
        return False
    if drawn.islower() or drawn.isupper():
        return len(drawn) >= 24 and _LABEL.fullmatch(token, 0, run.start()) is not None
    return 3 * switches >= len(drawn) or len(_NUMBERS.findall(drawn)) > 1


def secrets(text: str) -> list[Secret]:
    """Mail addresses, phone numbers, bank accounts, payment cards, numbers of documents, keys and passwords in a text, by position.

    Keys are known by the labels of the usual vendors, and any other by its shape. Cards are checked by Luhn and accounts by their check digits, so that an order number is not taken for one.
    """
    found: list[Secret] = []

    def add(kind: str, start: int, end: int) -> None:
        if all(end <= other.start or start >= other.end for other in found):
            found.append(Secret(kind, start, end))

    for match in _KEYS.finditer(text):
        add("key", *match.span())
    for match in _PASSWORD.finditer(text):
        value = match.group("value").lower().strip(".,!?")
        bare = match.group().lower().startswith("secret ")  # "the secret is out" is none
        named = match.group("part") and not (len(value) >= 8 and any(c.isdigit() for c in value))  # of a program
        if value not in _WEAK and not (bare and value.isalpha()) and not named:
            add("password", *match.span("value"))
    for match in _LOGIN.finditer(text) if "://" in text else ():
        add("password", *match.span("value"))
    for start, end in _drawn(text):
        add("key", start, end)
    if "@" in text:
        for match in MAIL.finditer(text):
            add("email", *match.span())
    if any(c.isdigit() for c in text):
        _add_numbers(text, add)
    return sorted(found, key=lambda secret: secret.start)


def _add_numbers(text: str, add: Callable[[str, int, int], None]) -> None:
    for match in _DOCUMENT.finditer(text):
        if sum(c.isdigit() for c in match.group("value")) >= 4:
            add("document", *match.span("value"))
    for kind, pattern, check in (
        ("iban", _IBAN, _iban),
        ("card", _CARD, _card),
        ("ssn", _SSN, bool),
        ("phone", _PHONE, _phone),
    ):
        for match in pattern.finditer(text):
            if check(match.group()):
                add(kind, *match.span())


def is_private(text: str) -> bool:
    """True when the text holds anything that :func:`secrets` finds."""
    return bool(secrets(text))


def is_volatile(text: str) -> bool:
    """True for what will soon be otherwise: a relation such as ``age``, or a text about today, a price, a mood."""
    known = relation(text) if len(text) <= 40 else None
    if known is not None:
        return known.volatile
    return _VOLATILE.search(text) is not None
