"""The shapes a model's answer must have.

Notes are named by their ids, and an id that was not shown is refused. Whatever else an answer holds (a trust, a scope, a
content …) has no field here and is dropped. Every text is put on one line, without control and formatting characters.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from agentmem.notes.quoting import one_line

__all__ = [
    "CandidateFact",
    "Construction",
    "DayThoughts",
    "Evolution",
    "Merge",
    "Merging",
    "NeighbourAnswers",
    "Portrait",
    "Related",
    "Thought",
    "Update",
    "Updates",
]


def _clean(value: object) -> object:
    return one_line(value) if isinstance(value, str) else value


def _shown(value: str, info: ValidationInfo) -> str:
    if value not in (info.context or {}).get("ids", ()):
        raise ValueError("this is not the id of a note that was shown")
    return value


def _few(value: object) -> object:
    """The first eight of a list: too many is no reason to ask again."""
    return value[:8] if isinstance(value, list) else value


def _or_none(value: object) -> object:
    """A fact with an empty part is no fact: models fill in the form also when there is nothing to say."""
    if isinstance(value, dict) and not all(isinstance(v, str) and v.strip() for v in value.values()):
        return None
    return value


Word = Annotated[str, BeforeValidator(_clean), Field(min_length=1, max_length=64)]
Words = Annotated[list[Word], BeforeValidator(_few)]
Sentence = Annotated[str, BeforeValidator(_clean), Field(min_length=1, max_length=400)]
Reason = Annotated[str, BeforeValidator(_clean), Field(min_length=1, max_length=200)]
Text = Annotated[str, BeforeValidator(_clean), Field(min_length=1, max_length=2000)]
NoteId = Annotated[str, AfterValidator(_shown)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class CandidateFact(_Answer):
    """A statement that the model reads in the note; whether it is believed is decided elsewhere."""

    subject: Sentence
    relation: Sentence
    object: Sentence


class Construction(_Answer):
    """A-MEM's note construction: what a note is about."""

    keywords: Words
    context: Sentence
    tags: Words
    fact: Annotated[CandidateFact | None, BeforeValidator(_or_none)] = None


class Related(_Answer):
    """A link that the model would draw; its reason is one of a few words, so that no note's text gets into a link."""

    id: NoteId
    relation: Literal["same topic", "elaborates", "explains", "follows from", "example of", "contrasts with"]


class Evolution(_Answer):
    """New words about an older note: its context, its tags, and why."""

    id: NoteId
    context: Sentence | None = None
    tags: Words | None = None
    reason: Reason


class NeighbourAnswers(_Answer):
    """A-MEM's link generation and memory evolution, in one answer."""

    links: Annotated[list[Related], BeforeValidator(_few)] = []
    evolve: Annotated[list[Evolution], BeforeValidator(_few)] = []


class Thought(_Answer):
    """One thought of Think-in-Memory, and the notes that it rests on."""

    text: Sentence
    sources: Annotated[list[NoteId], Field(min_length=1)]


class DayThoughts(_Answer):
    """A day in MemoryBank's summary and Think-in-Memory's thoughts."""

    summary: Text
    thoughts: Annotated[list[Thought], BeforeValidator(_few)] = []


class Portrait(_Answer):
    """MemoryBank's picture of a user."""

    portrait: Text


class Merge(_Answer):
    """Several thoughts said as one."""

    ids: Annotated[list[NoteId], Field(min_length=2)]
    text: Sentence


class Obsolete(_Answer):
    """A thought that no longer holds."""

    id: NoteId
    reason: Literal["contradicted", "outdated", "repeated"]


class Merging(_Answer):
    """Think-in-Memory's merge and forget, within one group of similar thoughts."""

    merge: Annotated[list[Merge], BeforeValidator(_few)] = []
    forget: Annotated[list[Obsolete], BeforeValidator(_few)] = []


class Update(_Answer):
    """What a note does to an earlier one that was offered with it; ``over`` are numbers of what the earlier one states, ``rest`` whether
    anything else that it says still holds.
    """

    note: NoteId
    earlier: NoteId
    relation: Literal["replaces", "completes", "contradicts"]
    over: tuple[int, ...] = ()
    rest: bool = True

    @model_validator(mode="after")
    def _was_offered(self, info: ValidationInfo) -> Self:
        stated = (info.context or {}).get("offered", {}).get((self.note, self.earlier))
        if stated is None:
            raise ValueError("this earlier note was not offered with this one")
        if any(not 1 <= number <= stated for number in self.over):
            raise ValueError("over has a number that is not among what the earlier note states")
        return self


class Updates(_Answer):
    """What several notes do to earlier ones."""

    updates: Annotated[list[Update], Field(max_length=64)]
