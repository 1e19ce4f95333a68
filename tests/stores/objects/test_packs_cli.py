"""Commands are told where the packs are, by an option or by the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentmem import AsyncMemory, Fact, Memory
from agentmem.integrations.cli.app import app
from agentmem.llm.small_model import load_small_model


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a memory ``m``, whose packs are in ``packs``."""
    root = tmp_path_factory.mktemp("learnt")
    with Memory(root / "m", embedder="hash", model=load_small_model(), packs=root / "packs") as memory:
        note = memory.remember("Ilva Quist lives in Porto.", user="ann", fact=Fact("Ilva Quist", "lives in", "Porto"))
        memory.reinforce(str(note.id), user="ann")
        assert memory.consolidate(user="ann").promoted
    return root


def run(*words: str, **environment: str) -> Any:
    return CliRunner().invoke(app, [*words, "--embedder", "hash"], env=environment)


def test_the_place_is_an_option_or_a_variable_and_who_says_none_is_told(learnt: Path) -> None:
    where = ("--path", str(learnt / "m"), "--json")

    for said in (
        run("status", *where, "--packs", str(learnt / "packs")),
        run("--packs", (learnt / "packs").as_uri(), "status", *where),
        run("status", *where, AGENTMEM_PACKS=str(learnt / "packs")),
    ):
        assert json.loads(said.stdout)["trouble"] == ""
    unsaid = run("status", *where)
    assert unsaid.exit_code == 1
    assert str(learnt / "packs") in json.loads(unsaid.stdout)["trouble"]


def test_an_address_with_a_secret_is_refused_and_not_printed(tmp_path: Path) -> None:
    refused = run("remember", "A.", "--path", str(tmp_path / "m"), "--packs", "s3://key:s3cr3t@bucket/p")

    assert refused.exit_code == 2
    assert "s3cr3t" not in refused.output
    assert not (tmp_path / "m").exists()
    printed = run("mcp", "--print-config", "--path", str(tmp_path / "m"), "--packs", "s3://key:s3cr3t@bucket/p")
    assert printed.exit_code == 2
    assert "s3cr3t" not in printed.output


def test_a_clients_settings_name_the_place(tmp_path: Path) -> None:
    shown = json.loads(run("mcp", "--print-config", "--path", str(tmp_path / "m"), "--packs", "s3://bucket/p").stdout)

    words = shown["mcpServers"]["agentmem"]["args"]
    assert words[words.index("--packs") + 1] == "s3://bucket/p"


async def test_the_awaited_memory_takes_it_too(learnt: Path) -> None:
    async with AsyncMemory(learnt / "m", embedder="hash", packs=learnt / "packs") as memory:
        assert (await memory.status()).trouble == ""
        assert (await memory.check()).ok
