"""Which held-out wordings prove anything: those that an edit could not have copied from the ones it was written with.

"Quick question: where does Ana live?" and "What would one name as Ana's shoe size?" lie beside "Where does Ana live?" and "What
is the shoe size of Ana?" whatever the model understands: the words that say what is asked for are the same, and only those of a
template differ. An edit that answers them may answer nothing that a person says. A wording is independent when some word of it
tells what is asked for that no key has in the same company.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import cache

from agentmem.consolidation.templates import DOES, FRAMES, HAS, IS, NOUN, NOUNS, OPAQUE
from agentmem.extract.lexicon import STOPWORDS

__all__ = ["independent"]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+")
_OWN = re.compile(r"['’]s?$")
_ENDING = re.compile(r"(?:['’]s?|ing|ed|es|s|e)$")
_STEM = 5  # letters: "lives", "living" and "live" ask for the same


def independent(held_out: Iterable[str], keys: Sequence[str], subject: str | None) -> tuple[str, ...]:
    """Those of ``held_out`` whose telling words are not all those of one key.

    Args:
        keys: the wordings that an edit is written with.
        subject: whom they are about; its words tell nothing.
    """
    silent = _words(subject or "") | _silent()
    known = [_telling(key, silent) for key in keys]
    return tuple(text for text in held_out if not any(_telling(text, silent) <= words for words in known))


def _telling(text: str, silent: AbstractSet[str]) -> frozenset[str]:
    """The stems of the words that say what is asked for."""
    return frozenset(_stem(word) for word in _words(text) - silent)


def _words(text: str) -> set[str]:
    found = {word.casefold() for word in _WORD.findall(text)}
    return found | {_OWN.sub("", word) for word in found if not word.isalnum()}


def _stem(word: str) -> str:
    return _ENDING.sub("", word)[:_STEM] or word


@cache
def _silent() -> frozenset[str]:
    """Words that tell nothing: those of templates that fit every relation, which are about none, and the little ones."""
    return STOPWORDS | frozenset(
        word
        for pattern in (*NOUN, *NOUNS, *DOES, *IS, *HAS, *OPAQUE, *FRAMES)
        for word in _words(re.sub(r"\{\w+\}", " ", pattern))
    )
