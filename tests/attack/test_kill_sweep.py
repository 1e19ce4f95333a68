"""Killed at any durable step of any verb, a memory with edits in its weights is afterwards what it was before the call, or what the call makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("swept.py")
SURE = {
    "forget:after-commit",
    "forget:scrubbed-packs",
    "forget:scrubbed-index",
    "forget:scrubbed-file",
    "update:after-commit",
    "remember:after-commit",
}


def sweep(root: Path, verbs: dict[str, list[str]]) -> list[dict[str, object]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, str(WORKER), str(root), json.dumps(verbs)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=3_000,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What the two tests of the default tier look at, from one template: teaching the model takes most of the time."""
    steps = ["pack:written", "forget:after-commit", "forget:scrubbed-file"]
    return sweep(tmp_path_factory.mktemp("sweep"), {"forget": steps, "torn supersede": ["pack:written"]})


def holds(outcomes: list[dict[str, object]]) -> None:
    for outcome in outcomes:
        assert outcome["killed"], outcome
        assert outcome.get("problems") == [], outcome
        assert outcome["is"] in ("before", "after"), outcome
        assert outcome["registry"] == outcome["live"] == outcome["pack"], outcome
        assert outcome["packs"] in (0, 1), "a pack that nobody serves was left behind"
        if outcome["step"] in SURE:
            assert outcome["is"] == "after", "what was acknowledged, or would be, is lost"
        if outcome["verb"] == "forget":
            assert outcome["text"] == (outcome["is"] == "before"), "words of a forgotten note are in a file"


def test_a_forgetting_with_edits_is_whole_or_not_at_all(outcomes: list[dict[str, object]]) -> None:
    """Notes, books, pack, live model and bytes agree, wherever it was stopped."""
    forgetting = [outcome for outcome in outcomes if outcome["verb"] == "forget"]

    assert len(forgetting) == 3
    assert {outcome["is"] for outcome in forgetting} == {"before", "after"}
    holds(forgetting)


def test_without_transactions_the_sweep_finds_what_is_torn(outcomes: list[dict[str, object]]) -> None:
    """The null control: what a verb has written when it is killed is committed, and the same comparison goes red."""
    torn = [outcome for outcome in outcomes if outcome["verb"] == "torn supersede"]

    assert torn
    with pytest.raises(AssertionError):
        holds(torn)


@pytest.mark.slow
def test_every_verb_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """Fourteen verbs, each stopped at every step that it passes."""
    outcomes = sweep(tmp_path, {})

    assert len({outcome["verb"] for outcome in outcomes}) == 14
    assert len(outcomes) > 30
    holds(outcomes)
