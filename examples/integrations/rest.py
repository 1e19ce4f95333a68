"""Two users of one server: each finds what is theirs, a wrong request says what to do, and a forgetting has a receipt.

python examples/integrations/rest.py
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import httpx

from agentmem.aio import AsyncMemory
from agentmem.integrations.server import Access, Tokens, make_app


async def main(folder: Path) -> None:
    tokens = Tokens(folder / "tokens.json")
    ana, _ = tokens.add(Access("ana", user="ana"))
    ben, issued = tokens.add(Access("ben", user="ben"))
    async with AsyncMemory(folder / "memory", embedder="hash") as memory:
        transport = httpx.ASGITransport(make_app(memory, tokens=tokens))

        async def send(token: str, method: str, path: str, body: object = None) -> dict[str, object]:
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
                return (await client.request(method, path, json=body)).json()

        first = await send(ana, "POST", "/v1/notes", {"content": "I live in Porto.", "actor": "Ana"})
        moved = await send(ana, "POST", "/v1/notes", {"content": "I live in Lisbon.", "actor": "Ana"})
        await send(ben, "POST", "/v1/notes", {"content": "The key is under the mat."})
        print("ana moved:", moved["status"], "closes", len(moved["superseded"]))

        asked = {"query": "Where is the key, and where does Ana live?", "context_tokens": 200}
        for name, token in (("ana", ana), ("ben", ben)):
            print(f"{name} recalls:", (await send(token, "POST", "/v1/recall", asked))["context"].splitlines()[1:])

        print("ben asks for ana's note:", (await send(ben, "GET", f"/v1/notes/{first['id']}"))["type"])
        print("ben names ana:", (await send(ben, "GET", "/v1/notes?user=ana"))["hint"])
        print("a misspelled request:", (await send(ana, "POST", "/v1/recall", {"qery": "x"}))["errors"])

        receipt = await send(ana, "DELETE", f"/v1/notes/{first['id']}")
        print("forgotten:", receipt["gone"], {place: count for place, count in receipt["places"].items() if count})
        tokens.revoke(issued.id)
        print("ben, revoked:", (await send(ben, "GET", "/v1/notes"))["detail"])


with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(Path(folder)))
