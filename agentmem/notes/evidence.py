"""What a use leaves behind: the wording of a question, the answer that was drawn from notes, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from agentmem.errors import InvalidArgument
from agentmem.notes.note import Scope
from agentmem.notes.quoting import one_line

__all__ = ["MOST_ANSWER", "MOST_QUESTION", "Drawn", "Evidence", "said_again", "uncut"]

MOST_QUESTION: Final = 300
"""Characters; what is longer is no question that comes again."""
MOST_ANSWER: Final = 1_000
"""Characters that are kept of an answer."""
_CUT: Final = " …"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A question that was answered from notes.

    Attributes:
        question: in the words in which it was asked, on one line.
        answer: the latest that was given to it.
        notes: ids of the notes that this answer was drawn from.
        at: when it was asked last; times: how often.
        scope: in which it was asked.
    """

    question: str
    answer: str
    notes: tuple[str, ...]
    at: datetime
    times: int = 1
    scope: Scope = field(default_factory=Scope)

    def __str__(self) -> str:
        return f"{self.question} {self.answer}"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A question and the answer to it that is drawn from the notes of a use, and from those ``beside`` them (ids), of which it has a word
    or two: with any of them it has to go.
    """

    question: str
    answer: str
    beside: tuple[str, ...] = ()

    @classmethod
    def of(cls, question: object, answer: object) -> Drawn | None:
        """As a caller says it; ``None`` where nothing is said.

        Raises:
            InvalidArgument: one is no text, or lacks the other.
        """
        if question is None and answer is None:
            return None
        if not isinstance(question, str) or not isinstance(answer, str):
            raise InvalidArgument(
                "A question and its answer are texts, and come together.",
                hint="reinforce(id, question='Where does Ana live?', answer='In Porto.').",
            )
        return cls(question, answer)

    def clean(self) -> Drawn | None:
        """On one line each, without control characters and halves of characters; ``None`` where that is no question that comes again, or no answer."""
        question, answer = (
            one_line(text) for text in (self.question[: 8 * MOST_QUESTION], self.answer[: 8 * MOST_ANSWER])
        )
        if not question or not answer or len(question) > MOST_QUESTION or len(self.question) > 8 * MOST_QUESTION:
            return None
        cut = answer if len(answer) <= MOST_ANSWER else f"{answer[:MOST_ANSWER].rstrip()}{_CUT}"
        return Drawn(question, cut, self.beside)


def said_again(text: str, question: str, answer: str, known: str) -> bool:
    """Whether ``text`` is where a question was asked or its answer given: it has it in it, or is the beginning of the answer that was heard.

    Args:
        text, question, answer: each on one line.
        known: what the notes say that the answer was drawn from: an answer that stands there is no word of ``text``.
    """
    bare = uncut(answer)
    given = bare in text or bare.startswith(text)
    return question in text or (given and bare.strip(" .!?") not in known)


def uncut(answer: str) -> str:
    """An answer without the mark that it was longer."""
    return answer.removesuffix(_CUT)
