"""AsyncMemory: the same verbs, awaitable, in order, without blocking the loop."""

from __future__ import annotations

import asyncio
import inspect
import time
from pathlib import Path

import pytest

from agentmem import AsyncMemory, Memory
from agentmem.errors import InvalidArgument, StoreError
from agentmem.notes.clock import ManualClock

VERBS = sorted(n for n, v in inspect.getmembers(Memory, inspect.isfunction) if not n.startswith("_"))


def test_every_verb_of_memory_is_there():
    """A verb added to Memory and not here fails this test."""
    mirrored = {n for n, v in inspect.getmembers(AsyncMemory, inspect.isfunction) if not n.startswith("_")}

    assert mirrored == set(VERBS)


@pytest.mark.parametrize("verb", [v for v in VERBS if v != "close"])
def test_signatures_and_docstrings_are_equal(verb: str):
    sync, twin = getattr(Memory, verb), getattr(AsyncMemory, verb)

    assert inspect.signature(twin) == inspect.signature(sync)
    assert twin.__doc__ == sync.__doc__


def test_constructors_take_the_same():
    assert inspect.signature(AsyncMemory.__init__) == inspect.signature(Memory.__init__)


async def test_remember_and_recall():
    async with AsyncMemory(embedder="hash") as memory:
        receipt = await memory.remember("Ana lives in Porto.", user="ana")
        found = await memory.recall("Where does Ana live?", user="ana", k=1)

        assert [hit.note.id for hit in found] == [receipt.id]


async def test_a_slow_call_does_not_block_the_loop():
    """While the embedder sleeps, the loop ticks."""

    def slow(texts):
        time.sleep(0.4)
        return [[1.0, 0.0] for _ in texts]

    async with AsyncMemory(embedder=slow) as memory:
        task = asyncio.create_task(memory.remember("Ana lives in Porto."))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1

        assert ticks >= 10
        assert (await task).ok


async def test_calls_keep_their_order():
    async with AsyncMemory(embedder="hash", clock=ManualClock()) as memory:
        said = [f"Statement number {n} is about topic {n * 7}." for n in range(20)]
        await asyncio.gather(*(memory.remember(text) for text in said))

        assert [note.content for note in await memory.notes()] == said


async def test_errors_come_through_as_they_are(tmp_path: Path):
    async with AsyncMemory(tmp_path, embedder="hash") as memory:
        with pytest.raises(InvalidArgument):
            await memory.recall("")


async def test_an_error_of_opening_is_raised_by_the_context(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("not a directory")

    with pytest.raises(StoreError):
        async with AsyncMemory(file, embedder="hash"):
            pass


async def test_closing_twice_is_fine_and_a_closed_memory_says_so(tmp_path: Path):
    memory = AsyncMemory(tmp_path, embedder="hash")
    await memory.remember("Ana lives in Porto.")
    await memory.close()
    await memory.close()

    with pytest.raises(StoreError, match="closed"):
        await memory.recall("Ana")
    assert repr(memory) == "AsyncMemory(closed)"


async def test_what_was_asked_before_closing_is_done(tmp_path: Path):
    memory = AsyncMemory(tmp_path, embedder="hash")
    pending = [asyncio.create_task(memory.remember(f"Fact {n} holds.")) for n in range(5)]
    await asyncio.sleep(0)
    await memory.close()

    assert all(receipt.ok for receipt in await asyncio.gather(*pending))
    with Memory(tmp_path, embedder="hash") as again:
        assert len(again.notes()) == 5


async def test_a_memory_is_closed_also_when_whoever_waits_for_that_gives_up(tmp_path: Path):
    """A timeout around close(), behind a call that takes longer, left the memory open for good."""

    def slow(texts):
        time.sleep(0.4)
        return [[1.0, 0.0] for _ in texts]

    memory = AsyncMemory(tmp_path, embedder=slow)
    call = asyncio.create_task(memory.remember("Ana lives in Porto."))
    await asyncio.sleep(0.1)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(memory.close(), 0.05)
    assert (await call).ok

    opened = memory._memory.result()
    for _ in range(100):
        if opened._parts.closed:
            break
        await asyncio.sleep(0.02)
    assert opened._parts.closed
