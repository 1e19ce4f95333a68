"""Do two questions ask for the same? A small learned reader (:mod:`agentmem.embedding.pair_reader`) of the two.

See ``agentmem/data/same_question/README.md`` for what it was trained on and how far it can be trusted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agentmem.embedding.pair_reader import Backend, PairReader, packaged_reader
from agentmem.extract.lexicon import GRAMMAR, grammar

__all__ = ["SameQuestion", "packaged_languages", "packaged_same_question", "with_note"]

_WORD: Final = re.compile(r"\w+")
_INSTEAD: Final = 'let keys decide: Settings(consolidation={"gate": "key"})'


def with_note(question: str, note: str) -> str:
    """A question with the note that answers it: what the reader reads of an edit."""
    return f"{question} {note}"


def packaged_same_question() -> Path:
    """The weights that come with agentmem."""
    return packaged_reader("same_question")


def packaged_languages() -> Path:
    """The weights for questions that are not in English."""
    return packaged_same_question().with_name("languages.safetensors")


class SameQuestion(PairReader):
    """Reads pairs of questions; loaded at the first of them.

    Args:
        path: a file made by ``benchmarks.same_question``.
        languages: another one, for questions that are not in English; loaded at the first of these.
        backend: what computes, see :class:`~agentmem.embedding.pair_reader.PairReader`.

    Attributes:
        least: the probability from which two questions ask for the same, whatever their words.

    Raises:
        MissingExtra: the packaged MiniLM is not installed.
        EmbedderError: there is no such file; or, at the first reading, it is damaged, or the packaged MiniLM is not the published one.
    """

    def __init__(self, path: Path | None = None, *, languages: Path | None = None, backend: Backend = "auto") -> None:
        super().__init__(path or packaged_same_question(), _INSTEAD, backend)
        self._elsewhere = PairReader(languages or packaged_languages(), _INSTEAD, backend)

    @property
    def least(self) -> float:
        return float(self.about["least"])

    def alike(self, pairs: Sequence[tuple[str, str]], notes: Sequence[str] = ()) -> list[float]:
        """Of each pair of questions the probability that what answers the one answers the other.

        Pairs whose first question is not in English are read by a reader of their own, whose probabilities are put so that :attr:`least` is where it is
        to be believed.

        Args:
            notes: for each pair, what was told that answers the first question; it says who is meant by "my sister's husband".
        """
        read = [(with_note(one, notes[i]) if notes else one, other) for i, (one, other) in enumerate(pairs)]
        english = [grammar(one) >= GRAMMAR for one, _ in pairs]
        known = [not english[i] and same_words(*pair) for i, pair in enumerate(pairs)]
        chances = [float(each) for each in known]
        for language in (True, False):
            mine = [i for i in range(len(pairs)) if english[i] is language and not known[i]]
            for i, chance in zip(mine, self._read([read[i] for i in mine], english=language), strict=True):
                chances[i] = chance
        return chances

    def _read(self, pairs: Sequence[tuple[str, str]], *, english: bool) -> list[float]:
        if not pairs:
            return []
        if english:
            return [float(chance) for chance in self.between(pairs)[:, 1]]
        power = math.log(self.least) / math.log(float(self._elsewhere.about["least"]))
        return [float(chance) ** power for chance in self._elsewhere.between(pairs)[:, 1]]


def same_words(one: str, other: str) -> bool:
    """Whether two texts have the same words and numbers in the same order."""
    return _WORD.findall(one.casefold()) == _WORD.findall(other.casefold())
