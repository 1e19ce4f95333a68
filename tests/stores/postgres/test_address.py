"""An address names the schema and the number of readers; libpq never sees these, and keeps what is its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from agentmem import Memory
from agentmem.errors import InvalidArgument, StoreReadOnly
from agentmem.memory import is_begun, move
from agentmem.stores.postgres.parameters import parameters
from agentmem.stores.postgres.store import PostgresStore
from tests.stores.postgres.test_cli_address import Cli, address, cli  # noqa: F401 - fixtures


@pytest.mark.parametrize(
    ("said", "bare", "schema", "readers"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:p@h/d", None, None),
        ("postgresql://u:p@h/d?agentmem_schema=a", "postgresql://u:p@h/d", "a", None),
        ("postgresql:///d?host=/tmp/x&agentmem_readers=16&user=u", "postgresql:///d?host=/tmp/x&user=u", None, 16),
        ("postgres://h/d?agentmem_schema=%C3%A9%20t%22&agentmem_readers=1", "postgres://h/d", 'é t"', 1),
        ("postgresql://u:p?agentmem_schema=a@h/d?user=x", "postgresql://u:p?agentmem_schema=a@h/d?user=x", None, None),
        ("postgresql://h/d?options=-c%20x%3Dagentmem_schema", "postgresql://h/d?options=-c%20x%3Dagentmem_schema", None, None),
    ],
)  # fmt: skip
def test_what_is_ours_is_taken_out(said: str, bare: str, schema: str | None, readers: int | None) -> None:
    assert parameters(said) == (bare, schema, readers)


@pytest.mark.parametrize(
    "query",
    [
        "agentmem_schema=", f"agentmem_schema={'x' * 64}", "agentmem_schema=a%00b", "agentmem_schema=%FF", "agentmem_schema=a&agentmem_schema=b",
        "agentmem_scheme=a", "agentmem_readers=", "agentmem_readers=0", "agentmem_readers=-1", "agentmem_readers=four", "agentmem_readers=99999",
        "agentmem_readers=٤",
    ],
)  # fmt: skip
def test_what_is_no_parameter_is_refused(server: Any, query: str) -> None:
    """Before anything is made, with a hint."""
    with pytest.raises(InvalidArgument) as caught:
        PostgresStore(f"{server.url()}&{query}")
    assert caught.value.hint


def test_memories_of_one_database_by_their_addresses(server: Any, new_schema: Callable[[], str]) -> None:
    """Each has its notes and says which it is; what is only looked for is not made; one moves into the other."""
    here, there = (f"{server.url()}&agentmem_schema={new_schema()}" for _ in range(2))
    assert not is_begun(here)
    with pytest.raises(StoreReadOnly):
        Memory(here, embedder="hash", read_only=True)
    with Memory(here, embedder="hash") as memory:
        kept = memory.remember("My dog is called Rex.", user="ana")
        assert here.partition("agentmem_schema=")[2] in repr(memory)
    assert (is_begun(here), is_begun(there)) == (True, False)
    move(here, there)
    with Memory(there, embedder="hash") as memory:
        memory.remember("My cat is called Tom.", user="ana")
        assert kept.id in {note.id for note in memory.notes(user="ana")}
    with Memory(here, embedder="hash") as memory:
        assert [note.content for note in memory.notes(user="ana")] == ["My dog is called Rex."]
    with pytest.raises(InvalidArgument, match="both source and target"):
        move(here, here)


def test_what_is_said_beside_the_address_counts_more(server: Any, new_schema: Callable[[], str]) -> None:
    schema = new_schema()
    store = PostgresStore(f"{server.url()}&agentmem_schema=elsewhere&agentmem_readers=2", schema=schema, readers=3)
    assert (store._db.schema, store._readers._most) == (schema, 3)
    assert schema in store.place
    store.close()


def test_the_command_line_takes_the_schema_from_the_address(cli: Cli, address: str) -> None:  # noqa: F811 - a fixture
    """Commands on two schemas of one database see each its own notes, and say where they looked."""
    first, second = (f"{address}&agentmem_schema={name}" for name in ("one", "two"))
    assert cli("remember", "The parrot is called Basil.", at=first).returncode == 0
    said = cli("recall", "parrot", at=second)
    assert "agentmem_schema=two" in said.stderr
    assert cli("remember", "The cat is called Tom.", at=second).returncode == 0
    for at, name in ((first, "Basil"), (second, "Tom")):
        (note,) = json.loads(cli("notes", "--json", at=at).stdout)["notes"]
        assert name in note["content"]
    assert "no memory" in cli(at=address).stdout
