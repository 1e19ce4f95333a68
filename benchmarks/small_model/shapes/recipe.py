"""The further course, as data: sizes, mixtures and learning rates."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.small_model.recipe import (
    LONG_CHAT,
    LONG_OPEN,
    STATEMENTS,
    TOLD,
    WORN,
    WORN_NOTES,
    WORN_TABLE,
    Stage,
)
from benchmarks.small_model.shapes.chats import Style

__all__ = ["LAYERS", "LONG_MIXTURE", "RATES", "STAGES"]

LAYERS = 7

_FIRST = Style(notes=(1, 2), questions=(2, 4), strange=0.3, copied=0.25, renewed=0.0, unknown=0.1)
_SAID = Style(copied=1.0)
_FEW = Style(notes=(1, 4), unknown=0.15)
_SOME = Style(notes=(2, 7))
_TABLE = Style(notes=(2, 6), strange=0.0, table=1.0)
_MANY = Style(notes=(5, 12))
# Who reads much takes the nearest note for an answer: whom nobody knows is asked about three times as often as in the world's own course.
_KNOWN = replace(WORN, actions={**WORN.actions, "ask_unknown": 0.14})
_NOTED = replace(WORN_NOTES, actions={**WORN_NOTES.actions, "ask_unknown": 0.12})

_WORLD = ((WORN_TABLE, 0.05), (_NOTED, 0.13), (TOLD, 0.03), (_KNOWN, 0.16), (STATEMENTS, 0.03))
# The world is kept fresh by two fifths of the tokens; what is read grows from a note or two to many.
STAGES = (
    Stage(0.12, 1.0, (*_WORLD, (_SAID, 0.06), (_FIRST, 0.34), (_FEW, 0.2)), 10),
    Stage(0.4, 1.0, (*_WORLD, (_SAID, 0.04), (_FIRST, 0.08), (_FEW, 0.21), (_SOME, 0.2), (_TABLE, 0.07)), 12),
    Stage(0.8, 1.0, (*_WORLD, (_SAID, 0.03), (_FIRST, 0.05), (_FEW, 0.17), (_SOME, 0.25), (_TABLE, 0.1)), 10),
    Stage(1.0, 1.0, (*_WORLD, (_SAID, 0.03), (_FEW, 0.22), (_SOME, 0.25), (_TABLE, 0.1)), 7),
)
LONG_MIXTURE = ((LONG_CHAT, 0.25), (LONG_OPEN, 0.2), (_MANY, 0.55))
RATES = ((0.0, 0.5), (0.4, 0.5), (1.0, 0.02))
