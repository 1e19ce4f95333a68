"""The folders beside ``agentmem`` are packages inside it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["editors", "integrations", "stores"]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_bare_import_says_what_to_import(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert f"import agentmem.{name}" in done.stderr


@pytest.mark.parametrize("name", FOLDERS)
def test_it_is_importable_inside_agentmem_from_anywhere(name: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", f"import agentmem.{name}"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("name", [*FOLDERS, "tests", "examples", "benchmarks"])
def test_nothing_else_is_importable_elsewhere(name: str, tmp_path: Path) -> None:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)"

    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
