"""Do two questions ask for the same? A small learned reader (:mod:`agentmem.embedding.pair_reader`) of the two.

See ``agentmem/data/same_question/README.md`` for what it was trained on and how far it can be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agentmem.embedding.pair_reader import Backend, PairReader, packaged_reader

__all__ = ["SameQuestion", "packaged_same_question", "with_note"]

_WORD: Final = re.compile(r"\w+")
_INSTEAD: Final = 'let keys decide: Settings(consolidation={"gate": "key"})'


def with_note(question: str, note: str) -> str:
    """A question with the note that answers it: what the reader reads of an edit."""
    return f"{question} {note}"


def packaged_same_question() -> Path:
    """The weights that come with agentmem."""
    return packaged_reader("same_question")


class SameQuestion(PairReader):
    """Reads pairs of questions; loaded at the first of them.

    Args:
        path: a file made by ``benchmarks.same_question``.
        backend: what computes, see :class:`~agentmem.embedding.pair_reader.PairReader`.

    Attributes:
        least: the probability from which two questions ask for the same, whatever their words.

    Raises:
        MissingExtra: the packaged MiniLM is not installed.
        EmbedderError: there is no such file; or, at the first reading, it is damaged, or the packaged MiniLM is not the published one.
    """

    def __init__(self, path: Path | None = None, *, backend: Backend = "auto") -> None:
        super().__init__(path or packaged_same_question(), _INSTEAD, backend)

    @property
    def least(self) -> float:
        return float(self.about["least"])

    def alike(self, pairs: Sequence[tuple[str, str]], notes: Sequence[str] = ()) -> list[float]:
        """Of each pair of questions the probability that what answers the one answers the other.

        Where the first is of a language that it did not learn, it knows no more than whether the words are the same.

        Args:
            notes: for each pair, what was told that answers the first question; it says who is meant by "my sister's husband".
        """
        chances = [float(same_words(*pair)) for pair in pairs]
        strange = (
            self.foreign([one for one, _ in pairs]) if not self.about.get("tells_unknown") else [False] * len(pairs)
        )
        left = [i for i, foreign in enumerate(strange) if not foreign]
        read = [(with_note(one, notes[i]) if notes else one, other) for i, (one, other) in enumerate(pairs)]
        for i, chance in zip(left, self.between([read[i] for i in left]).reshape(len(left), 2)[:, 1], strict=True):
            chances[i] = float(chance)
        return chances


def same_words(one: str, other: str) -> bool:
    """Whether two texts have the same words and numbers in the same order."""
    return _WORD.findall(one.casefold()) == _WORD.findall(other.casefold())
