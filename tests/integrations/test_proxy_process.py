"""``agentmem serve --upstream``: as a process of its own, as the how-to and the example say it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("fastapi")
    pytest.importorskip("openai")

sys.path.insert(0, str(Path(__file__).parent))

import openai
from proxied import LISBON, WHERE, answers, scripted

ROOT = Path(__file__).parents[2]
HOW_TO = (ROOT / "docs/integrations/proxy.md").read_text(encoding="utf-8")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "AGENTMEM_EMBEDDER": "hash"}


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[openai.OpenAI]:
    """A client of the command, which is told to stop at the end, and ends well."""
    command = [
        sys.executable,
        "-m",
        "agentmem",
        "--path",
        str(folder / "memory"),
        "--user",
        "ana",
        "serve",
        "--port",
        "0",
        *options,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT | environment, cwd=folder)
    assert process.stderr is not None
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
                break
        else:
            raise AssertionError("".join(lines))
        with openai.OpenAI(base_url=f"{found[1]}/openai/v1", api_key="sk-mine", max_retries=0) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_the_command_gives_a_server_the_memory_and_keeps_it(tmp_path: Path) -> None:
    """Its key comes from the environment, a picture of some size passes, and what was told is known after a restart."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4_000_000}}
    with scripted(answers) as model:
        with serving(tmp_path, "--upstream", model.url, AGENTMEM_UPSTREAM_KEY="sk-theirs") as client:
            content = [{"type": "text", "text": LISBON}, picture]
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])
        with serving(tmp_path, "--upstream", model.url) as client:
            said = client.chat.completions.create(model="m", messages=[{"role": "user", "content": WHERE}])

    assert said.choices[0].message.content == "You live in Lisbon."
    assert [each["authorization"] for each in model.headers] == ["Bearer sk-theirs", "Bearer sk-mine"]


def test_an_upstream_that_is_none_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agentmem", "--path", str(tmp_path / "memory"), "serve", "--upstream", "locl"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)

    assert done.returncode != 0
    assert "--upstream local" in " ".join(done.stderr.split())
    assert not (tmp_path / "memory").exists()


def _run(source: str | Path, folder: Path) -> str:
    command = [sys.executable, str(source)] if isinstance(source, Path) else [sys.executable, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_shows_what_it_says(tmp_path: Path) -> None:
    out = _run(ROOT / "examples/integrations/proxy.py", tmp_path)

    assert "without the memory: I do not know where you live." in out
    assert "with the memory:    You live in Lisbon." in out
    assert "ben is told:        I do not know where you live." in out
    assert "I moved to Lisbon in March." in out


def test_the_how_to_runs_as_it_stands(tmp_path: Path) -> None:
    """From an empty directory, offline; and what it prints is what it says."""
    blocks = re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL)
    assert blocks
    for block in blocks:
        out = _run(block, tmp_path)
        for said in re.findall(r"# prints: (.*)", block):
            assert said in out
