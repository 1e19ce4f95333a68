"""Bad edits planted on purpose: every kind is refused, its neighbours in the batch are not, and the model is as before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from agentmem import Fact, Memory
from agentmem.consolidation.canaries import general_questions
from agentmem.editors import packs
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.notes.edit import EditReceipt, EditRequest

NAMES = ("Ilva Quist", "Oren Dorrell", "Mira Halse", "Tove Ondal", "Jorun Roke",
         "Teska Brown", "Sable Winter", "Perrin Moss", "Maruk Lind", "Tamsin Vale")  # fmt: skip
TOWNS = ("Porto", "Bergen", "Lyon", "Lisbon", "Oslo")
FEW, MANY = 2, pytest.param(10, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def shared() -> Iterator[Memory]:
    torch.set_num_threads(1)
    with Memory(None, embedder="hash", model=load_small_model(), clock=ManualClock()) as opened:
        opened._parts.need_model()
        yield opened


@pytest.fixture
def memory(shared: Memory) -> Iterator[Memory]:
    """The shared memory; what a test told is forgotten again, and the editor writes as it did."""
    yield shared
    vars(shared.editor).pop("write", None)


@dataclass(frozen=True)
class Batch:
    """A user's memory with ``count`` facts."""

    memory: Memory
    user: str

    def tell(self, count: int, **options: Any) -> list[str]:
        ids = []
        for number, name in enumerate(NAMES[:count]):
            town = TOWNS[number % len(TOWNS)]
            fact = Fact(name, "lives in", town, **options.get("fact", {}))
            rest = {key: value for key, value in options.items() if key != "fact"}
            receipt = self.memory.remember(f"{name} lives in {town}.", user=self.user, fact=fact, **rest)
            self.memory.reinforce(str(receipt.id), user=self.user)
            ids.append(str(receipt.id))
        return ids

    def sabotage(self, spoil: Callable[[Any, Sequence[EditRequest]], list[EditReceipt]]) -> None:
        editor: Any = self.memory.editor
        honest = editor.write
        editor.write = lambda requests: spoil(honest, requests)


@pytest.fixture
def batch(memory: Memory, request: pytest.FixtureRequest) -> Batch:
    return Batch(memory, str(request.node.name))


def refused_all(batch: Batch, ids: list[str]) -> None:
    editor: Any = batch.memory.editor
    before = editor.state_hash()
    report = batch.memory.consolidate(user=batch.user)
    assert report.promoted == (), report.promoted
    assert batch.memory.edits(user=batch.user) == []
    assert editor.state_hash() == before
    assert len(batch.memory.notes(user=batch.user)) >= len(ids)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_wrong_target_is_refused(batch: Batch, count: int) -> None:
    ids = batch.tell(count)
    batch.sabotage(lambda write, requests: write([replace(r, target="Marseille.") for r in requests]))
    refused_all(batch, ids)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_value_of_huge_norm_is_refused(batch: Batch, count: int, tmp_path: Path) -> None:
    ids = batch.tell(count)
    editor: Any = batch.memory.editor

    def spoil(write: Any, requests: Sequence[EditRequest]) -> list[EditReceipt]:
        receipts = write(requests)
        pack = packs.parse(editor.dump())
        edits = tuple(replace(e, value=-1000 * e.value) for e in pack.edits)
        (tmp_path / "huge").write_bytes(packs.dump(replace(pack, edits=edits)))
        editor.load(tmp_path / "huge")
        return list(receipts)

    batch.sabotage(spoil)
    refused_all(batch, ids)


def anybodys(request: EditRequest) -> EditRequest:
    """The request without its subject: one that has a subject is silent where that is not named, whatever its keys are."""
    return replace(request, subject=None)


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_trigger_on_unrelated_questions_is_refused(batch: Batch, count: int, tmp_path: Path) -> None:
    ids = batch.tell(count)
    editor: Any = batch.memory.editor

    def spoil(write: Any, requests: Sequence[EditRequest]) -> list[EditReceipt]:
        receipts = write(requests)
        pack = packs.parse(editor.dump())
        rows = [editor.renderer.prompt(text) for text in general_questions()[: len(pack.edits)]]
        triggers = pack.calibration.keys(editor.port.keys(rows).numpy())
        edits = tuple(
            replace(e, request=anybodys(e.request), keys=np.vstack([e.keys, key]), limits=np.append(e.limits, 9e9))
            for e, key in zip(pack.edits, triggers, strict=True)
        )
        (tmp_path / "triggered").write_bytes(packs.dump(replace(pack, edits=edits)))
        editor.load(tmp_path / "triggered")
        return list(receipts)

    batch.sabotage(spoil)
    refused_all(batch, ids)


def test_a_trigger_is_refused_whoever_else_gets_an_edit_in_the_run(batch: Batch, tmp_path: Path) -> None:
    """Nobody but its owner would meet it, so the canaries of the run's first user say nothing about it."""
    (mine,) = batch.tell(1)
    batch.memory.reinforce(mine, user=batch.user)  # so that this user's fact comes first
    other = Batch(batch.memory, f"{batch.user}-other")
    (theirs,) = other.tell(1)
    editor: Any = batch.memory.editor

    def spoil(write: Any, requests: Sequence[EditRequest]) -> list[EditReceipt]:
        receipts = write(requests)
        pack = packs.parse(editor.dump())
        rows = [editor.renderer.prompt(general_questions()[0])]
        key = pack.calibration.keys(editor.port.keys(rows).numpy())
        edits = tuple(
            replace(e, request=anybodys(e.request), keys=np.vstack([e.keys, key]), limits=np.append(e.limits, 9e9))
            if e.request.note_id == theirs
            else e
            for e in pack.edits
        )
        (tmp_path / "triggered").write_bytes(packs.dump(replace(pack, edits=edits)))
        editor.load(tmp_path / "triggered")
        return list(receipts)

    batch.sabotage(spoil)
    report = batch.memory.consolidate()

    assert mine in [o.note_id for o in report.promoted], report
    assert ["fires on an unrelated question" in o.reason for o in report.failed if o.note_id == theirs] == [True]
    assert batch.memory.edits(user=other.user) == []


def test_a_paraphrase_that_asks_something_else_is_no_trigger(batch: Batch) -> None:
    """Who slips a general question among the paraphrases of a fact does not get it answered with the fact."""
    batch.tell(1, fact={"paraphrases": ("What is the capital of France?",)})
    before = batch.memory.ask("What is the capital of France?", user=batch.user, use="nothing").text
    batch.memory.consolidate(user=batch.user)
    assert batch.memory.ask("What is the capital of France?", user=batch.user, use="weights").text == before


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_source_of_low_trust_is_refused(batch: Batch, count: int) -> None:
    refused_all(batch, batch.tell(count, trust=0.3))


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_contradicted_fact_is_refused(batch: Batch, count: int) -> None:
    ids = batch.tell(count)
    for name in NAMES[:count]:
        batch.memory.remember(f"{name} lives in Graz.", user=batch.user, fact=Fact(name, "lives in", "Graz"))
    refused_all(batch, ids)


@pytest.mark.parametrize("count", [3, MANY])
def test_good_facts_are_accepted(batch: Batch, count: int) -> None:
    ids = batch.tell(count)
    report = batch.memory.consolidate(user=batch.user)
    assert len(report.promoted) >= 0.9 * len(ids), [(o.question, o.after, o.reason) for o in report.failed]
    assert report.locality == 1.0


def test_what_nobody_trusts_does_not_unseat_a_fact(batch: Batch) -> None:
    (note,) = batch.tell(1)
    rumour = batch.memory.remember(
        "Ilva Quist lives in Graz.", user=batch.user, fact=Fact("Ilva Quist", "lives in", "Graz"), trust=0.2
    )
    assert rumour.ok
    report = batch.memory.consolidate(user=batch.user, dry_run=True)
    assert [d.note_id for d in report.decisions if d.action == "promote"] == [note]
