"""What may be given of a model's answer: nothing that the notes deny, that a later one ends, or that the model misread."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentmem.ask.answer import Why, drawn_on, has_number, is_unknown, used_notes
from agentmem.ask.bearing import clause_names, is_denied, matter_words, outdates, segments
from agentmem.ask.clauses import Clause
from agentmem.ask.sift import Sifted
from agentmem.extract.english.names import parts, stem
from agentmem.extract.words import entities
from agentmem.notes.note import Hit, Note
from agentmem.recall.query import query_words

__all__ = ["Given", "checked", "unsupported"]

Say = Callable[[Sequence[Hit]], Generator[Any, str, str]]
"""Asks the model again, with other notes; through whoever has it."""

_DECIDES = re.compile(
    r"^\W*(?:yes|no|yeah|yep|yup|nope|nah|not|never|always|sure|right|correct|indeed|true|false|of course|certainly|only|sometimes|maybe|perhaps|probably)\b"
    r"|^\W*(?:(?:\w+ ){1,4}?(?:is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|should|may|must)(?:n['’]t| not)?\b)|\w['’](?:s|re|m|ve|ll|d)\b|n['’]t\b",
    re.IGNORECASE,
)
"""How an answer to whether something is so begins, or a sentence that says so."""
_BABBLE = re.compile(r"([.,;:!?])\1{3,}|[?!]{3,}")
"""What a small model does that has lost the thread."""
_TERSE = 4  # words: an answer that only repeats what a note has


@dataclass(frozen=True, slots=True)
class Given:
    """What a model said to these notes; with ``why`` it is not given, ``known`` is what is known instead, and ``about`` of whom."""

    text: str
    hits: tuple[Hit, ...]
    why: Why = ""
    known: tuple[Note, ...] = ()
    about: str = ""


def checked(clause: Clause, said: Given, sifted: Sifted | None, say: Say, *, terse: bool) -> Generator[Any, str, Given]:
    """What may be given of an answer, or why nothing.

    Args:
        sifted: what the notes have to say to the clause, if they were asked.
        terse: whether a short answer of this model has to stand in the notes.
    """
    if not clause.asks:
        return said
    notes = [hit.note for hit in said.hits]
    known = (sifted.instead if sifted is not None else ()) or tuple(notes)
    if is_unknown(said.text):
        if sifted is not None and not notes:
            return replace(said, why=sifted.why or "untold", known=sifted.instead, about=sifted.about)
        return replace(said, why="untold", known=known)
    if wrong := unsupported(clause, said.text, notes):
        return (yield from _again(clause, said, sifted, say, wrong, terse=terse))
    if notes and clause.kind == "number" and not has_number(said.text):
        return replace(said, text="", why="untold", known=known)
    if terse and notes and _is_misread(said.text, clause, notes):
        if sifted is not None and sifted.instead:  # of whom is asked, or of who asks, a model knows nothing by itself
            return replace(said, text="", why="misread", known=sifted.instead)
        own = yield from say(())
        return replace(said, text="", why="untold", known=known) if is_unknown(own) else Given(own, ())
    return said


def _again(
    clause: Clause, said: Given, sifted: Sifted | None, say: Say, wrong: tuple[Note, ...], *, terse: bool
) -> Generator[Any, str, Given]:
    """What the model says without the notes that it took a wrong answer from."""
    rest = tuple(hit for hit in said.hits if hit.note not in wrong)
    again = (yield from say(rest)) if rest else ""
    if again and not is_unknown(again) and used_notes(again, clause.text, [hit.note for hit in rest]):
        return (yield from checked(clause, Given(again, rest), sifted, say, terse=terse))
    return replace(said, text="", why="untold" if rest else "over", known=tuple(hit.note for hit in rest) or wrong)


def unsupported(clause: Clause, answer: str, notes: Sequence[Note]) -> tuple[Note, ...]:
    """The notes that an answer draws on wrongly: it takes from them what they deny, or what a later one of them says to be otherwise."""
    if clause.sense != "holds" or clause.kind in ("whether", "reason"):
        return ()
    asked = set(query_words(clause.text))
    added = set(query_words(answer)) - asked
    drawn = [note for note in notes if added and drawn_on(added, asked, note)]
    if not drawn or is_denied(answer, clause):
        return ()
    wrong = [
        note
        for note in drawn
        if _denied_there(note, added, clause) or any(outdates(later, note) for later in notes if later not in drawn)
    ]
    return tuple(wrong) if len(wrong) == len(drawn) else ()


def _denied_there(note: Note, added: set[str], clause: Clause) -> bool:
    """Whether what an answer takes from a note stands only in statements that deny it."""
    told = [part for part in segments(note.content) if added & set(query_words(part))]
    return bool(told) and all(is_denied(part, clause) for part in told)


def _from_another_matter(text: str, clause: Clause, notes: Sequence[Note]) -> bool:
    """Whether an answer draws only on notes that have no word of what is asked, where another has one: the landlady's name for the cat's."""
    matter = matter_words(clause.said or clause.text, clause_names(clause))
    about = [note for note in notes if matter & {stem(word) for word in parts(note.content)}]
    drawn = used_notes(text, clause.text, notes)
    return bool(about and drawn) and not any(note in about for note in drawn)


def _is_misread(text: str, clause: Clause, notes: Sequence[Note]) -> bool:
    """Whether a terse answer has words that stand neither in the notes nor in the question, or only repeats the question; or a longer one
    babbles, or draws on none of the notes and names somebody or something whom they do not.
    """
    words = query_words(text)
    if clause.kind == "reason" or (clause.kind == "whether" and _DECIDES.match(text)):
        return False
    asked = set(query_words(clause.text))
    told = set(query_words(" ".join([note.content for note in notes])))
    told |= {word for note in notes for fact in note.facts for word in query_words(fact.object)}
    if _BABBLE.search(text):
        return True
    if len(words) > _TERSE:
        named = {word for name in entities(text) for word in query_words(name)}
        return not used_notes(text, clause.text, notes) and not named <= asked | told
    if _from_another_matter(text, clause, notes):
        return True
    if asked.issuperset(words):
        return clause.kind != "whether" and " or " not in clause.text
    return any(not word.isnumeric() and word not in asked | told for word in words)
