"""The memory as an MCP server, and the SDK's own client before it: what a model in Claude, Cursor or VS Code would see and do.

Such a client starts `agentmem mcp`; here both are in one process. The calls are scripted, as a model would make them.
"""

import asyncio

from mcp import Client

from agentmem import Scope
from agentmem.aio import AsyncMemory
from agentmem.integrations.mcp_server import make_server


async def call(client: Client, tool: str, **arguments: object) -> dict:
    result = await client.call_tool(tool, arguments)
    print(f"\n→ {tool}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})")
    print(result.content[0].text)
    return result.structured_content or {}


async def main() -> None:
    async with AsyncMemory(None, embedder="hash") as memory:  # the caller opens and closes it; the server does not
        await memory.remember("Ben hides the spare key under the pot.", user="ben")
        server = make_server(memory, scope=Scope(user="ana"))

        async with Client(server) as client:
            tools = (await client.list_tools()).tools
            print("tools:", ", ".join(tool.name for tool in tools))

            # -- a conversation, and a correction in a later one
            await call(client, "remember", text="Ana works at Nexbit.")
            kept = await call(client, "remember", text="Ana lives in Porto.")
            moved = await call(client, "remember", text="Ana lives in Lisbon.")
            print("replaced the first:", moved["replaced"] == [kept["id"]])
            await call(client, "recall", query="Where does Ana live?")

            # -- what is behind it
            await call(client, "why", id=moved["id"])
            await call(client, "graph", id=moved["id"])

            # -- what a model may not do: reach another user, or forget where nobody allowed it
            await call(client, "recall", query="Where is the spare key?", user="ben")
            print("key found:", "pot" in str(await client.call_tool("recall", {"query": "the spare key"})))
            print("may forget:", "forget" in {tool.name for tool in tools})

            # -- what a user picks: a resource to attach, a prompt to begin with
            print("\n" + (await client.read_resource("memory://status")).contents[0].text)
            prompt = await client.get_prompt("what_do_you_know", {"about": "Ana"})
            print("\n" + prompt.messages[0].content.text)


asyncio.run(main())
