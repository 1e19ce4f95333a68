"""What is known of one forward that is routed, and of the one before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from agentmem.editors.core.sessions import View
from agentmem.editors.gate.apart import Apart, apart
from agentmem.editors.gate.codebook import Codebook, KeyMatch
from agentmem.editors.gate.framing import Company, Framing, Message
from agentmem.editors.gate.replay import Forward
from agentmem.editors.hooks import KeyTap
from agentmem.notes.edit import Route
from agentmem.notes.note import Scope

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

__all__ = ["Before", "Call", "Decisions", "LastForward", "ReadMessage", "as_route", "goes_on"]

B = TypeVar("B", bound=Codebook)

Decisions = dict[int, KeyMatch]
"""Token position (counted over a row's real tokens) -> what was decided there."""


@dataclass(frozen=True)
class Before:
    """The last tokens before a forward, row by row; ``whole`` unless some before them are not known."""

    rows: list[tuple[int, ...]]
    whole: bool


class ReadMessage(NamedTuple):
    """What stands before an answer: all tokens that are known, where among them its message is, and what that is by itself."""

    tokens: tuple[int, ...]
    message: Message
    company: Company | None


@dataclass
class Call(Generic[B]):
    """One forward of the backbone that has to be routed.

    Attributes:
        before: the tokens of earlier chunks of the same prompts.
        rows, first: the real tokens of each row, and the column of the first one.
        decided: what was decided, row by row; ``open``: (row, position) at which a decision is due.
        said: by (row, position), what stands before the answers that begin there, as far as somebody asked; ``apart``: by row, how the
            last message is answered without its company.
    """

    view: View[B]
    forward: Forward
    scopes: Sequence[Scope | None]
    before: Before
    rows: list[tuple[int, ...]]
    first: list[int]
    decided: list[Decisions]
    open: list[tuple[int, int]]
    tap: KeyTap | None
    said: dict[tuple[int, int], ReadMessage] = field(default_factory=dict)
    apart: dict[int, Apart | None] = field(default_factory=dict)

    def row(self, i: int, at: int) -> tuple[int, ...]:
        """The tokens up to an answer that begins after ``at``, as far as they are known; none where only their embeddings are."""
        if self.forward.arguments.get("input_ids") is None:
            return ()
        return (*self.before.rows[i], *self.rows[i][: at + 1])

    def read(self, i: int, at: int, framing: Framing) -> ReadMessage:
        """What stands before that answer."""
        if (i, at) not in self.said:
            tokens = self.row(i, at)
            message = framing.message(tokens)
            self.said[i, at] = ReadMessage(tokens, message, framing.company(tokens, message))
        return self.said[i, at]

    def answered_apart(self, i: int, at: int, framing: Framing) -> Apart | None:
        """How the last message of a row, whose answer begins after ``at``, is answered without its company."""
        if i not in self.apart:
            said = self.read(i, at, framing)
            self.apart[i] = apart(said.company, said.tokens, i, self.first[i] + at, self.forward)
        return self.apart[i]


@dataclass(frozen=True)
class LastForward:
    """The last routed forward of this context, so that a row which grows by one token keeps its decisions."""

    state: Codebook
    decisions: dict[tuple[Scope | None, tuple[int, ...]], Decisions]
    cache: Callable[[], Cache | None]
    tail: Before
    length: int


def goes_on(memory: LastForward, forward: Forward) -> bool:
    """Whether a forward goes on where the remembered one ended, in the same cache and the same rows."""
    held = memory.cache()
    same = held is not None and held is forward.cache and (not forward.counted or memory.length == forward.past)
    return same and len(memory.tail.rows) == forward.batch


def as_route(decisions: Decisions) -> Route:
    """The route to report for a row: what was decided where its answer begins (earlier turns had their own)."""
    if not decisions:
        return Route(None)
    at = max(decisions)
    match = decisions[at].looked()
    edit = match.edit.request if match.edit is not None else None
    return Route(
        edit_id=edit.id if edit else None,
        note_id=edit.note_id if edit else None,
        distance=match.distance,
        radius=match.radius,
        margin=match.margin,
        position=at,
    )
