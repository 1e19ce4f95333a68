"""A generated world of facts, for training the small model and for measuring memory and edits."""

from __future__ import annotations

from agentmem.evaluation.world.relations import Kind, Wordings, WorldRelation
from agentmem.evaluation.world.text import (
    NOTES_HEADER,
    UNKNOWN_ANSWER,
    ToldNote,
    answer,
    random_date,
    render_notes,
)
from agentmem.evaluation.world.world import DEFAULT_SEED, RELATIONS, Split, World, WorldFact, relation

__all__ = [
    "DEFAULT_SEED",
    "NOTES_HEADER",
    "RELATIONS",
    "UNKNOWN_ANSWER",
    "Kind",
    "Split",
    "ToldNote",
    "Wordings",
    "World",
    "WorldFact",
    "WorldRelation",
    "answer",
    "random_date",
    "relation",
    "render_notes",
]
