"""Who watches a memory, and how they are told: at once, on the thread of the verb, and never at its cost."""

from __future__ import annotations

import inspect
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from agentmem.errors import InvalidArgument
from agentmem.events.event import MemoryEvent, NoticeEvent, Subscriber, VerbEvent
from agentmem.events.notices import kind_of
from agentmem.notes.protocols import Clock

__all__ = ["Events", "silent", "unwatched"]

LOG = logging.getLogger("agentmem.events")

silent: ContextVar[bool] = ContextVar("agentmem_silent", default=False)
"""Whether verbs make no events just now."""


@contextmanager
def unwatched() -> Iterator[None]:
    """Verbs that are said inside make no events: for whoever asks a memory for figures about itself."""
    before = silent.set(True)
    try:
        yield
    finally:
        silent.reset(before)


@dataclass(slots=True)
class _Watching:
    """One subscriber; ``failed`` once it has raised."""

    tell: Subscriber
    names: bool
    failed: bool = False


class Events:
    """The subscribers of one memory; threads may share it."""

    def __init__(self) -> None:
        self.watching: dict[int, _Watching] = {}
        self._numbers = itertools.count()

    def subscribe(self, tell: Subscriber, *, names: bool = False) -> Callable[[], None]:
        """See :meth:`agentmem.Memory.subscribe`."""
        if not callable(tell) or inspect.iscoroutinefunction(tell):
            raise InvalidArgument(
                "A subscriber is a plain function of one event.",
                hint="subscribe(print); from a function, loop.call_soon_threadsafe hands an event to an event loop.",
            )
        number = next(self._numbers)
        self.watching[number] = _Watching(tell, names)

        def unsubscribe() -> None:
            self.watching.pop(number, None)

        return unsubscribe

    def notice(self, verb: str, clock: Clock, what: str) -> None:
        """Tell of something that no result says, by its name in :data:`agentmem.events.notices.NOTICES`."""
        if self.watching and not silent.get():
            self.tell(NoticeEvent(verb, clock.now(), kind_of(what), what))

    def tell(self, event: MemoryEvent) -> None:
        """Tell everybody. What a subscriber raises ends here: it is logged the first time, and that one is told on, since a log whose disk
        was full, or a collector that was away, comes back. What it says to the memory meanwhile makes no events.
        """
        plain = event
        if isinstance(event, VerbEvent) and (event.has_user or event.has_agent or event.has_session):
            plain = replace(event, user=None, agent=None, session=None)
        with unwatched():
            for each in list(self.watching.values()):
                try:
                    each.tell(event if each.names else plain)
                except Exception as error:  # noqa: BLE001 - whoever watches a verb must not break it
                    if not each.failed:
                        each.failed = True
                        LOG.warning("a subscriber of a memory fails, which is told once: %s", _place(each.tell, error))


def _place(tell: Subscriber, error: Exception) -> str:
    """What was raised, and where; not its words, which may hold what the event did."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" in {trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
    return f"{type(error).__name__} from {getattr(tell, '__qualname__', type(tell).__qualname__)}{where}"
