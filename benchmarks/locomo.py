"""LoCoMo (Maharana et al., 2024, "Evaluating Very Long-Term Conversational Memory of LLM Agents") as a retrieval task.

Every turn is one memory and every conversation its own scope. The data (CC BY-NC 4.0) is not part of this project: download
`data/locomo10.json` from the repository snap-research/LoCoMo, or give any file of that shape.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = ["CATEGORIES", "Conversation", "Question", "Turn", "load"]

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
_SESSION = re.compile(r"session_(\d+)")
_EVIDENCE = re.compile(r"D(\d+):(\d+)")


@dataclass(frozen=True)
class Turn:
    """What somebody said; ``id`` is its dialogue id, for example ``D3:7``."""

    id: str
    speaker: str
    session: str
    at: datetime
    text: str


@dataclass(frozen=True)
class Question:
    """A question with the ids of the turns that answer it."""

    text: str
    evidence: tuple[str, ...]
    category: str


@dataclass(frozen=True)
class Conversation:
    """A conversation; ``skipped`` questions have no evidence that could be found among the turns."""

    name: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]
    skipped: int


def load(path: Path) -> list[Conversation]:
    """Read a file of LoCoMo's shape; malformed evidence is repaired where its turn exists."""
    return [_conversation(item) for item in json.loads(path.read_text(encoding="utf-8"))]


def _conversation(item: dict[str, Any]) -> Conversation:
    talk = item["conversation"]
    numbers = sorted(int(match[1]) for key in talk if (match := _SESSION.fullmatch(key)))
    turns = tuple(turn for number in numbers for turn in _session(talk, number))
    known = {turn.id for turn in turns}
    questions = tuple(
        Question(str(qa["question"]), evidence, CATEGORIES[qa["category"]])
        for qa in item["qa"]
        if (evidence := _evidence(qa.get("evidence", ()), known))
    )
    return Conversation(str(item["sample_id"]), turns, questions, len(item["qa"]) - len(questions))


def _session(talk: dict[str, Any], number: int) -> list[Turn]:
    name = f"session_{number}"
    start = datetime.strptime(talk[f"{name}_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    # Only the session's start is known; a minute per turn keeps the order.
    return [
        Turn(turn["dia_id"], turn["speaker"], name, start + timedelta(minutes=place), turn["text"])
        for place, turn in enumerate(talk[name])
    ]


def _evidence(raw: list[str], known: set[str]) -> tuple[str, ...]:
    """The ids in strings such as ``D8:6; D9:17`` or ``D30:05``; those of no turn are left out."""
    found = (f"D{int(day)}:{int(turn)}" for text in raw for day, turn in _EVIDENCE.findall(text))
    return tuple(dict.fromkeys(name for name in found if name in known))
