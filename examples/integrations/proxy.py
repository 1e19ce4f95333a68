"""Any OpenAI-compatible model with a memory: the client changes its base URL, and nothing else.

python examples/integrations/proxy.py
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import uvicorn
from fastapi import FastAPI

from agentmem.aio import AsyncMemory
from agentmem.integrations.server import Access, Tokens, make_app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    (thread := threading.Thread(target=server.run)).start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


scripted = FastAPI()  # stands for a model: it knows what its prompt says, and nothing else


@scripted.post("/v1/chat/completions")
def complete(body: dict) -> dict:
    told = "You live in Lisbon." if "Lisbon" in str(body) else "I do not know where you live."
    text = told if body["messages"][-1]["content"].startswith("Where") else "Good to hear."
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}


def say(url: str, key: str, text: str) -> str | None:
    client, messages = openai.OpenAI(base_url=url, api_key=key), [{"role": "user", "content": text}]
    return client.chat.completions.create(model="m", messages=messages).choices[0].message.content


with tempfile.TemporaryDirectory() as folder, served(scripted) as model:
    tokens = Tokens(Path(folder, "tokens.json"))
    ana, ben = (tokens.add(Access(name, user=name))[0] for name in ("ana", "ben"))
    memory = AsyncMemory(Path(folder, "memory"), embedder="hash")
    with served(make_app(memory, tokens=tokens, close=True, upstream=f"{model}/v1")) as proxy:
        say(f"{proxy}/openai/v1", ana, "I moved to Lisbon in March.")
        print("without the memory:", say(f"{model}/v1", "none", "Where do I live?"))
        for name, token in (("with the memory:   ", ana), ("ben is told:       ", ben)):
            print(name, say(f"{proxy}/openai/v1", token, "Where do I live?"))
        kept = openai.OpenAI(base_url=f"{proxy}/v1", api_key=ana).get("/notes", cast_to=dict)
        print("ana's notes:", [note["content"] for note in kept["notes"]])
