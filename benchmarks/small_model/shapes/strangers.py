"""Notes by strangers: their sentences and questions, told of other names and with other values each time.

What is learnt by heart is of no use for reading: the same sentence comes again with other numbers, with the answer to somebody else's question in place of its
own, and about other people.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from agentmem.evaluation.world import names
from benchmarks.small_model.shapes.notes import Asked, Told, hurried

__all__ = ["MEASURED", "TRAINED", "StrangersNotes", "Written", "read_facts"]

_FOLDER = Path(__file__).parents[2] / "strangers"
TRAINED = ("facts", "wordings", "wordings_2", "wordings_3", "wordings_4", "wordings_5", "wordings_6")
"""What is learnt from. The examinations and the other half of the facts are for measuring."""
MEASURED = (
    "facts_opened",
    "exam_wordings_open",
    "exam_wordings_opened",
    "exam_wordings_2_opened",
    "exam_languages_open",
    "exam_languages_opened",
)
_NAME = re.compile(r"(?<![.!?:\"'] )(?<!^)\b[A-Z][a-z]{2,}\b")
_CLASS = re.compile(r"\d")


@dataclass(frozen=True)
class Written:
    """A fact as a stranger wrote it; the answer stands in the text as it is."""

    text: str
    value: str
    asks: tuple[str, ...]
    elsewhere: tuple[str, ...]
    short: tuple[str, ...]
    """Ways to ask that call the subject by another name than the text; of no use once it has another."""


def read_facts(files: Sequence[str] = TRAINED, folder: Path = _FOLDER) -> list[Written]:
    """Read those facts whose answer stands in them word for word."""
    found = []
    for name in files:
        for line in (folder / f"{name}.jsonl").read_text().splitlines():
            written = _written(json.loads(line))
            if written is not None:
                found.append(written)
    return found


def _written(line: Mapping[str, Any]) -> Written | None:
    text = str(line.get("fact") or line["told"])
    answers = [str(answer).rstrip(".。") for answer in (line["answer"], *line.get("also", ()))]
    there = [answer for answer in answers if answer and answer.casefold() in text.casefold()]
    if not there:
        return None
    at = text.casefold().find(there[0].casefold())
    value = text[at : at + len(there[0])]
    if "asks" in line:
        return Written(text, value, tuple(line["asks"]), tuple(line["near"]), ())
    known = [same for same in line["same"] if "before" not in same]
    return Written(
        text,
        value,
        (line["question"], *(same["text"] for same in known if same["how"] != "first name")),
        tuple(other["text"] for other in line["different"] if "before" not in other),
        tuple(same["text"] for same in known if same["how"] == "first name"),
    )


def _class(value: str) -> tuple[bool, bool, int]:
    """What may stand in the place of what: with digits or without, a name or a phrase, short or long."""
    return bool(_CLASS.search(value)), value[:1].isupper(), min(3, len(value.split()) // 2)


class StrangersNotes:
    """Tells facts by strangers; with ``changed``, mostly of other names and with other values."""

    def __init__(self, facts: Sequence[Written], *, changed: bool = True) -> None:
        """Sort the answers by what may stand in place of what."""
        self.facts, self.changed = facts, changed
        self._answers: defaultdict[tuple[bool, bool, int], list[str]] = defaultdict(list)
        for fact in facts:
            self._answers[_class(fact.value)].append(fact.value)

    def note(self, rng: Random) -> Told:
        """Tell one of the facts."""
        return self.told(rng.choice(self.facts), rng)

    def told(self, fact: Written, rng: Random) -> Told:
        """Tell a fact."""
        renamed = self._renamed(fact, rng) if self.changed and rng.random() < 0.5 else {}
        value = self._value(fact, rng) if self.changed and rng.random() < 0.7 else fact.value
        before, after = fact.text.split(fact.value, 1)
        before, after = _with(before, renamed), _with(after, renamed)
        value = _with(value, renamed)
        asks = fact.asks if renamed else fact.asks + fact.short

        key = (fact.text, str(sorted(renamed.items())))

        def asked(rng: Random) -> Asked:
            return Asked(hurried(_with(rng.choice(asks), renamed), rng), "", key)

        def elsewhere(rng: Random) -> Asked:
            return Asked(hurried(_with(rng.choice(fact.elsewhere), renamed), rng), "", ("", ""))

        return Told(key, f"{before}{value}{after}", "", value, asked, elsewhere)

    def _value(self, fact: Written, rng: Random) -> str:
        if _CLASS.search(fact.value) and rng.random() < 0.7:
            return re.sub(r"\d", lambda digit: str(rng.randrange(1 if digit.start() == 0 else 0, 10)), fact.value)
        return rng.choice(self._answers[_class(fact.value)])

    def _renamed(self, fact: Written, rng: Random) -> dict[str, str]:
        """Return other names for the capitalised words that a note shares with its question."""
        shared = {word for word in _NAME.findall(fact.text) if word in fact.asks[0] and word not in fact.value}
        pools = (names.FIRST_NAMES, names.LAST_NAMES)
        return {
            word: rng.choice(rng.choice(pools)) if rng.random() < 0.7 else names.invented_word(rng).capitalize()
            for word in sorted(shared)
        }


def _with(text: str, renamed: Mapping[str, str]) -> str:
    for old, new in renamed.items():
        text = re.sub(rf"\b{old}\b", new, text)
        text = re.sub(rf"\b{old.lower()}\b", new.lower(), text)
    return text
