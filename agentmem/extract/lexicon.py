"""Small closed word lists and the few text shapes that several pure modules read: plain data, English."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from agentmem.extract.scripts import WORD as RUN

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "COMMONEST",
    "FUNCTION_WORDS",
    "GRAMMAR",
    "MONTHS",
    "NEGATIONS",
    "NUMBERS",
    "STARTERS",
    "STOPWORDS",
    "WEEKDAYS",
    "WORD",
    "capitalised",
    "grammar",
    "words",
]

COMMONEST: Final = frozenset(
    """a an and are as at be but by did do does for from had has have he her his how i if in is it its me my of on
    or our she so that the their them they this to was we were what when where which who why will with you your""".split()
)
"""The words that bear a sentence and say nothing themselves, few enough that no sense hangs on one of them."""

FUNCTION_WORDS: Final = COMMONEST | frozenset(
    """about after all also am any because been before being can could doing having hers him into itself just ours
    should some such tell than theirs then there these those too up us while whom whose would yours""".split()
)
"""Articles, pronouns, auxiliaries, prepositions, conjunctions and question words: what a question may be asked without."""

STOPWORDS: Final = FUNCTION_WORDS | frozenset(
    """above again although always another anybody anyone anything arent around away back became become below
    between both came cannot cant come didnt doesnt done dont down during each either else enough even ever
    every everybody everyone everything few first further gave get gets getting give given go goes going gone
    got here heres herself himself however id im indeed isnt ive keep kept know last later least less let lets
    like made make makes making many may maybe might mine more most much must myself need neither never next no
    nobody none nor not nothing now off often oh ok okay once one only onto other others ourselves out over own
    per perhaps please put quite rather really said same say says see seem seems seen several shall since
    somebody someone something soon still take taken thank thanks thats themselves theres thing things though
    through thus today together told tomorrow tonight took toward two under until upon use used using very want
    wants wasnt way well went whatever whats whether whoever whole within without wont yeah yes yesterday yet
    youre yourself""".split()
)
"""Words that say nothing about what a text is about: those, and the usual verbs, adverbs and courtesies."""

STARTERS: Final = frozenset(
    """absolutely actually again ago agreed anyway apparently awesome basically besides btw bye call check class cool
    congratulations congrats currently dear definitely dinner email everything exactly fantastic finally fun generally
    glad good goodbye great guess happy hello hey hi hmm honestly hope hopefully imagine instead interesting lately
    literally look looking looks lovely lunch meanwhile meeting meetings mostly new news nice note notes obviously old
    otherwise party people please possibly pretend probably project question recently remember reminder school seriously
    sometimes somehow somewhere sorry sounds speaking suddenly suppose supposedly sure surely talk test thanks think
    time traffic try unfortunately update usually wait weather welcome what whenever wherever wishing wonderful work
    wow working worry""".split()
)
"""Common words that open a sentence with a capital letter without being a name."""

NEGATIONS: Final = frozenset(
    """no not never none nobody nothing nowhere neither nor cannot without hardly scarcely barely dont doesnt didnt isnt
    arent wasnt werent wont cant couldnt wouldnt shouldnt hasnt havent hadnt aint unlike refuses refused stopped quit
    former formerly longer anymore""".split()
)
"""Words that turn a statement round; words that end in ``n't`` count too."""

MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            *("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul"),
            *("august aug", "september sept sep", "october oct", "november nov", "december dec"),
        ),
        start=1,
    )
    for name in names.split()
}

WEEKDAYS: Final = {
    name: number for number, name in enumerate("monday tuesday wednesday thursday friday saturday sunday".split())
}

NUMBERS: Final = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "couple": 2,
    "few": 3,
    "several": 4,
}

WORD: Final = re.compile(rf"{RUN}(?:['’-]{RUN})*")
"""A word with its inner apostrophes and hyphens; also a number."""

# A run of capitalised words, small words of names between them; upper case is checked afterwards, because `re` has no
# class for it beyond ASCII.
_RUN: Final = re.compile(
    r"(?<![\w'’#@-])[A-ZÀ-ÖØ-ÞĀ-ſΑ-ΫА-ЯЁ][^\W_]*(?:[.&'’-][^\W_]+)*"
    r"(?:(?: |(?<=\b[A-Z])\. | & | (?:of|de|da|do|dos|del|della|di|van|von|der|den|la|le|the|and the) (?:the |la )?)"
    r"[A-ZÀ-ÖØ-ÞĀ-ſΑ-ΫА-ЯЁ][^\W_]*(?:[.&'’-][^\W_]+)*)*"
)
_LETTERS: Final = re.compile(r"[^\W\d_]+")
GRAMMAR: Final = 0.25
"""Of a sentence in English a quarter of the words and more are such as any sentence has ("who", "our", "does")."""
_CLOSERS: Final = '.!?:;\n"“”«»(—–-•*'


def words(text: str) -> list[str]:
    """The words of a text, in lower case, without possessive endings."""
    found = WORD.findall(text.lower())
    return [w[:-2] if w.endswith(("'s", "’s")) else w for w in found]


def grammar(text: str) -> float:
    """The share of English words that have no matter of their own: :data:`GRAMMAR` and more of a sentence in English, few in other languages."""
    found = _LETTERS.findall(text.casefold())
    return sum(word in STOPWORDS for word in found) / max(1, len(found))


def capitalised(text: str) -> Iterator[tuple[str, bool]]:
    """Runs of capitalised words, each with whether it opens a sentence (where a capital says little)."""
    for match in _RUN.finditer(text):
        run = match.group()
        if not run[0].isupper():
            continue
        before = text[: match.start()].rstrip(" \t'‘’")
        yield run, not before or before[-1] in _CLOSERS
