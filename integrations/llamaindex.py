"""LlamaIndex with a memory: a block of its ``Memory`` that keeps what leaves the short-term memory, and recalls what fits.

    block = NotesMemoryBlock(memory=notes, whose=Scope(user="ana"))
    chat = SimpleChatEngine.from_defaults(llm=llm, memory=Memory.from_defaults(session_id="monday", memory_blocks=[block]))

The framework hands messages to its blocks when the short-term memory is full. What is to be recalled in another session before that is put
there at once: ``await block.aput(messages, session_id="monday")``; that it comes again later does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentmem.integrations.awaited import carried_out, checked_memory, writing
from agentmem.integrations.extras import needs
from agentmem.integrations.history import Spoken
from agentmem.integrations.recalling import Recalling
from agentmem.integrations.turns import keep_turns
from agentmem.notes.names import merge_scope
from agentmem.notes.note import Scope
from agentmem.notes.quoting import NOTES_HEADER

needs("llamaindex", "llama_index")

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock  # noqa: E402 - once it is known to be there
from llama_index.core.bridge.pydantic import Field, field_validator  # noqa: E402
from llama_index.core.memory import BaseMemoryBlock  # noqa: E402

__all__ = ["NotesMemoryBlock"]

SPEAKERS = {MessageRole.USER: "user", MessageRole.ASSISTANT: "assistant", MessageRole.CHATBOT: "assistant"}
SESSION = "session_id"
"""The key under which the framework's blocks find a message's session among its ``additional_kwargs``."""


class NotesMemoryBlock(BaseMemoryBlock[str]):
    """A block whose contents are the notes that fit what the user says last.

    What user and assistant said in words is kept as notes, each under the session of its message; calls of tools, their results and system
    messages are not. A message that is put twice is one note. Recall sees every session of the scope, and leaves out what the
    short-term memory shows.

    Args:
        memory: a :class:`~agentmem.Memory` or an :class:`~agentmem.AsyncMemory`; the block does not close it.
        whose: user and agent, and a session for messages that come without one.
        k, max_tokens: how many notes at most, and the room for them.
        priority: 0 is never truncated; any other loses its oldest notes when the framework runs out of room.

    Raises:
        InvalidArgument: an argument is none of these. As a block is a model of pydantic, its ``ValidationError``.
    """

    name: str = Field(default="notes")
    description: str | None = Field(default="What is known from earlier conversations.")
    memory: Any = Field(exclude=True, repr=False)
    whose: Scope = Field(default=Scope())
    k: int = Field(default=8)
    max_tokens: int = Field(default=400)

    @field_validator("memory")
    @classmethod
    def _is_a_memory(cls, memory: object) -> object:
        return checked_memory(memory)

    def model_post_init(self, _context: Any, /) -> None:
        """What is wrong with the numbers or the scope is said here, not in the middle of a conversation."""
        _ = self._recalling
        merge_scope(getattr(self.memory, "scope", Scope()), self.whose.user, self.whose.agent, self.whose.session)

    @property
    def _recalling(self) -> Recalling:
        return Recalling(self.memory, self.k, self.max_tokens)

    async def _aget(self, messages: list[ChatMessage] | None = None, **_options: Any) -> str:
        shown = [(message.role, _words(message)) for message in messages or ()]
        asked = next((text for role, text in reversed(shown) if role == MessageRole.USER and text), "")
        return await self._recalling.block(asked, self.whose, [text for role, text in shown if role in SPEAKERS])

    async def aput(
        self, messages: list[ChatMessage], from_short_term_memory: bool = False, session_id: str | None = None
    ) -> None:
        """Keep messages; durable when this returns, and carried out once it has begun.

        Args:
            from_short_term_memory: whether they come from there, which ``accept_short_term_memory=False`` refuses.
            session_id: the session of all of them; otherwise each may name its own in ``additional_kwargs``.
        """
        if from_short_term_memory and not self.accept_short_term_memory:
            return
        await self._keep(messages, session_id)

    async def _aput(self, messages: list[ChatMessage]) -> None:
        await self._keep(messages, None)

    async def _keep(self, messages: Sequence[ChatMessage], session: str | None) -> None:
        said: dict[Scope, list[Spoken]] = {}
        for message in messages:
            named = session or message.additional_kwargs.get(SESSION) or self.whose.session
            if message.role in SPEAKERS and (text := _words(message)):
                scope = Scope(self.whose.user, self.whose.agent, named)
                said.setdefault(scope, []).append(Spoken(SPEAKERS[message.role], text))
        for scope, turns in said.items():
            await carried_out(
                writing(self.memory, lambda memory, turns=turns, scope=scope: keep_turns(memory, turns, scope))  # type: ignore[misc]
            )

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """The block without its oldest notes, so many tokens shorter by a safe estimate; ``None`` when no note is left."""
        header, *lines = content.split("\n")
        saved = 0
        while lines and saved < tokens_to_truncate:
            saved += max(
                1, len(lines.pop(0)) // 5
            )  # English has four characters a token or more: never counted too high
        return "\n".join([header, *lines]) if lines and header == NOTES_HEADER else None


def _words(message: ChatMessage) -> str:
    texts = [block.text for block in message.blocks if isinstance(block, TextBlock)]
    return "\n".join(text for text in texts if text.strip())
