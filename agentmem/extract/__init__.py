"""What can be read from a text by rule, without a model: keywords, entities, tags, dates, facts, secrets.

English rules; text in other languages simply yields less. Everything here is a pure function of its arguments.
"""

from __future__ import annotations

from agentmem.extract.english.dates import dates
from agentmem.extract.english.facts import MACHINES, USERS
from agentmem.extract.english.no_longer import AGENTS, Ending, Said, by_agent, said, said_in
from agentmem.extract.english.statements import (
    MOST_FACTS,
    candidate_fact,
    candidate_facts,
    said_apart,
    same_fact,
    several,
    still_told,
    tells_more,
)
from agentmem.extract.relations import RELATIONS, Relation, canonical, relation
from agentmem.extract.secrets import Secret, is_private, is_volatile, secrets
from agentmem.extract.words import entities, found_by, keywords, tags

__all__ = [
    "AGENTS",
    "MACHINES",
    "MOST_FACTS",
    "RELATIONS",
    "USERS",
    "Ending",
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
]
