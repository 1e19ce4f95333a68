"""AutoGen's memory protocol over a memory, with its assistant agent and its replayed model; in an environment of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

if os.environ.get("AGENTMEM_FRAMEWORKS") != "autogen":  # where it is named, it must be there
    pytest.importorskip("autogen_agentchat", reason="AutoGen stands in an environment of its own")

from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken
from autogen_core.memory import MemoryContent, MemoryMimeType
from autogen_core.model_context import BufferedChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import LLMMessage, UserMessage
from autogen_ext.models.replay import ReplayChatCompletionClient

from agentmem import AsyncMemory, Memory
from agentmem.errors import AgentMemError, InvalidArgument, ScopeRequired
from agentmem.integrations.autogen import AutoGenMemory


@pytest.fixture
async def memory() -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(None, embedder="hash") as opened:
        yield opened


def text(words: str, **metadata: Any) -> MemoryContent:
    return MemoryContent(content=words, mime_type=MemoryMimeType.TEXT, metadata=metadata or None)


class Shown(ReplayChatCompletionClient):
    """Says one thing after another, and keeps what it was shown."""

    def __init__(self, *says: str) -> None:
        super().__init__(list(says))
        self.shown: list[list[LLMMessage]] = []

    async def create(self, messages: Any, **options: Any) -> Any:
        self.shown.append(list(messages))
        return await super().create(messages, **options)

    def create_stream(self, messages: Any, **options: Any) -> Any:
        self.shown.append(list(messages))
        return super().create_stream(messages, **options)

    def told(self, turn: int) -> str:
        return "\n".join(str(message.content) for message in self.shown[turn])


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_is_shown_what_is_known_of_its_user_and_no_other(memory: AsyncMemory, stream: bool):
    await AutoGenMemory(memory, user="ana").add(text("Ana is allergic to walnuts."))
    client = Shown("No walnut cake.", "Whatever you like.")
    for user in ("ana", "ben"):
        agent = AssistantAgent("helper", client, memory=[AutoGenMemory(memory, user=user)], model_client_stream=stream)
        await agent.run(task="What may I eat, being allergic?")

    assert "allergic to walnuts" in client.told(0)
    assert "walnuts" not in client.told(1).replace("No walnut cake", "")
    assert len(await memory.notes(user="ana")) == 1  # nothing was stored by answering


async def test_a_context_holds_one_block_and_what_was_forgotten_leaves_it(memory: AsyncMemory):
    notes = AutoGenMemory(memory, user="ana")
    await notes.add(text("Ana is allergic to walnuts."))
    client = Shown("One.", "Two.", "Three.")
    agent = AssistantAgent("helper", client, memory=[notes])
    await agent.run(task="What am I allergic to?")
    await agent.run(task="Again, what am I allergic to?")
    assert client.told(1).count("allergic to walnuts") == 1

    await memory.forget([hit.note.id for hit in await memory.recall("walnuts", user="ana")], user="ana")
    await agent.run(task="And now, what am I allergic to?")
    assert "walnuts" not in client.told(2)
    assert "walnuts" not in str(await agent.save_state())
    assert [m.content for m in client.shown[2] if isinstance(m, UserMessage)][0] == "What am I allergic to?"


@pytest.mark.parametrize("kind", [UnboundedChatCompletionContext, lambda: BufferedChatCompletionContext(2)])
async def test_replacing_the_block_keeps_every_other_message(memory: AsyncMemory, kind: Callable[[], Any]):
    notes = AutoGenMemory(memory, user="ana")
    await notes.add(text("Ana is allergic to walnuts."))
    context = kind()
    for number in range(4):
        await context.add_message(UserMessage(content=f"Allergic to what, {number}?", source="user"))
        await notes.update_context(context)

    kept = (await context.save_state())["messages"]
    assert [each["content"] for each in kept if each["type"] == "UserMessage"] == [
        f"Allergic to what, {number}?" for number in range(4)
    ]
    assert sum(each["type"] == "SystemMessage" for each in kept) == 1


async def test_a_context_without_a_question_is_left_alone(memory: AsyncMemory):
    notes = AutoGenMemory(memory, user="ana")
    await notes.add(text("Ana is allergic to walnuts."))
    context = UnboundedChatCompletionContext()

    assert (await notes.update_context(context)).memories.results == []
    assert await context.get_messages() == []
    assert (await notes.query(" ")).results == []


async def test_queries_give_words_metadata_and_ids(memory: AsyncMemory):
    notes = AutoGenMemory(memory, user="ana")
    await notes.add(text("Ana is allergic to walnuts.", topic="health"))
    await notes.add(MemoryContent(content={"likes": "tea"}, mime_type=MemoryMimeType.JSON))
    found = (await notes.query(text("allergic to walnuts"), k=1)).results

    assert [each.content for each in found] == ["Ana is allergic to walnuts."]
    assert found[0].metadata is not None
    assert found[0].metadata["topic"] == "health"
    assert (await memory.get(found[0].metadata["id"], user="ana")).content == "Ana is allergic to walnuts."
    assert '{"likes": "tea"}' in [each.content for each in (await notes.query("tea likes")).results]


@pytest.mark.parametrize(
    "content",
    [
        MemoryContent(content=b"bytes", mime_type=MemoryMimeType.BINARY),
        MemoryContent(content=b"text?", mime_type=MemoryMimeType.TEXT),
        MemoryContent(content="", mime_type=MemoryMimeType.TEXT),
        MemoryContent(content="x" * 70_000, mime_type=MemoryMimeType.TEXT),
    ],
)
async def test_what_has_no_words_is_refused(memory: AsyncMemory, content: MemoryContent):
    with pytest.raises(AgentMemError):
        await AutoGenMemory(memory, user="ana").add(content)
    assert not await memory.notes(user="ana")


async def test_recalled_text_is_not_added_again(memory: AsyncMemory):
    notes = AutoGenMemory(memory, user="ana")
    await notes.add(text("Ana is allergic to walnuts."))
    block = (await memory.recall("walnuts", user="ana")).context()

    with pytest.raises(InvalidArgument, match="recalled"):
        await notes.add(text(block))
    assert len(await memory.notes(user="ana")) == 1


async def test_clear_forgets_what_was_added_in_its_scope_alone(memory: AsyncMemory):
    await memory.remember("Ana told this to a program.", user="ana")
    for user, agent in (("ana", None), ("ana", "work"), ("ben", None)):
        await AutoGenMemory(memory, user=user, agent=agent).add(text(f"Added for {user} and {agent}."))
    await AutoGenMemory(memory, user="ana").clear()

    left = {note.content for user in ("ana", "ben") for note in await memory.notes(user=user)}
    left |= {note.content for note in await memory.notes(user="ana", agent="work")}
    with pytest.raises(ScopeRequired):
        await AutoGenMemory(memory).clear()  # of everybody: not where notes belong to somebody
    assert left == {
        "Ana told this to a program.", "Added for ana and work.", "Added for ben and None.",
    }  # fmt: skip


async def test_a_token_cancels_a_query(memory: AsyncMemory):
    token = CancellationToken()
    token.cancel()

    with pytest.raises(asyncio.CancelledError):
        await AutoGenMemory(memory, user="ana").query("anything", token)


async def test_over_a_memory_that_blocks_and_after_a_restart(open_memory: Callable[..., Memory]):
    first = open_memory()
    notes = AutoGenMemory(first, user="ana")
    await asyncio.gather(*(notes.add(text(f"Ana owns stamp number {n}.")) for n in range(5)))
    await notes.close()
    first.close()

    assert len((await AutoGenMemory(open_memory(), user="ana").query("stamp")).results) == 5


def test_what_is_no_memory_is_refused():
    with pytest.raises(InvalidArgument, match="AsyncMemory"):
        AutoGenMemory("my-memory")  # type: ignore[arg-type]
