"""How a text becomes what full text compares: words without case and accents, each as its stem."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from agentmem.extract.scripts import WORD, composed, cut, unspaced

if TYPE_CHECKING:
    from snowballstemmer.porter_stemmer import PorterStemmer

__all__ = ["Tokenizer"]

_ASCII: Final = re.compile(r"[^\W_]+")
_WORD: Final = re.compile(WORD)
_ACCENTS: Final = re.compile("(?<=[a-z])[\u0300-\u036f]+")
_LEFT_OUT: Final = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    "\u180b-\u180d\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
"""Stress and vowel signs that few write, and what chooses the shape of a letter."""
_STEMMED: Final = range(3, 65)
"""Lengths of words that have a stem."""
_MOST: Final = 50_000


class Tokenizer:
    """Words as SQLite's ``unicode61`` cuts and folds them (runs of letters and digits; accents go from Latin letters alone), and their
    stems by Porter's algorithm (Porter 1980, An algorithm for suffix stripping); in scripts without blanks each letter and each two
    neighbouring ones, in an order in which a part of a text has a part of its words.

    Signs of vowels belong to their letter, as in Hindi and Thai; those that only help to read, as in Hebrew, Arabic and dictionaries, go.

    Cutting and stemming are apart, so that what is known of a word need not be found out again.

    Not for several threads at a time: the stemmer works in place.

    Args:
        most: how many stems are remembered.
    """

    version = "porter 1, pairs 1"
    """Changes with whatever changes the terms of a text."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._stemmer: PorterStemmer | None = None
        self._stems: dict[str, str] = {}

    def words(self, text: str) -> list[str]:
        """The words of a text in their order, folded."""
        if text.isascii():
            return _ASCII.findall(text.lower())
        text = composed(text)
        bare = _ACCENTS.sub("", unicodedata.normalize("NFD", text.casefold()))
        words = _WORD.findall(_LEFT_OUT.sub("", unicodedata.normalize("NFC", bare)))
        return cut(words, singles=True) if unspaced(text) else words

    def terms(self, word: str) -> Sequence[str]:
        """What a folded word is found by."""
        if len(word) not in _STEMMED:
            return (word,)
        stem = self._stems.get(word)
        if stem is None:
            if len(self._stems) >= self._most:
                self._stems.clear()
            stem = self._stems[word] = self._porter().stemWord(word)
        return (stem,)

    def clear(self) -> None:
        """Forget every word: one may have been of a text that was forgotten."""
        self._stems.clear()

    def _porter(self) -> PorterStemmer:
        if self._stemmer is None:
            # by its name: the package's own `stemmer()` takes another library where there is one, which may stem otherwise
            from snowballstemmer.porter_stemmer import PorterStemmer

            self._stemmer = PorterStemmer()
        return self._stemmer
