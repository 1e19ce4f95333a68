"""The events of a memory: frozen, small, and without a word of what is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

__all__ = ["MemoryEvent", "NoticeEvent", "Subscriber", "VerbEvent"]


@dataclass(frozen=True, slots=True)
class VerbEvent:
    """One verb, told at its end.

    Attributes:
        verb: what was said: ``recall``, ``experience.record``, or ``chat`` for the answer to a turn of a chat agent.
        at: when it began, by the memory's clock.
        seconds: how long it took, by a clock that nobody sets.
        waited: seconds that it stood in the queue of an :class:`~agentmem.AsyncMemory` before it began.
        error: the name of the class of what it raised; empty where it returned.
        has_user, has_agent, has_session: whether the call, or the memory's scope, named one. Items of a list may name others.
        user, agent, session: their names, for subscribers that asked for them; else ``None``.
        counts: how much of what: ``stored``, ``hits``, ``prompt_tokens``, ``notes`` …
        labels: words of closed sets: ``plan``, ``source``, ``dry_run``.
        ids: of the notes that it is about, the first hundred.
        notices: what was not as it should be, in the words of :class:`NoticeEvent`.
    """

    verb: str
    at: datetime
    seconds: float
    waited: float = 0.0
    error: str = ""
    has_user: bool = False
    has_agent: bool = False
    has_session: bool = False
    user: str | None = None
    agent: str | None = None
    session: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it returned."""
        return not self.error


@dataclass(frozen=True, slots=True)
class NoticeEvent:
    """Something that was not as it should be while a verb did what it was asked; told before the verb's own event.

    Attributes:
        verb, at: of which verb, and when that began.
        kind: ``degraded`` where a slower or a lesser way was taken, ``warning`` for the rest.
        what: which, as :data:`agentmem.events.notices.NOTICES` names them; ``other`` where it has no name there.
    """

    verb: str
    at: datetime
    kind: Literal["degraded", "warning"]
    what: str


MemoryEvent: TypeAlias = VerbEvent | NoticeEvent
Subscriber: TypeAlias = Callable[[MemoryEvent], object]
