"""The verbs of :class:`~agentmem.Memory`, awaitable.

A memory works on a database and a model, both of which block; so every object has one thread of its own, where its
calls run one after the other, in the order in which they were made. The event loop stays free meanwhile.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from agentmem.errors import StoreError
from agentmem.experience.memory import ExperienceMemory
from agentmem.memory import Memory
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Clock, Embedder
from agentmem.runtime.awaiting import serving
from agentmem.runtime.forks import at_fork
from agentmem.settings import Settings

__all__ = ["AsyncExperience", "AsyncMemory"]

P = ParamSpec("P")
R = TypeVar("R")


def _verb(
    method: Callable[Concatenate[Memory, P], R],
) -> Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, R]]:
    """The awaitable twin of a method, with its name, its signature and its docstring."""

    async def verb(self: AsyncMemory, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._call(method, *args, **kwargs)

    functools.update_wrapper(verb, method)
    return verb


def _taught(
    method: Callable[Concatenate[ExperienceMemory, P], R],
) -> Callable[Concatenate[AsyncExperience, P], Coroutine[Any, Any, R]]:
    """The same for the experience memory."""

    async def verb(self: AsyncExperience, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.memory._call(lambda memory: method(memory.experience, *args, **kwargs))

    functools.update_wrapper(verb, method)
    return verb


class AsyncExperience:
    """The :class:`~agentmem.experience.memory.ExperienceMemory` of an :class:`AsyncMemory`, awaited."""

    def __init__(self, memory: AsyncMemory) -> None:
        self.memory = memory

    record = _taught(ExperienceMemory.record)
    advise = _taught(ExperienceMemory.advise)


class AsyncMemory:
    """A :class:`~agentmem.Memory` whose verbs are awaited: same names, same arguments, same results.

        async with AsyncMemory("my-memory") as memory:
            await memory.remember("Ana lives in Porto.")
            hits = await memory.recall("Where does Ana live?")

    A call that has begun is carried out, even if whoever awaits it is cancelled. Progress callbacks are called on the
    memory's thread, not on the event loop. A model that is itself awaited (an async function, ``AsyncOpenAI``) runs on the caller's loop.

    Args:
        path, scope, embedder, model, device, dtype, plain, llm, clock, settings, read_only: as for :class:`~agentmem.Memory`; errors they cause are
            raised by ``async with``, or by the first verb that is awaited.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        scope: Scope | None = None,
        embedder: Embedder | Callable[[Sequence[str]], Any] | str | Path | None = None,
        model: Any = None,
        device: Any = None,
        dtype: Any = None,
        plain: bool | None = None,
        llm: Any = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
        read_only: bool = False,
    ) -> None:
        self._make = functools.partial(
            Memory, path, scope=scope, embedder=embedder, model=model, device=device, dtype=dtype, plain=plain, llm=llm,
            clock=clock, settings=settings, read_only=read_only,
        )  # fmt: skip
        self._worker: ThreadPoolExecutor | None = _thread()
        # Opening a store touches the disk: that, too, is not done on the event loop.
        self._memory: Future[Memory] = self._worker.submit(self._make)
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """In a forked child: the thread stayed with the parent, and with it whatever was asked for and not yet done."""
        if self._worker is None:
            return
        self._worker = _thread()
        if not self._memory.done():
            self._memory = self._worker.submit(self._make)

    async def _call(self, method: Callable[Concatenate[Memory, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._worker is None:
            raise StoreError("This memory is closed.", hint="open another: async with AsyncMemory(path) as memory: …")
        context, opened = contextvars.copy_context(), self._memory
        context.run(serving.set, asyncio.get_running_loop())  # a model that is awaited runs there

        def work() -> R:
            return context.run(lambda: method(opened.result(), *args, **kwargs))

        return await asyncio.wrap_future(self._worker.submit(work))

    remember = _verb(Memory.remember)
    remember_many = _verb(Memory.remember_many)  # type: ignore[arg-type]  # mypy: **options might hold a "self"
    recall = _verb(Memory.recall)
    why_not = _verb(Memory.why_not)
    reinforce = _verb(Memory.reinforce)
    get = _verb(Memory.get)
    notes = _verb(Memory.notes)
    update = _verb(Memory.update)
    history = _verb(Memory.history)
    link = _verb(Memory.link)
    graph = _verb(Memory.graph)
    graph_page = _verb(Memory.graph_page)
    why_linked = _verb(Memory.why_linked)
    forget = _verb(Memory.forget)
    enrich = _verb(Memory.enrich)
    reflect = _verb(Memory.reflect)
    fade = _verb(Memory.fade)
    unfade = _verb(Memory.unfade)
    attach = _verb(Memory.attach)
    detach = _verb(Memory.detach)
    consolidate = _verb(Memory.consolidate)
    edits = _verb(Memory.edits)
    explain = _verb(Memory.explain)
    status = _verb(Memory.status)
    verify = _verb(Memory.verify)
    verify_bytes = _verb(Memory.verify_bytes)
    jobs = _verb(Memory.jobs)
    undo_consolidation = _verb(Memory.undo_consolidation)
    ask = _verb(Memory.ask)
    check = _verb(Memory.check)
    rebuild = _verb(Memory.rebuild)
    reembed = _verb(Memory.reembed)
    export = _verb(Memory.export)
    load_export = _verb(Memory.load_export)
    stats = _verb(Memory.stats)
    flush = _verb(Memory.flush)

    @property
    def experience(self) -> AsyncExperience:
        """What acting taught: ``record`` steps of episodes, ``advise`` on the next action."""
        return AsyncExperience(self)

    async def close(self) -> None:
        """Finish what was asked for, then close the memory and its thread; closing twice is fine."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        opened = self._memory

        def close() -> None:
            opened.result().close()

        try:
            if not opened.done() or opened.exception() is None:
                await asyncio.wrap_future(worker.submit(close))
        except asyncio.CancelledError:
            worker.submit(close)  # the first may have been taken off the queue; closing twice is fine
            raise
        finally:
            worker.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        try:
            await asyncio.wrap_future(self._memory)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._worker is None else "opening" if not self._memory.done() else "open"
        return f"AsyncMemory({state})"


def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="agentmem")
