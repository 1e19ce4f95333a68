"""LoCoMo (Maharana et al., 2024, "Evaluating Very Long-Term Conversational Memory of LLM Agents") as a retrieval task.

Every turn is one memory and every conversation its own scope. The data (CC BY-NC 4.0) is not part of this project: download
`data/locomo10.json` from the repository snap-research/LoCoMo, or give any file of that shape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = ["CATEGORIES", "Conversation", "Question", "Turn", "as_chats", "in_long_messages", "in_long_notes", "load"]

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

    def items(self) -> list[dict[str, Any]]:
        """The turns as `remember_many` takes them, of a user of the conversation's name."""
        return [
            {
                "content": t.text,
                "actor": t.speaker or None,
                "session": t.session,
                "occurred_at": t.at,
                "user": self.name,
            }
            for t in self.turns
        ]


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


def as_chats(conversation: Conversation) -> Iterator[Conversation]:
    """The conversation as two chats with an assistant: each speaker is the user once, and asks in the first person.

    Questions that name one of the two are put as the user would put them ("What did I research?", "Where do you live?"), those that
    name both or neither are left out.
    """
    speakers = sorted({turn.speaker for turn in conversation.turns})
    for user in speakers:
        turns = tuple(
            replace(turn, speaker="user" if turn.speaker == user else "assistant") for turn in conversation.turns
        )
        asked = []
        for question in conversation.questions:
            named = [name for name in speakers if re.search(rf"\b{re.escape(name)}\b", question.text)]
            if len(named) == 1:
                asked.append(replace(question, text=_in_person(question.text, named[0], first=named[0] == user)))
        yield Conversation(f"{conversation.name}-{user}", turns, tuple(asked), len(conversation.questions) - len(asked))


_PERSONS = {
    True: (("my", "me", "I"), {"does": "do", "has": "have", "is": "am", "are": "am"}),
    False: (("your", "you", "you"), {"does": "do", "has": "have", "is": "are", "was": "were"}),
}


def _in_person(question: str, name: str, *, first: bool) -> str:
    """A question about ``name`` as one about who asks (``first``), or who is asked."""
    (whose, whom, who), verbs = _PERSONS[first]
    text = re.sub(rf"\b{re.escape(name)}(?:'s|’s|'(?=\s))", whose, question)
    text = re.sub(
        rf"\b(to|for|with|about|of|from|by|inspired|helped|told|gave) {re.escape(name)}\b", rf"\1 {whom}", text
    )
    text = re.sub(rf"\b{re.escape(name)}\b", who, text)
    for pattern, own in (
        (r"\b(?:her|his|their)\b", whose),
        (r"\b(?:she|he|they)\b", who),
        (r"\b(?:herself|himself)\b", f"{whose}self"),
    ):
        text = re.sub(pattern, own, text)
    for verb, ours in verbs.items():
        text = re.sub(rf"\b{verb} {who}\b", f"{ours} {who}", text, flags=re.IGNORECASE)
        text = re.sub(rf"\b{who} {verb}\b", f"{who} {ours}", text)
    return text[:1].upper() + text[1:]


def in_long_notes(conversation: Conversation, turns: int) -> Conversation:
    """The same conversation with so many turns of a session in a row as one memory; what was asked of a turn is asked of its memory."""
    blocks: list[list[Turn]] = []
    for turn in conversation.turns:
        if not blocks or len(blocks[-1]) == turns or blocks[-1][-1].session != turn.session:
            blocks.append([])
        blocks[-1].append(turn)
    lies_in = {turn.id: block[0].id for block in blocks for turn in block}
    notes = tuple(
        replace(block[0], speaker="", text="\n".join(f"{turn.speaker}: {turn.text}" for turn in block))
        for block in blocks
    )
    asked = tuple(
        replace(q, evidence=tuple(dict.fromkeys(lies_in[id] for id in q.evidence))) for q in conversation.questions
    )
    return Conversation(f"{conversation.name}-by-{turns}", notes, asked, conversation.skipped)


def in_long_messages(conversation: Conversation, other: Conversation, turns: int = 8) -> Conversation:
    """Each question at the end, the beginning or in the middle, in turn, of a message with so many turns of another conversation."""
    asked = []
    for number, question in enumerate(conversation.questions):
        start = 7 * number % (len(other.turns) - turns)
        told = [turn.text for turn in other.turns[start : start + turns]]
        told.insert((turns, 0, turns // 2)[number % 3], question.text)
        asked.append(replace(question, text="\n".join(told)))
    return replace(conversation, name=f"{conversation.name}-in-messages", questions=tuple(asked))
