"""The turns of one session that a model is shown again, within a budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from agentmem.errors import InvalidArgument
from agentmem.notes.messages import plain_messages
from agentmem.notes.note import Note

__all__ = ["UNANSWERED", "Conversation", "Turn", "answered", "earlier"]

MAX_TURNS = 200
UNANSWERED = "unanswered"
"""The key in the metadata of a note that says: the model gave no answer to this."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, and the note that it became, if it did."""

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


def answered(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns without those of the user's that no answer follows."""
    following = [turn.role for turn in turns[1:]] + ["user"]
    return tuple(turn for turn, role in zip(turns, following, strict=False) if not turn.role == role == "user")


def earlier(history: object) -> tuple[Turn, ...]:
    """The turns before a question, of a list of messages; those without words say nothing."""
    try:
        return tuple(Turn(m["role"], m["content"]) for m in plain_messages(history) if m["content"].strip())
    except InvalidArgument as error:
        raise InvalidArgument(
            f"history must be a list of messages, each with a role and a text. {error.message}",
            hint='history=[{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], or leave it out.',
        ) from error
