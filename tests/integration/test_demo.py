"""The demo, once, as a user starts it: every promise is kept, within a minute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentmem.consolidation.phrasing import question
from agentmem.extract import candidate_fact
from agentmem.integrations.cli.demo_story import ADDRESS_BOOK, make_story
from agentmem.llm.small_model import small_model_path


def test_the_story_is_the_same_every_time_and_states_facts():
    """Each statement of the address book is read as the fact whose question the demo asks."""
    story = make_story()

    assert story == make_story()
    assert len(story.contacts) == ADDRESS_BOOK
    for contact in (*story.contacts, story.late):
        fact = candidate_fact(contact.statement)
        assert fact is not None, contact.statement
        assert (question(fact), fact.object) == (contact.question, contact.answer)


def test_the_demo_keeps_its_promises(tmp_path: Path):
    if not list(small_model_path().glob("*.safetensors")):
        pytest.skip("the small model is not here")
    pytest.importorskip("matplotlib")
    code = "from agentmem.integrations.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "demo", "--json", "--out", str(tmp_path / "out")],
        capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path, env=dict(os.environ),
    )  # fmt: skip

    assert done.stdout, done.stderr
    summary = json.loads(done.stdout)
    assert [promise for promise, kept in summary["promises"].items() if not kept] == []
    assert done.returncode == 0
    assert summary["promoted"] >= 50
    assert all(Path(tmp_path / picture).stat().st_size > 10_000 for picture in summary["pictures"])
