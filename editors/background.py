"""Background prompts: short questions and instructions that no edit is about, made by combination.

Each group asks one thing in several ways, so that a calibration can tell what changes between paraphrases from
what changes between questions.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["LookAlikes", "background_groups", "guess_subject", "look_alikes"]


def background_groups() -> tuple[tuple[str, ...], ...]:
    """All groups, in a fixed, well mixed order; each group is one question asked in several ways."""
    text = _read()
    combined = [
        tuple(way.format(x=subject) for way in ways)
        for kind in text["kinds"]
        for subject in kind["subjects"]
        for ways in kind["asked"]
    ]
    plain = [tuple(ways) for ways in text["plain"]]
    return tuple(sorted((*combined, *plain), key=lambda group: _order(group[0])))


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Prompts that look like an edit's: the same words about another subject, other questions about its own."""

    swapped: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


def look_alikes(prompts: list[tuple[str, str | None]], count: int) -> list[LookAlikes]:
    """Prompts that look like each given one and, most of them, ask something else.

    One or two of ``asked`` may by chance ask the same as the edit in other words.

    Args:
        prompts: (prompt, subject) pairs; without a subject, the longest run of capitalised words after the first
            word is taken for it.
        count: how many at most for each: a quarter with other subjects, the rest with other questions.
    """
    kinds = _read()["kinds"]
    names = next(kind["subjects"] for kind in kinds if kind["kind"] == "people")
    questions = [ways[0] for kind in kinds if kind["kind"] != "things" for ways in kind["asked"]]
    return [
        _alike(prompt, subject or guess_subject(prompt), names, questions, count)
        for prompt, subject in prompts
    ]


def _alike(prompt: str, name: str, names: list[str], questions: list[str], count: int) -> LookAlikes:
    if not name or count < 1:
        return LookAlikes()
    others = sorted(names, key=lambda other: _order(prompt + other)) if name in prompt else []
    swapped = tuple(prompt.replace(name, other) for other in others if other != name)[: count // 4]
    asked = (question.format(x=name) for question in sorted(questions, key=lambda q: _order(prompt + q)))
    different = tuple(text for text in asked if text.lower() != prompt.lower())
    return LookAlikes(swapped, different[: count - len(swapped)])


def _read() -> dict[str, Any]:
    path = Path(__file__).parent / "data" / "background.json"
    text: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return text


def guess_subject(prompt: str) -> str:
    """The longest run of capitalised words that is not only the sentence's first word; empty when there is none."""
    runs = (run.strip(" ?.!,") for run in re.findall(r"(?:[A-Z][\w'’.-]*\s?)+", prompt))
    return max((run for run in runs if not prompt.startswith(run)), key=len, default="")


def _order(text: str) -> str:
    """A fixed order that does not follow the alphabet."""
    return hashlib.sha256(text.encode()).hexdigest()
