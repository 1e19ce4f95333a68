"""Whether a text only asks: for an answer, for what was told before, for a piece of work; and tells nothing that anybody would need later.

"When was my dentist again" and "draft the mail to her" only ask. "Since I'm off dairy now, what can I have for breakfast?" tells something,
and so does "please stop ending every answer with a question".

A linear reading (logistic regression) of the words of a text and of two and three of them in a row, of its length, and of whether it ends as a
question. It was learnt from messages by authors who saw nothing of this project: ``data/asking/README.md`` says from what, and how well.
It is of English; of a text in another language its end alone tells.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, NamedTuple

from agentmem.notes.passages import SENTENCE_END
from agentmem.notes.rows import asks
from agentmem.runtime.lazily import cached_property

__all__ = ["MARKED", "ONLY_ASKS", "Asking", "Gram", "grams", "scaled_length"]

LONGEST: Final = 160
"""Characters of a text from which on it tells something, whatever it asks."""
SAYING: Final = 4
"""Words and marks from which a sentence says something: "Thanks!" does not."""
IN_A_ROW: Final = 3
MARKED: Final = 0.6
"""How likely a text only asks that is in no language that was learnt, is short, and ends as a question."""
FAMILIAR: Final = 0.4
"""The share of its words that have to be known ones for a text to be in a language that was learnt."""
_TOKEN: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]")


class Gram(NamedTuple):
    """One to three words in a row: how rare they are (log of the inverse share of texts), and what they say for asking."""

    rarity: float
    weight: float


@dataclass(frozen=True)
class Asking:
    """Weights of a reading.

    Attributes:
        grams: by their words, small, with a blank between; length, mark, bias: weights of the length as :func:`scaled_length` gives it, of a
            question mark at the end, and of any text; rarest: how rare a gram is that was never met.
    """

    grams: Mapping[str, Gram]
    rarest: float
    length: float
    mark: float
    bias: float

    @classmethod
    def parse(cls, text: str) -> Asking:
        """Read what :meth:`written` wrote."""
        first, *lines = text.splitlines()
        rarest, length, mark, bias = map(float, first.split("\t"))
        found = (line.split("\t") for line in lines)
        return cls(
            {gram: Gram(float(rarity), float(weight)) for gram, rarity, weight in found}, rarest, length, mark, bias
        )

    def written(self) -> str:
        """A line for what is of any text, then one for each of the grams: tab-separated, in the order of their words."""
        lines = [f"{self.rarest:.3f}\t{self.length:.4f}\t{self.mark:.4f}\t{self.bias:.4f}"]
        lines += [f"{gram}\t{each.rarity:.3f}\t{each.weight:.3f}" for gram, each in sorted(self.grams.items())]
        return "\n".join(lines) + "\n"

    def likely(self, text: str) -> float:
        """How likely a text only asks, in [0, 1]: half by all of its words, half by its sentence that is least likely to ("I got the job! Which
        train should I take?" tells).
        """
        if len(text) > LONGEST or not text.strip():
            return 0.0
        if not self.knows(text):
            return MARKED if asks(text) == 1 else 0.0
        sentences = [part for part in SENTENCE_END.split(text) if len(tokens(part)) >= SAYING]
        whole = self._scored(text)
        return (whole + min([whole, *map(self._scored, sentences)])) / 2

    def _scored(self, text: str) -> float:
        unheard = Gram(self.rarest, 0.0)  # what was never learnt says nothing, and makes what is known weigh less
        score = self.bias + self.length * scaled_length(text) + self.mark * (asks(text) > 0)
        counted = [(self.grams.get(gram, unheard), 1.0 + math.log(times)) for gram, times in grams(text).items()]
        norm = math.sqrt(sum((each.rarity * times) ** 2 for each, times in counted))
        score += sum(each.weight * each.rarity * times for each, times in counted) / (norm or 1.0)
        return 1.0 / (1.0 + math.exp(-score))

    def knows(self, text: str) -> bool:
        """Whether a text is in a language that was learnt: enough of its words are known."""
        words = [token for token in tokens(text) if token[0].isalpha()]
        return sum(word in self.grams for word in words) >= FAMILIAR * len(words)


class _Shipped:
    """The reading that comes with the package, loaded when the first text is read."""

    @cached_property
    def _weights(self) -> Asking:
        return Asking.parse(files("agentmem").joinpath("data", "asking", "asking.tsv").read_text(encoding="utf-8"))

    def likely(self, text: str) -> float:
        """How likely a text only asks, in [0, 1]."""
        return self._weights.likely(text)


ONLY_ASKS: Final = _Shipped()


def tokens(text: str) -> list[str]:
    """Words, numbers and marks, in small letters."""
    return _TOKEN.findall(text.lower().replace("’", "'"))


def grams(text: str) -> Counter[str]:
    """How often each row of one to three tokens occurs."""
    return Counter(_rows(tokens(text)))


def _rows(found: list[str]) -> Iterator[str]:
    for size in range(1, IN_A_ROW + 1):
        for start in range(len(found) - size + 1):
            yield " ".join(found[start : start + size])


def scaled_length(text: str) -> float:
    """The length of a text: 1 at about 150 characters, by its logarithm."""
    return math.log1p(len(text)) / 5.0
