"""Which held-out wordings prove anything: those that an edit could not have copied from the ones it was written with.

"Quick question: where does Ana live?" and "What would one name as Ana's shoe size?" lie beside "Where does Ana live?" and "What
is the shoe size of Ana?" whatever the model understands: the words that say what is asked for are the same, and only those of a
template differ. An edit that answers them may answer nothing that a person says. A wording is independent when some word of it
tells what is asked for that no key has in the same company.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from agentmem.consolidation.templates import DOES, FRAMES, HAS, IS, NOUN, NOUNS, OPAQUE
from agentmem.extract.lexicon import STOPWORDS

__all__ = ["independent"]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+")
_ENDING = re.compile(r"(?:['’]s?|ing|ed|es|s|e)$")
_STEM = 5  # letters: "lives", "living" and "live" ask for the same


def independent(held_out: Iterable[str], keys: Sequence[str], subject: str | None) -> tuple[str, ...]:
    """Those of ``held_out`` whose telling words are not all those of one key.

    Args:
        keys: the wordings that an edit is written with.
        subject: whom they are about; its words tell nothing.
    """
    known = [_telling(key, subject) for key in keys]
    return tuple(text for text in held_out if not any(_telling(text, subject) <= words for words in known))


def _telling(text: str, subject: str | None) -> frozenset[str]:
    """The stems of the words that say what is asked for."""
    about = _words(subject or "")
    return frozenset(_stem(word) for word in _words(text) - about - _said_by_rule() - STOPWORDS)


def _words(text: str) -> set[str]:
    found = {word.casefold() for word in _WORD.findall(text)}
    return found | {re.sub(r"['’]s?$", "", word) for word in found}


def _stem(word: str) -> str:
    return _ENDING.sub("", word)[:_STEM] or word


@cache
def _said_by_rule() -> frozenset[str]:
    """The words of templates that fit every relation: they are about none."""
    return frozenset(
        word
        for pattern in (*NOUN, *NOUNS, *DOES, *IS, *HAS, *OPAQUE, *FRAMES)
        for word in _words(re.sub(r"\{\w+\}", " ", pattern))
    )
