"""The memory tool of Anthropic's SDK, driven by its own runner against a scripted messages API on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

if "AGENTMEM_FRAMEWORKS" not in os.environ:
    pytest.importorskip("anthropic")

from anthropic import Anthropic, AsyncAnthropic
from anthropic.lib.tools import ToolError

from agentmem import AsyncMemory, Memory
from agentmem.errors import InvalidArgument
from agentmem.integrations.anthropic import AsyncMemoryFileTool, MemoryFileTool

Command = dict[str, Any]


@contextmanager
def messages_api(commands: list[Command]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers with one call of the memory tool after another, then in words; and the requests that came."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            turn = len(requests) - 1
            if turn < len(commands):
                call = {"type": "tool_use", "id": f"call_{turn}", "name": "memory", "input": commands[turn]}
                content, reason = [call], "tool_use"
            else:
                content, reason = [{"type": "text", "text": "Done."}], "end_turn"
            body = json.dumps({
                "id": f"msg_{turn}", "type": "message", "role": "assistant", "model": "scripted", "content": content,
                "stop_reason": reason, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
            }).encode()  # fmt: skip
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def results(requests: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    """What the model was told of each of its calls, and whether as an error."""
    told = [part for message in requests[-1]["messages"] if message["role"] == "user" for part in message["content"]]
    found = []
    for part in told:
        if isinstance(part, dict) and part.get("type") == "tool_result":
            content = part["content"]
            text = content if isinstance(content, str) else "".join(each["text"] for each in content)
            found.append((text, bool(part.get("is_error"))))
    return found


def run(tool: MemoryFileTool, commands: list[Command]) -> list[tuple[str, bool]]:
    with messages_api(commands) as (url, requests), Anthropic(api_key="none", base_url=url, max_retries=0) as client:
        asked = [{"role": "user", "content": "Keep what matters."}]
        client.beta.messages.tool_runner(
            model="scripted", max_tokens=64, messages=asked, tools=[tool], thread=False
        ).until_done()
    assert requests[0]["tools"][0]["type"] == "memory_20250818"
    return results(requests)


async def run_awaited(tool: AsyncMemoryFileTool, commands: list[Command]) -> list[tuple[str, bool]]:
    with messages_api(commands) as (url, requests):
        async with AsyncAnthropic(api_key="none", base_url=url, max_retries=0) as client:
            asked = [{"role": "user", "content": "Keep what matters."}]
            runner = client.beta.messages.tool_runner(
                model="scripted", max_tokens=64, messages=asked, tools=[tool], thread=False
            )
            await runner.until_done()
    return results(requests)


WALK: list[tuple[Command, str]] = [
    ({"command": "view", "path": "/memories"}, "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items:\n0B\t/memories"),
    ({"command": "create", "path": "/memories/ana/tea.md", "file_text": "Ana drinks oolong tea.\nWith milk.\n"}, "File created successfully at: /memories/ana/tea.md"),
    ({"command": "view", "path": "/memories/ana/tea.md"}, "Here's the content of /memories/ana/tea.md with line numbers:\n     1\tAna drinks oolong tea.\n     2\tWith milk.\n     3\t"),
    ({"command": "str_replace", "path": "/memories/ana/tea.md", "old_str": "With milk", "new_str": "Without milk"}, "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n     1\tAna drinks oolong tea.\n     2\tWithout milk.\n     3\t"),
    ({"command": "insert", "path": "/memories/ana/tea.md", "insert_line": 2, "insert_text": "At four o'clock.\n"}, "The file /memories/ana/tea.md has been edited."),
    ({"command": "view", "path": "/memories/ana/tea.md", "view_range": [2, 3]}, "Here's the content of /memories/ana/tea.md with line numbers:\n     2\tWithout milk.\n     3\tAt four o'clock."),
    ({"command": "rename", "old_path": "/memories/ana", "new_path": "/memories/users/ana"}, "Successfully renamed /memories/ana to /memories/users/ana"),
    ({"command": "view", "path": "/memories"}, "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items:\n54B\t/memories\n54B\t/memories/users/\n54B\t/memories/users/ana/"),
]  # fmt: skip

REFUSED: list[tuple[Command, str]] = [
    ({"command": "view", "path": "/memories/none"}, "The path /memories/none does not exist. Please provide a valid path."),
    ({"command": "create", "path": "/memories/a", "file_text": "again"}, "File /memories/a already exists"),
    ({"command": "view", "path": "/etc/passwd"}, "Path must start with /memories, got: /etc/passwd"),
    ({"command": "view", "path": "/memories/../etc"}, "Path /memories/../etc would escape /memories directory"),
    ({"command": "view", "path": "/memories/%2e%2e/etc"}, "Path /memories/%2e%2e/etc would escape /memories directory"),
    ({"command": "str_replace", "path": "/memories/a", "old_str": "z", "new_str": "y"}, "No replacement was performed, old_str `z` did not appear verbatim in /memories/a."),
    ({"command": "str_replace", "path": "/memories/a", "old_str": "x", "new_str": "y"}, "No replacement was performed. Multiple occurrences of old_str `x` in lines: 1, 2. Please ensure it is unique"),
    ({"command": "str_replace", "path": "/memories/dir", "old_str": "x", "new_str": "y"}, "The path /memories/dir is not a file."),
    ({"command": "insert", "path": "/memories/a", "insert_line": 9, "insert_text": "y"}, "Invalid `insert_line` parameter: 9. It should be within the range [0, 2]."),
    ({"command": "delete", "path": "/memories"}, "Cannot delete the /memories directory itself"),
    ({"command": "delete", "path": "/memories/none"}, "The path /memories/none does not exist"),
    ({"command": "rename", "old_path": "/memories", "new_path": "/memories/b"}, "Cannot rename the /memories directory itself"),
    ({"command": "rename", "old_path": "/memories/a", "new_path": "/memories/dir"}, "The destination /memories/dir already exists"),
    ({"command": "rename", "old_path": "/memories/none", "new_path": "/memories/b"}, "The path /memories/none does not exist"),
    ({"command": "view"}, "Path must start with /memories, got: None"),
    ({"command": "create", "path": "/memories/b"}, "`file_text` must be a text, not None."),
]  # fmt: skip


def test_a_walk_through_the_six_commands_is_recalled_elsewhere_and_forgotten(memory: Memory):
    told = run(MemoryFileTool(memory, user="ana"), [command for command, _ in WALK])

    assert told == [(text, False) for _, text in WALK]
    assert "oolong" in memory.recall("Which tea does Ana drink?", user="ana")[0].note.content
    assert not memory.recall("Which tea does Ana drink?", user="ben")
    gone = run(MemoryFileTool(memory, user="ana"), [{"command": "delete", "path": "/memories/users"}])
    assert gone == [("Successfully deleted /memories/users", False)]
    assert not memory.recall("Which tea does Ana drink?", user="ana")
    assert not memory.notes(user="ana")


def test_what_is_refused_reaches_the_model_in_the_words_it_knows(memory: Memory):
    tool = MemoryFileTool(memory, user="ana")
    tool.files.create("/memories/a", "x\nx\n")
    tool.files.create("/memories/dir/b", "x")

    assert run(tool, [command for command, _ in REFUSED]) == [(text, True) for _, text in REFUSED]
    assert len(memory.notes(user="ana")) == 2


async def test_awaited_over_an_async_memory():
    async with AsyncMemory(None, embedder="hash") as memory:
        told = await run_awaited(AsyncMemoryFileTool(memory, user="ana"), [command for command, _ in WALK])

        assert told == [(text, False) for _, text in WALK]
        assert "oolong" in (await memory.recall("Which tea does Ana drink?", user="ana"))[0].note.content


async def test_awaited_over_a_memory_that_blocks(memory: Memory):
    tool = AsyncMemoryFileTool(memory, user="ana")
    told = await run_awaited(tool, [command for command, _ in WALK])

    assert told == [(text, False) for _, text in WALK]
    assert await tool.clear_all_memory() == "All memory cleared"
    assert not memory.notes(user="ana")


class Insert:
    """A command as the SDK hands it over."""

    command, path, insert_line = "insert", "/memories/log", 0

    def __init__(self, text: str) -> None:
        self.insert_text = text


@pytest.mark.parametrize("kind", ["async", "blocking"])
async def test_calls_at_once_lose_no_change(kind: str, memory: Memory):
    """A model may call a tool several times in one turn."""
    async with AsyncMemory(None, embedder="hash") as other:
        tool = AsyncMemoryFileTool(other if kind == "async" else memory, user="ana")
        await tool.call({"command": "create", "path": "/memories/log", "file_text": ""})
        await asyncio.gather(*(tool.insert(Insert(f"line {n}")) for n in range(10)))
        shown = await tool.call({"command": "view", "path": "/memories/log"})

    assert all(f"line {n}\n" in shown for n in range(10))


async def test_a_command_that_has_begun_is_carried_out_when_its_caller_is_cancelled():
    """And the file is whole, or not there at all."""
    async with AsyncMemory(None, embedder="hash") as memory:
        tool = AsyncMemoryFileTool(memory, user="ana")
        calls = [
            asyncio.create_task(tool.call({"command": "create", "path": f"/memories/{n}", "file_text": "whole words"}))
            for n in range(6)
        ]
        await asyncio.sleep(0.01)
        for each in calls:
            each.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        notes = await memory.notes(user="ana")

        assert all(note.content == "whole words" for note in notes)
        again = await asyncio.gather(
            *(tool.call({"command": "create", "path": f"/memories/{n}", "file_text": "whole words"}) for n in range(6)),
            return_exceptions=True,
        )
        refused = [each for each in again if isinstance(each, ToolError)]
        assert len(refused) >= len(notes)  # what had begun may have ended since
        assert [note.content for note in await memory.notes(user="ana")] == ["whole words"] * 6


def test_files_outlive_the_process(open_memory: Callable[..., Memory]):
    first = open_memory()
    run(MemoryFileTool(first, user="ana"), [WALK[1][0]])
    first.close()

    told = run(MemoryFileTool(open_memory(), user="ana"), [WALK[2][0]])
    assert told == [(WALK[2][1], False)]


def test_what_is_no_memory_is_refused_at_once():
    with pytest.raises(InvalidArgument, match="Memory"):
        MemoryFileTool("my-memory")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="AsyncMemory"):
        AsyncMemoryFileTool("my-memory")  # type: ignore[arg-type]
