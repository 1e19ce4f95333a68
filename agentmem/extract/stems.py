"""How a text becomes what full text compares: words without case and accents, each as its stem."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from snowballstemmer.porter_stemmer import PorterStemmer

__all__ = ["Tokenizer"]

_WORD: Final = re.compile(r"[^\W_]+")
_ACCENTS: Final = re.compile("(?<=[a-z])[\u0300-\u036f]+")
_STEMMED: Final = range(3, 65)
"""Lengths of words that have a stem."""
_MOST: Final = 50_000


class Tokenizer:
    """Words as SQLite's ``unicode61`` cuts and folds them (runs of letters and digits; accents go from Latin letters alone), and their
    stems by Porter's algorithm (Porter 1980, An algorithm for suffix stripping).

    Cutting and stemming are apart, so that what is known of a word need not be found out again. A word has one term today; a script
    without blanks, whose "word" is a sentence, can have several: whoever searches for a word looks for its terms in their order.

    Not for several threads at a time: the stemmer works in place.

    Args:
        most: how many stems are remembered.
    """

    version = "porter 1"
    """Changes with whatever changes the terms of a text."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._stemmer: PorterStemmer | None = None
        self._stems: dict[str, str] = {}

    def words(self, text: str) -> list[str]:
        """The words of a text in their order, folded."""
        if text.isascii():
            return _WORD.findall(text.lower())
        bare = _ACCENTS.sub("", unicodedata.normalize("NFD", text.casefold()))
        return _WORD.findall(unicodedata.normalize("NFC", bare))

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
