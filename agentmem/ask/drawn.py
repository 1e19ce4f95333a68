"""What an answer that is drawn from notes leaves to learn from: the wording, as somebody said it, and of which notes the answer has words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agentmem.ask.answer import is_unknown
from agentmem.ask.conversation import Turn
from agentmem.notes.evidence import Drawn
from agentmem.notes.note import Note
from agentmem.notes.quoting import one_line
from agentmem.recall.query import query_words

__all__ = ["evidence"]

_DOUBTS: Final = re.compile(
    r"\b(?:not|never|no longer|cannot|nobody|none|neither|unsure|uncertain|maybe|perhaps|possibly|might|unavailable|unknown|(?:i|we) (?:think|believe|guess|suppose))\b|n['’]t\b",
    re.IGNORECASE,
)
"""Words of who denies, or is not sure."""


def evidence(
    question: str,
    message: str,
    told: str,
    answer: str,
    used: Sequence[Note],
    shown: Sequence[Note],
    turns: Sequence[Turn],
) -> Drawn | None:
    """What is kept of a question and its answer, if anything: no answer that knows none, nor one that repeats what the message ``told``
    besides, and of several things asked in one message no wording that was made of it by rule.

    Args:
        used: the notes that the answer draws on.
        shown, turns: what else stood in the prompt; a note of which the answer has a word that neither question nor ``used`` have is
            named beside those, to be forgotten with it.
    """
    wording = _said(question, message)
    if not wording or is_unknown(answer) or _hesitates(answer, used):
        return None
    known = {word for text in (wording, *(note.content for note in used)) for word in query_words(text)}
    foreign = set(query_words(answer)) - known
    if foreign & set(query_words(told)):
        return None
    others = [(note.id, note.content) for note in shown if note not in used]
    others += [(turn.note_id, turn.content) for turn in turns if turn.note_id is not None]
    beside = [id for id, content in others if foreign and foreign & set(query_words(content))]
    return Drawn(wording, answer, tuple(dict.fromkeys(beside)))


def _hesitates(answer: str, used: Sequence[Note]) -> bool:
    """Whether an answer denies or doubts what the notes that it draws on neither deny nor doubt: nothing to learn by heart."""
    return _DOUBTS.search(answer) is not None and not any(_DOUBTS.search(note.content) for note in used)


def _said(question: str, message: str) -> str:
    """The question as it stands in the message; empty where it does not."""
    whole, asked = one_line(message), one_line(question).rstrip("?!. ")
    if one_line(question) == whole:
        return whole
    at = whole.lower().find(asked.lower()) if asked and len(whole.lower()) == len(whole) else -1
    if at < 0:
        return ""
    end = at + len(asked)
    return whole[at : end + 1] if whole[end : end + 1] == "?" else whole[at:end]
