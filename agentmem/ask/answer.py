"""What ``ask`` returns: an answer with where it came from, part by part, and what is known instead where it is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agentmem.extract.lexicon import NUMBERS
from agentmem.notes.edit import Route
from agentmem.notes.note import Note
from agentmem.notes.quoting import one_line, over_mark
from agentmem.recall.query import query_words

__all__ = [
    "Answer",
    "Part",
    "Source",
    "Why",
    "abstention",
    "drawn_on",
    "has_number",
    "is_unknown",
    "repeated",
    "used_notes",
]

Source = Literal["weights", "notes", "both", "model", "none"]
Why = Literal["", "untold", "another's", "over", "not over", "misread"]
"""Why a part has no answer: nothing tells, what is told is another's, holds no longer, or is not over (and what was before, or is
not so, was asked); or a local model made something of it that it does not say."""

_QUOTED: Final = 240  # characters
_INSTEAD: Final = 2
UNTRUSTED_BELOW: Final = 0.5
_UNKNOWN: Final = re.compile(
    r"^\W*(?:(?:sorry|unfortunately|i['’]m afraid|i am afraid|as far as i know|based on (?:the|my) (?:notes|memory))\W+)*"
    r"(?:(?:i|we) (?:do not|don['’]t|cannot|can['’]t|could not|couldn['’]t) (?:know|tell|say|find|recall|remember|determine|have)\b"
    r"|i have no (?:information|idea|note|record)|(?:it|that|this) is (?:not known|unknown|not (?:mentioned|stated|specified|in))"
    r"|(?:the|my) (?:notes|memory) (?:do not|does not|don['’]t|doesn['’]t) (?:say|tell|mention|contain)|unknown\b|there is no (?:information|mention))",
    re.IGNORECASE,
)
_TAKEN: Final = re.compile(
    r"^\W*(?:(?:thank you|thanks|noted|good to know|ok|okay|got it|understood)\W+)+(?:i(?: will|['’]ll) (?:remember|keep|note)\b.*)?$",
    re.IGNORECASE,
)
"""How a model receives what it takes for a statement."""
_WORDS: Final = "|".join(word for word in NUMBERS if len(word) > 2)
_COUNTED: Final = re.compile(
    rf"\d|\b(?:{_WORDS}|eleven|twelve|\w+teen|\w+ty|hundred|thousand|million|none|no|zero|half|both)\b", re.IGNORECASE
)
_INTRO: Final[dict[Why, str]] = {
    "another's": "I know only about {name}: ", "over": "I know only what is not so, or no longer: ", "not over": "I know only what holds now: ", "untold": "I know only: ",
    "misread": "I know only: ",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One of the things that were asked, and its answer.

    ``source`` is ``none`` where there is no answer, and ``why`` says why. ``about`` is whom the answer is about where the question
    spells the name otherwise, or whom ``known`` is about: the notes that tell what is known instead. ``used`` are those that the answer
    draws on.
    """

    question: str
    text: str
    source: Source
    why: Why = ""
    about: str = ""
    known: tuple[Note, ...] = ()
    used: tuple[Note, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and where it came from.

    ``source`` is ``weights`` (an edit fired, nothing was retrieved into the prompt), ``notes``, ``both``, ``model`` (neither:
    what the base model says by itself), or ``none`` (it is not known). ``notes`` are the notes that stood in the prompt, ``used`` those of them that
    the answer draws on; ``edits`` the edits that fired, ``routes`` their distances. ``prompt_tokens`` counts the whole prompt.
    ``parts`` are the things that were asked, in their order, each with its answer.
    """

    text: str
    source: Source
    notes: tuple[Note, ...] = ()
    used: tuple[Note, ...] = ()
    edits: tuple[str, ...] = ()
    prompt_tokens: int = 0
    routes: tuple[Route, ...] = ()
    warnings: tuple[str, ...] = ()
    degraded: bool = False
    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return self.text

    @property
    def known(self) -> tuple[Note, ...]:
        """What is known instead of what is not."""
        return tuple({note.id: note for part in self.parts for note in part.known}.values())


def is_unknown(text: str) -> bool:
    """Whether a model says that it does not know, or answers nothing because it took the question for a statement."""
    return _UNKNOWN.match(text) is not None or _TAKEN.match(text) is not None


def has_number(text: str) -> bool:
    """Whether a text has a number, in figures or in words."""
    return _COUNTED.search(text) is not None


def abstention(question: str, why: Why, known: Sequence[Note], name: str) -> tuple[str, tuple[Note, ...]]:
    """The words of not knowing, with what is known instead; and the notes that tell it, at most two, none that is not trusted.

    Args:
        question: named where it is one of several; empty where it goes without saying.
        name: whom the notes are about.
    """
    sure = " for sure" if why == "misread" else ""
    text = f"I do not know{sure}: {one_line(question)}" if question else f"I do not know{sure}."
    told = tuple(note for note in known if note.trust >= UNTRUSTED_BELOW)[:_INSTEAD]
    if not told or not why:
        return text, ()
    intro = _INTRO[why].format(name=name) if name or why != "another's" else _INTRO["untold"]
    return f"{text} {intro}{' '.join(f'“{_quote(note)}”' for note in told)}", told


def _quote(note: Note) -> str:
    text = one_line(note.content) + over_mark(note)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED].rstrip()} …"


def used_notes(answer: str, question: str, notes: Sequence[Note]) -> tuple[Note, ...]:
    """Notes that the answer draws on: all it adds to the question stands in them, or what they add stands in it.

    A terse answer ("Porto.") is used up by its note; a talkative one repeats what the note knows, its fact's value or
    most of the words that the question does not have. A note that merely stood in the prompt is not a use; counting it
    would strengthen whatever is recalled often, and recall whatever is strong.
    """
    asked = set(query_words(question))
    added = set(query_words(answer)) - asked
    return tuple(note for note in notes if added and drawn_on(added, asked, note))


def drawn_on(added: set[str], asked: set[str], note: Note) -> bool:
    """Whether these words, which an answer adds to a question with the words ``asked``, are drawn from a note."""
    words = set(query_words(note.content))
    values = [value for fact in note.facts if (value := set(query_words(fact.object)) - asked)]
    return any(value <= added for value in values) if values and not added <= words else _drawn(added, asked, words)


def repeated(answer: str, question: str, texts: Iterable[str]) -> list[bool]:
    """Of each text whether an answer repeats something of it that the question does not say."""
    asked = set(query_words(question))
    added = set(query_words(answer)) - asked
    return [bool(added) and _drawn(added, asked, set(query_words(text))) for text in texts]


def _drawn(added: set[str], asked: set[str], words: set[str]) -> bool:
    news = words - asked
    return added <= words or (bool(news) and len(news & added) > len(news) / 2)
