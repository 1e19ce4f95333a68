"""Several people whose facts are consolidated, the same ones whenever it is asked for."""

from __future__ import annotations

import random

import pytest

import agentmem.wiring
from agentmem import Fact, Memory
from agentmem.notes.ids import IdMaker

__all__ = ["FACTS", "NIGHT", "draw_alike", "tell_all"]

NIGHT = {"gate": "key", "min_generality": 0.0}
"""All of them are learnt."""

FACTS = (
    ("ana", "Ilva Quist", "lives in", "Porto", "Where does Ilva Quist live?"),
    ("ana", "Oren Dorrell", "plays", "cello", "What instrument does Oren Dorrell play?"),
    ("bo", "Mira Halse", "lives in", "Bergen", "Where does Mira Halse live?"),
    ("bo", "Ilva Quist", "lives in", "Graz", "Where does Ilva Quist live?"),
    ("cy", "Tarek Voss", "lives in", "Cusco", "Where does Tarek Voss live?"),
)
"""Two of them tell of one person, and not the same."""


def tell_all(memory: Memory) -> list[str]:
    """The ids of what was told; each was used once."""
    ids = []
    for user, subject, relation, value, _ in FACTS:
        note = memory.remember(
            f"{subject} {relation} {value}.", user=user, fact=Fact(subject, relation, value), merge=False
        )
        memory.reinforce(str(note.id), user=user)
        ids.append(str(note.id))
    return ids


def draw_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on every memory draws the ids that the one before it drew."""
    monkeypatch.setattr(agentmem.wiring, "IdMaker", lambda clock: IdMaker(clock, random.Random(7)))
