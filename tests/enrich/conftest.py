"""A scripted OpenAI-compatible server on the loopback, and a memory that asks it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory, Settings
from agentmem.llm.clients import OpenAIModel
from agentmem.notes.clock import ManualClock
from agentmem.settings import IndexSettings

SCANNED = Settings(index=IndexSettings(backend="exact"))
TASKS = {
    "Describe the note": "note",
    "a new note": "neighbours",
    "one day": "day",
    "summaries of days": "portrait",
    "alike": "thoughts",
    "what the same person had said before": "updates",
}


@dataclass
class Asked:
    """One request: what it was about, the notes in it, and the messages as they came."""

    task: str
    notes: list[dict[str, Any]]
    messages: list[dict[str, str]]

    @property
    def text(self) -> str:
        return "\n".join(m["content"] for m in self.messages)


@dataclass
class Script:
    """What the server answers: per task a text, a value for JSON, a status, a delay in seconds, or a function of the request."""

    answers: dict[str, Any] = field(default_factory=dict)
    seen: list[Asked] = field(default_factory=list)
    url: str = ""
    stop: Callable[[], None] = lambda: None

    def tasks(self) -> list[str]:
        return [asked.task for asked in self.seen]

    def answer(self, body: dict[str, Any]) -> Any:
        messages = body["messages"]
        task = next(name for words, name in TASKS.items() if words in messages[0]["content"])
        notes = [json.loads(line) for line in messages[1]["content"].splitlines()[1:-1]]
        self.seen.append(Asked(task, notes, messages))
        found = self.answers.get(task, DEFAULTS[task])
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        return found(self.seen[-1]) if callable(found) else found


def plain_note(asked: Asked) -> dict[str, Any]:
    return {
        "keywords": ["plain"],
        "context": f"Tells about {asked.notes[0]['text'].split()[0]}.",
        "tags": ["life"],
        "fact": None,
    }


def plain_day(asked: Asked) -> dict[str, Any]:
    first = asked.notes[0]
    return {
        "summary": f"The day of {first['text']}",
        "thoughts": [{"text": f"It matters: {first['text']}", "sources": [first["id"]]}],
    }


DEFAULTS: dict[str, Any] = {
    "note": plain_note,
    "neighbours": {"links": [], "evolve": []},
    "day": plain_day,
    "portrait": lambda asked: {"portrait": f"Someone of {len(asked.notes)} days."},
    "thoughts": {"merge": [], "forget": []},
    "updates": {"updates": []},
}


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found = script.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if isinstance(found, float):
                time.sleep(found)
                found = "too late"
            if isinstance(found, int):
                return self.send(found, {"error": {"message": "the scripted server refuses"}})
            text = found if isinstance(found, str) else json.dumps(found)
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            return self.send(
                200, {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            )

        def send(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # the client did not wait

        def log_message(self, *args: Any) -> None:
            """Keep quiet."""

    return Handler


@pytest.fixture
def server() -> Iterator[Script]:
    script = Script()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stopped = threading.Event()

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            http.shutdown()
            http.server_close()

    script.url = f"http://127.0.0.1:{http.server_port}/v1"
    script.stop = stop
    yield script
    stop()
    thread.join()


@pytest.fixture
def llm(server: Script) -> OpenAIModel:
    """A client that neither waits nor tries again by itself."""
    openai = pytest.importorskip("openai")
    return OpenAIModel(openai.OpenAI(base_url=server.url, api_key="k", max_retries=0, timeout=1.0), "m")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def open_memory(tmp_path: Path, llm: OpenAIModel, clock: ManualClock) -> Iterator[Callable[..., Memory]]:
    """Opens the same directory as often as asked."""
    opened: list[Memory] = []

    def open_(settings: Settings | None = None, **options: Any) -> Memory:
        opened.append(
            Memory(
                tmp_path / "memory",
                **({"embedder": "hash", "clock": clock, "llm": llm, "settings": settings or SCANNED} | options),
            )
        )
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def memory(llm: OpenAIModel, clock: ManualClock) -> Iterator[Memory]:
    with Memory(None, embedder="hash", clock=clock, llm=llm) as opened:
        yield opened
