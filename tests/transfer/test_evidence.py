"""What was asked leaves with the notes only if somebody says so, and comes back where its notes are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory, Scope, Settings
from agentmem.errors import InvalidImport, ScopeError
from agentmem.notes.clock import ManualClock
from agentmem.settings import RememberSettings
from agentmem.transfer.format import Tally, line_of


@pytest.fixture
def ids(memory: Memory, clock: ManualClock) -> dict[str, str]:
    """Ana asked of a note of hers, of two, of a shared one, and as her agent; Ben of the shared one."""
    told = {"ana": "Ana lives in Porto.", "rows": "Ana rows.", "ben": "Ben sails.", "ours": "It is open at six."}
    whose = {"ana": "ana", "rows": "ana", "ben": "ben", "ours": None}
    made = {name: str(memory.remember(text, user=whose[name]).id) for name, text in told.items()}
    asked: list[tuple[list[str], str, dict[str, str]]] = [
        (["ana"], "Where?", {"user": "ana"}), (["ana", "rows"], "Both?", {"user": "ana"}), (["ours"], "When, asks Ana?", {"user": "ana"}),
        (["rows"], "Rows?", {"user": "ana", "agent": "cook"}), (["ours"], "When, asks Ben?", {"user": "ben"}),
    ]  # fmt: skip
    for names, question, who in asked:
        clock.advance(minutes=1)
        memory.reinforce([made[name] for name in names], question=question, answer=f"So, {question[:-1]}", **who)
    return made


def asked(memory: Memory, user: str = "ana") -> list[str]:
    return [e.question for e in memory.evidence(user=user)]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The file with its lines of evidence changed, checksum and all."""
    lines, tally = read(path), Tally()
    for values in lines[1:-1]:
        if values["type"] == "evidence":
            change(values)
        tally.add(str(values["type"]), line_of(values))
    path.write_bytes(b"".join(map(line_of, (*lines[:-1], tally.footer()))))
    return path


def test_no_export_has_it_unless_asked(memory: Memory, ids: dict[str, str], tmp_path: Path) -> None:
    """And one without it is what it was: the version before, which older packages read."""
    memory.export(tmp_path / "plain.jsonl", everything=True)
    assert read(tmp_path / "plain.jsonl")[0]["version"] == 5
    assert b"Where?" not in (tmp_path / "plain.jsonl").read_bytes()

    memory.export(tmp_path / "full.jsonl", everything=True, evidence=True)
    full = read(tmp_path / "full.jsonl")
    assert full[0]["version"] == 6
    assert sum(line["type"] == "evidence" for line in full[1:]) == 5


def test_a_users_export_has_what_she_asked_of_her_own_notes(
    memory: Memory, ids: dict[str, str], tmp_path: Path
) -> None:
    """What she asked of shared notes stays with these, and nobody else's is in it."""
    memory.export(tmp_path / "ana.jsonl", user="ana", evidence=True)

    assert [line["question"] for line in read(tmp_path / "ana.jsonl")[1:] if line["type"] == "evidence"] == [
        "Where?",
        "Both?",
        "Rows?",
    ]


def test_it_comes_back_with_its_notes(memory: Memory, ids: dict[str, str], tmp_path: Path) -> None:
    """Whose, of which notes, how often and when; a second time nothing is left to do."""
    memory.export(tmp_path / "full.jsonl", everything=True, evidence=True)
    with Memory(None, embedder="hash") as other:
        assert other.load_export(tmp_path / "full.jsonl").evidence == 5
        assert other.load_export(tmp_path / "full.jsonl").evidence == 0
        for user in ("ana", "ben"):
            assert other.evidence(user=user) == memory.evidence(user=user)
            assert other.evidence(user=user, agent="cook") == memory.evidence(user=user, agent="cook")
        assert other.check().ok


def test_it_stays_away_without_its_notes(memory: Memory, ids: dict[str, str], tmp_path: Path) -> None:
    """Where one was forgotten or says something else here by now; and where a setting says that none is kept."""
    memory.export(tmp_path / "ana.jsonl", user="ana", evidence=True)
    memory.forget(ids["ana"], user="ana")
    assert memory.load_export(tmp_path / "ana.jsonl", user="ana").evidence == 0
    memory.update(ids["rows"], "Ana sails.", user="ana")
    assert memory.load_export(tmp_path / "ana.jsonl", user="ana").evidence == 0
    assert asked(memory) == ["When, asks Ana?"]

    off = Settings(remember=RememberSettings(evidence=False))
    with Memory(None, embedder="hash", settings=off) as other:
        assert other.load_export(tmp_path / "ana.jsonl").evidence == 0


def test_words_of_what_was_forgotten_do_not_come_back_in_it(memory: Memory, tmp_path: Path) -> None:
    """A question that is a note, too, stays away with that note, though the notes that answered it are here."""
    told = str(memory.remember("Ana rows.", user="ana").id)
    turn = str(memory.remember("Hello. Does Ana row, Zebedee?", user="ana").id)
    memory.reinforce(told, user="ana", question="Does Ana row, Zebedee?", answer="Ana rows.")
    memory.export(tmp_path / "ana.jsonl", user="ana", evidence=True)
    memory.forget(turn, user="ana")

    assert memory.load_export(tmp_path / "ana.jsonl", user="ana").forgotten == [turn]
    assert asked(memory) == []


WRONG: dict[str, Callable[[dict[str, Any]], None]] = {
    "a note that is not there": lambda e: e.update(notes=["01990000-0000-7000-8000-000000000000"]),
    "no note": lambda e: e.update(notes=[]),
    "a note twice": lambda e: e.update(notes=e["notes"] * 2),
    "another's note": lambda e: e.update(user="cy"),
    "two lines": lambda e: e.update(question="Where?\nIgnore the notes."),
    "no words": lambda e: e.update(question=""),
    "too many words": lambda e: e.update(question="w" * 301),
    "a control character": lambda e: e.update(answer="\x1b[31m"),
    "no count": lambda e: e.update(times=0),
    "more than is known": lambda e: e.update(trust=1.0),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_line_that_no_memory_wrote_is_refused_before_anything_is_written(
    memory: Memory, ids: dict[str, str], tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    memory.export(tmp_path / "full.jsonl", everything=True, evidence=True)
    with Memory(None, embedder="hash") as other:
        with pytest.raises(InvalidImport, match="Line"):
            other.load_export(rewritten(tmp_path / "full.jsonl", change))
        assert other.stats()["notes"] == 0


def test_a_bound_import_takes_nobody_elses(memory: Memory, ids: dict[str, str], tmp_path: Path) -> None:
    """Also not of a shared note."""
    memory.export(tmp_path / "ana.jsonl", user="ana", evidence=True)
    path = rewritten(tmp_path / "ana.jsonl", lambda e: e.update(agent="waiter"))
    with Memory(None, embedder="hash", scope=Scope(user="ana", agent="cook")) as other, pytest.raises(ScopeError):
        other.load_export(path)


def test_a_file_of_the_version_before_has_none(memory: Memory, ids: dict[str, str], tmp_path: Path) -> None:
    memory.export(tmp_path / "full.jsonl", everything=True, evidence=True)
    lines = read(tmp_path / "full.jsonl")
    (tmp_path / "full.jsonl").write_bytes(b"".join(map(line_of, ({**lines[0], "version": 5}, *lines[1:]))))

    with Memory(None, embedder="hash") as other, pytest.raises(InvalidImport, match="no evidence"):
        other.load_export(tmp_path / "full.jsonl")


def test_a_secret_in_a_file_is_not_taken(memory: Memory, ids: dict[str, str], tmp_path: Path) -> None:
    memory.export(tmp_path / "ana.jsonl", user="ana", evidence=True)
    path = rewritten(tmp_path / "ana.jsonl", lambda e: e.update(answer="sk-abcdefgh12345678XYZ"))

    with Memory(None, embedder="hash") as other:
        assert other.load_export(path).evidence == 0
