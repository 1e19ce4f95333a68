"""What can be read from a text by rule, without a model: keywords, entities, tags, dates, facts, secrets.

Rules of a language are a pack (:mod:`agentmem.extract.english`, :mod:`agentmem.extract.german`) behind one protocol, :class:`~agentmem.extract.extractor.Extractor`; text in
others simply yields less. Everything here is a pure function of its arguments.
"""

from __future__ import annotations

from agentmem.extract.english.dates import dates
from agentmem.extract.english.tenses import tense
from agentmem.extract.extractor import (
    AGENTS,
    MACHINES,
    MOST_FACTS,
    USERS,
    Ending,
    Extractor,
    Said,
    by_agent,
    said_in,
    same_fact,
)
from agentmem.extract.languages import LANGUAGES, said_apart, several, still_told, tells_more
from agentmem.extract.relations import RELATIONS, Relation, canonical, relation
from agentmem.extract.secrets import Secret, is_private, is_volatile, secrets
from agentmem.extract.words import entities, found_by, keywords, tags
from agentmem.notes.note import Fact

__all__ = [
    "AGENTS",
    "LANGUAGES",
    "MACHINES",
    "MOST_FACTS",
    "RELATIONS",
    "USERS",
    "Ending",
    "Extractor",
    "Relation",
    "Said",
    "Secret",
    "by_agent",
    "candidate_fact",
    "candidate_facts",
    "canonical",
    "dates",
    "entities",
    "found_by",
    "is_private",
    "is_volatile",
    "keywords",
    "relation",
    "said",
    "said_apart",
    "said_in",
    "same_fact",
    "secrets",
    "several",
    "still_told",
    "tags",
    "tells_more",
    "tense",
]


def said(text: str, actor: str | None = None) -> Said:
    """What a text states and ends, by the rules of its language."""
    return LANGUAGES.said(text, actor)


def candidate_facts(text: str, actor: str | None = None, *, whole: bool = False) -> tuple[Fact, ...]:
    """The facts that plain statements make, by the rules of their language."""
    return LANGUAGES.candidate_facts(text, actor, whole=whole)


def candidate_fact(text: str, actor: str | None = None, *, whole: bool = False) -> Fact | None:
    """The first of :func:`candidate_facts`, or ``None``."""
    return next(iter(candidate_facts(text, actor, whole=whole)), None)
