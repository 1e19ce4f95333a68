"""The server as a process of its own, over real connections: many at once, told to stop, and killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from agentmem import Memory
from agentmem.integrations.server import Access, Tokens

ROOT = Path(__file__).parents[3]


class Child:
    """``agentmem serve`` on a port of its own choice."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            "agentmem",
            "--path",
            str(folder / "memory"),
            "--embedder",
            "hash",
            "serve",
            "--port",
            "0",
        ]
        self.process = subprocess.Popen(
            [*command, *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.log: list[str] = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError("".join(self.log))
        threading.Thread(target=lambda: self.log.extend(self.process.stderr or ()), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.port}"

    def rss(self) -> int:
        """MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024


@contextmanager
def child(folder: Path, *options: str) -> Iterator[Child]:
    made = Child(folder, *options)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def test_a_server_that_is_killed_loses_nothing_that_it_answered(tmp_path):
    with child(tmp_path) as server:
        told: list[str] = []

        def write(n: int) -> None:
            with httpx.Client(base_url=server.url, timeout=30) as client:
                for m in range(1000):
                    try:
                        answer = client.post(
                            "/v1/notes?user=ana", json={"content": f"Jar {n} has {m} beans.", "merge": False}
                        )
                    except httpx.HTTPError:
                        return
                    told.append(answer.json()["id"])

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for each in threads:
            each.start()
        while len(told) < 60:
            time.sleep(0.01)
        server.process.kill()
        for each in threads:
            each.join()

    with Memory(tmp_path / "memory", embedder="hash") as memory:
        held = {note.id for note in memory.notes(user="ana")}
        assert memory.check().ok
    assert set(told) <= held
    assert len(held) - len(told) <= 4  # written, and not yet answered


def test_a_server_that_is_told_to_stop_finishes_what_it_began(tmp_path):
    with child(tmp_path) as server:
        items = [{"content": f"Shelf {n} holds jar {n * 7}.", "merge": False} for n in range(400)]
        answers: list[httpx.Response] = []

        def send() -> None:
            answers.append(httpx.post(f"{server.url}/v1/notes/batch?user=ana", json={"items": items}, timeout=60))

        httpx.get(f"{server.url}/readyz", timeout=60)
        sending = threading.Thread(target=send)
        sending.start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        sending.join(60)
        status = server.process.wait(60)

    assert status == -signal.SIGTERM
    assert "Application shutdown complete" in "".join(server.log)
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        held = {note.id for note in memory.notes(user="ana")}
    assert [answer.status_code for answer in answers] == [201]
    assert {receipt["id"] for receipt in answers[0].json()["receipts"]} == held
    assert len(held) == 400


def test_a_token_that_is_revoked_is_refused_at_the_next_request(tmp_path):
    tokens = Tokens(tmp_path / "memory.tokens.json")
    token, issued = tokens.add(Access("ana", user="ana"))
    with child(tmp_path) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/v1/me").status_code == 401
        assert client.get("/v1/me", headers=headers).json()["user"] == "ana"
        tokens.revoke(issued.id)
        assert client.get("/v1/me", headers=headers).status_code == 401
        assert client.get("/v1/me", headers={"Authorization": f"Basic {token}"}).status_code == 401


def test_what_is_no_request_is_refused_and_the_next_is_served(tmp_path):
    with child(tmp_path) as server:
        for raw in (
            b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n", b"GET /v1/notes HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
            b"POST /v1/notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\nContent-Type: application/json\r\n\r\n{",
            b"POST /v1/notes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ):  # fmt: skip
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as plain:
                plain.sendall(raw)
                plain.shutdown(socket.SHUT_WR)
                answer = plain.recv(65_536)
            assert not answer.startswith(b"HTTP/1.1 2"), raw[:60]
        assert httpx.get(f"{server.url}/healthz", timeout=60).status_code == 200


async def users_at_once(server: Child, tokens: list[str], seconds: float) -> dict[str, float]:
    """Each user remembers, recalls and lists in turn; returns requests, the percentiles of their times in ms, and other's notes seen."""
    spent, strange, refused = [], 0, 0
    until = time.perf_counter() + seconds

    async def one(n: int, token: str) -> None:
        nonlocal strange, refused
        async with httpx.AsyncClient(
            base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=60
        ) as client:
            for turn in range(100_000):
                if time.perf_counter() > until:
                    return
                begun = time.perf_counter()
                if turn % 3 == 0:
                    answer = await client.post(
                        "/v1/notes", json={"content": f"User {n} bought {turn} pears.", "merge": False}
                    )
                elif turn % 3 == 1:
                    answer = await client.post("/v1/recall", json={"query": "Who bought pears?", "k": 5})
                else:
                    answer = await client.get("/v1/notes", params={"limit": 20})
                spent.append(1000 * (time.perf_counter() - begun))
                refused += answer.status_code >= 300
                strange += sum(f"User {n} bought" not in said for said in re.findall(r"User \d+ bought", answer.text))

    await asyncio.gather(*(one(n, token) for n, token in enumerate(tokens)))
    spent.sort()
    return {
        "requests": len(spent), "p50": spent[len(spent) // 2], "p99": spent[int(0.99 * len(spent))], "strange": strange, "refused": refused,
    }  # fmt: skip


def many(tmp_path: Path, seconds: float) -> dict[str, float]:
    tokens = Tokens(tmp_path / "memory.tokens.json")
    issued = [tokens.add(Access(f"user {n}", user=f"user{n}"))[0] for n in range(50)]
    with child(tmp_path) as server:
        before = asyncio.run(users_at_once(server, issued, 1.0)) and server.rss()
        found = asyncio.run(users_at_once(server, issued, seconds))
        return {
            **found,
            "rss_before": before,
            "rss": server.rss(),
            "threads": len(list(Path(f"/proc/{server.process.pid}/task").iterdir())),
        }


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks /proc")
def test_fifty_users_at_once_are_served_each_with_their_own(tmp_path):
    found = many(tmp_path, 5.0)
    sys.stdout.write(f"{json.dumps(found)}\n")

    assert found["strange"] == 0
    assert found["refused"] == 0
    assert found["requests"] > 100
    assert found["threads"] < 64


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks /proc")
def test_fifty_users_for_a_minute_do_not_make_it_grow(tmp_path):
    found = many(tmp_path, 60.0)
    sys.stdout.write(f"{json.dumps(found)}\n")

    assert found["strange"] == 0
    assert found["refused"] == 0
    assert found["rss"] - found["rss_before"] < 200
