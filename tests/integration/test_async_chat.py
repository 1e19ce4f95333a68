"""AsyncChatAgent: the same agent, awaited; one conversation in its order, others meanwhile."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from agentmem import AsyncMemory
from agentmem.errors import InvalidArgument, ModelError, StoreError
from agentmem.integrations import AsyncChatAgent, ChatAgent
from agentmem.notes.clock import ManualClock

Messages = Sequence[Mapping[str, str]]
TELL = "I went to Porto in spring."


def test_it_takes_and_has_what_the_agent_has() -> None:
    """A method added to ChatAgent and not here fails this test."""
    assert list(inspect.signature(AsyncChatAgent).parameters) == list(inspect.signature(ChatAgent).parameters)
    for name in (name for name in vars(ChatAgent) if not name.startswith("_")):
        assert hasattr(AsyncChatAgent, name), name


async def _async_whole(messages: Messages) -> str:
    await asyncio.sleep(0.01)
    return f"In Porto. {threading.current_thread().name}"


async def _async_pieces(messages: Messages) -> AsyncIterator[str]:
    for piece in ("In ", "Porto. ", threading.current_thread().name):
        await asyncio.sleep(0.01)
        yield piece


def _whole(messages: Messages) -> str:
    return "In Porto."


def _pieces(messages: Messages) -> Iterator[str]:
    yield from ("In ", "Porto.")


@pytest.mark.parametrize("model", [_async_whole, _async_pieces, _whole, _pieces])
async def test_a_conversation_is_that_of_the_agent(model: Any) -> None:
    """The same turns, notes and uses; what is awaited runs on the caller's loop, and the loop is free meanwhile."""
    own = f" {threading.current_thread().name}" if model in (_async_whole, _async_pieces) else ""
    clock = ManualClock()
    async with AsyncMemory(embedder="hash", clock=clock) as memory:
        agent = AsyncChatAgent(model, memory, user="ana", session="s")
        used = (await memory.remember("I live in Porto.", user="ana")).id
        reply = await agent.chat("Where do I live?")
        clock.advance(minutes=1)
        pieces = [piece async for piece in agent.stream(TELL)]
        turns = [turn.content for turn in await agent.turns()]
        again = AsyncChatAgent(model, memory, user="ana", session="s")

        assert reply.text == f"In Porto.{own}"
        assert [note.id for note in reply.notes] == [used]
        assert "".join(pieces) == reply.text
        assert turns == ["Where do I live?", reply.text, TELL, reply.text]
        assert [turn.content for turn in await again.turns()] == turns
        assert agent.last is not None
        assert agent.last.text == reply.text


@pytest.mark.parametrize("model", [_async_pieces, _pieces])
async def test_what_is_streamed_comes_as_it_is_said(model: Any) -> None:
    async with AsyncMemory(embedder="hash") as memory:
        agent = AsyncChatAgent(model, memory, user="ana")
        async with aclosing(agent.stream(TELL)) as pieces:
            assert await anext(pieces) == "In "
            assert await memory.notes(user="ana") == []

        assert [note.content for note in await memory.notes(user="ana")] == [TELL, "In"]


async def test_turns_of_one_conversation_come_in_order_and_others_meanwhile() -> None:
    """Two users wait for the model at the same moment; a recall waits for neither."""
    waiting, both = [0], asyncio.Event()

    async def slow(messages: Messages) -> str:
        waiting[0] += 1
        if waiting[0] == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 10)
        return f"Heard: {messages[-1]['content']}"

    async with AsyncMemory(embedder="hash", clock=ManualClock()) as memory:
        ana, ben = (AsyncChatAgent(slow, memory, user=user) for user in ("ana", "ben"))
        talks = [asyncio.create_task(agent.chat(f"This is number {n}.")) for n in range(3) for agent in (ana, ben)]
        await asyncio.wait_for(memory.recall("number", user="ana"), 10)
        await asyncio.gather(*talks)

        for agent in (ana, ben):
            said = [turn.content for turn in await agent.turns()]
            assert said == [f"{who}This is number {n}." for n in range(3) for who in ("", "Heard: ")]


async def test_a_turn_that_nobody_awaits_any_more_is_kept_and_comes_before_the_next() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(messages: Messages) -> str:
        begun.set()
        await asyncio.wait_for(go_on.wait(), 10)
        return "Yes."

    async with AsyncMemory(embedder="hash", clock=ManualClock()) as memory:
        agent = AsyncChatAgent(slow, memory, user="ana")
        for talk in (agent.chat("This is the first."), agent.stream("This is the second.").__anext__()):
            begun.clear()
            go_on.clear()
            task = asyncio.create_task(talk)  # type: ignore[arg-type]  # both are awaited
            await begun.wait()
            task.cancel()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        await agent.chat("This is the third.")

        said = [turn.content for turn in await agent.turns()]
        assert said[:2] == ["This is the first.", "Yes."]
        assert said[-2:] == ["This is the third.", "Yes."]
        assert "This is the second." in [note.content for note in await memory.notes(user="ana")]


async def test_what_was_said_survives_a_failing_model() -> None:
    async def broken(messages: Messages) -> str:
        raise ConnectionError("away")

    async with AsyncMemory(embedder="hash") as memory:
        agent = AsyncChatAgent(broken, memory, user="ana")
        with pytest.raises(ModelError):
            await agent.chat("My sister lives in Porto.")
        with pytest.raises(ModelError):
            _ = [piece async for piece in agent.stream("She plays the cello.")]

        kept = await memory.notes(user="ana")
        assert [(note.content, note.metadata["unanswered"]) for note in kept] == [
            ("My sister lives in Porto.", True),
            ("She plays the cello.", True),
        ]
        assert await agent.turns() == ()


async def test_closing_the_memory_waits_for_a_turn_that_is_going_on() -> None:
    memory = AsyncMemory(embedder="hash")
    agent = AsyncChatAgent(_pieces, memory, user="ana")
    stream = agent.stream(TELL)
    assert await anext(stream) == "In "
    closing = asyncio.create_task(memory.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    assert [piece async for piece in stream] == ["Porto."]
    await closing

    assert agent.last is not None
    assert all(receipt.ok for receipt in agent.last.receipts)
    with pytest.raises(StoreError, match="closed"):
        await agent.chat("And now?")


async def test_what_cannot_be_is_refused_at_once() -> None:
    async with AsyncMemory(embedder="hash") as memory:
        with pytest.raises(InvalidArgument) as caught:
            AsyncChatAgent(_whole, memory, k=0)
        assert caught.value.hint
        with pytest.raises(InvalidArgument):
            await AsyncChatAgent(_whole, memory).chat("  ")
        with memory._memory.result() as plain, pytest.raises(InvalidArgument, match="AsyncMemory"):
            AsyncChatAgent(_whole, plain)  # type: ignore[arg-type]


async def test_a_slow_function_that_is_not_awaited_blocks_no_loop() -> None:
    def slow(messages: Messages) -> str:
        time.sleep(0.3)
        return "Yes."

    async with AsyncMemory(embedder="hash") as memory:
        task = asyncio.create_task(AsyncChatAgent(slow, memory).chat(TELL))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1

        assert ticks >= 10
