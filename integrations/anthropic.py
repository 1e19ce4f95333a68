"""The memory tool of Anthropic's SDK over a memory: what Claude writes into its files is recalled by everything else.

tool = MemoryFileTool(Memory("my-memory"), user="ana")
client.beta.messages.tool_runner(model=…, max_tokens=…, messages=…, tools=[tool]).until_done()

The files belong to a scope that the program names; no path that a model writes leads out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.integrations.awaited import AnyMemory, checked_memory, reading, writing
from agentmem.integrations.extras import needs
from agentmem.integrations.file_paths import RefusedCommand
from agentmem.integrations.memory_files import MemoryFiles
from agentmem.integrations.tools import refusal
from agentmem.memory import Memory

needs("anthropic", "anthropic")

from anthropic.lib.tools import (  # noqa: E402 - behind the question whether it is there
    BetaAbstractMemoryTool,
    BetaAsyncAbstractMemoryTool,
    ToolError,
)

__all__ = ["AsyncMemoryFileTool", "MemoryFileTool"]


class MemoryFileTool(BetaAbstractMemoryTool):
    """Files below ``/memories`` for one user, kept in a memory (:class:`~agentmem.integrations.memory_files.MemoryFiles`).

    Args:
        memory: where the files are kept.
        user, agent, session: whose they are; set by the program, never by the model.
        options: ``cache_control`` of the SDK's tool.
    """

    def __init__(
        self,
        memory: Memory,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not isinstance(memory, Memory):
            raise InvalidArgument(
                f"memory must be a Memory, not {type(memory).__name__}.",
                hint="MemoryFileTool(Memory(…)); with an AsyncMemory, AsyncMemoryFileTool.",
            )
        self.files = MemoryFiles(memory, user=user, agent=agent, session=session)

    def view(self, command: Any) -> str:
        return _told(lambda: self.files.view(_of(command, "path"), _of(command, "view_range")))

    def create(self, command: Any) -> str:
        return _told(lambda: self.files.create(_of(command, "path"), _of(command, "file_text")))

    def str_replace(self, command: Any) -> str:
        old, new = _of(command, "old_str"), _of(command, "new_str")
        return _told(lambda: self.files.str_replace(_of(command, "path"), old, new))

    def insert(self, command: Any) -> str:
        line, text = _of(command, "insert_line"), _of(command, "insert_text")
        return _told(lambda: self.files.insert(_of(command, "path"), line, text))

    def delete(self, command: Any) -> str:
        return _told(lambda: self.files.delete(_of(command, "path")))

    def rename(self, command: Any) -> str:
        return _told(lambda: self.files.rename(_of(command, "old_path"), _of(command, "new_path")))

    def clear_all_memory(self) -> str:
        """Forget every file of this scope, from everywhere."""
        return _told(self.files.clear)


class AsyncMemoryFileTool(BetaAsyncAbstractMemoryTool):
    """:class:`MemoryFileTool` for ``AsyncAnthropic``: each command runs beside the event loop, and is done even if its caller is cancelled.

    Args:
        memory: an :class:`~agentmem.AsyncMemory`, or a :class:`~agentmem.Memory`, which is then used on threads.
        user, agent, session, options: as for :class:`MemoryFileTool`.
    """

    def __init__(
        self,
        memory: AnyMemory,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.memory = checked_memory(memory)
        self._whose: dict[str, Any] = {"user": user, "agent": agent, "session": session}
        self._files: MemoryFiles | None = MemoryFiles(memory, **self._whose) if isinstance(memory, Memory) else None

    async def view(self, command: Any) -> str:
        return await self._do(lambda tool: tool.view(_of(command, "path"), _of(command, "view_range")), writes=False)

    async def create(self, command: Any) -> str:
        return await self._do(lambda tool: tool.create(_of(command, "path"), _of(command, "file_text")))

    async def str_replace(self, command: Any) -> str:
        old, new = _of(command, "old_str"), _of(command, "new_str")
        return await self._do(lambda tool: tool.str_replace(_of(command, "path"), old, new))

    async def insert(self, command: Any) -> str:
        line, text = _of(command, "insert_line"), _of(command, "insert_text")
        return await self._do(lambda tool: tool.insert(_of(command, "path"), line, text))

    async def delete(self, command: Any) -> str:
        return await self._do(lambda tool: tool.delete(_of(command, "path")))

    async def rename(self, command: Any) -> str:
        return await self._do(lambda tool: tool.rename(_of(command, "old_path"), _of(command, "new_path")))

    async def clear_all_memory(self) -> str:
        """Forget every file of this scope, from everywhere."""
        return await self._do(lambda tool: tool.clear())

    async def _do(self, work: Callable[[MemoryFiles], str], *, writes: bool = True) -> str:
        """One command: reading, deciding and writing follow each other without another one between."""

        def step(memory: Memory) -> str:
            files = self._files if self._files is not None else MemoryFiles(memory, **self._whose)
            return _told(lambda: work(files))

        return await (writing if writes else reading)(self.memory, step)


def _of(command: Any, name: str) -> Any:
    """What a model gave; the SDK does not check that it gave everything."""
    return getattr(command, name, None)


def _told(work: Callable[[], str]) -> str:
    """The answer to a command; what went wrong reaches the model as an error of the tool."""
    try:
        return work()
    except RefusedCommand as error:
        raise ToolError(error.message) from error
    except AgentMemError as error:
        raise ToolError(refusal(error)) from error
