"""Rules of several languages as one reader: each text is read by those of the language that its words are of.

A language is told by its little words, as far as no other one has them: the one with the most of them in a text reads it. Where several have
equally many, as none in "Ana wohnt in Graz", they are asked in their order, until one reads anything. What is in no language that is known states nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from agentmem.extract.english import ENGLISH
from agentmem.extract.extractor import Said
from agentmem.extract.german import GERMAN
from agentmem.extract.language import MAX_TEXT, Language
from agentmem.notes.note import Fact, Note

__all__ = ["LANGUAGES", "Languages", "said_apart", "several", "still_told", "tells_more"]

_LITTLE: Final = re.compile(r"(?:^|(?<=[.!] ))[^\W\d_]+|(?<![\w'’])[a-zäöüß]+(?![\w])")
"""Words in small letters, and those that begin a sentence: names and abbreviations tell no language."""


class Languages:
    """An :class:`~agentmem.extract.extractor.Extractor` of the rules of one language or more, the first of which is asked first."""

    def __init__(self, languages: Sequence[Language]) -> None:
        self._languages = tuple(languages)
        known = [language.words.known for language in languages]
        self._own = [own.difference(*(known[:at] + known[at + 1 :])) for at, own in enumerate(known)]

    def of(self, text: str) -> list[Language]:
        """Those that a text is in, as far as its words tell."""
        if len(self._languages) < 2 or len(text) > MAX_TEXT:
            return list(self._languages[:1])
        words = _LITTLE.findall(text)
        known = [sum(word.lower() in own for word in words) for own in self._own]
        return [one for one, count in zip(self._languages, known, strict=True) if count == max(known)]

    def said(self, text: str, actor: str | None = None) -> Said:
        """What a text states and ends."""
        found = (language.said(text, actor) for language in self.of(text))
        return next((said for said in found if said != Said()), Said())

    def candidate_facts(self, text: str, actor: str | None = None, *, whole: bool = False) -> tuple[Fact, ...]:
        """The facts that plain statements make; see :meth:`agentmem.extract.language.Language.candidate_facts`."""
        found = (language.candidate_facts(text, actor, whole=whole) for language in self.of(text))
        return next((facts for facts in found if facts), ())


LANGUAGES: Final = Languages((ENGLISH, GERMAN))
"""Those that come with agentmem."""


def tells_more(text: str, facts: Sequence[Fact]) -> bool:
    """Whether a text says anything beside these facts, in whichever language it may be."""
    return all(language.tells_more(text, facts) for language in LANGUAGES.of(text))


def several(text: str) -> bool:
    """Whether a text may say more than one thing."""
    return any(language.several(text) for language in LANGUAGES.of(text))


def still_told(note: Note, moment: datetime | None = None) -> str | None:
    """The words of a note without what had ended by a moment, or has ended at all; ``None`` where nothing can be cut out, or has to be."""
    over = [fact for fact in note.facts if fact.valid_to is not None and (moment is None or fact.valid_to <= moment)]
    if not over:
        return None
    found = (language.without(note.content, over, note.actor) for language in LANGUAGES.of(note.content))
    return next((rest for rest in found if rest is not None), None)


def said_apart(note: Note) -> Iterator[tuple[str, Fact]]:
    """Each fact of a note that states several, with the words that would state it alone: "I work as a plumber"."""
    if len(note.facts) > 1:
        found = (list(one.apart(note.content, note.facts, note.actor)) for one in LANGUAGES.of(note.content))
        yield from next(filter(None, found), [])
