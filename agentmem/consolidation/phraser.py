"""How what a note says is asked for, and what is to be answered: read off its fact, or off how it was asked and answered in use.

A fact has templates, which know the wordings of its relation before anybody asked (:mod:`agentmem.consolidation.phrasing`). Use has no need of a
relation, a template or a language: what was asked is how it is asked for, and what was answered with the note in the prompt is what the
weights shall say without it (context distillation: Askell et al. 2021, Snell et al. 2022; prompt distillation: Kujanpää et al. 2024).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from agentmem.consolidation.phrasing import (
    MAX_ANSWER,
    MAX_ASKED,
    Heard,
    NotPhrased,
    Phrased,
    framed,
    probed,
    requests_for,
    target,
    unique,
)
from agentmem.consolidation.verify import same_answer
from agentmem.notes.note import Note
from agentmem.notes.quoting import one_line
from agentmem.recall.query import query_words

__all__ = [
    "FactPhraser",
    "FirstPhraser",
    "Heard",
    "Phraser",
    "UsePhraser",
    "default_phraser",
    "from_use",
    "stands_alone",
    "value_of",
]

MAX_KEYS: Final = 5
"""Real wordings that the edit is written with, besides its question."""
_FRAMED: Final = 4
_CLOSED: Final = tuple(".!?…。！？")  # how Chinese ends a sentence
_POINTS: Final = re.compile(
    r"\b(?:s?he|it|they|him|hers?|them|his|its|theirs?|this|that|these|those|there|er|sie|es|ihn|ihm|ihr|ihnen|diese[rsmn]?|él|ella|ellos|ellas|eso|esa|ese|ello)\b",
    re.IGNORECASE,
)


class Phraser(Protocol):
    """Finds the question of a note, its target, wordings that may become keys of the edit, and others that are kept back to check it."""

    def phrase(self, note: Note, heard: Sequence[Heard]) -> Phrased | NotPhrased:
        """``heard`` is what was asked by whose note it is, and was answered from this note alone, the latest first."""
        ...


class FactPhraser:
    """From the note's fact by its templates; the latest wordings that were answered with the fact are probes besides."""

    def phrase(self, note: Note, heard: Sequence[Heard]) -> Phrased | NotPhrased:
        made = requests_for(note)
        if note.fact is None or isinstance(made, NotPhrased):
            return made
        said = target(note.fact)
        return probed(made, [each.question for each in heard if same_answer(each.answer, said)])


class UsePhraser:
    """From use alone: the wordings that were answered alike, most of them; the latest are kept back, the most frequent is the question."""

    def phrase(self, note: Note, heard: Sequence[Heard]) -> Phrased | NotPhrased:
        if not heard:
            return NotPhrased("the note states no single fact, and no question was answered from it")
        if note.kind == "experience":
            return NotPhrased("what acting taught is advice, not an answer")
        fit = [each for each in heard if stands_alone(each.question, note)]
        if not fit:
            return NotPhrased("it was asked for only in words that do not say by themselves what is meant")
        short = [each for each in fit if 0 < len(one_line(each.answer)) <= MAX_ANSWER]
        if not short:
            return NotPhrased(f"its answers have more than {MAX_ANSWER} characters: texts to look up")
        return from_use(_most_alike(short))


class FirstPhraser:
    """What the first of several phrasers finds."""

    def __init__(self, first: Phraser, *others: Phraser) -> None:
        self._phrasers = (first, *others)

    def phrase(self, note: Note, heard: Sequence[Heard]) -> Phrased | NotPhrased:
        reasons = list[NotPhrased]()
        for phraser in self._phrasers:
            made = phraser.phrase(note, heard)
            if isinstance(made, Phrased):
                return made
            reasons.append(made)
        return reasons[-1] if heard else reasons[0]


def default_phraser() -> Phraser:
    """A fact's templates, which need no use; where there are none, use."""
    return FirstPhraser(FactPhraser(), UsePhraser())


def value_of(answer: str, question: str) -> frozenset[str]:
    """What an answer says that its question does not: "Porto.", "In Porto." and "Ines lives in Porto." say the same of where Ines lives."""
    words = frozenset(query_words(answer))
    return words - frozenset(query_words(question)) or words


def stands_alone(question: str, note: Note) -> bool:
    """Whether a wording says by itself what is asked for: one that points to what was said before would answer for others.

    It has two words that carry meaning, or one that its note has too; and a name or number of the note where it points to somebody.
    """
    words, known = query_words(question), set(query_words(note.content))
    if not words or (len(words) < 2 and not known & set(words)):
        return False
    if _POINTS.search(question) is None:
        return True
    told = re.findall(r"[^\W_]+", note.content)
    names = {word.casefold() for word in told[1:] if word[0].isupper() or word.isdigit()}
    names |= {word.casefold() for word in told[:1] if len(word) > 1}
    return bool(names & set(words))


def _most_alike(heard: Sequence[Heard]) -> list[Heard]:
    """Those that were answered alike, one saying more than another or not: the most wordings, of as many the latest."""
    groups: list[tuple[frozenset[str], list[Heard]]] = []
    values = [(value_of(each.answer, each.question), each) for each in heard]
    for value, each in sorted(values, key=lambda pair: len(pair[0])):
        home = next((group for core, group in groups if core <= value), None)
        if home is None:
            groups.append((value, home := []))
        home.append(each)
    best = max((group for _, group in groups), key=lambda group: (len(group), -min(map(heard.index, group))))
    return sorted(best, key=heard.index)


def from_use(heard: Sequence[Heard], said: str = "") -> Phrased:
    """Question, keys and probes of wordings that were answered alike, the latest first; the target is what was ``said``, or the shortest answer."""
    first = max(heard, key=_fullness)
    others = [each for each in heard if each is not first]
    back, rest = others[:MAX_ASKED], others[MAX_ASKED : MAX_ASKED + MAX_KEYS]
    frames = framed([first.question])
    keys = unique([*(each.question for each in rest), *frames[0::2][:_FRAMED]])
    probes = unique([*(each.question for each in back), *frames[1::2][: max(2 - len(back), 0)]])
    shortest = min((one_line(each.answer) for each in heard), key=len)
    marks = tuple(each.mark for each in (first, *rest))
    return Phrased(
        "", first.question, _closed(said or shortest), tuple(keys), tuple(probes), heard=tuple(heard), marks=marks
    )


def _fullness(heard: Heard) -> tuple[int, bool, int]:
    """What makes a wording the question of an edit: how often it was asked, that it is a question, how much it says."""
    text = heard.question.rstrip()
    return heard.times, text.endswith(("?", "？")) and text[:1] == text[:1].upper(), min(len(query_words(text)), 8)


def _closed(answer: str) -> str:
    """An answer as it is said, with a full stop."""
    text = one_line(answer)
    return text if text.endswith(_CLOSED) else f"{text}."
