"""The shipped model, where it is there, loaded once; and the command line on one directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentmem.integrations.cli.app import app
from agentmem.llm.small_model import small_model_path


@pytest.fixture(scope="session")
def small_model() -> tuple[Any, Any]:
    if not list(small_model_path().glob("*.safetensors")):
        pytest.skip("the small model is not here")
    from agentmem.llm.clients import load_model

    return load_model("small")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a command on one directory, with the hash embedder."""
    monkeypatch.setenv("AGENTMEM_PATH", str(tmp_path / "memory"))
    monkeypatch.setenv("AGENTMEM_EMBEDDER", "hash")
    monkeypatch.setenv("COLUMNS", "100")
    runner = CliRunner()
    return lambda *words, **options: runner.invoke(app, [str(w) for w in words], prog_name="agentmem", **options)
