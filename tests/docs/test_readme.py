"""The README is true: its code runs, its commands exist, and the tests it names are there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from agentmem.integrations.cli.app import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
STORY, CHATBOT = PYTHON[1], next(code for code in PYTHON if "ChatAgent" in code)
COMMANDS = [
    line.split("#")[0].strip()
    for language, code in BLOCKS
    if language == "bash"
    for line in code.splitlines()
    if line.split("#")[0].strip()
]


def ran(code: str, directory: Path) -> str:
    """What a block prints that is pasted as it stands."""
    run = subprocess.run([sys.executable, "-c", code], cwd=directory, capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


@pytest.mark.parametrize(
    "code", [pytest.param(code, id=f"block {i}") for i, code in enumerate(PYTHON, 1) if code not in (STORY, CHATBOT)]
)
def test_every_python_block_runs_from_an_empty_directory(code: str, tmp_path: Path) -> None:
    """A reader may paste any block as it stands."""
    assert ran(code, tmp_path).strip() or "print(" not in code


def test_the_quickstart_has_five_lines() -> None:
    """From nothing to an answer in five lines."""
    assert len([line for line in PYTHON[0].splitlines() if line.strip()]) == 5


def test_the_story_of_the_readme_ends_as_told(tmp_path: Path) -> None:
    """First from the note, then from the weights with a shorter prompt, then unknown again."""
    lines = ran(STORY, tmp_path).splitlines()

    assert lines[0].startswith("Porto. notes"), lines
    assert lines[1].startswith("Porto. weights")
    assert int(lines[1].split()[-1]) < int(lines[0].split()[-1])
    assert lines[2].endswith("True")
    assert "Porto" not in lines[3]


def test_the_chatbot_of_the_readme_answers_from_what_it_was_told(tmp_path: Path) -> None:
    """In another conversation, and says which notes it used."""
    assert ran(CHATBOT, tmp_path).strip() == "Lisbon. ['I live in Lisbon.']"


def test_the_agentmem_commands_run_one_after_another(tmp_path: Path) -> None:
    """The command-line block, in its order, in one directory."""
    environment = {**os.environ, "AGENTMEM_PATH": str(tmp_path / "memory")}
    for command in [c for c in COMMANDS if c.startswith("agentmem ")]:
        arguments = [sys.executable, "-m", "agentmem", *shlex.split(command)[1:]]
        run = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"


def test_every_command_is_named() -> None:
    """The README's section on the command line names what there is, and nothing else."""
    section = README.split("## On the command line")[1].split("\n## ")[0]
    named = set(re.findall(r"^agentmem ([\w-]+)", section, flags=re.MULTILINE))
    named |= set(re.findall(r"`([a-z][a-z-]*)`", section))

    assert named == set(get_command(app).commands)  # type: ignore[attr-defined]


def test_the_make_targets_exist() -> None:
    """make knows what the README tells people to type."""
    for command in [c for c in COMMANDS if c.startswith("make ")]:
        run = subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr


def test_every_command_is_of_a_kind_that_is_checked() -> None:
    """No shell line escapes these tests but the three that set an environment up, which make runs."""
    others = [c for c in COMMANDS if not c.startswith(("make ", "agentmem "))]

    assert [c.split()[0] for c in others] == ["python3", ".venv/bin/pip", ".venv/bin/pip"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "torch==2.13.0" in makefile


def test_what_the_readme_points_at_is_there() -> None:
    """Every path in links and in the tables of promises and places exists."""
    linked = re.findall(r"\]\(([^)#]+)\)", README)
    named = re.findall(r"`((?:tests|agentmem|stores|editors|integrations|examples|benchmarks)/[\w./]*)`", README)

    assert linked
    assert named
    for path in [*linked, *named]:
        assert (ROOT / path).exists(), path
