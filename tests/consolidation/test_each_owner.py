"""A run over owners one after another: each learns his own, and what ends early keeps what it has done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from agentmem import Fact, Memory
from agentmem.consolidation.report import ConsolidationReport
from agentmem.editors.grace.editor import GraceEditor
from agentmem.errors import EditError, PackUnreachable, StoreError
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.notes.edit import EditReceipt, EditRequest

PEOPLE = {
    "ana": ("Ilva Quist", "lives in", "Porto", "Where does Ilva Quist live?"),
    "ben": ("Ilva Quist", "lives in", "Bergen", "Where does Ilva Quist live?"),
    "cleo": ("Oren Dorrell", "plays", "cello", "What instrument does Oren Dorrell play?"),
}


def _tell(memory: Memory) -> dict[str, str]:
    """One fact for each user; the id of each note."""
    ids = {}
    for user, (subject, relation, value, _) in PEOPLE.items():
        fact = Fact(subject, relation, value)
        ids[user] = str(memory.remember(f"{subject} {relation} {value}.", user=user, fact=fact).id)
        memory.reinforce(ids[user], user=user)
    return ids


def _opened() -> Memory:
    torch.set_num_threads(1)
    return Memory(None, embedder="hash", model=load_small_model(), clock=ManualClock())


def _answers(memory: Memory) -> dict[str, str]:
    return {user: memory.ask(fact[3], user=user, use="weights").text for user, fact in PEOPLE.items()}


@pytest.fixture
def memory() -> Iterator[Memory]:
    with _opened() as opened:
        yield opened


def test_each_owner_learns_what_one_whole_run_teaches(memory: Memory) -> None:
    """The same facts, the same answers, each in its own user's requests; and a commit for each."""
    ids = _tell(memory)
    stages = list[tuple[str, int]]()
    report = memory.consolidate(each_owner=True, progress=lambda stage, done, total: stages.append((stage, done)))
    with _opened() as other:
        _tell(other)
        whole = other.consolidate()
        expected = _answers(other)

    assert {o.note_id for o in report.promoted} == set(ids.values()), [str(d) for d in report.decisions]
    assert len(report.decisions) == len(whole.decisions)
    assert _answers(memory) == expected == {"ana": "Porto.", "ben": "Bergen.", "cleo": "cello."}
    assert (report.locality, report.older_kept) == (1.0, 1.0)
    assert [run.promoted for run in memory.jobs()] == [1, 1, 1]
    editor = memory.editor
    assert editor is not None
    assert report.pack == editor.state_hash(), "the last pack is the one that is served"
    assert ("owners", 0) in stages
    assert not memory.consolidate(each_owner=True).outcomes, "nothing is learnt twice"
    assert memory.check().ok


def test_a_budget_is_one_for_all_owners_and_a_dry_run_decides_the_same(memory: Memory) -> None:
    """What is over the budget stays a note, and is written by the next run."""
    ids = _tell(memory)

    def wanted(report: ConsolidationReport) -> list[str]:
        return sorted(d.note_id for d in report.decisions if d.action == "promote")

    planned = memory.consolidate(each_owner=True, budget=2, dry_run=True)
    assert planned.dry_run
    assert memory.edits(user="ana") == []
    first = memory.consolidate(each_owner=True, budget=2)
    assert wanted(first) == wanted(planned) == sorted([ids["ana"], ids["ben"]])
    assert len(first.promoted) == 2

    second = memory.consolidate(each_owner=True, budget=2)
    assert [o.note_id for o in second.promoted] == [ids["cleo"]]


@pytest.mark.slow
def test_a_dry_run_counts_the_places_that_owners_before_would_take(memory: Memory) -> None:
    """The side memory is one for all."""
    _tell(memory)
    limits = memory._parts.core.settings.consolidation.model_copy(update={"max_edits": 2})
    object.__setattr__(memory._parts.core.settings, "consolidation", limits)

    planned = memory.consolidate(each_owner=True, dry_run=True)
    written = memory.consolidate(each_owner=True)

    assert sum(d.action == "promote" for d in planned.decisions) == len(written.promoted) == 2


def test_a_run_for_one_user_is_for_his_notes_and_the_shared_ones(memory: Memory) -> None:
    """Nobody else's facts are learnt."""
    ids = _tell(memory)
    report = memory.consolidate(user="ben", each_owner=True)

    assert [o.note_id for o in report.promoted] == [ids["ben"]]
    assert memory.edits(user="ana") == []


def test_an_owner_whose_edit_cannot_be_written_fails_nobody_else(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report says so, and the next run does it."""
    ids = _tell(memory)
    write = GraceEditor.write

    def refuse(self: GraceEditor, requests: list[EditRequest]) -> list[EditReceipt]:
        if any(request.note_id == ids["ben"] for request in requests):
            raise EditError("It would not fit.", hint="try again")
        return write(self, requests)

    monkeypatch.setattr(GraceEditor, "write", refuse)
    report = memory.consolidate(each_owner=True)

    assert {o.note_id for o in report.promoted} == {ids["ana"], ids["cleo"]}
    assert report.warnings == ("nothing was written for one owner: It would not fit.",)
    with pytest.raises(EditError, match="would not fit"):
        memory.consolidate(each_owner=True)
    monkeypatch.undo()
    assert [o.note_id for o in memory.consolidate(each_owner=True).promoted] == [ids["ben"]]
    assert memory.check().ok


@pytest.mark.slow
def test_what_befalls_everybody_is_raised_and_what_was_committed_stays(memory: Memory) -> None:
    """A store that fails in the middle, or a place of packs, ends the run, and the next one does the rest."""
    ids, commits = _tell(memory), list[str]()

    def fail(step: str) -> None:
        if step == "consolidate:in-commit":
            commits.append(step)
            if len(commits) == 2:
                raise StoreError("The disk is full.", hint="make room")
            if len(commits) == 3:
                raise PackUnreachable("Nobody answers.", hint="wait")

    memory._parts.fail = fail
    with pytest.raises(StoreError, match="disk"):
        memory.consolidate(each_owner=True)
    with pytest.raises(PackUnreachable):
        memory.consolidate(each_owner=True)
    memory._parts.fail = lambda step: None

    assert [e.note_id for e in memory.edits(user="ana")] == [ids["ana"]]
    assert memory.edits(user="ben") == []
    assert {o.note_id for o in memory.consolidate(each_owner=True).promoted} == {ids["ben"], ids["cleo"]}


def test_what_is_forgotten_during_the_turn_of_another_is_not_learnt(memory: Memory) -> None:
    """Between two turns, and in the middle of one's own."""
    ids = _tell(memory)

    def interfere(step: str) -> None:
        if step == "consolidate:before-commit":
            for user in ("ana", "cleo"):
                if memory.notes(user=user):
                    memory.forget(ids[user], user=user)

    memory._parts.fail = interfere
    report = memory.consolidate(each_owner=True)

    assert [o.note_id for o in report.promoted] == [ids["ben"]]
    assert [(o.note_id, o.reason) for o in report.failed] == [(ids["ana"], "the note was forgotten meanwhile")]
    assert memory.edits(user="cleo") == []
    assert memory.check().ok


_KILLED = """
import os, signal, sys
from agentmem.llm.small_model import load_small_model
from agentmem import Memory
import torch
torch.set_num_threads(1)
seen = []
def fail(step):
    if step == sys.argv[2]:
        seen.append(step)
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
with Memory(sys.argv[1], embedder="hash", model=load_small_model()) as memory:
    memory._parts.fail = memory._parts.weights._fail = fail
    memory.consolidate(each_owner=True)
"""


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        pytest.param("consolidate:before-commit", 1, marks=pytest.mark.slow),
        pytest.param("pack:written", 1, marks=pytest.mark.slow),
        pytest.param("consolidate:in-commit", 1, marks=pytest.mark.slow),
        ("consolidate:after-commit", 2),
    ],
)
def test_a_run_that_is_killed_in_the_second_turn_loses_and_doubles_nothing(
    tmp_path: Path, step: str, kept: int
) -> None:
    """Who was committed stays, the rest is written next time, and the ledger has each fact promoted once."""
    with Memory(tmp_path / "notes", embedder="hash") as made:
        ids = _tell(made)
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "notes"), step], env=dict(os.environ))
    assert ended.returncode == -signal.SIGKILL

    with Memory(tmp_path / "notes", embedder="hash", model=load_small_model()) as memory:
        held = {e.note_id for user in PEOPLE for e in memory.edits(user=user)}
        assert held == set(list(ids.values())[:kept])
        report = memory.consolidate(each_owner=True)
        assert {o.note_id for o in report.promoted} == set(ids.values()) - held
        assert _answers(memory) == {"ana": "Porto.", "ben": "Bergen.", "cleo": "cello."}
        with memory._parts.core.store.read() as tx:
            promoted = Counter(e.note_id for e in tx.ledger.entries(event="promoted", limit=None))
        assert promoted == Counter(ids.values())
        assert memory.check().ok
