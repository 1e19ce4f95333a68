"""What stands first: the parts of a score, seen through recall()."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentmem import Memory, Settings
from agentmem.settings import RecallSettings

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
CHAT = (
    ("Ben", "Good morning!"),
    ("Ana", "I am so tired today."),
    ("Ben", "What breed is your new dog?"),
    ("Ana", "He is a corgi, and he snores."),
    ("Ben", "Funny!"),
    ("Ana", "My sister has a garden full of tulips."),
)


def _told(memory: Memory) -> list[str]:
    items = [
        {"content": text, "actor": who, "session": "s1", "occurred_at": START + timedelta(minutes=place)}
        for place, (who, text) in enumerate(CHAT)
    ]
    return [str(receipt.id) for receipt in memory.remember_many(items, progress=False)]


def _order(settings: RecallSettings) -> list[str]:
    with Memory(None, embedder="hash", settings=Settings(recall=settings)) as memory:
        _told(memory)
        return [hit.note.content for hit in memory.recall("What breed is the dog?", k=len(CHAT))]


def test_a_question_that_has_all_the_words_is_held_back() -> None:
    """Somebody's own question fits a query best and answers nothing; the setting says how much that counts."""
    asked = "What breed is your new dog?"
    places = [_order(RecallSettings(question=malus)).index(asked) for malus in (0.0, 0.1, 2.0)]

    assert places[0] == 0
    assert places == sorted(places)
    assert places[-1] == len(CHAT) - 1


def test_a_hit_says_that_it_only_asks() -> None:
    """The malus is one of the reasons, by name, and equals the setting."""
    with Memory(None, embedder="hash", settings=Settings(recall=RecallSettings(question=0.2))) as memory:
        _told(memory)
        parts = {hit.note.content: hit.reasons for hit in memory.recall("What breed is the dog?", k=5)}

    assert parts["What breed is your new dog?"]["question"] == pytest.approx(-0.2)
    assert "question" not in parts["He is a corgi, and he snores."]


def test_activation_flows_forward_more_than_back() -> None:
    """Of the two neighbours of a hit the later one gets more: it may answer, the earlier one cannot."""
    with Memory(None, embedder="hash") as memory:
        _told(memory)
        lifted = {
            hit.note.content: hit.reasons.get("links", 0.0)
            for hit in memory.recall("What breed is the dog?", k=5)
        }

    assert lifted["He is a corgi, and he snores."] > lifted["I am so tired today."] > 0
