"""The turns of one session that a model is shown again, within a budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from agentmem.notes.note import Note
from agentmem.notes.protocols import Message

__all__ = ["UNANSWERED", "Conversation", "Turn", "as_messages", "hanging"]

MAX_TURNS = 200
UNANSWERED = "unanswered"
"""The key in the metadata of a note that says: the model gave no answer to this."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the session, and the note that it became."""

    role: str
    content: str
    note_id: str | None = None


class Conversation:
    """The latest turns of a session, oldest first; what no longer fits a budget is left to recall."""

    def __init__(self, turns: Iterable[Turn] = ()) -> None:
        self._turns: deque[Turn] = deque(turns, maxlen=MAX_TURNS)

    @classmethod
    def of(cls, notes: Iterable[Note], session: str) -> Conversation:
        """What the notes of a session say was said in it: a conversation goes on after a restart, without what was never answered."""
        said = [
            n
            for n in notes
            if n.thread == session and n.actor in ("user", "assistant") and not n.metadata.get(UNANSWERED)
        ]
        said.sort(key=lambda n: (n.position or 0, n.created_at))
        return cls(Turn(n.actor or "user", n.content, n.id) for n in said)

    def add(self, role: str, content: str, note_id: str | None) -> None:
        self._turns.append(Turn(role, content, note_id))

    def drop(self, note_ids: Collection[str]) -> None:
        """Leave out the turns that became these notes."""
        self._turns = deque((turn for turn in self._turns if turn.note_id not in note_ids), maxlen=MAX_TURNS)

    def window(self, max_tokens: int, count: Callable[[str], int]) -> tuple[Turn, ...]:
        """The latest turns that fit into ``max_tokens``, beginning with one of the user's."""
        chosen: list[Turn] = []
        for turn in reversed(self._turns):
            max_tokens -= count(turn.content)
            if max_tokens < 0:
                break
            chosen.append(turn)
        while chosen and chosen[-1].role != "user":
            chosen.pop()  # templates want the user to speak first
        return tuple(reversed(chosen))

    def __len__(self) -> int:
        return len(self._turns)


def hanging(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The user's turns that no answer follows."""
    following = [turn.role for turn in turns[1:]] + ["user"]
    return tuple(turn for turn, role in zip(turns, following, strict=False) if turn.role == role == "user")


def as_messages(turns: Iterable[Turn]) -> list[Message]:
    """The turns as a chat model reads them: in alternation, though an answer that could not be kept leaves two user turns in a row."""
    joined: list[dict[str, str]] = []
    for turn in turns:
        if joined and joined[-1]["role"] == turn.role:
            joined[-1]["content"] += f"\n{turn.content}"
        else:
            joined.append({"role": turn.role, "content": turn.content})
    return list(joined)
