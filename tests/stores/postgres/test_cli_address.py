"""The command line, a server and the doctor on the address of a database, as real processes; a password is never told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stores.postgres.server import Server

Said = subprocess.CompletedProcess[str]
Cli = Callable[..., Said]
SECRET = "s3cr3t-W0rd"


def sql(server: Server, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
    """What a statement gives, said by the owner of the cluster."""
    import psycopg

    with psycopg.connect(server.url(database), autocommit=True) as connection:
        found = connection.execute(statement)  # type: ignore[arg-type]  # a constant of this file
        return found.fetchall() if found.description else []


@pytest.fixture
def address(server: Server) -> Iterator[str]:
    """A database of its own, with a password in its address, which this server does not ask for."""
    name = f"cli_{os.urandom(4).hex()}"
    sql(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    yield f"postgresql://postgres:{SECRET}@/{name}?host={server.folder}"
    sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def cli(tmp_path: Path, address: str) -> Cli:
    """Runs a command; what it says must not have the password."""

    def run(*words: str, at: str | None = None) -> Said:
        said = subprocess.run(
            [sys.executable, "-m", "agentmem", *words],
            capture_output=True, text=True, cwd=tmp_path, env=environment(at or address), timeout=120, check=False,
        )  # fmt: skip
        assert SECRET not in said.stdout + said.stderr
        return said

    return run


def environment(address: str) -> dict[str, str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, "PYTHONPATH": paths, "AGENTMEM_PATH": address, "AGENTMEM_EMBEDDER": "hash", "COLUMNS": "200"}


def test_a_memory_lives_by_its_address(cli: Cli, tmp_path: Path) -> None:
    """Told, found, counted, exported, imported, forgotten: as in a directory, and none is made."""
    assert "no memory" in cli().stdout
    assert cli("remember", "The parrot is called Basil.", "--user", "ana").returncode == 0
    assert "Basil" in cli("recall", "what is the parrot called", "--user", "ana").stdout
    assert "Basil" not in cli("recall", "what is the parrot called", "--user", "ben").stdout
    (note,) = json.loads(cli("notes", "--user", "ana", "--json").stdout)["notes"]
    assert json.loads(cli("--json").stdout)["notes"] == 1
    assert json.loads(cli("stats", "--json").stdout)["notes"] == 1
    assert cli("check").returncode == 0
    assert cli("export", "out.agentmem.jsonl", "--user", "ana").returncode == 0
    assert cli("forget", note["id"], "--user", "ana", "--yes").returncode == 0
    assert "Basil" not in cli("recall", "what is the parrot called", "--user", "ana").stdout
    assert cli("import", "out.agentmem.jsonl", "--forgotten").returncode == 0
    assert "Basil" in cli("recall", "what is the parrot called", "--user", "ana").stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.agentmem.jsonl"]


def test_reading_makes_no_tables(cli: Cli, server: Server, address: str) -> None:
    said = cli("recall", "anything")

    assert said.returncode != 0
    assert "no memory" in said.stderr
    assert "remember" in said.stderr
    name = re.search(r"/(cli_\w+)", address)
    assert name is not None
    assert sql(server, "SELECT to_regclass('agentmem.note')", name[1]) == [(None,)]


@pytest.mark.parametrize("command", [("recall", "x"), ("remember", "x"), ("stats",), ("doctor",), ()])
def test_a_server_that_is_away_is_told_in_a_sentence(cli: Cli, tmp_path: Path, command: tuple[str, ...]) -> None:
    said = cli(*command, at=f"postgresql://postgres:{SECRET}@/memory?host={tmp_path}")

    assert said.returncode != 0
    assert "Traceback" not in said.stderr
    assert "postgres" in said.stdout + said.stderr


def test_the_doctor_looks_at_its_notes(cli: Cli) -> None:
    assert "no memory yet" in cli("doctor").stdout
    cli("remember", "The parrot is called Basil.")
    assert "1 looked at" in cli("doctor").stdout


def test_a_clients_settings_hold_no_password(cli: Cli, address: str) -> None:
    refused = cli("mcp", "--print-config")
    assert refused.returncode != 0
    assert "PGPASSFILE" in refused.stderr

    plain = address.replace(f":{SECRET}", "")
    shown = json.loads(cli("mcp", "--print-config", at=plain).stdout)
    assert plain in shown["mcpServers"]["agentmem"]["args"]


def test_tokens_of_a_database_lie_where_they_are_told_to(cli: Cli, tmp_path: Path) -> None:
    refused = cli("serve", "token", "add", "--for", "ana")
    assert refused.returncode != 0
    assert "--tokens" in refused.stderr

    assert cli("serve", "token", "add", "--for", "ana", "--tokens", "who.json").returncode == 0
    assert (tmp_path / "who.json").exists()


def test_a_server_serves_a_database(cli: Cli, tmp_path: Path, address: str) -> None:
    """What one process was told over HTTP another finds by the address."""
    started = subprocess.Popen(
        [sys.executable, "-m", "agentmem", "--user", "ana", "serve", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, env=environment(address),
    )  # fmt: skip
    assert started.stdout is not None
    said = ""
    try:
        while (found := re.search(r"http://127\.0\.0\.1:\d+", said)) is None:
            line = started.stdout.readline()
            assert line, said
            said += line
        note = json.dumps({"content": "The parrot is called Basil."}).encode()
        request = urllib.request.Request(
            f"{found[0]}/v1/notes", data=note, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 201
    finally:
        started.send_signal(signal.SIGINT)
        said += started.communicate(timeout=30)[0]

    assert SECRET not in said
    assert "Basil" in cli("recall", "what is the parrot called", "--user", "ana").stdout
