"""A run in steps, each of which commits: on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from agentmem import Memory
from agentmem.consolidation.policy import Decision
from agentmem.consolidation.report import ConsolidationReport, EditOutcome, joined
from agentmem.integrations.cli.app import app
from tests.consolidation.several import FACTS, tell_all

OUTCOME = EditOutcome("a", "e", "?", "!", "", "!", 1.0, None, committed=True)


def test_steps_learn_what_one_run_learns_and_each_is_in_the_books(tmp_path: Path) -> None:
    """And a budget is that of all steps together."""
    with Memory(tmp_path, embedder="hash") as memory:
        tell_all(memory)
    common = ["--path", str(tmp_path), "--embedder", "hash", "--json"]

    first = CliRunner().invoke(app, ["consolidate", *common, "--step", "2", "--budget", "3"])
    rest = CliRunner().invoke(app, ["consolidate", *common, "--step", "2"])

    assert first.exit_code == rest.exit_code == 0, first.output + rest.output
    one, other = json.loads(first.stdout), json.loads(rest.stdout)
    assert len(one["outcomes"]) == 3
    assert len(one["outcomes"]) + len(other["outcomes"]) == len(FACTS)
    promoted = [*one["promoted"], *other["promoted"]]
    assert len(set(promoted)) == len(promoted) > 0
    with Memory(tmp_path, embedder="hash") as memory:
        held = {edit.note_id for user in ("ana", "bo", "cy") for edit in memory.edits(user=user)}
        assert held == set(promoted)


def test_a_report_of_steps_says_what_each_did_and_what_was_decided_last() -> None:
    def decided(note: str, action: str) -> Decision:
        return Decision(note_id=note, label=note, action=action, reasons=(action,), score=1.0)  # type: ignore[arg-type]

    one = ConsolidationReport(
        (decided("a", "promote"), decided("b", "keep")),
        outcomes=(OUTCOME,),
        canaries=10,
        locality=1.0,
        pack="first",
        warnings=("w",),
    )
    two = ConsolidationReport(
        (decided("a", "keep"), decided("b", "promote")),
        outcomes=(OUTCOME,),
        canaries=30,
        locality=0.9,
        pack="second",
        warnings=("w",),
    )
    none = ConsolidationReport((decided("a", "keep"), decided("b", "keep")))

    whole = joined([one, two, none])

    assert {d.note_id: d.action for d in whole.decisions} == {"a": "promote", "b": "promote"}
    assert (whole.canaries, whole.locality, whole.pack, whole.warnings) == (40, 0.925, "second", ("w",))
    assert whole.older_kept is None
