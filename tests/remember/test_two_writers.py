"""Two processes on one directory: each pack names what the registry holds, and none is read after it was replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from agentmem import Fact, Memory, Settings
from agentmem.errors import JobLocked
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.settings import ConsolidationSettings

FACTS = (
    ("Ilva Quist", "lives in", "Porto", "Where does Ilva Quist live?"),
    ("Oren Dorrell", "plays", "cello", "What instrument does Oren Dorrell play?"),
    ("Mira Halse", "lives in", "Bergen", "Where does Mira Halse live?"),
)
QUICK = Settings(consolidation=ConsolidationSettings(canaries=1, older_edits=1))
Open = Callable[[], Memory]


@pytest.fixture(scope="module")
def models() -> list[Any]:
    """Two models, as two processes have."""
    torch.set_num_threads(1)
    return [load_small_model(), load_small_model()]


@pytest.fixture(scope="module")
def calibration() -> list[Any]:
    """The key space, found once."""
    return []


@pytest.fixture
def pair(tmp_path: Path, models: list[Any], calibration: list[Any]) -> Iterator[tuple[Memory, Memory]]:
    clock = ManualClock()
    opened = [Memory(tmp_path / "m", embedder="hash", model=model, clock=clock, settings=QUICK) for model in models]
    for memory in opened:
        memory._parts.need_model()
        editor: Any = memory.editor
        if not calibration:
            calibration.append(editor.calibrate())
        editor.adopt(calibration[0])
    yield opened[0], opened[1]
    for memory in opened:
        memory.close()


def tell(memory: Memory, fact: tuple[str, ...]) -> str:
    subject, relation, value, _ = fact
    note = memory.remember(f"{subject} {relation} {value}.", user="ann", fact=Fact(subject, relation, value))
    memory.reinforce(str(note.id), user="ann")
    return str(note.id)


def sound(memory: Memory, notes: Sequence[str]) -> None:
    """Every note has one edit, in the registry, the pack and the model."""
    assert sorted(str(edit.note_id) for edit in memory.edits(user="ann")) == sorted(notes)
    memory.ask(FACTS[0][3], user="ann", use="weights")
    assert memory.status().ok, memory.status()
    assert memory.check().ok, memory.check()


def test_a_rebuild_loses_no_edit_that_another_process_writes_meanwhile(pair: tuple[Memory, Memory]) -> None:
    """The pack would lack it, and nothing would ever write it again: the rebuild says so and changes nothing."""
    one, other = pair
    first = tell(one, FACTS[0])
    assert one.consolidate(user="ann").promoted
    second = tell(one, FACTS[1])
    other.ask(FACTS[0][3], user="ann", use="weights")
    editor: Any = other.editor
    write = editor.write

    def slowly(requests: Any) -> Any:
        del editor.write
        receipts = write(requests)
        assert one.consolidate(user="ann").promoted
        return receipts

    editor.write = slowly
    with pytest.raises(JobLocked, match="meanwhile"):
        other.rebuild("weights")

    sound(one, [first, second])
    sound(other, [first, second])


def test_a_job_that_outlives_its_lease_neither_doubles_nor_loses_an_edit(pair: tuple[Memory, Memory]) -> None:
    """The lease runs out while the first still writes; the second commits, and the first must notice."""
    one, other = pair
    note = tell(one, FACTS[0])

    def late(step: str) -> None:
        if step == "consolidate:before-commit":
            one._parts.fail = lambda step: None
            clock: Any = one._parts.core.clock
            clock.advance(minutes=31)
            assert other.consolidate(user="ann").promoted

    one._parts.fail = late
    with pytest.raises(JobLocked) as caught:
        one.consolidate(user="ann")

    assert caught.value.hint
    sound(one, [note])
    sound(other, [note])


@pytest.mark.parametrize("look", ["ask", "status"])
def test_a_pack_that_is_replaced_while_it_is_read_is_no_trouble(pair: tuple[Memory, Memory], look: str) -> None:
    """Between the row and the file another process may forget a fact: the reader takes the pack that came after."""
    one, other = pair
    first, second = tell(one, FACTS[0]), tell(one, FACTS[1])
    assert len(one.consolidate(user="ann").promoted) == 2
    held: Any = other._parts.weights.pack_store
    get = held.get

    def raced(sha: str) -> bytes:
        del held.get
        one.forget(second, user="ann")
        return get(sha)  # type: ignore[no-any-return]

    held.get = raced
    if look == "status":
        assert other.status(user="ann").trouble == ""
    answer = other.ask(FACTS[0][3], user="ann")
    assert (answer.text, answer.source, answer.warnings) == ("Porto.", "weights", ())
    sound(other, [first])


def test_a_damaged_pack_keeps_nobody_from_forgetting_or_correcting(pair: tuple[Memory, Memory]) -> None:
    """Nothing is served from it, so it goes; the other edits stand in the registry, and a rebuild writes them anew."""
    one, _ = pair
    notes = [tell(one, fact) for fact in FACTS]
    assert len(one.consolidate(user="ann").promoted) == 3
    folder = one._parts.weights.pack_store.folder
    (pack,) = folder.iterdir()
    pack.write_bytes(pack.read_bytes()[:-40])

    receipt = one.forget(notes[0], user="ann")
    assert receipt.gone
    assert any("2 other edits" in text and "rebuild" in text for text in receipt.warnings), receipt.warnings
    assert not list(folder.iterdir())
    one.update(notes[1], "Oren Dorrell plays the viola.", user="ann")
    assert [edit.note_id for edit in one.edits(user="ann")] == [notes[2]]
    assert "rebuild" in str(one.check())
    assert one.ask(FACTS[2][3], user="ann").source == "notes"

    assert one.rebuild("weights") == 1
    sound(one, [notes[2]])
    assert one.ask(FACTS[2][3], user="ann", use="weights").text == "Bergen."
