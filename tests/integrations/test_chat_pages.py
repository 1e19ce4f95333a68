"""The pages on chats and the command line, and their example, do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = [
    pytest.param(code, id=f"{name} {number}")
    for name in ("chat", "command_line")
    for number, code in enumerate(
        re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "integrations" / f"{name}.md").read_text(encoding="utf-8"), re.DOTALL), 1
    )
]  # fmt: skip


def ran(words: list[str], directory: Path) -> str:
    done = subprocess.run([sys.executable, *words], cwd=directory, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("code", BLOCKS)
def test_every_block_runs_from_an_empty_directory(code: str, tmp_path: Path):
    assert ran(["-c", code], tmp_path).strip()


def test_the_blocks_show_what_the_pages_say(tmp_path: Path):
    outputs = []
    for number, param in enumerate(BLOCKS):
        place = tmp_path / str(number)
        place.mkdir()
        outputs.append(ran(["-c", str(param.values[0])], place).splitlines())
    wrapped, agent, documents = outputs

    assert wrapped[:2] == ["Noted.", "In Porto."]
    assert agent == ["Lisbon. ['I live in Lisbon.']"]
    assert documents[0] == "1"
    assert "garden.md [5, 5]" in " ".join(documents)
    assert documents[-1] == "1 2"


def test_the_example_shows_what_was_told_and_what_was_written(tmp_path: Path):
    lines = ran([str(ROOT / "examples" / "integrations" / "chat.py")], tmp_path).splitlines()

    assert lines[0] == "imported: 1"
    assert "Sigrid lies at berth 14" in lines[4]
    assert "sardines" in lines[6]
    assert "berth 3" in lines[8]
    assert lines[-1] == "ben sees: ()"
