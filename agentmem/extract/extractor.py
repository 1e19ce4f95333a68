"""What reads facts in a text: the one shape that rules of a language, a language model's answers and a caller's own reader have."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol, runtime_checkable

from agentmem.extract.relations import same_value
from agentmem.notes.note import Fact, Note

__all__ = [
    "AGENTS",
    "MACHINES",
    "MOST_FACTS",
    "USERS",
    "Ending",
    "Extractor",
    "Said",
    "by_agent",
    "said_in",
    "same_fact",
    "speaker_of",
]

MOST_FACTS: Final = 16
"""Facts of one note."""
AGENTS: Final = frozenset(("assistant", "tool"))
"""Whose words state and end nothing: they may be invented."""
USERS: Final = frozenset({"user", "human"})
"""Actors without a name of their own."""
MACHINES: Final = frozenset({"assistant", "system", "tool", "bot", "ai", "agent", "function", "developer"})
"""Actors that are nobody."""


class Ending(NamedTuple):
    """What holds no longer: a value of a relation, or with ``object=None`` whichever value there was."""

    subject: str
    relation: str
    object: str | None


class Said(NamedTuple):
    """What a text states: the facts that hold, and what holds no longer."""

    facts: tuple[Fact, ...] = ()
    ended: tuple[Ending, ...] = ()


@runtime_checkable
class Extractor(Protocol):
    """Reads what a text states and ends. A fact can close an older note, so what is in doubt is left out.

    Names of relations are those of :data:`agentmem.extract.relations.RELATIONS` where there is one, in whatever language a text is.
    """

    def said(self, text: str, actor: str | None = None) -> Said:
        """``actor`` is who speaks: the subject of "I", or ``"user"`` where nobody is named. Called while a note is written: it must be quick."""
        ...


def said_in(note: Note, extractor: Extractor) -> Said:
    """What a note states and ends; nothing where an agent or a tool speaks."""
    return Said() if by_agent(note) else extractor.said(note.content, note.actor)


def by_agent(note: Note) -> bool:
    """Whether an agent or a tool said what the note holds."""
    return not AGENTS.isdisjoint((note.actor, note.source))


def speaker_of(actor: str | None) -> str | None:
    """The subject of "I": a name, ``"user"``, or nobody when a machine speaks."""
    name = " ".join((actor or "user").split())
    if name.casefold() in MACHINES:
        return None
    return "user" if not name or name.casefold() in USERS else name


def same_fact(one: Fact, other: Fact) -> bool:
    """Whether two facts state the same, whenever it holds."""
    said = (one.subject.casefold(), one.relation.casefold()) == (other.subject.casefold(), other.relation.casefold())
    return said and same_value(one.relation, one.object, other.object)
