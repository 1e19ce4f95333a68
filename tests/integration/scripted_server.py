"""A chat completions server on the loopback that answers what a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any]], "str | int | list[tuple[str, str]]"]
"""From a request's body to the words of the answer, or to the status that refuses it; in a stream, words end at ``CUT``. A list calls tools: pairs
of a name and its arguments.
"""

CUT = "\x04"


class Scripted(ThreadingHTTPServer):
    """``seen`` are the bodies of all requests."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.seen: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        answer = self.server.answer(body)
        if isinstance(answer, int):
            self._send(answer, json.dumps({"error": {"message": "this is refused"}}).encode(), "application/json")
        elif body.get("stream"):
            self._pieces(answer)
        else:
            message = {"role": "assistant", "content": answer} if isinstance(answer, str) else _calling(answer)
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            self._send(200, json.dumps(whole).encode(), "application/json")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _pieces(self, answer: str | list[tuple[str, str]]) -> None:
        words, cut, _ = answer.partition(CUT) if isinstance(answer, str) else ("", "", "")
        lines = (
            []
            if isinstance(answer, str)
            else [json.dumps({"choices": [{"index": 0, "delta": each}]}) for each in _in_pieces(answer)]
        )
        lines += [json.dumps({"choices": [{"index": 0, "delta": {"content": word + " "}}]}) for word in words.split()]
        lines.append(json.dumps({"error": {"message": "cut off"}}) if cut else "[DONE]")
        self._send(200, "".join(f"data: {line}\n\n" for line in lines).encode(), "text/event-stream")

    def log_message(self, *_: object) -> None:
        return


def _calling(calls: list[tuple[str, str]]) -> dict[str, Any]:
    made = [
        {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": given}}
        for n, (name, given) in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def _in_pieces(calls: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """As servers stream calls: the name first, then the arguments bit by bit, those of several calls in turn."""
    for n, (name, _) in enumerate(calls):
        yield {
            "tool_calls": [{"index": n, "id": f"c{n}", "type": "function", "function": {"name": name, "arguments": ""}}]
        }
    for at in range(0, max(len(given) for _, given in calls), 5):
        for n, (_, given) in enumerate(calls):
            yield {"tool_calls": [{"index": n, "function": {"arguments": given[at : at + 5]}}]}


@contextmanager
def serving(answer: Answer) -> Iterator[Scripted]:
    server = Scripted(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
