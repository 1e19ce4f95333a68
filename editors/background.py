"""Background prompts: short questions and instructions that no edit is about, made by combination.

Each group asks one thing in several ways, so that a calibration can tell what changes between paraphrases from
what changes between questions.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

__all__ = ["background_groups", "look_alikes"]


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


def look_alikes(prompts: list[tuple[str, str | None]], count: int) -> list[tuple[str, ...]]:
    """Prompts that look like each given one and ask something else: other subjects, other questions.

    Args:
        prompts: (prompt, subject) pairs; without a subject, the longest run of capitalised words after the first
            word is taken for it.
        count: how many at most for each, half of each kind.
    """
    kinds = _read()["kinds"]
    names = next(kind["subjects"] for kind in kinds if kind["kind"] == "people")
    questions = [ways[0] for kind in kinds if kind["kind"] != "things" for ways in kind["asked"]]
    return [
        _alike(prompt, subject or _capitalised(prompt), names, questions, count)
        for prompt, subject in prompts
    ]


def _alike(prompt: str, name: str, names: list[str], questions: list[str], count: int) -> tuple[str, ...]:
    if not name or count < 1:
        return ()
    others = sorted(names, key=lambda other: _order(prompt + other)) if name in prompt else []
    swapped = [prompt.replace(name, other) for other in others][: (count + 1) // 2]
    asked = [q.format(x=name) for q in sorted(questions, key=lambda q: _order(prompt + q))]
    found = dict.fromkeys([*swapped, *asked[: count - len(swapped)]])
    return tuple(text for text in found if text.lower() != prompt.lower())


def _read() -> dict[str, Any]:
    path = Path(__file__).parent / "data" / "background.json"
    text: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return text


def _capitalised(prompt: str) -> str:
    """The longest run of capitalised words that is not only the sentence's first word."""
    runs = (run.strip(" ?.!,") for run in re.findall(r"(?:[A-Z][\w'’.-]*\s?)+", prompt))
    return max((run for run in runs if not prompt.startswith(run)), key=len, default="")


def _order(text: str) -> str:
    """A fixed order that does not follow the alphabet."""
    return hashlib.sha256(text.encode()).hexdigest()
