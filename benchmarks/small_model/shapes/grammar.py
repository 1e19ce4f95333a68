"""English clauses: forms of verbs, active and passive, statements and questions; what sentences about things done are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

__all__ = [
    "OTHER",
    "SPEAKER",
    "SPEAKERS",
    "TENSES",
    "Group",
    "Person",
    "Tense",
    "Verb",
    "asked",
    "asked_passive",
    "groups",
    "said",
    "said_passive",
]

Tense = Literal["past", "perfect", "future", "present"]
Person = Literal["I", "we", "they"]
TENSES: tuple[Tense, ...] = ("past", "perfect", "future", "present")
SPEAKER: Person = "I"
SPEAKERS: Person = "we"
OTHER: Person = "they"
"""Somebody or something else: one, not many."""
_LEXICON = Path(__file__).parent / "verbs.txt"
_SHORT = re.compile(r"[^aeiou]*[aeiou][bdgmnprt]")
_BE = {"I": ("am", "was"), "we": ("are", "were"), "they": ("is", "was")}


@dataclass(frozen=True)
class Verb:
    """A verb in its forms, and what belongs to it: the "apart" of "take apart"."""

    base: str
    third: str
    past: str
    participle: str
    ing: str
    rest: str

    @property
    def is_be(self) -> bool:
        """Whether it asks without "do"."""
        return self.base == "be"

    def present(self, person: Person) -> str:
        """Return "repair", "repairs", "is"."""
        if self.is_be:
            return _BE[person][0]
        return self.third if person == OTHER else self.base

    def before(self, person: Person) -> str:
        """Return "repaired", "was"."""
        return _BE[person][1] if self.is_be else self.past


@dataclass(frozen=True)
class Group:
    """Verbs that mean much the same.

    Attributes:
        agent: What kind of subject does it.
        thing: What kind of thing it is done to; "any" for a value of any kind.
        held: Whether it is kept from training.
    """

    agent: str
    thing: str
    verbs: tuple[Verb, ...]
    held: bool


@cache
def groups(path: Path = _LEXICON) -> tuple[Group, ...]:
    """Read the verbs."""
    blocks = [
        [line for line in block.splitlines() if line and not line.startswith("#")]
        for block in path.read_text().split("\n\n")
    ]
    known = {line.split()[0]: line.split() for block in blocks if block and block[0] == "forms" for line in block[1:]}
    found: list[Group] = []
    for block in blocks:
        if not block or block[0] == "forms":
            continue
        agent, thing = block[0].split()
        for line in block[1:]:
            verbs = tuple(_verb(words, known) for words in line.removeprefix("held ").split(", "))
            found.append(Group(agent, thing, verbs, line.startswith("held ")))
    return tuple(found)


def _verb(words: str, known: dict[str, list[str]]) -> Verb:
    base, _, rest = words.partition(" ")
    doubled = base + base[-1] if _SHORT.fullmatch(base) else base
    plain = f"{base[:-1]}ied" if _ends_in_y(base) else f"{base}d" if base.endswith("e") else f"{doubled}ed"
    _, past, participle = known.get(base, [base, plain, plain])
    if base == "be":
        return Verb("be", "is", "was", "been", "being", rest)
    third = (
        f"{base[:-1]}ies"
        if _ends_in_y(base)
        else f"{base}es"
        if base.endswith(("s", "sh", "ch", "x", "z", "o"))
        else f"{base}s"
    )
    silent = base.endswith("e") and not base.endswith(("ee", "ye", "oe"))
    return Verb(
        base, "has" if base == "have" else third, past, participle, f"{base[:-1] if silent else doubled}ing", rest
    )


def _ends_in_y(base: str) -> bool:
    return base.endswith("y") and base[-2:-1] not in "aeiou"


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def said(verb: Verb, tense: Tense, person: Person, who: str, what: str = "") -> str:
    """Return a statement: "Ana has taken the boat apart" is told as "Ana has taken apart the boat"."""
    have = "has" if person == OTHER else "have"
    forms = {
        "past": verb.before(person),
        "perfect": f"{have} {verb.participle}",
        "future": f"will {verb.base}",
        "present": verb.present(person),
    }
    return _joined(who, forms[tense], verb.rest, what)


def said_passive(verb: Verb, tense: Tense, what: str) -> str:
    """Return a statement about what it is done to."""
    forms = {"past": "was", "perfect": "has been", "future": "will be", "present": "is"}
    return _joined(what, forms[tense], verb.participle, verb.rest)


def asked(verb: Verb, tense: Tense, person: Person, who: str, what: str = "") -> str:
    """Return what follows the question word: "did Ana take apart the boat"."""
    if verb.is_be and tense in ("past", "present"):
        return _joined(verb.before(person) if tense == "past" else verb.present(person), who, verb.rest, what)
    third = person == OTHER
    first, then = {
        "past": ("did", verb.base),
        "perfect": ("has" if third else "have", verb.participle),
        "future": ("will", verb.base),
        "present": ("does" if third else "do", verb.base),
    }[tense]
    return _joined(first, who, then, verb.rest, what)


def asked_passive(verb: Verb, tense: Tense, what: str) -> str:
    """Return what follows the question word: "was the boat taken apart"."""
    first, then = {
        "past": ("was", ""),
        "perfect": ("has", "been"),
        "future": ("will", "be"),
        "present": ("is", ""),
    }[tense]
    return _joined(first, what, then, verb.participle, verb.rest)
