"""The how-to and the example of the page run as they stand."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[3]
HOW_TO = ROOT / "docs" / "integrations" / "page.md"


def test_the_block_of_the_how_to_runs_from_an_empty_directory(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "block.py").write_text(block, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "block.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment
    )

    assert done.stdout == "/page/ default-src 'self'\nAna lives in Porto.\n", done.stderr


def test_its_pictures_are_there_and_small() -> None:
    named = re.findall(r"\]\(\.\./(pictures/[\w-]+\.png)\)", HOW_TO.read_text(encoding="utf-8"))

    assert len(named) == 2
    assert all(0 < (ROOT / "docs" / each).stat().st_size < 150_000 for each in named)


def test_the_example_serves_a_memory_to_look_at(tmp_path: Path) -> None:
    """It prints an address, at which there are a page and the notes of its story, and ends when it is told to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "examples" / "integrations" / "page.py"), str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment) as running:
        try:
            assert running.stdout is not None
            address = running.stdout.readline().split()[-1]
            with httpx.Client(
                transport=httpx.HTTPTransport(retries=10), base_url=address, follow_redirects=True
            ) as client:
                page = client.get("/")
                found = client.post("/v1/recall", json={"query": "Where do I live?", "k": 1}).json()
        finally:
            running.terminate()
            running.wait(30)

    assert address == f"http://127.0.0.1:{port}/"
    assert "<title>agentmem</title>" in page.text
    assert found["hits"][0]["note"]["content"] == "I live in Bergen."
