"""What is released says of itself the same everywhere, and a program of somebody else's runs on it and is typed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

import agentmem
from agentmem.integrations.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
CONSUMER = ROOT / "tests" / "typed_consumer" / "consumer.py"


def test_one_version_is_said_everywhere() -> None:
    """By the code, the metadata of the distribution, the command line, and the newest heading of the changelog."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    headings = re.findall(r"^## \[(\d\S*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    said = CliRunner().invoke(app, ["--version"]).output

    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "agentmem.__version__"}
    assert version("agentmem-toolkit") == headings[0] == agentmem.__version__
    assert said.split() == ["agentmem", agentmem.__version__]


def test_the_consumer_runs(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, str(CONSUMER)], cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert run.returncode == 0, run.stderr[-2000:]
    assert "In Porto." in run.stdout


@pytest.mark.slow
def test_the_consumer_is_typed(tmp_path: Path) -> None:
    """As strictly as mypy can; pyright, which tells more of what is unknown, reads it in `.ci/check-wheel`."""
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path}"]
    command = [sys.executable, "-m", "mypy", *options, str(CONSUMER)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)

    assert run.returncode == 0, run.stdout[-2000:]
