"""A memory for AutoGen agents: before they answer, they are shown what is known of what they were asked.

    agent = AssistantAgent("helper", model_client=client, memory=[AutoGenMemory(memory, user="ana")])

AutoGen needs an older protobuf than other frameworks, and so an environment of its own.
"""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from agentmem.errors import InvalidArgument, MissingExtra
from agentmem.integrations.awaited import AnyMemory, checked_memory, reading, writing
from agentmem.integrations.turns import asked_with, whole_number
from agentmem.memory import MAX_K
from agentmem.memory import Memory as Notes
from agentmem.notes.note import Hit, Receipt
from agentmem.notes.quoting import NOTES_HEADER, notes_block
from agentmem.recall.result import Recollection

if find_spec("autogen_core") is None:
    raise MissingExtra(
        "This needs the package 'autogen_core', which is not installed.",
        hint='install the `autogen` extra, in an environment of its own: pip install "agentmem-toolkit[autogen]"',
    )

from autogen_core.memory import (
    Memory,
    MemoryContent,
    MemoryMimeType,
    MemoryQueryResult,
    UpdateContextResult,
)
from autogen_core.models import SystemMessage, UserMessage

if TYPE_CHECKING:
    from autogen_core import CancellationToken
    from autogen_core.model_context import ChatCompletionContext

__all__ = ["AutoGenMemory"]

SOURCE: Final = "autogen"
READABLE: Final = (MemoryMimeType.TEXT.value, MemoryMimeType.MARKDOWN.value)


class AutoGenMemory(Memory):
    """AutoGen's memory protocol over a memory of notes; it does not close what it was given.

    A model context holds one block of recalled notes at a time: the last one gives way to the next, so that nothing that was forgotten
    stays in a conversation that goes on. What is added is one note each; agents add nothing by themselves.

    Args:
        memory: an :class:`~agentmem.AsyncMemory`, or a :class:`~agentmem.Memory`, which is then used on threads.
        user, agent, session: whose notes they are.
        k, context_tokens: how many notes are shown at most, and the room for them.
    """

    def __init__(
        self,
        memory: AnyMemory,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        k: int = 8,
        context_tokens: int = 600,
    ) -> None:
        self.memory = checked_memory(memory)
        self.k, self.context_tokens = whole_number(k, "k", most=MAX_K), context_tokens
        self._owner: dict[str, Any] = {"user": user, "agent": agent}
        self._session = session

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Show what fits the latest message of a user, in place of what was shown before."""
        asked = _asked(await model_context.get_messages())
        found = await self._recall(asked, self.k) if asked else None
        shown = found.within(self.context_tokens) if found is not None else ()
        await _drop_blocks(model_context)
        if shown:
            await model_context.add_message(SystemMessage(content=notes_block(shown)))
        return UpdateContextResult(memories=MemoryQueryResult(results=[_content(hit) for hit in shown]))

    async def query(
        self, query: str | MemoryContent, cancellation_token: CancellationToken | None = None, **kwargs: Any
    ) -> MemoryQueryResult:
        """What fits a query best, the best first; ``k=`` for another number of them."""
        words = query if isinstance(query, str) else _words(query)
        if not words.strip():
            return MemoryQueryResult(results=[])
        work = asyncio.ensure_future(self._recall(words, kwargs.get("k", self.k)))
        found = await (work if cancellation_token is None else cancellation_token.link_future(work))
        return MemoryQueryResult(results=[_content(hit) for hit in found])

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Remember a text, or the JSON of a mapping; ``metadata`` is kept with it.

        Raises:
            InvalidArgument: it is an image, or bytes; it cannot be a note, or is nothing but notes that were recalled.
        """
        words, metadata = _words(content), content.metadata

        def remember(memory: Notes) -> Receipt:
            return memory.remember(words, source=SOURCE, metadata=metadata, session=self._session, **self._owner)

        work = asyncio.ensure_future(writing(self.memory, remember))
        receipt = await (work if cancellation_token is None else cancellation_token.link_future(work))
        if receipt.status == "rejected":
            raise InvalidArgument(f"Not remembered: {receipt.reason}", hint="add what was said, not what was recalled.")

    async def clear(self) -> None:
        """Forget, from everywhere, what was added in this very scope by this class; other notes stay."""

        def clear(memory: Notes) -> None:
            found = memory.notes(where={"source": SOURCE}, session=self._session, **self._owner)
            mine = (self._owner["user"], self._owner["agent"], self._session)
            ids = [n.id for n in found if (n.scope.user, n.scope.agent, n.scope.session) == mine]
            if ids:
                memory.forget(ids, **self._owner)

        await writing(self.memory, clear)

    async def close(self) -> None:
        """Nothing: whoever opened the memory closes it."""

    async def _recall(self, words: str, k: int) -> Recollection:
        return await reading(self.memory, lambda memory: memory.recall(words, k=k, **self._owner))


def _asked(messages: list[Any]) -> str:
    """The end of the latest words of a user."""
    for message in reversed(messages):
        if isinstance(message, UserMessage):
            parts = [message.content] if isinstance(message.content, str) else message.content
            return asked_with("\n".join(part for part in parts if isinstance(part, str)))
    return ""


async def _drop_blocks(model_context: ChatCompletionContext) -> None:
    state = dict(await model_context.save_state())
    kept = [each for each in state["messages"] if not _is_block(each)]
    if len(kept) < len(state["messages"]):
        await model_context.load_state({**state, "messages": kept})


def _is_block(message: Any) -> bool:
    return message["type"] == "SystemMessage" and message["content"].startswith(NOTES_HEADER)


def _words(content: MemoryContent) -> str:
    kind = content.mime_type.value if isinstance(content.mime_type, MemoryMimeType) else content.mime_type
    if kind in READABLE and isinstance(content.content, str):
        return content.content
    if kind == MemoryMimeType.JSON.value and isinstance(content.content, (dict, str)):
        told = content.content
        return told if isinstance(told, str) else json.dumps(told, ensure_ascii=False, sort_keys=True)
    raise InvalidArgument(
        f"A {type(content.content).__name__} of type {kind!r} has no words.",
        hint='mime_type="text/plain", or a description of it.',
    )


def _content(hit: Hit) -> MemoryContent:
    note = hit.note
    told = {**note.metadata, "id": note.id, "score": hit.score, "occurred_at": note.occurred_at.isoformat()}
    return MemoryContent(content=hit.quoted, mime_type=MemoryMimeType.TEXT, metadata=told)
