"""Bare ``agentmem``: what is in the memory and what to do next, and nothing is made by looking."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentmem import Fact, Memory

Run = Callable[..., Any]


def test_where_there_is_nothing_it_says_how_to_begin_and_makes_nothing(run: Run, tmp_path: Path):
    shown, told = run(), run("--json")

    assert shown.exit_code == told.exit_code == 0
    assert all(
        word in shown.stdout for word in ("agentmem remember", "agentmem import", "agentmem demo", "agentmem -h")
    )
    assert json.loads(told.stdout)["exists"] is False
    assert list(tmp_path.iterdir()) == []


def test_help_is_still_help(run: Run):
    assert "Usage" in run("-h").stdout
    assert "consolidate" in run("--help").stdout


def test_it_says_what_there_is_and_of_whom(run: Run, tmp_path: Path):
    run("remember", "Everybody knows this.")
    for number in range(7):
        run("remember", f"The jar {number} stands on shelf {number * 3}.", "-u", "ana")
    run("remember", "I keep bees.", "--agent", "bot")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.db")}
    found = json.loads(run("--json").stdout)

    assert found["owners"] == {"shared": 1, "agent bot": 1, "ana": 7}
    assert found["notes"] == 9
    assert [note["content"] for note in found["latest"]][:2] == ["I keep bees.", "The jar 6 stands on shelf 18."]
    assert len(found["latest"]) == 5
    assert found["by_heart"] == 0
    assert found["bytes"] > 0
    assert found["next"][0]["command"] == "agentmem chat --user NAME"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.db")} == before  # looking writes nothing
    shown = " ".join(run().stdout.split())  # a long path wraps the line
    assert "9 notes" in shown
    assert "ana 7" in shown


def test_bound_to_somebody_it_tells_of_nobody_else(run: Run):
    run("remember", "Ana's note.", "-u", "ana")
    run("remember", "Ben's secret.", "-u", "ben")
    told = run("-u", "ana", "--json").stdout

    assert "ben" not in told.lower()
    assert json.loads(told)["notes"] == 1


def test_what_is_due_comes_first(run: Run, tmp_path: Path):
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        id = memory.remember("Ines Varga lives in Porto.", user="ana", fact=Fact("Ines Varga", "lives in", "Porto")).id
        for _ in range(3):
            memory.reinforce(id, user="ana", question="Where does Ines Varga live?", answer="In Porto.")
    found = json.loads(run("--json").stdout)

    assert found["waiting"] == 1
    assert found["next"][0]["command"] == "agentmem consolidate --user ana"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8, 31])
def test_notes_are_counted_right(run: Run, tmp_path: Path, count: int):
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        memory.remember("One of ben's.", user="ben")
        memory.remember_many(
            [f"Jar {n} holds {n * 7} beans." for n in range(count)], progress=False, merge=False, user="ana"
        )
    found = json.loads(run("--json").stdout)

    assert found["owners"] == {"ben": 1} | ({"ana": count} if count else {})


def test_a_memory_that_is_no_memory_is_a_typed_error(run: Run, tmp_path: Path):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "notes.db").write_text("this is no database, and long enough to be looked at " * 20)

    assert run().exit_code == 3
