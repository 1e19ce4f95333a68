"""The MCP server as the child of a client: nothing but protocol on its stdout, quick to greet, and nothing lost however it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters

from agentmem import Memory
from agentmem.integrations.mcp_server.stdio import StdioWire

ROOT = Path(__file__).resolve().parents[2]
VERSION = "2025-11-25"


def arguments(path: Path, *more: str) -> list[str]:
    return ["-m", "agentmem", "mcp", "--path", str(path), "--embedder", "hash", "--user", "ana", *more]


def parameters(path: Path, *more: str) -> StdioServerParameters:
    env = {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "AGENTMEM", "OMP", "HF"))}
    return StdioServerParameters(command=sys.executable, args=arguments(path, *more), env=env, cwd=ROOT)


class Child:
    """A server that is spoken to line by line, so that it can be ended at any moment."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.sent = 0

    async def send(self, method: str, **params: Any) -> int:
        self.sent += 1
        message = {"jsonrpc": "2.0", "id": self.sent, "method": method, "params": params}
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        await self.process.stdin.drain()
        return self.sent

    async def answer(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        return json.loads(line)

    async def remember(self, text: str) -> int:
        return await self.send("tools/call", name="remember", arguments={"text": text})


@asynccontextmanager
async def child(path: Path, *more: str) -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments(path, *more), cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        spoken = Child(process)
        who = {"name": "test", "version": "1"}
        await spoken.send("initialize", protocolVersion=VERSION, capabilities={}, clientInfo=who)
        assert (await spoken.answer())["result"]["serverInfo"]["name"] == "agentmem"
        yield spoken
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def kept(path: Path) -> set[str]:
    with Memory(path, embedder="hash") as memory:
        assert memory.check().ok
        return {note.content for note in memory.notes(user="ana")}


async def test_a_walk_over_two_starts(tmp_path: Path) -> None:
    async with Client(parameters(tmp_path / "m")) as client:
        await client.call_tool("remember", {"text": "Ana lives in Porto."})
        assert "forget" not in {tool.name for tool in (await client.list_tools()).tools}
    async with Client(parameters(tmp_path / "m", "--allow-forget"), mode="legacy") as client:
        found = await client.call_tool("recall", {"query": "Where does Ana live?"})
        id = found.structured_content["notes"][0]["id"]
        assert "Forgotten" in (await client.call_tool("forget", {"ids": [id]})).content[0].text

    assert kept(tmp_path / "m") == set()


async def test_two_clients_with_a_child_each_share_one_memory(tmp_path: Path) -> None:
    async with Client(parameters(tmp_path / "m")) as one, Client(parameters(tmp_path / "m")) as other:
        await one.call_tool("remember", {"text": "Ana lives in Porto."})
        found = await other.call_tool("recall", {"query": "Where does Ana live?"})
        await other.call_tool("remember", {"text": "Ana keeps bees."})
        again = await one.call_tool("recall", {"query": "What does Ana keep?"})

    assert "Porto" in found.content[0].text
    assert "bees" in again.content[0].text


async def test_a_killed_child_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    async with child(tmp_path / "m") as spoken:
        for number in range(8):
            await spoken.remember(f"Number {number} was said here.")
        acknowledged = [await spoken.answer() for _ in range(5)]
        spoken.process.send_signal(signal.SIGKILL)
        await spoken.process.wait()

    ids = {answer["result"]["structuredContent"]["id"] for answer in acknowledged}
    with Memory(tmp_path / "m", embedder="hash") as memory:
        assert ids <= {note.id for note in memory.notes(user="ana")}
        assert memory.check().ok


@pytest.mark.parametrize("how", ["eof", "SIGTERM", "SIGINT"])
async def test_what_was_asked_before_the_end_is_answered_and_kept(tmp_path: Path, how: str) -> None:
    async with child(tmp_path / "m") as spoken:
        await spoken.remember("The first was said here.")
        await spoken.answer()
        for number in range(10):
            await spoken.remember(f"Number {number} was said here.")
        if how == "eof":
            spoken.process.stdin.close()
        else:
            await spoken.answer()  # they are read by now, or will never be
            spoken.process.send_signal(getattr(signal, how))
        out, err = await asyncio.wait_for(spoken.process.communicate(), 30)

    answered = [json.loads(line)["result"]["structuredContent"]["id"] for line in out.splitlines()]
    assert (spoken.process.returncode, err) == (0, b"")
    assert len(answered) == 10 or how != "eof"
    with Memory(tmp_path / "m", embedder="hash") as memory:
        assert set(answered) <= {note.id for note in memory.notes(user="ana")}
        assert memory.check().ok


async def test_half_a_character_is_refused_and_the_next_message_read(tmp_path: Path) -> None:
    """An emoji that a model cut in two: JSON can say that, UTF-8 cannot."""
    async with child(tmp_path / "m") as spoken:
        cut = await spoken.remember("cut emoji \ud83d")
        refused = await spoken.answer()
        whole = await spoken.remember("a whole one \ud83d\ude00")
        answered = await spoken.answer()

    assert (refused["id"], refused["error"]["code"]) == (cut, -32700)
    assert "half a character" in refused["error"]["message"]
    assert answered["id"] == whole
    assert kept(tmp_path / "m") == {"a whole one 😀"}


async def test_an_idle_server_ends_at_once_when_it_is_told_to(tmp_path: Path) -> None:
    """Its input is still open: a read that blocks must not hold it."""
    async with child(tmp_path / "m") as spoken:
        spoken.process.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(spoken.process.wait(), 20) == 0


async def test_nothing_but_protocol_comes_out(tmp_path: Path) -> None:
    """Also where something wrong goes in, in whatever bytes."""
    async with child(tmp_path / "m") as spoken:
        for line in (b"nonsense", b"", b"\xff\xfe", b"[]", b'{"jsonrpc": "2.0"}', b"x" * 5_000_000, b'"' * 100):
            spoken.process.stdin.write(line + b"\n")
        number = await spoken.send("tools/list")
        answers = [await spoken.answer()]
        while answers[-1].get("id") != number:
            answers.append(await spoken.answer())

    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    assert len(answers[-1]["result"]["tools"]) == 9


async def test_twenty_calls_at_once_are_each_answered(tmp_path: Path) -> None:
    async with Client(parameters(tmp_path / "m")) as client:
        calls = [client.call_tool("remember", {"text": f"The word of day {n} is w{n}."}) for n in range(10)]
        calls += [client.call_tool("recall", {"query": "Which word?"}) for _ in range(10)]
        answered = await asyncio.gather(*calls)

    assert not any(result.is_error for result in answered)
    assert len(kept(tmp_path / "m")) == 10


async def test_a_memory_that_cannot_be_opened_is_told_to_the_model(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("no directory")
    async with Client(parameters(tmp_path / "m")) as client:
        result = await client.call_tool("recall", {"query": "Ana"})

    assert result.is_error
    assert "Hint: " in result.content[0].text


async def test_the_wire_waits_for_answers_and_drops_what_is_too_long() -> None:
    inside, writing = os.pipe()
    reading, outside = os.pipe()
    wire = StdioWire(inside, outside, longest=100, patience=0.5)
    os.write(writing, b'{"id": 1, "method": "a"}\n' + b"y" * 101 + b'\n{"id": "1", "method": "b"}\n{"method": "n"}')
    os.close(writing)
    seen: list[str] = []

    async def read() -> None:
        async for line in wire:
            seen.append(line)  # noqa: PERF401 - they are looked at before the end

    task = asyncio.create_task(read())
    await asyncio.sleep(0.1)
    waiting = not task.done()
    await wire.write('{"id": 1, "result": {}}\n')
    await wire.write('{"id": "1", "error": {}}\n')
    await asyncio.wait_for(task, 1)

    assert waiting
    assert seen == ['{"id": 1, "method": "a"}', "", '{"id": "1", "method": "b"}', '{"method": "n"}']
    assert os.read(reading, 100).count(b"\n") == 2


async def test_the_wire_does_not_wait_for_ever() -> None:
    inside, writing = os.pipe()
    wire = StdioWire(inside, writing, patience=0.1)
    os.write(writing, b'{"id": 1, "method": "a"}\n')
    os.close(writing)

    assert [line async for line in wire] == ['{"id": 1, "method": "a"}']
