"""Threads on which calls of an event loop run, in the order in which they were made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakKeyDictionary

__all__ = ["Lane"]

R = TypeVar("R")


class Lane:
    """Threads that take calls in their order; a call beyond ``most`` is not queued, its caller waits for room.

    Args:
        threads: how many calls run at the same moment; the threads are started when they are needed.
        most: calls of one event loop that run or are queued.
    """

    def __init__(self, name: str, threads: int, *, most: int = 256) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"agentmem-{name}")
        self._most = most
        self._room: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def submit(self, work: Callable[[], R]) -> Future[R]:
        """Have ``work`` done behind what was asked for before."""
        return self._pool.submit(work)

    async def run(self, work: Callable[[], R]) -> R:
        """What ``work`` returns. Cancelled before its turn it is never begun; once begun it is carried out, whoever waits for it."""
        loop = asyncio.get_running_loop()
        async with self._room.setdefault(loop, asyncio.Semaphore(self._most)):
            return await asyncio.wrap_future(self.submit(work))

    def end(self) -> None:
        """Wait for what was asked for, and let the threads go."""
        self._pool.shutdown(wait=True)
