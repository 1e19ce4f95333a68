"""Claude's memory tool over a memory: what it writes into its files is recalled elsewhere, and forgotten with them.

The model is scripted, so that this runs without a key; in a program of yours: client = Anthropic().
"""

import json

import httpx2
from anthropic import Anthropic

from agentmem import Memory
from agentmem.integrations.anthropic import MemoryFileTool

COMMANDS = [
    {"command": "view", "path": "/memories"},
    {"command": "create", "path": "/memories/people/ana.md", "file_text": "Ana is allergic to walnuts.\n"},
    {"command": "insert", "path": "/memories/people/ana.md", "insert_line": 1, "insert_text": "She likes oolong tea."},
    {"command": "rename", "old_path": "/memories/people", "new_path": "/memories/customers"},
    {"command": "view", "path": "/memories/customers/ana.md"},
]
script = iter(COMMANDS)


def claude(request: httpx2.Request) -> httpx2.Response:
    """A model that calls the tool once a turn, and then says that it is done."""
    command = next(script, None)
    content = {"type": "text", "text": "Noted."}
    if command is not None:
        content = {"type": "tool_use", "id": f"call_{command['command']}", "name": "memory", "input": command}
    for part in json.loads(request.content)["messages"][-1]["content"]:
        if isinstance(part, dict) and part["type"] == "tool_result":
            said = part["content"] if isinstance(part["content"], str) else part["content"][0]["text"]
            print("tool:", said.replace("\n", " | "))
    answer = {"id": "msg", "type": "message", "role": "assistant", "model": "scripted", "content": [content]}
    reason = "end_turn" if command is None else "tool_use"
    return httpx2.Response(200, json=answer | {"stop_reason": reason, "usage": {"input_tokens": 1, "output_tokens": 1}})


client = Anthropic(api_key="none", http_client=httpx2.Client(transport=httpx2.MockTransport(claude)))

with Memory(None, embedder="hash") as memory:
    tool = MemoryFileTool(memory, user="shop")
    asked = [{"role": "user", "content": "Ana is allergic to walnuts, and likes oolong tea."}]
    runner = client.beta.messages.tool_runner(
        model="scripted", max_tokens=256, messages=asked, tools=[tool], thread=False
    )
    print("model:", runner.until_done().content[0].text)

    # -- the same words, for whatever else uses this memory ------------------------------------------------------
    hit = memory.recall("What is Ana allergic to?", user="shop")[0]
    print("recalled from", hit.note.metadata["path"] + ":", hit.note.content.splitlines()[0])
    print("another user sees:", list(memory.recall("What is Ana allergic to?", user="someone else")))
    print(tool.files.delete("/memories/customers"), "| left:", memory.notes(user="shop"))
