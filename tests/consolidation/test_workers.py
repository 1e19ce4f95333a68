"""What only the model can do, done by workers: the pack is the one that the job would have made alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from agentmem import Memory, Settings
from agentmem.consolidation.verify import Canary
from agentmem.consolidation.workers import ModelHand
from agentmem.editors import make_editor
from agentmem.editors.evaluation import answer_readable, likelihoods
from agentmem.editors.grace.editor import GraceEditor
from agentmem.errors import PackMismatch
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.notes.edit import EditRequest
from tests.consolidation.several import FACTS, NIGHT, draw_alike, tell_all

PORTO = EditRequest("Where does Ilva Quist live?", "Porto.", "Ilva Quist", id="a")
BERGEN = EditRequest("Where does Mira Halse live?", "Bergen.", "Mira Halse", id="b")


class Here:
    """Workers in this process, on a model of their own, one piece of two after another."""

    least = 2

    def __init__(self, model: tuple[Any, Any]) -> None:
        self._model = model
        self.asked: list[str] = []
        self.hand: ModelHand | None = None
        self.editor: Any = None
        self.before: Callable[[str], None] = lambda what: None

    def begin(self, base: str, method: str, most: int) -> None:
        self.editor = make_editor(method, *self._model)
        self.hand = ModelHand(self.editor, *self._model, answer_readable, likelihoods, most)
        assert self.hand.base == base

    def bare(self, prompts: Sequence[str]) -> list[str]:
        return self._joined("bare", prompts)

    def ask(self, prompts: Sequence[Canary], pack: bytes) -> list[str]:
        return self._joined("ask", prompts, hashlib.sha256(pack).hexdigest(), pack)

    def likely(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return self._joined("likely", pairs)

    def learn(self, requests: Sequence[EditRequest]) -> list[bytes]:
        return self._done("learn", requests)

    def end(self) -> None:
        assert self.hand is not None
        self.hand.rest()

    def _joined(self, what: str, items: Sequence[Any], *shared: Any) -> list[Any]:
        return [answer for answers in self._done(what, items, *shared) for answer in answers]

    def _done(self, what: str, items: Sequence[Any], *shared: Any) -> list[Any]:
        self.asked.append(what)
        self.before(what)
        work = getattr(self.hand, what)
        return [work(items[at : at + self.least], *shared) for at in range(0, len(items), self.least)]


@pytest.fixture(scope="module")
def models() -> list[Any]:
    torch.set_num_threads(1)
    return [load_small_model(), load_small_model()]


def held(memory: Memory) -> list[Any]:
    """What the registry says, whosever it is."""
    return [edit for user in ("ana", "bo", "cy") for edit in memory.edits(user=user)]


def learnt(path: Path, model: Any, workers: Here | None, **consolidation: Any) -> tuple[str, list[Any]]:
    """The hash of the pack, and what the registry says, after everybody's facts were consolidated."""
    settings = Settings(consolidation={**NIGHT, **consolidation})
    with Memory(path, embedder="hash", model=model, clock=ManualClock(), settings=settings) as memory:
        tell_all(memory)
        report = memory.consolidate(workers=workers)
        for user, _, _, value, question in FACTS:
            assert memory.ask(question, user=user, use="weights").text == f"{value}."
        edits = held(memory)
        assert len(report.promoted) == len(FACTS)
        assert memory.check().ok
        return str(report.pack), edits


@pytest.mark.parametrize("bulk_after", [None, pytest.param(100, marks=pytest.mark.slow)])
def test_the_pack_is_the_same_with_workers_and_without(
    tmp_path: Path, models: list[Any], monkeypatch: pytest.MonkeyPatch, bulk_after: int | None
) -> None:
    """By its hash, ids and all; of one tier and of two. The vectors are the workers': here nothing is fitted. And nothing stays with them."""
    draw_alike(monkeypatch)
    alone = learnt(tmp_path / "alone", models[0], None, bulk_after=bulk_after)
    workers = Here(models[1])

    monkeypatch.setattr("agentmem.editors.grace.editor.fit_values", _fit_elsewhere(models[1][0]))
    together = learnt(tmp_path / "together", models[0], workers, bulk_after=bulk_after)

    assert together == alone
    assert {"bare", "ask", "learn"} <= set(workers.asked)
    assert workers.editor.edits() == ()


def _fit_elsewhere(model: Any) -> Callable[..., Any]:
    """The fitting of values, which on any model but this one has nothing to do."""
    from agentmem.editors.grace.writer import fit_values

    def fit(port: Any, edits: Sequence[Any], *rest: Any) -> Any:
        assert port.model is model or not edits
        return fit_values(port, edits, *rest)

    return fit


def test_what_is_forgotten_while_workers_learn_is_in_no_pack(tmp_path: Path, models: list[Any]) -> None:
    """And the others are learnt."""
    settings = Settings(consolidation=NIGHT)
    with Memory(tmp_path / "m", embedder="hash", model=models[0], clock=ManualClock(), settings=settings) as memory:
        doomed = tell_all(memory)[0]
        workers = Here(models[1])
        workers.before = lambda what: what == "learn" and memory.forget(doomed, user="ana") and None  # type: ignore[func-returns-value]

        report = memory.consolidate(workers=workers)

        assert len(report.promoted) == len(FACTS) - 1
        assert memory.ask(FACTS[0][4], user="ana", use="weights").text != "Porto."
        assert memory.ask(FACTS[3][4], user="bo", use="weights").text == "Graz."
        assert doomed not in {edit.note_id for edit in held(memory)}
        assert memory.check().ok


def test_a_worker_that_fails_leaves_everything_as_it_was_and_the_next_run_does_it(
    tmp_path: Path, models: list[Any]
) -> None:
    class Broken(RuntimeError):
        pass

    def breaks(what: str) -> None:
        if what == "learn":
            raise Broken

    settings = Settings(consolidation=NIGHT)
    with Memory(tmp_path / "m", embedder="hash", model=models[0], clock=ManualClock(), settings=settings) as memory:
        tell_all(memory)
        workers = Here(models[1])
        workers.before = breaks
        with pytest.raises(Broken):
            memory.consolidate(workers=workers)
        assert held(memory) == []
        assert workers.editor.edits() == ()

        assert len(memory.consolidate(workers=Here(models[1])).promoted) == len(FACTS)


def test_an_editor_takes_over_what_was_found_for_the_very_same_request_alone(models: list[Any]) -> None:
    """Another target under the same id is learnt here."""
    teacher, plain, taught = (GraceEditor(*model) for model in (models[1], models[0], models[0]))
    teacher.write([PORTO, BERGEN])
    other = EditRequest(BERGEN.prompt, "Graz.", BERGEN.subject, id="b")
    plain.write([PORTO, other])

    with taught.taught([teacher.dump()]):
        receipts = taught.write([PORTO, other])

    assert [receipt.status for receipt in receipts] == ["written", "written"]
    assert receipts[0].steps == 0
    assert receipts[1].steps > 0
    assert taught.state_hash() == plain.state_hash()


def test_a_damaged_pack_teaches_nothing(models: list[Any]) -> None:
    teacher, editor = GraceEditor(*models[1]), GraceEditor(*models[0])
    teacher.write([PORTO])
    data = bytearray(teacher.dump())
    data[-3] ^= 1

    with pytest.raises(PackMismatch), editor.taught([bytes(data)]):
        editor.write([PORTO])

    assert editor.edits() == ()
