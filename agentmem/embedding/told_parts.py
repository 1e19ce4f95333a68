"""Of two long texts the parts that are about each other: what a reader of so many tokens has room for.

People tell an assistant what has changed while they ask it for something else, above forty lines of code. Cut at the end, such a message loses
just that. Each is read by its sentences that have most words of matter in common with the other, a word counting for less the more of them have it; what stands
in both says nothing new.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from agentmem.extract.lexicon import STOPWORDS, words
from agentmem.notes.passages import SENTENCE_END

__all__ = ["ROOM", "about_each_other"]

ROOM: Final = 440
"""Characters of both that are read: about as many as the tokens allow."""
_LEAST: Final = 120
"""Characters that either may have, however long the other is."""
_READ: Final = 8_000
"""Characters of a text that are looked at."""


def about_each_other(before: str, later: str) -> tuple[str, str]:
    """Both texts as they are where they fit, else of each the sentences next to the one that has most in common with the other."""
    if len(before) + len(later) <= ROOM:
        return before, later
    rooms = [
        max(_LEAST, min(len(one), max(ROOM // 2, ROOM - len(other))))
        for one, other in ((before, later), (later, before))
    ]
    return _part(before, later, rooms[0]), _part(later, before, rooms[1])


def _part(text: str, other: str, room: int) -> str:
    if len(text) <= room:
        return text
    sentences = [each for each in map(str.strip, SENTENCE_END.split(text[:_READ])) if each]
    if not sentences:
        return text[:room]
    quoted, matter = set(map(str.strip, SENTENCE_END.split(other[:_READ]))), _matter(other[:_READ])
    own = [matter & _matter(sentence) if sentence not in quoted else set() for sentence in sentences]
    often = Counter(word for words_ in own for word in words_)
    shared = [sum(1 / often[word] for word in words_) for words_ in own]
    first = last = max(range(len(sentences)), key=shared.__getitem__)
    size = len(sentences[first])
    while size < room:  # the one beside it that shares more, the one before it where both share as much
        around = [at for at in (first - 1, last + 1) if 0 <= at < len(sentences) and size + len(sentences[at]) < room]
        if not around:
            break
        at = max(around, key=shared.__getitem__)
        first, last, size = min(first, at), max(last, at), size + 1 + len(sentences[at])
    return " ".join(sentences[first : last + 1])[:room]


def _matter(text: str) -> set[str]:
    return {word for word in words(text) if word not in STOPWORDS}
