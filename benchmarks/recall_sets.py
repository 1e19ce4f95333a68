"""Data of different nature in one shape, so that no weight is tuned to one of them.

None of it is part of this project: a folder is given that has `locomo_dev.json`, `beam_dev/N`, `faq_dev.json` and `xquad_dev/`
(LoCoMo, CC BY-NC 4.0; BEAM, arXiv 2510.27246, CC BY-SA 4.0; CovidFAQ of BERT-FAQ; XQuAD, CC BY-SA 4.0). What is missing is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import locomo

__all__ = ["Asked", "Scope", "load"]

_LABEL = re.compile(r"\s*->->.*$", re.DOTALL)
_MOST = 60_000  # bytes of a turn: one of BEAM's is longer than a note may be
_LEFT_OUT = ("abstention", "summarization")
_SENTENCE = {"zh": re.compile(r"(?<=[。！？])"), "": re.compile(r"(?<=[.!?])\s+")}
_THIRD = 3  # of many like questions every third one is asked


@dataclass(frozen=True)
class Asked:
    """A question, the places of the items that answer it, its kind, and of an update the places of what was said last and first."""

    text: str
    answers: tuple[int, ...]
    kind: str
    updated: tuple[int, ...] = ()
    original: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scope:
    """What one user's memory is told, as `remember_many` takes it, and what is asked; ``group``: the kind of data."""

    group: str
    name: str
    items: tuple[dict[str, Any], ...]
    questions: tuple[Asked, ...]


def load(folder: Path) -> Iterator[Scope]:
    """Every scope of the data that is there."""
    if (path := folder / "locomo_dev.json").exists():
        conversations = locomo.load(path)
        yield from (_conversation(each) for each in conversations)
        yield from (_bare(_conversation(each)) for each in conversations)
    for chat in sorted((folder / "beam_dev").glob("*"), key=lambda path: int(path.name)):
        yield _beam(chat)
    if (path := folder / "faq_dev.json").exists():
        yield _faq(path)
    for path in sorted((folder / "xquad_dev").glob("xquad.*.json")):
        yield _xquad(path)


def _conversation(each: locomo.Conversation) -> Scope:
    at = {turn.id: place for place, turn in enumerate(each.turns)}
    asked = tuple(Asked(q.text, tuple(at[turn] for turn in q.evidence), q.category) for q in each.questions)
    return Scope("LoCoMo", each.name, tuple(each.items()), asked)


def _bare(scope: Scope) -> Scope:
    """The same without speakers, sessions and times: plain texts."""
    name = f"{scope.name}-bare"
    items = tuple({"content": item["content"], "user": name} for item in scope.items)
    return replace(scope, group="LoCoMo, texts alone", name=name, items=items)


def _beam(folder: Path) -> Scope:
    name, at, items = f"beam-{folder.name}", {}, []
    day = datetime(2024, 1, 1, tzinfo=UTC)
    for batch in json.loads((folder / "chat.json").read_text(encoding="utf-8")):
        for number, session in enumerate(batch["turns"]):
            for turn in session:
                if anchor := turn.get("time_anchor") or batch.get("time_anchor"):
                    day = datetime.strptime(anchor, "%B-%d-%Y").replace(tzinfo=UTC)
                text = _LABEL.sub("", turn["content"]) if turn["role"] == "user" else turn["content"]
                at[turn["id"]] = len(items)
                items.append({
                    "content": text.encode()[:_MOST].decode(errors="ignore"), "actor": turn["role"], "user": name,
                    "session": f"{batch['batch_number']}-{number}", "occurred_at": day + timedelta(minutes=len(items) % 1_400),
                })  # fmt: skip
    questions = json.loads((folder / "probing_questions.json").read_text(encoding="utf-8"))
    asked = [
        found
        for kind, each in questions.items()
        if kind not in _LEFT_OUT
        for question in each
        if (found := _probe(question, kind, at)).answers
    ]
    return Scope("BEAM", name, tuple(items), tuple(asked))


def _probe(question: dict[str, Any], kind: str, at: dict[int, int]) -> Asked:
    sources = question.get("source_chat_ids") or []
    by_role = {role: _places(ids, at) for role, ids in sources.items()} if isinstance(sources, dict) else {}
    every = tuple(dict.fromkeys(p for places in by_role.values() for p in places)) if by_role else _places(sources, at)
    updated, original = by_role.get("updated_info", ()), by_role.get("original_info", ())
    return Asked(question["question"], every, kind, updated, original)


def _places(ids: object, at: dict[int, int]) -> tuple[int, ...]:
    """Ids are numbers, lists of them, or lists of lists."""
    if isinstance(ids, list):
        return tuple(dict.fromkeys(place for each in ids for place in _places(each, at)))
    return (at[ids],) if isinstance(ids, int) and ids in at else ()


def _faq(path: Path) -> Scope:
    rows = [row for row in json.loads(path.read_text(encoding="utf-8")) if row["label"] == 1]
    place = {answer: n for n, answer in enumerate(dict.fromkeys(row["answer"] for row in rows))}
    answers: dict[str, set[int]] = {}
    for row in rows:
        if row["query_type"] == "user_query":
            answers.setdefault(row["question"], set()).add(place[row["answer"]])
    asked = [Asked(question, tuple(sorted(answers[question])), "faq") for question in sorted(answers)]
    return Scope("FAQ", "faq", tuple({"content": text, "user": "faq"} for text in place), tuple(asked[::_THIRD]))


def _xquad(path: Path) -> Scope:
    language = path.name.split(".")[1]
    items: list[dict[str, Any]] = []
    asked = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            spans, start = [], 0
            for sentence in filter(None, _SENTENCE.get(language, _SENTENCE[""]).split(paragraph["context"])):
                begin = paragraph["context"].index(sentence, start)
                start = begin + len(sentence)
                spans.append((begin, start, len(items)))
                items.append({"content": sentence, "user": f"xquad-{language}"})
            for question in paragraph["qas"]:
                first = question["answers"][0]["answer_start"]
                places = tuple(place for begin, end, place in spans if begin <= first < end)
                if places:
                    asked.append(Asked(question["question"], places, language))
    return Scope(f"XQuAD {language}", f"xquad-{language}", tuple(items), tuple(asked[::_THIRD]))
