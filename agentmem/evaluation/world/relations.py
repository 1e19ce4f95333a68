"""The relations of the generated world and every wording they are expressed in.

Wordings marked *held out* are never used to train the shipped model, for any subject; a test that asks in a held-out
wording therefore measures knowledge and not the memory of a sentence.

Placeholders: ``{s}`` the subject, ``{v}`` the value, ``{a}`` the indefinite article that fits the value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["GenericFrames", "Kind", "Wordings", "WorldRelation"]

Kind = Literal["person", "company", "place"]


@dataclass(frozen=True)
class Wordings:
    """Templates of one sentence type, those for training apart from those held out."""

    trained: tuple[str, ...]
    held_out: tuple[str, ...]

    def pick(self, held_out: bool) -> tuple[str, ...]:
        """Return the held-out templates or the trained ones."""
        return self.held_out if held_out else self.trained


@dataclass(frozen=True)
class GenericFrames:
    """Frames that fit every relation once its noun (``{n}``) is filled in."""

    QUESTIONS = Wordings(
        (
            "What is {s}'s {n}?",
            "What is the {n} of {s}?",
            "What's {s}'s {n}?",
            "Give me the {n} of {s}.",
            "Can you tell me {s}'s {n}?",
            "Name {s}'s {n}.",
            "{s}'s {n}?",
            "About {s}: what is the {n}?",
            "Which {n} does {s} have?",
            "I need to know the {n} of {s}.",
        ),
        ("Do you know {s}'s {n}?", "I need {s}'s {n}."),
    )
    STATEMENTS = Wordings(
        (
            "{s}'s {n} is {x}.",
            "The {n} of {s} is {x}.",
            "For {s}, the {n} is {x}.",
            "{s} has {x} as {n}.",
            "Name: {s}, {n}: {v}.",
            "As everyone knows, {s}'s {n} is {x}.",
        ),
        ("When it comes to {s}, the {n} is {x}.",),
    )
    MY_QUESTIONS = Wordings(
        ("What is my {n}?", "What's my {n}?", "Can you tell me my {n}?", "Do you remember my {n}?"),
        ("Do you know my {n}?",),
    )
    MY_STATEMENTS: tuple[str, ...] = ("My {n} is {x}.", "As for me, my {n} is {x}.")


@dataclass(frozen=True)
class WorldRelation:
    """One attribute that the subjects of one kind have.

    Attributes:
        name: Identifier, for example ``home_city``.
        kind: Kind of subject.
        nouns: Nouns that name the attribute, used in the generic frames.
        cloze: Statement prefix that the value completes, for example ``"{s} lives in"``.
        questions: Specific question wordings; `all_questions` adds the generic ones.
        statements: Specific third-person wordings; `all_statements` adds the generic ones.
        my_questions: First-person questions (people only).
        my_statements: First-person statements (people only).
        shown: How the value reads after "is".
        functional: Whether a subject has exactly one value at a time.
    """

    name: str
    kind: Kind
    nouns: tuple[str, ...]
    cloze: str
    questions: Wordings
    statements: Wordings
    my_questions: Wordings = field(default=Wordings((), ()))
    my_statements: tuple[str, ...] = ()
    shown: str = "{v}"
    functional: bool = True

    def _generic(self, frames: tuple[str, ...], nouns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f.replace("{n}", n).replace("{x}", self.shown) for f in frames for n in nouns)

    def all_questions(self, held_out: bool = False) -> tuple[str, ...]:
        """Return every third-person question core, without lead-ins."""
        nouns = self.nouns[:1] if held_out else self.nouns
        return self.questions.pick(held_out) + self._generic(GenericFrames.QUESTIONS.pick(held_out), nouns)

    def all_statements(self, held_out: bool = False) -> tuple[str, ...]:
        """Return every third-person statement."""
        nouns = self.nouns[:1] if held_out else self.nouns
        return self.statements.pick(held_out) + self._generic(GenericFrames.STATEMENTS.pick(held_out), nouns)

    def all_my_questions(self, held_out: bool = False) -> tuple[str, ...]:
        """Return every first-person question core; empty unless the subjects are people."""
        if self.kind != "person":
            return ()
        nouns = self.nouns[:1] if held_out else self.nouns
        return self.my_questions.pick(held_out) + self._generic(GenericFrames.MY_QUESTIONS.pick(held_out), nouns)

    def all_my_statements(self) -> tuple[str, ...]:
        """Return every first-person statement; empty unless the subjects are people."""
        if self.kind != "person":
            return ()
        return self.my_statements + self._generic(GenericFrames.MY_STATEMENTS, self.nouns)
