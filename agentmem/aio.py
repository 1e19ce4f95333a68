"""The verbs of :class:`~agentmem.Memory`, awaitable.

A memory works on a database and a model, both of which block; so every object has threads of its own, in three lanes. What writes
runs on one thread, in the order in which it was called. What only reads runs on several, beside the writes and each other. What a
language model answers has threads too, so that nobody waits for a model but who asked it. The event loop stays free meanwhile.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from agentmem.errors import StoreBusy, StoreError
from agentmem.events import Events, Subscriber
from agentmem.events.watched import queued
from agentmem.experience.memory import ExperienceMemory
from agentmem.extract import Extractor
from agentmem.memory import Memory
from agentmem.notes.clock import SystemClock
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Clock, Embedder
from agentmem.recall.weights import RankingWeights
from agentmem.runtime.awaiting import serving
from agentmem.runtime.forks import at_fork
from agentmem.runtime.lanes import Lane
from agentmem.settings import Settings

if TYPE_CHECKING:
    from agentmem.records.transaction import NoteStore

__all__ = ["AsyncExperience", "AsyncMemory"]

P = ParamSpec("P")
R = TypeVar("R")

LaneName = Literal["writes", "reads", "answers"]
THREADS: dict[LaneName, int] = {"writes": 1, "reads": 4, "answers": 16}
"""An answer mostly waits: for a server, or for its turn with the local model."""


def _verb(
    method: Callable[Concatenate[Memory, P], R], lane: LaneName = "writes"
) -> Callable[Concatenate[AsyncMemory, P], Coroutine[Any, Any, R]]:
    """The awaitable twin of a method, with its name, its signature and its docstring."""

    async def verb(self: AsyncMemory, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._call(lane, lambda memory: method(memory, *args, **kwargs))

    functools.update_wrapper(verb, method)
    return verb


def _taught(
    method: Callable[Concatenate[ExperienceMemory, P], R], lane: LaneName = "writes"
) -> Callable[Concatenate[AsyncExperience, P], Coroutine[Any, Any, R]]:
    """The same for the experience memory."""

    async def verb(self: AsyncExperience, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.memory._call(lane, lambda memory: method(memory.experience, *args, **kwargs))

    functools.update_wrapper(verb, method)
    return verb


class AsyncExperience:
    """The :class:`~agentmem.experience.memory.ExperienceMemory` of an :class:`AsyncMemory`, awaited."""

    def __init__(self, memory: AsyncMemory) -> None:
        self.memory = memory

    record = _taught(ExperienceMemory.record)
    advise = _taught(ExperienceMemory.advise, "reads")


class AsyncMemory:
    """A :class:`~agentmem.Memory` whose verbs are awaited: same names, same arguments, same results.

        async with AsyncMemory("my-memory") as memory:
            await memory.remember("Ana lives in Porto.")
            hits = await memory.recall("Where does Ana live?")

    Writes are done in the order in which they were called; a read sees every write that was awaited before it was called, and of
    any other all or nothing. A call that is cancelled in the queue is never begun, and one that has begun is carried out. What
    :meth:`ask` records of its use of notes is a write of its own, which waits its turn in the store. Progress callbacks are called on
    the memory's threads, not on the event loop. A model that is itself awaited (an async function, ``AsyncOpenAI``) runs on the
    caller's loop.

    Args:
        path, scope, embedder, model, device, dtype, device_map, plain, llm, clock, settings, ranking, extractor, read_only, store, packs: as for
            :class:`~agentmem.Memory`; errors they cause are raised by ``async with``, or by the first verb that is awaited. ``scope``,
            ``clock`` and ``settings`` can be asked for as there.
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
        device_map: Any = None,
        plain: bool | None = None,
        llm: Any = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
        ranking: RankingWeights | None = None,
        extractor: Extractor | None = None,
        read_only: bool = False,
        store: NoteStore | None = None,
        packs: str | Path | None = None,
    ) -> None:
        self._events = Events()
        self._make = functools.partial(
            self._open, path, scope=scope, embedder=embedder, model=model, device=device, dtype=dtype, device_map=device_map, plain=plain, llm=llm,
            clock=clock, settings=settings, ranking=ranking, extractor=extractor, read_only=read_only, store=store, packs=packs,
        )  # fmt: skip
        self.scope = scope or Scope()
        self.clock = clock or SystemClock()
        self.settings = settings or Settings()
        self._closing: Future[None] | None = None
        self._start()
        # Opening a store touches the disk: that, too, is not done on the event loop.
        self._memory: Future[Memory] = self._lanes["writes"].submit(self._make)
        at_fork(self._begin_anew)

    def _open(self, *args: Any, **options: Any) -> Memory:
        memory = Memory(*args, **options)
        memory._events = self._events
        return memory

    def subscribe(self, tell: Subscriber, *, names: bool = False) -> Callable[[], None]:
        return self._events.subscribe(tell, names=names)

    subscribe.__doc__ = Memory.subscribe.__doc__

    def _start(self) -> None:
        self._lanes = {name: Lane(name, threads) for name, threads in THREADS.items()}
        self._calls = 0
        self._returned = threading.Condition()

    def _begin_anew(self) -> None:
        """In a forked child: the threads stayed with the parent, and with them whatever was asked for and not yet done."""
        if self._closing is not None:
            return
        self._start()
        if not self._memory.done():
            self._memory = self._lanes["writes"].submit(self._make)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """One call, which closing waits for."""
        if self._closing is not None:
            raise StoreError("This memory is closed.", hint="open another: async with AsyncMemory(path) as memory: …")
        with self._returned:
            self._calls += 1
        try:
            yield
        finally:
            with self._returned:
                self._calls -= 1
                self._returned.notify_all()

    async def _call(self, lane: LaneName, work: Callable[[Memory], R]) -> R:
        with self._calling():
            return await self._do(lane, work)

    async def _do(self, lane: LaneName, work: Callable[[Memory], R]) -> R:
        """A part of a call."""
        context, opened = contextvars.copy_context(), self._memory
        context.run(queued.set, time.perf_counter())
        context.run(serving.set, asyncio.get_running_loop())  # a model that is awaited runs there
        return await self._lanes[lane].run(lambda: context.run(lambda: work(opened.result())))

    remember = _verb(Memory.remember)
    remember_many = _verb(Memory.remember_many)  # type: ignore[arg-type]  # mypy: **options might hold a "self"
    recall = _verb(Memory.recall, "reads")
    why_not = _verb(Memory.why_not, "reads")
    reinforce = _verb(Memory.reinforce)
    evidence = _verb(Memory.evidence, "reads")
    get = _verb(Memory.get, "reads")
    notes = _verb(Memory.notes, "reads")
    update = _verb(Memory.update)
    put = _verb(Memory.put)
    put_many = _verb(Memory.put_many)
    delete = _verb(Memory.delete)
    search = _verb(Memory.search, "reads")
    list_namespaces = _verb(Memory.list_namespaces, "reads")
    sweep = _verb(Memory.sweep)
    users = _verb(Memory.users, "reads")
    history = _verb(Memory.history, "reads")
    link = _verb(Memory.link)
    graph = _verb(Memory.graph, "reads")
    graph_page = _verb(Memory.graph_page, "reads")
    why_linked = _verb(Memory.why_linked, "reads")
    forget = _verb(Memory.forget)
    forget_as_in = _verb(Memory.forget_as_in)
    enrich = _verb(Memory.enrich)
    reflect = _verb(Memory.reflect)
    fade = _verb(Memory.fade)
    unfade = _verb(Memory.unfade)
    attach = _verb(Memory.attach)
    detach = _verb(Memory.detach)
    consolidate = _verb(Memory.consolidate)
    edits = _verb(Memory.edits, "reads")
    explain = _verb(Memory.explain, "reads")
    status = _verb(Memory.status, "reads")
    verify = _verb(Memory.verify, "answers")
    verify_bytes = _verb(Memory.verify_bytes)
    jobs = _verb(Memory.jobs, "reads")
    undo_consolidation = _verb(Memory.undo_consolidation)
    undo_updates = _verb(Memory.undo_updates)
    ask = _verb(Memory.ask, "answers")
    check = _verb(Memory.check, "reads")
    rebuild = _verb(Memory.rebuild)
    reembed = _verb(Memory.reembed)
    export = _verb(Memory.export, "reads")
    load_export = _verb(Memory.load_export)
    export_lora = _verb(Memory.export_lora)
    stats = _verb(Memory.stats, "reads")
    flush = _verb(Memory.flush)

    @property
    def experience(self) -> AsyncExperience:
        """What acting taught: ``record`` steps of episodes, ``advise`` on the next action."""
        return AsyncExperience(self)

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the closing goes on behind it
        """Finish what was asked for, then close the memory and its threads; closing twice is fine.

        Args:
            timeout: seconds to wait for that.

        Raises:
            StoreBusy: calls are still running; nothing new is taken, and the memory closes behind them.
        """
        if self._closing is None:
            closer = ThreadPoolExecutor(1, thread_name_prefix="agentmem-close")
            self._closing = closer.submit(self._close)
            closer.shutdown(wait=False)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(asyncio.wrap_future(self._closing))
        except TimeoutError as error:
            raise StoreBusy(
                f"{self._calls} calls were still running after {timeout} seconds.",
                hint="nothing is lost: the memory closes when they are done; await close() again to wait for that.",
            ) from error

    def _close(self) -> None:
        with self._returned:
            self._returned.wait_for(lambda: not self._calls)
        for lane in self._lanes.values():  # what was cancelled while it ran is still there
            lane.end()
        if self._memory.exception() is None:
            self._memory.result().close()

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
        state = "closed" if self._closing is not None else "opening" if not self._memory.done() else "open"
        return f"AsyncMemory({state})"
