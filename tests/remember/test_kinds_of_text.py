"""A class derived from ``str`` is its characters, whatever it prints: a masked address, a member of an enumeration."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path

import pytest

from agentmem import Memory, Scope
from agentmem.errors import ScopeError


class Masked(str):
    """Prints nothing of itself, as addresses do in logs."""

    __slots__ = ()

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"


class Name(str, Enum):  # noqa: UP042 - as programs have it from before StrEnum
    ANA = "ana"
    BEN = "ben"
    WORK = "work"


Kind = Callable[[str], str]


@pytest.mark.parametrize("kind", [Masked, Name])
def test_users_are_told_apart_by_their_characters(tmp_path: Path, kind: Kind) -> None:
    with Memory(tmp_path, embedder="hash") as memory:
        memory.remember("My PIN is 4711.", user=kind("ana"), agent=kind("work"), session=kind("work"))
        memory.remember("I have no PIN.", user="ben")
    with Memory(tmp_path, embedder="hash") as memory:
        assert [note.content for note in memory.notes(user=kind("ben"))] == ["I have no PIN."]
        assert [hit.note.content for hit in memory.recall("PIN", user=kind("ben"))] == ["I have no PIN."]
        memory.export(tmp_path / "ben.jsonl", user=kind("ben"))
        assert "4711" not in (tmp_path / "ben.jsonl").read_text()
        assert [note.content for note in memory.notes(user="ana")] == ["My PIN is 4711."]
        assert {(scope.user, type(scope.user)) for scope in memory.users() if scope.user} == {
            ("ana", str),
            ("ben", str),
        }
        memory.forget({"kind": kind("episodic") if kind is Masked else "episodic"}, user=kind("ana"))
        assert memory.notes(user="ana") == []
        assert len(memory.notes(user="ben")) == 1


def test_one_who_is_equal_is_one_owner(tmp_path: Path) -> None:
    with Memory(tmp_path, embedder="hash", scope=Scope(user=Name.ANA)) as memory:
        memory.remember("One.", user="ana")
        memory.remember("Two.", user=Masked("ana"))
        with pytest.raises(ScopeError):
            memory.remember("Three.", user=Name.BEN)
    with Memory(tmp_path, embedder="hash") as memory:
        assert [len(memory.notes(user=user)) for user in ("ana", Name.ANA, Masked("ana"), Name.BEN)] == [2, 2, 2, 0]


@pytest.mark.parametrize("kind", [Masked, Name])
def test_labels_tags_words_and_filters(tmp_path: Path, kind: Kind) -> None:
    with Memory(tmp_path, embedder="hash") as memory:
        memory.put((kind("work"),), kind("ana"), {kind("ben"): kind("work")})
        receipt = memory.remember(
            kind("work"), tags=[kind("work")], metadata={kind("ana"): kind("ben")}, actor=kind("ana")
        )

    with Memory(tmp_path, embedder="hash") as memory:
        held = memory.get(("work",), "ana")
        assert held is not None
        assert held.value == {"ben": "work"}
        assert memory.list_namespaces() == [("work",)]
        for tag in ("work", kind("work")):
            (note,) = memory.notes(where={"tags": {"$contains": tag}, "actor": kind("ana")})
        assert (note.content, note.tags, dict(note.metadata)) == ("work", ("work",), {"ana": "ben"})
        assert memory.get(kind(str(receipt.id))) == note if kind is Masked else True
