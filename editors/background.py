"""Background prompts: short questions and instructions that no edit is about, made by combination.

Each group asks one thing in several ways, so that a calibration can tell what changes between paraphrases from
what changes between questions.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentmem.extract.lexicon import FUNCTION_WORDS

__all__ = ["LookAlikes", "background_groups", "groups_of", "guess_subject", "look_alikes"]

_DISGUISED = 2
_ENDING = re.compile(r"(?<=\w{3})(?:ing|ed|es|s|e)$")
_SAY_NOTHING = FUNCTION_WORDS - frozenset("as after before while".split()) | frozenset(
    "ask ever give know let like likes might more most name named need one please question quick remember s say under used want".split()
)
"""What questions of any kind share; "as", "before" and their like tell them apart."""


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


def groups_of(given: Sequence[str] | Sequence[Sequence[str]] | None) -> list[tuple[str, ...]]:
    """Background prompts as a user gives them, texts or groups of paraphrases, as groups; the built-in ones for ``None``."""
    if given is None:
        return list(background_groups())
    return [(group,) if isinstance(group, str) else tuple(group) for group in given]


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Prompts that look like an edit's: the same words about another subject, other questions about its own.

    Attributes:
        disguised: so many of ``asked`` may by chance ask the same as the edit, in words that it does not use.
    """

    swapped: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    disguised: int = 0


def look_alikes(prompts: Sequence[tuple[str, str | None, Sequence[str]]], count: int) -> list[LookAlikes]:
    """Prompts that look like each given one and ask something else.

    A question that shares a telling word with the prompt or a paraphrase counts as asking the same, and is left out; one more
    may ask it in words of its own. Where none does, nothing is known about which do.

    Args:
        prompts: (prompt, subject, paraphrases); without a subject, the longest run of capitalised words after the first
            word is taken for it.
        count: how many at most for each: a quarter with other subjects, the rest with other questions.
    """
    kinds = _read()["kinds"]
    names = next(kind["subjects"] for kind in kinds if kind["kind"] == "people")
    groups = [(kind["kind"], tuple(ways)) for kind in kinds if kind["kind"] != "things" for ways in kind["asked"]]
    return [
        _alike((prompt, *paraphrases), subject or guess_subject(prompt), names, groups, count)
        for prompt, subject, paraphrases in prompts
    ]


def _alike(
    texts: Sequence[str], name: str, names: list[str], groups: list[tuple[str, tuple[str, ...]]], count: int
) -> LookAlikes:
    if not name or count < 1:
        return LookAlikes()
    prompt = texts[0]
    others = sorted(names, key=lambda other: _order(prompt + other)) if name in prompt else []
    swapped = tuple(prompt.replace(name, other) for other in others if other != name)[: count // 4]
    telling = _telling(texts, name)
    shared = {(kind, ways): len(telling & _telling(ways, "{x}")) for kind, ways in groups}
    same = [group for group, words in shared.items() if words]
    kinds = {kind for (kind, _), words in shared.items() if words == max(shared.values())}
    # What is asked about this kind of subject comes first.
    rest = [(kind not in kinds, _order(prompt + ways[0]), ways[0]) for kind, ways in groups if (kind, ways) not in same]
    asked = tuple(question.format(x=name) for _, _, question in sorted(rest))
    return LookAlikes(swapped, asked[: count - len(swapped)], 1 if same else _DISGUISED)


def _telling(texts: Sequence[str], name: str) -> frozenset[str]:
    """The words of questions that say what is asked for, without their endings."""
    words = re.findall(r"[^\W\d_]+", " ".join(text.replace(name, " ") for text in texts).lower())
    return frozenset(_ENDING.sub("", word)[:5] for word in words if word not in _SAY_NOTHING)


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
