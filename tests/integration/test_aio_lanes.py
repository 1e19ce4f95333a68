"""AsyncMemory's lanes: reads beside each other and beside a write, writes in order, nothing lost when calls are given up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agentmem import AsyncMemory, Memory
from agentmem.embedding.embedders import make_embedder
from agentmem.errors import StoreBusy, StoreError
from agentmem.notes.clock import ManualClock

WAIT = 20  # seconds until a test that hangs is given up


class Gate:
    """An embedder that waits, for texts with a word, until it is let go."""

    def __init__(self, word: str) -> None:
        self.word, self.inner = word, make_embedder("hash")
        self.reached, self.open = threading.Event(), threading.Event()
        self.dimension, self.fingerprint = self.inner.dimension, self.inner.fingerprint

    def embed(self, texts: Sequence[str]) -> Any:
        if any(self.word in text for text in texts):
            self.reached.set()
            assert self.open.wait(WAIT)
        return self.inner.embed(texts)


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, WAIT)


def lanes() -> list[str]:
    """The threads of any AsyncMemory that are alive."""
    names = ("agentmem-writes", "agentmem-reads", "agentmem-answers", "agentmem-close")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]


async def test_reads_wait_for_no_write_that_is_still_at_work() -> None:
    gate = Gate("slow")
    async with AsyncMemory(embedder=gate) as memory:
        kept = (await memory.remember("Ana lives in Porto.")).id
        await memory.recall("Where does Ana live?")  # embedders compute one thing at a time: its vector is in the cache
        write = asyncio.create_task(memory.remember("A slow note."))
        await reached(gate.reached)
        assert kept is not None
        found = await asyncio.wait_for(memory.recall("Where does Ana live?"), WAIT)
        note = await asyncio.wait_for(memory.get(kept), WAIT)
        assert not write.done()
        gate.open.set()

        assert (await write).ok
        assert found.notes == (note,)


async def test_nobody_waits_for_a_model_but_who_asked_it() -> None:
    let_go = threading.Event()

    def slow(messages: object) -> str:
        assert let_go.wait(WAIT)
        return "In Porto."

    async with AsyncMemory(embedder="hash", llm=slow) as memory:
        asked = [asyncio.create_task(memory.ask("Where does Ana live?")) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert (await asyncio.wait_for(memory.remember("Bo lives in Rome."), WAIT)).ok
        assert await asyncio.wait_for(memory.recall("Where does Bo live?"), WAIT)
        let_go.set()

        assert {answer.text for answer in await asyncio.gather(*asked)} == {"In Porto."}


async def test_reads_run_beside_each_other() -> None:
    """Four recalls meet in the reranker; one thread would wait there for ever."""

    class Meeting:
        def __init__(self) -> None:
            self.four = threading.Barrier(4, timeout=WAIT)

        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            self.four.wait()
            return [0.5] * len(texts)

    async with AsyncMemory(embedder="hash") as memory:
        await memory.remember("Ana lives in Porto.")
        memory._memory.result().reranker = Meeting()
        found = await asyncio.gather(*(memory.recall("Where does Ana live?") for _ in range(4)))

        assert all(len(each) == 1 for each in found)


async def test_writes_keep_their_order_also_when_more_are_asked_for_than_are_queued() -> None:
    gate = Gate("number 0 ")
    async with AsyncMemory(embedder=gate, clock=ManualClock()) as memory:
        said = [f"Statement number {n} is about topic {n * 7}." for n in range(300)]
        writes = [asyncio.create_task(memory.remember(text)) for text in said]
        await reached(gate.reached)
        queued = memory._lanes["writes"]._pool._work_queue.qsize()
        gate.open.set()
        await asyncio.gather(*writes)

        assert [note.content for note in await memory.notes()] == said
        assert 0 < queued < 256


async def test_a_write_that_is_given_up_is_done_as_a_whole_or_not_at_all() -> None:
    """In the queue it is never begun, once begun it is carried out; whoever was answered finds it there."""
    rng, gate = Random(4), Gate("Group 0 ")
    async with AsyncMemory(embedder=gate) as memory:
        groups = [[f"Group {n} has part {part}, of {n * 11}." for part in "abc"] for n in range(60)]
        writes = [asyncio.create_task(memory.remember_many(group, progress=False)) for group in groups]
        await reached(gate.reached)
        doomed = {0, *rng.sample(range(1, 60), 25)}
        for n in doomed:
            writes[n].cancel()
        await asyncio.wait(
            [writes[n] for n in doomed]
        )  # a call that is given up is taken off the queue when the loop comes to it
        gate.open.set()
        results = await asyncio.gather(*writes, return_exceptions=True)
        held = {note.content for note in await memory.notes()}

    done = {n for n, group in enumerate(groups) if set(group) <= held}
    assert held == {text for n in done for text in groups[n]}
    assert {n for n, result in enumerate(results) if isinstance(result, asyncio.CancelledError)} == doomed
    assert done == {0} | (set(range(60)) - doomed)


Writer = Callable[[AsyncMemory, str], Awaitable[object]]


async def at_once(memory: AsyncMemory, tag: str) -> None:
    texts = [f"{tag} has part {part}." for part in "abc"]
    receipts = await memory.remember_many(texts, tags=[tag], progress=False)
    for receipt, text in zip(receipts, texts, strict=True):
        assert (await memory.get(str(receipt.id))).content == text, "a caller reads what it wrote"
    assert len(await memory.notes(where={"tags": {"$contains": tag}})) == 3
    assert (await memory.recall(f"{tag} has part b", k=1)).notes[0].content == texts[1]


async def bit_by_bit(memory: AsyncMemory, tag: str) -> None:
    for part in "abc":
        await memory.remember(f"{tag} has part {part}.", tags=[tag])
        await asyncio.sleep(0.01)


async def torn(path: Path, write: Writer, writers: int) -> int:
    """How often a read, while groups of three are written by several callers, sees one or two of a group."""
    found = 0
    async with AsyncMemory(path, embedder="hash") as memory:
        going = [asyncio.create_task(_groups(memory, write, f"w{n}")) for n in range(writers)]
        while not all(task.done() for task in going):
            for notes in await asyncio.gather(memory.notes(), memory.notes(), _recalled(memory)):
                tags = [tag for note in notes for tag in note.tags if tag.startswith("w")]
                found += any(tags.count(tag) != 3 for tag in tags)
        await asyncio.gather(*going)
        assert (await memory.check()).ok
    return found


async def _groups(memory: AsyncMemory, write: Writer, name: str) -> None:
    for n in range(4):
        await write(memory, f"{name}x{n}")


async def _recalled(memory: AsyncMemory) -> list[Any]:
    return [*(await memory.recall("has part", k=500)).notes]


async def test_reads_during_writes_see_whole_transactions_and_callers_what_they_wrote(tmp_path: Path) -> None:
    assert await torn(tmp_path / "m", at_once, 4) == 0


async def test_a_write_in_three_transactions_would_be_seen_in_parts(tmp_path: Path) -> None:
    """The test above can fail."""
    assert await torn(tmp_path / "m", bit_by_bit, 2) > 0


async def test_closing_that_takes_too_long_says_so_and_goes_on(tmp_path: Path) -> None:
    gate = Gate("slow")
    memory = AsyncMemory(tmp_path / "m", embedder=gate)
    writes = [asyncio.create_task(memory.remember(text)) for text in ("A slow note.", "Another note.")]
    await reached(gate.reached)
    with pytest.raises(StoreBusy) as caught:
        await memory.close(timeout=0.05)
    with pytest.raises(StoreError, match="closed"):
        await memory.recall("note")
    gate.open.set()
    receipts = await asyncio.gather(*writes)
    await memory.close(timeout=WAIT)

    assert caught.value.hint
    assert isinstance(caught.value, TimeoutError)
    assert memory._memory.result()._parts.closed
    with Memory(tmp_path / "m", embedder="hash") as again:
        assert {note.id for note in again.notes()} == {receipt.id for receipt in receipts}


@pytest.mark.parametrize("end", ["closed", "timed out", "cancelled", "failed to open"])
async def test_no_thread_is_left_behind(tmp_path: Path, end: str) -> None:
    before = lanes()
    if end == "failed to open":
        (tmp_path / "m").write_text("not a directory")
    memory = AsyncMemory(tmp_path / "m", embedder="hash", llm=lambda messages: "Yes.")
    calls = [memory.remember("Ana lives in Porto."), memory.recall("Porto"), memory.ask("Is it so?")]
    await asyncio.gather(*calls, return_exceptions=True)
    assert len(lanes()) > len(before)
    if end == "timed out":
        with pytest.raises(StoreBusy):
            await memory.close(timeout=0)
    elif end == "cancelled":
        closing = asyncio.create_task(memory.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
    await memory.close(timeout=WAIT)
    for _ in range(200):
        if lanes() == before:
            break
        await asyncio.sleep(0.01)

    assert lanes() == before
