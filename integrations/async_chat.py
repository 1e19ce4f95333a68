"""The chat agent, awaited: :class:`~agentmem.integrations.chat.ChatAgent` on the threads of an :class:`~agentmem.AsyncMemory`."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

from agentmem.aio import AsyncMemory
from agentmem.ask.conversation import Turn
from agentmem.errors import InvalidArgument
from agentmem.integrations.chat import ChatAgent, Reply, check_options
from agentmem.integrations.parts import MessageParts
from agentmem.integrations.tools import MemoryTool
from agentmem.memory import Memory
from agentmem.runtime.forks import at_fork

__all__ = ["AsyncChatAgent"]

R = TypeVar("R")


class AsyncChatAgent:
    """A :class:`ChatAgent` whose turns are awaited: same arguments, same rules, same replies.

        async with AsyncMemory("my-memory") as memory:
            agent = AsyncChatAgent(client, memory, user="ana")
            print(await agent.chat("I live in Lisbon."))
            async for piece in agent.stream("Where do I live?"):
                print(piece, end="")

    Turns of one conversation come one after the other, in the order in which they were asked for; those of others run meanwhile. A
    model that is itself awaited (an async function, ``AsyncOpenAI``) runs on the caller's loop. A turn that has begun is carried out
    and kept, even if whoever awaits it is cancelled.

    Args:
        model, memory, …: as for :class:`ChatAgent`, with an :class:`~agentmem.AsyncMemory`; a model or session that cannot be opened is told
            by the first turn.
    """

    def __init__(
        self,
        model: Any,
        memory: AsyncMemory,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        tokenizer: Any = None,
        model_name: str | None = None,
        system: str | None = None,
        k: int = 5,
        context_tokens: int = 400,
        history_tokens: int = 800,
        max_tokens: int = 256,
        tools: bool | Sequence[MemoryTool] = False,
        tool_steps: int = 8,
    ) -> None:
        if not isinstance(memory, AsyncMemory):
            raise InvalidArgument(
                f"memory must be an AsyncMemory, not {type(memory).__name__}.",
                hint="AsyncChatAgent(model, AsyncMemory(…)); with a Memory, ChatAgent(model, memory).",
            )
        check_options(system, k, {"context_tokens": context_tokens, "history_tokens": history_tokens}, max_tokens)
        self.memory = memory
        self._make = functools.partial(
            ChatAgent, model, user=user, agent=agent, session=session, tokenizer=tokenizer, model_name=model_name,
            system=system, k=k, context_tokens=context_tokens, history_tokens=history_tokens, max_tokens=max_tokens, tools=tools, tool_steps=tool_steps,
        )  # fmt: skip
        self._agent: ChatAgent | None = None
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child, where nobody is at a turn."""
        self._turn = asyncio.Lock()
        self._one = threading.Lock()
        """Whoever is cancelled leaves a thread that is still at it."""

    def _open(self, memory: Memory) -> ChatAgent:
        """The agent, made on a thread of the memory: it reads the session, and may load a model."""
        if self._agent is None:
            self._agent = self._make(memory=memory)
        return self._agent

    async def _step(self, step: Callable[[ChatAgent], R]) -> R:
        def work(memory: Memory) -> R:
            with self._one:
                return step(self._open(memory))

        return await self.memory._do("answers", work)

    @property
    def last(self) -> Reply | None:
        """The latest reply."""
        return None if self._agent is None else self._agent.last

    async def turns(self) -> tuple[Turn, ...]:
        """What the model will be shown of this session on the next turn."""
        with self.memory._calling():
            return await self._step(lambda agent: agent.turns)

    async def chat(self, text: str | MessageParts) -> Reply:
        """Answer ``text``, and remember both; what the user said is kept as a note even when the model fails."""
        with self.memory._calling():
            async with self._turn:
                return await self._step(lambda agent: agent.chat(text))

    async def stream(self, text: str | MessageParts) -> AsyncGenerator[str, None]:
        """The same answer, piece by piece; see :meth:`ChatAgent.stream`. Whoever stops listening before the end closes it:
        ``async with contextlib.aclosing(agent.stream(text)) as pieces: …``.
        """
        with self.memory._calling():
            async with self._turn:
                pieces = await self._step(lambda agent: agent.stream(text))
                try:
                    while (piece := await self._step(lambda _: next(pieces, None))) is not None:
                        yield piece
                finally:
                    await asyncio.shield(self._step(lambda _: pieces.close()))
