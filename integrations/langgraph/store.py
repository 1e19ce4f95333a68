"""A memory as LangGraph's ``BaseStore``, and the same awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from langgraph.store.base import BaseStore, IndexConfig, Op, Result, TTLConfig, ensure_embeddings
from langgraph.store.base.batch import AsyncBatchedBaseStore

from agentmem.aio import AsyncMemory
from agentmem.errors import InvalidArgument
from agentmem.integrations.langgraph.ops import Fields, StoreCall, StorePlan
from agentmem.integrations.langgraph.sweeping import AsyncSweeper, Sweeper, seconds_between
from agentmem.keyed.record import checked_ttl
from agentmem.keyed.text import checked_index
from agentmem.memory import Memory
from agentmem.notes.names import merge_scope
from agentmem.notes.note import Scope
from agentmem.runtime.awaiting import Waiter

__all__ = ["AgentMemStore", "AsyncAgentMemStore"]

Index: TypeAlias = IndexConfig | Literal[False] | None


class AgentMemStore(BaseStore):
    """A memory as a store of LangGraph; what is put there is recalled, exported and forgotten as anything else that it holds.

    Everything acts in one scope, that of the arguments: whatever namespace a graph or a model names, it reaches nothing of others.

    Args:
        memory: a memory, which stays open when the store is closed; or the directory of one, ``None`` for one without, which the store opens
            and closes.
        user, agent: whose items they are.
        index: what is found by meaning. ``None``: all strings of a value. A mapping as LangGraph has it: ``fields`` names paths instead,
            ``embed`` is what turns texts into vectors, for a memory that the store opens, and ``dims`` is checked. ``False``: a query is
            ignored, as by the stores of LangGraph that have no such mapping.
        ttl: as LangGraph has it: ``default_ttl`` and ``sweep_interval_minutes`` in minutes, and ``refresh_on_read``, which counts as
            ``False`` where it is missing. What has expired is never seen, so ``omit_expired`` cannot be ``False``.

    Raises:
        InvalidArgument: one of them is wrong. ScopeError: the memory is bound to somebody else.
    """

    supports_ttl = True

    def __init__(
        self,
        memory: Memory | str | Path | None = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        index: Index = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        super().__init__()
        self.index_config, self.ttl_config = index or None, _lifetimes(ttl)
        self._fields, embedder = _indexed(index, opens=not isinstance(memory, Memory))
        if not isinstance(memory, Memory | str | Path | None):
            raise InvalidArgument(
                f"memory must be a Memory or a path, not {type(memory).__name__}.",
                hint="AgentMemStore('my-memory'); AsyncAgentMemStore takes an AsyncMemory.",
            )
        merge_scope(memory.scope if isinstance(memory, Memory) else Scope(), user, agent, None)
        self._whose = {"user": user, "agent": agent}
        self._opened = not isinstance(memory, Memory)
        self.memory = memory if isinstance(memory, Memory) else Memory(memory, embedder=embedder)
        self._sweeper = Sweeper(self.sweep_ttl)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """The results of some operations, in their order; nothing is done unless all are sound, and reads see what was there before.

        Raises:
            InvalidNamespaceError, InvalidArgument, InvalidNote: one of them is wrong; all are ``ValueError``.
        """
        plan = StorePlan.of(ops, self._fields)
        results: list[Result] = [None] * plan.size
        for call in plan.reads:
            results[call.place] = call.told(self._do(call))
        for call in plan.writes:
            self._do(call)
        return results

    def _do(self, call: StoreCall) -> Any:
        return getattr(self.memory, call.verb)(**call.keywords, **self._whose)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """:meth:`batch` on a thread; one that has begun is carried out, also when its caller is cancelled."""
        return await asyncio.to_thread(self.batch, list(ops))

    def sweep_ttl(self) -> int:
        """Forget for good what has expired; returns how many items."""
        return self.memory.sweep(**self._whose)

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> Future[None]:
        """Sweep now and then, on a thread; cancelling the future ends it."""
        return self._sweeper.start(seconds_between(sweep_interval_minutes, _interval(self.ttl_config)))

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """End the sweeping; whether it has ended within ``timeout`` seconds."""
        return self._sweeper.stop(timeout)

    def close(self) -> None:
        """End the sweeping, and close the memory if the store opened it."""
        self.stop_ttl_sweeper()
        if self._opened:
            self.memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncAgentMemStore(AsyncBatchedBaseStore):
    """The same, awaited: operations of one tick are one batch, and the methods that are not awaited refuse to block the store's own loop.

    Made inside of a running event loop, which it belongs to.

    Args:
        memory: an :class:`~agentmem.AsyncMemory`, which stays open when the store is closed; or the directory of one, ``None`` for one
            without, which the store opens and closes.
        user, agent, index, ttl: as for :class:`AgentMemStore`.

    Raises:
        InvalidArgument: one of them is wrong.
    """

    supports_ttl = True

    def __init__(
        self,
        memory: AsyncMemory | str | Path | None = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        index: Index = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        super().__init__()
        self.index_config, self.ttl_config = index or None, _lifetimes(ttl)
        self._fields, embedder = _indexed(index, opens=not isinstance(memory, AsyncMemory))
        if not isinstance(memory, AsyncMemory | str | Path | None):
            raise InvalidArgument(
                f"memory must be an AsyncMemory or a path, not {type(memory).__name__}.",
                hint="AsyncAgentMemStore('my-memory'); AgentMemStore takes a Memory, and can be awaited too.",
            )
        merge_scope(Scope(), user, agent, None)
        self._whose = {"user": user, "agent": agent}
        self._opened = not isinstance(memory, AsyncMemory)
        self.memory = memory if isinstance(memory, AsyncMemory) else AsyncMemory(memory, embedder=embedder)
        self._sweeper = AsyncSweeper(self.sweep_ttl)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The results of some operations, in their order; as :meth:`AgentMemStore.batch`."""
        plan = StorePlan.of(ops, self._fields)
        results: list[Result] = [None] * plan.size
        for call in plan.reads:
            results[call.place] = call.told(await self._do(call))
        if plan.writes:  # all of them, though the caller is cancelled meanwhile
            await asyncio.shield(asyncio.ensure_future(self._write(plan.writes)))
        return results

    async def _write(self, calls: Sequence[StoreCall]) -> None:
        for call in calls:
            await self._do(call)

    async def _do(self, call: StoreCall) -> Any:
        return await getattr(self.memory, call.verb)(**call.keywords, **self._whose)

    async def sweep_ttl(self) -> int:
        """Forget for good what has expired; returns how many items."""
        return await self.memory.sweep(**self._whose)

    async def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> asyncio.Task[None]:
        """Sweep now and then, as a task; cancelling it ends it."""
        return self._sweeper.start(seconds_between(sweep_interval_minutes, _interval(self.ttl_config)))

    async def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as the framework's own
        """End the sweeping; whether it has ended within ``timeout`` seconds."""
        return await self._sweeper.stop(timeout)

    async def close(self) -> None:
        """End the sweeping, and close the memory if the store opened it."""
        await self.stop_ttl_sweeper()
        if self._opened:
            await self.memory.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


# -- what is configured --------------------------------------------------------------------------------------


def _indexed(index: Index, *, opens: bool) -> tuple[Fields, Callable[[Sequence[str]], Any] | None]:
    """What is found by meaning, and what embeds it, ``None`` for the memory's own."""
    if index is None or index is False:
        return index, None
    _known(index, "index", IndexConfig.__annotations__)
    embed, dims, fields = index.get("embed"), index.get("dims"), index.get("fields")
    if embed is None:
        return checked_index(fields), None
    if not opens:
        raise InvalidArgument(
            "An embedder was given with a memory, which has its own.",
            hint="leave `embed` out of index, or give it to the memory: Memory(path, embedder=…).",
        )
    return checked_index(fields), _embedder(embed, dims)


def _embedder(embed: Any, dims: int | None) -> Callable[[Sequence[str]], Any]:
    """What LangGraph accepts as ``embed``, as a function; what is awaited runs on the caller's loop, or one of its own."""
    embeddings, waiter = ensure_embeddings(embed), Waiter()
    alone = getattr(embeddings, "afunc", None) is not None  # a function that can only be awaited

    def embedded(texts: Sequence[str]) -> Any:
        found: Any = (
            waiter.wait(embeddings.aembed_documents(list(texts))) if alone else embeddings.embed_documents(list(texts))
        )
        if dims is not None and any(len(row) != dims for row in found):
            raise InvalidArgument(
                f"A text was embedded in {len(found[0])} dimensions, and `dims` says {dims}.",
                hint="say the dimension of the embedder, or leave `dims` out of index.",
            )
        return found

    return embedded


def _lifetimes(ttl: TTLConfig | None) -> TTLConfig:
    """Checked, and with a word on whether a read gives a lifetime anew."""
    if ttl is None:
        return {"refresh_on_read": False}
    _known(ttl, "ttl", TTLConfig.__annotations__)
    checked_ttl(ttl.get("default_ttl"))
    seconds_between(None, _interval(ttl))
    if ttl.get("omit_expired") is False:
        raise InvalidArgument(
            "omit_expired=False asks for items whose time is over, which this store shows to nobody.",
            hint="leave omit_expired out, or keep them longer.",
        )
    return {**ttl, "refresh_on_read": bool(ttl.get("refresh_on_read", False))}


def _interval(ttl: TTLConfig | None) -> float | None:
    return None if ttl is None else ttl.get("sweep_interval_minutes")


def _known(given: Any, name: str, keys: Mapping[str, Any]) -> None:
    if not isinstance(given, Mapping) or set(given) - set(keys):
        raise InvalidArgument(
            f"{name} must be a mapping with some of {', '.join(sorted(keys))}, not {given!r:.120}.",
            hint="AgentMemStore(path, index={'fields': ['text']}, ttl={'default_ttl': 60}).",
        )
