"""A memory under an event loop, whichever of its two classes it is; what the adapters of asynchronous frameworks share.

Of an :class:`~agentmem.AsyncMemory` the work is done on its own threads, of a :class:`~agentmem.Memory` on those of the event loop. In
either case the loop stays free, work that is cancelled before its turn is never begun, and work that has begun is carried out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from agentmem.aio import AsyncMemory
from agentmem.errors import InvalidArgument, ScopeRequired
from agentmem.integrations.tools import MemoryTool, call
from agentmem.memory import Memory
from agentmem.notes.note import Scope

__all__ = [
    "AnyMemory",
    "Whose",
    "called",
    "carried_out",
    "checked_memory",
    "names_of",
    "reading",
    "scope_of",
    "writing",
]

R = TypeVar("R")

AnyMemory = Memory | AsyncMemory

Whose = Scope | Callable[[Any], Scope] | None
"""Whose memory is meant: always the same, or read off what the framework hands to a run (its context, its dependencies)."""


def checked_memory(memory: object) -> AnyMemory:
    """``memory`` itself.

    Raises:
        InvalidArgument: it is none.
    """
    if not isinstance(memory, Memory | AsyncMemory):
        raise InvalidArgument(
            f"memory must be a Memory or an AsyncMemory, not {type(memory).__name__}.", hint='Memory("my-memory").'
        )
    return memory


async def reading(memory: AnyMemory, work: Callable[[Memory], R]) -> R:
    """What ``work`` returns, which only reads."""
    if isinstance(memory, AsyncMemory):
        return await memory._call("reads", work)
    return await asyncio.to_thread(work, memory)


async def writing(memory: AnyMemory, work: Callable[[Memory], R]) -> R:
    """What ``work`` returns, behind the writes that were asked for before."""
    if isinstance(memory, AsyncMemory):
        return await memory._call("writes", work)
    return await asyncio.to_thread(work, memory)


async def carried_out(work: Coroutine[Any, Any, R]) -> R:
    """What ``work`` returns; who waits for it and is cancelled hears so only when it is done, so that its outcome is never in doubt."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    if cancelled is not None:
        if not task.cancelled() and (failed := task.exception()) is not None:
            cancelled.__context__ = failed
        raise cancelled
    return task.result()


async def called(memory: AnyMemory, tool: MemoryTool, arguments: object, scope: Scope) -> str:
    """What a model is told of its call of a tool, errors that it can mend included; one that writes is carried out."""

    def work(opened: Memory) -> str:
        return call(opened, (tool,), tool.name, arguments, **names_of(scope))

    return await (carried_out(writing(memory, work)) if tool.writes else reading(memory, work))


def names_of(scope: Scope, *, but: Sequence[str] = ()) -> dict[str, Any]:
    """A scope as keywords of a memory's verbs, some left out."""
    names = {"user": scope.user, "agent": scope.agent, "session": scope.session}
    return {name: value for name, value in names.items() if name not in but}


def scope_of(whose: Whose, context: object) -> Scope:
    """Whose memory a run may touch.

    Raises:
        ScopeRequired: it is read off ``context``, and names nobody: what is written for nobody, everybody would see.
        InvalidArgument: it is no scope.
    """
    scope = whose(context) if callable(whose) else Scope() if whose is None else whose
    if not isinstance(scope, Scope):
        raise InvalidArgument(
            f"whose must give a Scope, not {type(scope).__name__}.",
            hint="whose=lambda context: Scope(user=context.user).",
        )
    if callable(whose) and scope.user is None and scope.agent is None:
        raise ScopeRequired(
            "This run names no user and no agent, so whose memory it may touch is not known.",
            hint="hand them over with the run; for a memory that everybody shares leave whose out.",
        )
    return scope
