"""Consolidation proves generality by wordings that the edit was not written with, or says that nobody did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from agentmem import Fact, Memory, Settings
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock


@pytest.fixture(scope="module")
def memory() -> Iterator[Memory]:
    torch.set_num_threads(1)
    by_key = Settings(consolidation={"gate": "key"})
    with Memory(None, embedder="hash", model=load_small_model(), settings=by_key, clock=ManualClock()) as opened:
        yield opened


def _tell(memory: Memory, user: str, fact: Fact) -> str:
    receipt = memory.remember(f"{fact.subject} {fact.relation} {fact.object}.", user=user, fact=fact)
    memory.reinforce(str(receipt.id), user=user)
    memory.reinforce(str(receipt.id), user=user)
    return str(receipt.id)


def test_an_edit_that_answers_its_own_template_alone_is_not_promoted(memory: Memory) -> None:
    """Its keys and their lead-ins are answered, and what a person asks is not: it stays a note."""
    asked = ("Which shoe size does Ilva Quist have?", "Boots for madam Quist come in what number at the cobbler?")
    fact = Fact("Ilva Quist", "shoe size", "Porto", question="What is Ilva Quist's shoe size?", paraphrases=asked)
    note = _tell(memory, "own template", fact)
    report = memory.consolidate(user="own template")

    assert [o.note_id for o in report.failed] == [note]
    assert report.failed[0].reliability == 1.0
    assert report.failed[0].generality == 0.0
    assert "wordings of their own" in report.failed[0].reason
    assert memory.edits(user="own template") == []


def test_generality_that_nobody_measured_is_not_reported(memory: Memory) -> None:
    """Neither by the report, nor in the ledger, nor when edits are asked again; the ledger has score and uses apart."""
    note = _tell(memory, "unmeasured", Fact("Ilva Quist", "shoe size", "Porto"))
    report = memory.consolidate(user="unmeasured")
    with memory._parts.core.store.read() as tx:
        (entry,) = tx.ledger.entries(note_ids=[note], event="promoted")
    (decision,) = [d for d in report.decisions if d.note_id == note]

    assert [o.generality for o in report.promoted] == [None]
    assert report.generality is None
    assert "generality unmeasured" in str(report)
    assert "its generality cannot be measured" in decision.reasons
    assert entry.details["generality"] is None
    assert entry.details["score"] == decision.score
    assert entry.details["uses"] == 2
    assert "1 edit asked again: reliability 1.00, generality unmeasured" in str(memory.verify(user="unmeasured"))


def test_a_run_without_promotions_claims_no_figures(memory: Memory) -> None:
    """No reliability of nothing, in words and in JSON."""
    report = memory.consolidate(user="nobody")

    assert str(report) == "0 promoted, 0 rolled back, 0 kept as notes, 0 demoted"
    assert report.to_dict()["reliability"] is None
    assert report.to_dict()["generality"] is None
    assert str(memory.status(user="nobody")).startswith("0 edits")
    assert "reliability unmeasured" in str(memory.verify(user="nobody"))
