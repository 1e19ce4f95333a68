"""Waiting for what is awaited, from code that is not: async clients and functions as language models.

The verbs of :class:`~agentmem.AsyncMemory` run on threads of their own while the caller's loop goes on; what a model awaits then runs on that
loop, where its connections belong. Everywhere else each model has a loop of its own, on a thread that ends with it.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from agentmem.runtime.forks import at_fork

__all__ = ["Waiter", "serving"]

T = TypeVar("T")

serving: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("agentmem_loop", default=None)
"""The caller's loop, inside of a verb that it awaits."""


class Waiter:
    """Runs awaitables to their end and async iterators piece by piece; threads may share one."""

    def __init__(self) -> None:
        self._own: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self._free_lock()
        at_fork(self._free_lock)

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.Lock()

    def wait(self, awaitable: Awaitable[T], loop: asyncio.AbstractEventLoop | None = None) -> T:
        """What ``awaitable`` comes to; when the waiting is broken off, it is cancelled."""

        async def whole() -> T:
            return await awaitable

        future = asyncio.run_coroutine_threadsafe(whole(), loop or self._loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def each(self, pieces: AsyncIterable[T]) -> Iterator[T]:
        """The pieces of an async iterator, which is closed at the end or when nobody wants more."""
        loop, source = self._loop(), aiter(pieces)
        try:
            while (piece := self.wait(_next(source), loop)) is not None:
                yield piece[0]
        finally:
            for one in (source, pieces):
                close = getattr(one, "aclose", None) or getattr(one, "close", None)
                closing = close() if close is not None else None
                if isinstance(closing, Awaitable):
                    self.wait(closing, loop)

    def _loop(self) -> asyncio.AbstractEventLoop:
        found = serving.get()
        if found is not None and found.is_running() and found is not _running():
            return found
        with self._lock:
            # A process that was forked has the loop, but not its thread.
            if self._own is None or not self._own[1].is_alive():
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="agentmem-loop", daemon=True)
                thread.start()
                self._own = loop, thread
                weakref.finalize(self, loop.call_soon_threadsafe, loop.stop)
            return self._own[0]


async def _next(source: AsyncIterator[T]) -> tuple[T] | None:
    try:
        return (await anext(source),)
    except StopAsyncIteration:
        return None


def _running() -> Any:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
