"""``agentmem enrich`` and ``agentmem reflect``: a server by address and name, failures in the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentmem.integrations.cli.app import app

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Any) -> Run:
    pytest.importorskip("openai")
    monkeypatch.setenv("AGENTMEM_PATH", str(tmp_path / "memory"))
    monkeypatch.setenv("AGENTMEM_EMBEDDER", "hash")
    monkeypatch.setenv("AGENTMEM_LLM_URL", server.url)
    monkeypatch.setenv("AGENTMEM_LLM_NAME", "m")
    runner = CliRunner()
    run = lambda *words: runner.invoke(app, [str(w) for w in words], prog_name="agentmem")  # noqa: E731
    assert run("remember", "Ana lives in Porto.", "Ana plays chess.", "-u", "ana").exit_code == 0
    return run


def test_enrich_works_off_what_is_outstanding(run: Run):
    first = run("enrich", "--limit", "1", "--json", "-u", "ana")
    rest = run("enrich", "-u", "ana")

    assert (first.exit_code, json.loads(first.stdout)["outstanding"]) == (0, 1)
    assert (rest.exit_code, "1 notes enriched" in rest.stdout) == (0, True)


def test_reflect_sums_up_a_day(run: Run):
    notes = json.loads(run("notes", "-u", "ana", "--json").stdout)["notes"]
    result = run("reflect", "--day", notes[0]["occurred_at"][:10], "-u", "ana", "--json")

    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["summaries"]) == 1


def test_a_failure_is_said_and_is_exit_code_1(run: Run, server: Any):
    server.answers["note"] = "no"

    result = run("enrich", "-u", "ana")

    assert result.exit_code == 1
    assert "there is no JSON object in the answer" in result.stderr
    assert "2 failed, 2 outstanding" in result.stdout


@pytest.mark.parametrize("command", ["enrich", "reflect"])
def test_without_a_server_the_error_says_how_to_name_one(run: Run, monkeypatch: pytest.MonkeyPatch, command: str):
    monkeypatch.delenv("AGENTMEM_LLM_URL")

    result = run(command)

    assert result.exit_code == 2
    assert "--url" in result.stderr
