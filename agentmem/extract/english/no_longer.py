"""Read what a plain statement says to hold no longer: "I no longer live in Porto", "Ana left Acme", "I moved from Porto to Rome".

The statement is put into the words that would affirm the same, and these are read as any statement is: what keeps a statement
from being believed (questions, guesses, conditions, somebody's report) keeps an ending from it as well. An ending ends only
what was noted in so many words, so where nothing was noted it costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agentmem.extract.extractor import Ending
from agentmem.extract.language import Denied

__all__ = ["MARKS", "ends_of"]

MARKS: Final = re.compile(
    r"\b(?:no longer|any ?more|any longer|used to|stopped|quit|g[ai]ven? up|left|resigned|laid off|fired|let go|retired|dropped out"
    r"|instead of|graduated|moved (?:from|out|away)|divorced|lost (?:my|his|her|their) job)\b",
    re.IGNORECASE,
)
_BREAK: Final = re.compile(
    r",? (?:but|because|since|so|and (?=(?:now|i|he|she|have|has|moved|live|work|am|is|started|joined|just)\b)) ?|, ",
    re.IGNORECASE,
)
_NOW: Final = re.compile(r"^(?:now|today|instead|these days|nowadays)\b,? *", re.IGNORECASE)
_LATELY: Final = r"(?:have |has )?(?:also |finally |recently |since )?"
_PASSIVE: Final = r"(?:was |got |were |have been |has been )"


def _sayings(*sayings: tuple[str, tuple[str, ...]]) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    """How an ending is said behind its subject, and the words that would affirm what ended; {s} stands for that of the third person."""
    return tuple((re.compile(rf"^(?P<who>.+?) {pattern}$", re.IGNORECASE), affirmed) for pattern, affirmed in sayings)


_SAYINGS: Final = _sayings(
    (r"no longer (?P<what>.+)", ("{who} {what}",)),
    (r"(?P<be>am|is) not (?P<what>.+) any ?(?:more|longer)", ("{who} {be} {what}",)),
    (r"(?:do|does) not (?P<verb>\w+)(?P<what> .+) any ?(?:more|longer)", ("{who} {verb}{what}",)),
    (r"used to be (?P<what>.+)", ("{who} {is} {what}",)),
    (r"used to (?P<verb>(?!be\b)\w+)(?P<what> .+)", ("{who} {verb}{what}",)),
    (rf"{_LATELY}(?:stopped|quit|gave up|given up) (?P<doing>\w{{2,}}ing)(?P<what> .+)", ("{who} {verb}{what}",)),
    (rf"{_LATELY}(?:left|quit) (?P<what>[A-Z].+)", ("{who} work{s} at {what}", "{who} stud{ies} at {what}")),
    (
        rf"(?:{_LATELY}(?:resigned|retired) from|{_PASSIVE}(?:laid off|fired|let go) (?:from|by)) (?P<what>.+)",
        ("{who} work{s} at {what}",),
    ),
    (rf"{_LATELY}(?:graduated from|dropped out of) (?P<what>.+)", ("{who} stud{ies} at {what}",)),
    (rf"{_LATELY}(?:just )?moved (?:out of|away from) (?P<what>.+)", ("{who} live{s} in {what}",)),
    (rf"{_LATELY}divorced (?P<what>[A-Z].+)", ("{who} {is} married to {what}",)),
)
_WHICHEVER: Final = _sayings(
    (
        r"(?:am|is) (?:now )?(?:no longer married|not married any ?more|divorced)(?: now)?",
        ("{who} {is} married to Xx",),
    ),
    (r"(?:have |has )?(?:got|gotten) (?:a divorce|divorced)", ("{who} {is} married to Xx",)),
    (
        rf"{_LATELY}(?:just )?(?:lost|quit|left) (?:my|his|her|their) job",
        ("{who} work{s} at Xx", "{who} work{s} as a teacher"),
    ),
)
"""Endings that leave open what there was; they are read with some value put in."""
_MOVED: Final = re.compile(r"^(?P<head>.+?) moved from (?P<old>.+?) (?P<new>to .+)$", re.IGNORECASE)
_INSTEAD: Final = re.compile(r"^(?P<new>.+?),? instead of (?P<old>.+)$", re.IGNORECASE)
_CONTRACTED: Final = (
    (re.compile(r"^I'm\b", re.IGNORECASE), "I am"), (re.compile(r"^I've\b", re.IGNORECASE), "I have"),
    (re.compile(r"\b(is|do|does)n't\b", re.IGNORECASE), r"\1 not"),
    (re.compile(r"(?<=\w)'s (?=no longer |not )"), " is "),
)  # fmt: skip
_ACCUSTOMED: Final = re.compile(r"\b(?:am|is|are|was|get|got|getting|'m|been)$", re.IGNORECASE)
_DROPPED: Final = frozenset("liv driv resid lov ador relocat".split())
"""What is left of verbs whose silent "e" the gerund drops."""


def ends_of(sentence: str, denied: Denied) -> tuple[list[Ending], str]:
    """What a sentence ends, and what else it says: tried whole, then up to each break."""
    sentence = sentence.replace("’", "'").strip().rstrip(".! ")
    for contracted, full in _CONTRACTED:
        sentence = contracted.sub(full, sentence)
    if moved := _MOVED.match(sentence):
        found = _denied([f"{moved['head']} moved to {moved['old']}"], denied)
        return found, f"{moved['head']} moved {moved['new']}." if found else ""
    if (instead := _INSTEAD.match(sentence)) and (fact := denied(instead["new"])):
        former = re.sub(
            rf"(?:\b(?:the|an?) )?\b{re.escape(fact.object)}\b", lambda _: instead["old"], instead["new"], count=1
        )
        found = _denied([former], denied)
        return found, f"{instead['new']}." if found else ""
    breaks = [(sentence, "")] + [(sentence[: b.start()], sentence[b.end() :]) for b in _BREAK.finditer(sentence)]
    for clause, rest in breaks:
        found = _denied(_affirmed(clause, _SAYINGS), denied)
        found = found or [ending._replace(object=None) for ending in _denied(_affirmed(clause, _WHICHEVER), denied)]
        if found:
            return found, f"{_NOW.sub('', rest)}." if rest else ""
    return [], ""


def _denied(affirmed: Iterable[str], denied: Denied) -> list[Ending]:
    """What these statements would state, as endings."""
    facts = [denied(text) for text in affirmed]
    return [Ending(fact.subject, fact.relation, fact.object) for fact in facts if fact is not None]


def _affirmed(clause: str, sayings: Sequence[tuple[re.Pattern[str], tuple[str, ...]]]) -> Iterator[str]:
    """The words that would affirm what a clause denies, in each way that it may be meant."""
    for pattern, forms in sayings:
        if (found := pattern.match(clause)) is None:
            continue
        parts = found.groupdict()
        if _ACCUSTOMED.search(parts["who"]) and "used to" in clause:
            return
        first = parts["who"] in ("I", "i")
        if verb := _base(parts["doing"]) if parts.get("doing") else parts.get("verb"):
            parts["verb"] = verb if first else _third_person(verb)
        parts |= {"s": "", "ies": "y", "is": "am"} if first else {"s": "s", "ies": "ies", "is": "is"}
        yield from (form.format_map(parts) for form in forms)


def _third_person(verb: str) -> str:
    """What somebody else does: plays, lives, has."""
    if verb == "have":
        return "has"
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ies"
    return f"{verb}es" if re.search(r"(?:s|sh|ch|x|o)$", verb) else f"{verb}s"


def _base(doing: str) -> str:
    """The verb of a gerund: playing, living."""
    bare = doing[:-3]
    return f"{bare}e" if bare in _DROPPED else bare
