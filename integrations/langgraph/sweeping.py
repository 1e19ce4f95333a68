"""Sweeping a store now and then: on a thread, or as a task of an event loop.

What has expired is not seen before it is swept either; sweeping takes it off the disk.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from agentmem.errors import InvalidArgument, StoreError
from agentmem.runtime.forks import at_fork

__all__ = ["AsyncSweeper", "Sweeper", "seconds_between"]

DEFAULT_MINUTES = 5.0


def seconds_between(minutes: float | None, configured: float | None) -> float:
    """The seconds between two sweeps: what a call asks for, else what is configured, else those of five minutes.

    Raises:
        InvalidArgument: it is no number above zero.
    """
    chosen = minutes if minutes is not None else configured if configured is not None else DEFAULT_MINUTES
    if isinstance(chosen, bool) or not isinstance(chosen, int | float) or not 0 < chosen < 1e6:
        raise InvalidArgument(
            f"Minutes between sweeps must be a number above zero, not {chosen!r:.80}.",
            hint="ttl={'sweep_interval_minutes': 5}.",
        )
    return chosen * 60.0


def _told(error: StoreError) -> None:
    """The store may be busy, or full, for a while: the next sweep tries again."""
    warnings.warn(f"Expired items were not swept: {error}", RuntimeWarning, stacklevel=2)


class Sweeper:
    """Sweeps on a thread of its own."""

    def __init__(self, sweep: Callable[[], int]) -> None:
        self._sweep = sweep
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child, where nothing sweeps: the thread stayed with the parent."""
        self._lock = threading.Lock()
        self._running: tuple[threading.Thread, threading.Event, Future[None]] | None = None

    def start(self, seconds: float) -> Future[None]:
        """Begin, unless it runs; cancelling the future ends it, and so does :meth:`stop`."""
        with self._lock:
            if self._running is not None and self._running[0].is_alive():
                return self._running[2]
            stop, future = threading.Event(), Future[None]()
            future.add_done_callback(lambda done: stop.set())
            thread = threading.Thread(
                target=self._run, args=(seconds, stop, future), daemon=True, name="agentmem-ttl-sweeper"
            )
            self._running = thread, stop, future
            thread.start()
            return future

    def _run(self, seconds: float, stop: threading.Event, future: Future[None]) -> None:
        try:
            while not stop.wait(seconds):
                try:
                    self._sweep()
                except StoreError as error:
                    _told(error)
        except BaseException as error:  # noqa: BLE001 - whoever holds the future is told
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(None)

    def stop(self, timeout: float | None = None) -> bool:
        """End it; whether it has ended within ``timeout`` seconds, for which ``None`` is as long as it takes."""
        with self._lock:
            if self._running is None:
                return True
            thread, stop, _ = self._running
        stop.set()
        thread.join(timeout)
        return not thread.is_alive()


class AsyncSweeper:
    """Sweeps as a task of the running loop."""

    def __init__(self, sweep: Callable[[], Awaitable[int]]) -> None:
        self._sweep = sweep
        self._running: tuple[asyncio.Task[None], asyncio.Event] | None = None

    def start(self, seconds: float) -> asyncio.Task[None]:
        """Begin, unless it runs; cancelling the task ends it, and so does :meth:`stop`."""
        if self._running is not None and not self._running[0].done():
            return self._running[0]
        stop = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._run(seconds, stop), name="agentmem-ttl-sweeper")
        self._running = task, stop
        return task

    async def _run(self, seconds: float, stop: asyncio.Event) -> None:
        while True:
            try:
                async with asyncio.timeout(seconds):
                    await stop.wait()
            except TimeoutError:
                try:
                    await self._sweep()
                except StoreError as error:
                    _told(error)
            else:
                return

    async def stop(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - the sweep goes on behind it
        """End it; whether it has ended within ``timeout`` seconds, for which ``None`` is as long as it takes."""
        if self._running is None:
            return True
        task, stop = self._running
        stop.set()
        await asyncio.wait({task}, timeout=timeout)
        return task.done()
