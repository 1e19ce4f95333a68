"""The one seam between verbs and events: a decorator that times a verb, and reads off its result what may be told of it."""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, cast

from agentmem.events.event import NoticeEvent, VerbEvent
from agentmem.events.gist import Gist, nothing
from agentmem.events.hub import LOG, Events, silent
from agentmem.events.notices import kind_of
from agentmem.notes.names import flag
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Clock

__all__ = ["WATCHED", "queued", "steps", "verb"]

F = TypeVar("F", bound=Callable[..., Any])
Read = Callable[[Any], Gist]
WATCHED = "__agentmem_verb__"
"""What marks a verb that is told of; its value is its name."""

queued: ContextVar[float | None] = ContextVar("agentmem_queued", default=None)
"""When the call was put into a queue, by ``time.perf_counter``; taken by the first verb behind it."""
_NAMES = ("user", "agent", "session")


class Watchable(Protocol):
    """Whatever has verbs."""

    _events: Events
    scope: Scope

    @property
    def clock(self) -> Clock: ...


def verb(read: Read = nothing, name: str = "") -> Callable[[F], F]:
    """Have a method tell of itself at its end, to whoever watches; without anybody it costs a look and a call.

    Args:
        read: what may be told of a result; pure.
        name: what it is called in events, if not as it is called.
    """

    def watched(method: F) -> F:
        said, switches = name or method.__name__, _switches(method)

        @functools.wraps(method)
        def call(self: Watchable, *args: Any, **kwargs: Any) -> Any:
            for switch, place in switches:
                if switch in kwargs or place < len(args):
                    flag(kwargs.get(switch, args[place] if place < len(args) else None), switch)
            if not self._events.watching or silent.get():
                return method(self, *args, **kwargs)
            watch = _Watch(self, said, args, kwargs)
            try:
                result = method(self, *args, **kwargs)
            except BaseException as error:
                watch.end(error=error)
                raise
            watch.end(read, result)
            return result

        setattr(call, WATCHED, said)
        return cast(F, call)

    return watched


def _switches(method: Callable[..., Any]) -> tuple[tuple[str, int], ...]:
    """The arguments of a method that are True or False and nothing else, each with its place behind ``self``; keyword-only ones have none."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return tuple(
        (each.name, sys.maxsize if each.kind is each.KEYWORD_ONLY else place)
        for place, each in enumerate(parameters)
        if each.annotation in ("bool", bool)
    )


def steps(read: Read, name: str) -> Callable[[F], F]:
    """The same for a method that returns a generator: told when that has ended, from the first step on."""

    def watched(method: F) -> F:
        @functools.wraps(method)
        def call(self: Watchable, *args: Any, **kwargs: Any) -> Any:
            if not self._events.watching or silent.get():
                return method(self, *args, **kwargs)
            return stepped(self, args, kwargs)

        def stepped(self: Watchable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Generator[Any, Any, Any]:
            watch = _Watch(self, name, args, kwargs)
            try:
                result = yield from method(self, *args, **kwargs)
            except BaseException as error:
                watch.end(error=error)
                raise
            watch.end(read, result)
            return result

        setattr(call, WATCHED, name)
        return cast(F, call)

    return watched


class _Watch:
    """One verb under way. What goes wrong in watching is logged, and is nothing to the verb."""

    def __init__(self, memory: Watchable, verb: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._memory, self._verb = memory, verb
        self._at: datetime = memory.clock.now()
        self._whose = _whose(memory.scope, args, kwargs)
        self._begun = time.perf_counter()
        asked = queued.get()
        self._waited = 0.0
        if asked is not None:
            queued.set(None)
            self._waited = max(0.0, self._begun - asked)

    def end(self, read: Read = nothing, result: Any = None, *, error: BaseException | None = None) -> None:
        """Tell of it."""
        seconds = time.perf_counter() - self._begun
        try:
            gist = read(result) if error is None else Gist()
        except Exception as fault:  # noqa: BLE001 - see the class
            LOG.warning("what %s returned could not be read for its event: %s", self._verb, type(fault).__name__)
            gist = Gist()
        tell, (user, agent, session) = self._memory._events.tell, self._whose
        for what in gist.notices:
            tell(NoticeEvent(self._verb, self._at, kind_of(what), what))
        tell(
            VerbEvent(
                self._verb, self._at, seconds, self._waited, "" if error is None else type(error).__name__,
                user is not None, agent is not None, session is not None, user, agent, session,
                MappingProxyType(gist.counts), MappingProxyType(gist.labels), gist.ids, gist.notices,
            )
        )  # fmt: skip


def _whose(scope: Scope, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str | None]:
    """User, agent and session: of the call, of the one item it is given, or of the memory."""
    item = args[0] if args and isinstance(args[0], Mapping) else {}
    said = ((kwargs.get(name), item.get(name), getattr(scope, name)) for name in _NAMES)
    return [next((name for name in names if isinstance(name, str)), None) for names in said]
