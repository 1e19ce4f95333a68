"""What the reader of two questions has beside an edit's own: the words in which it was asked in use, and the passage that says what it says."""

from __future__ import annotations

from dataclasses import dataclass

from agentmem.consolidation.phrasing import Phrased
from agentmem.notes.note import Note
from agentmem.notes.passages import passages
from agentmem.recall.query import query_words

__all__ = ["BesideEdit", "passage_of"]


@dataclass(frozen=True, slots=True)
class BesideEdit:
    """The words of use, and the text of the note."""

    heard: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def of(cls, note: Note, phrased: Phrased | None) -> BesideEdit:
        return cls(tuple(each.question for each in phrased.heard) if phrased is not None else (), note.content)


def passage_of(note: str, question: str, answer: str) -> str:
    """Of a long note the passage that has most words of a question and its answer; a short one as it is."""
    words = set(query_words(f"{question} {answer}"))
    return max(passages(note) or [note], key=lambda passage: len(words & set(query_words(passage))))
