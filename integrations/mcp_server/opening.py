"""A memory that is opened beside the first messages: its libraries take longer to import than a client should wait for a greeting."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from agentmem.errors import AgentMemError

if TYPE_CHECKING:
    from agentmem.aio import AsyncMemory

__all__ = ["LateMemory", "stopping"]


class LateMemory:
    """Opens a memory on a thread when it is first awaited, or from :meth:`begin` on; whoever entered it closes it.

    Where it cannot be opened, everybody who asks is told so, and the next one who asks tries again.
    """

    def __init__(self, make: Callable[[], AsyncMemory]) -> None:
        self._make = make
        self._opening: asyncio.Task[AsyncMemory] | None = None

    def begin(self) -> asyncio.Task[AsyncMemory]:
        """Begin to open it, unless that is under way or done."""
        failed = self._opening is not None and self._opening.done() and self._opening.exception() is not None
        if self._opening is None or failed:
            self._opening = asyncio.create_task(self._open())
        return self._opening

    async def __call__(self) -> AsyncMemory:
        """The memory, open.

        Raises:
            AgentMemError: why it cannot be opened.
        """
        return await asyncio.shield(self.begin())

    async def _open(self) -> AsyncMemory:
        memory = await asyncio.to_thread(self._make)
        return await memory.__aenter__()  # which closes it where it fails

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opening is None:
            return
        try:
            memory = await self._opening
        except AgentMemError:  # whoever asked for it was told
            return
        await memory.close()


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first SIGTERM or SIGINT, instead of dying of it; the second one ends the process as ever."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)

    def first() -> None:
        restore()
        stop()

    def restore() -> None:
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        restore()
