"""An exported adapter is known to the memory: who forgets what it holds removes it where it was written, and is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentmem import Fact, Memory
from agentmem.consolidation.strategies import AlwaysPolicy
from agentmem.errors import InvalidArgument

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def memory(tmp_path: Path):
    with Memory(tmp_path / "memory", embedder="hash", model="small") as opened:
        yield opened


def taught(memory: Memory) -> list[str]:
    """Two facts in the weights; the ids of their notes."""
    ids, memory.policy = [], AlwaysPolicy()
    for name, town in (("Ines Varga", "Porto"), ("Tomas Lind", "Oslo")):
        text = f"{name} lives in {town}."
        ids.append(memory.remember(text, fact=Fact(name, "lives in", town)).id)
    report = memory.consolidate()
    assert len(report.promoted) == 2, report.decisions
    return ids


def test_forgetting_a_note_removes_the_adapter_that_holds_it(memory: Memory, tmp_path: Path) -> None:
    first, second = taught(memory)
    report = memory.export_lora(tmp_path / "adapter", rank=4, epochs=3)
    other = tmp_path / "other"
    assert set(report.notes) == {first, second}
    assert json.loads((tmp_path / "adapter" / "agentmem.json").read_text())["notes"] == sorted(report.notes)

    dry = memory.forget(first, dry_run=True)
    assert dry.exports == (str(tmp_path / "adapter"),)
    assert (tmp_path / "adapter" / WEIGHTS).exists()
    receipt = memory.forget(first)
    assert receipt.gone
    assert receipt.exports == (str(tmp_path / "adapter"),)
    assert any("copied" in warning for warning in receipt.warnings)
    assert not (tmp_path / "adapter" / WEIGHTS).exists()
    assert not (tmp_path / "adapter" / "agentmem.json").exists()

    again = memory.export_lora(other, rank=4, epochs=3)
    assert again.notes == (second,)
    assert memory.forget(second).exports == (str(other),)
    with pytest.raises(InvalidArgument):
        memory.export_lora(other)


def test_an_adapter_with_what_was_superseded_is_named_until_it_is_written_anew(memory: Memory, tmp_path: Path) -> None:
    """It stays, since others may serve it; whoever looks at the weights is told where it is."""
    taught(memory)
    memory.export_lora(tmp_path / "adapter", rank=2, epochs=1)
    assert memory.status().outdated == ()

    memory.remember("Ines Varga lives in Lyon.", fact=Fact("Ines Varga", "lives in", "Lyon"))
    status = memory.status()
    assert status.outdated == (str(tmp_path / "adapter"),)
    assert not status.ok
    assert "1 adapters outdated" in str(status)
    assert memory.status(user="ana").outdated == (), "folders are nobody's in particular"

    memory.export_lora(tmp_path / "adapter", rank=2, epochs=1)
    assert memory.status().outdated == ()
    memory.remember("Tomas Lind lives in Rome.", fact=Fact("Tomas Lind", "lives in", "Rome"))
    assert memory.status().outdated == (str(tmp_path / "adapter"),)
    (tmp_path / "adapter" / WEIGHTS).unlink()
    assert memory.status().outdated == ()


def test_what_somebody_else_put_there_stays(memory: Memory, tmp_path: Path) -> None:
    """Only the bytes that were written here are taken away; the receipt names the folder all the same."""
    first, _ = taught(memory)
    memory.export_lora(tmp_path / "adapter", rank=2, epochs=1)
    (tmp_path / "adapter" / WEIGHTS).write_bytes(b"another adapter")
    receipt = memory.forget(first)

    assert receipt.exports == (str(tmp_path / "adapter"),)
    assert (tmp_path / "adapter" / WEIGHTS).read_bytes() == b"another adapter"


def test_an_adapter_outlives_the_process_that_wrote_it(tmp_path: Path) -> None:
    """Where it is stands in the store, so whoever opens the memory next finds it; and a note that it does not hold leaves it alone."""
    with Memory(tmp_path / "memory", embedder="hash", model="small") as memory:
        first, _ = taught(memory)
        memory.export_lora(tmp_path / "adapter", rank=2, epochs=1)
        plain = memory.remember("The kettle is red.").id
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        assert memory.forget(plain).exports == ()
        assert (tmp_path / "adapter" / WEIGHTS).exists()
        assert memory.forget(first).exports == (str(tmp_path / "adapter"),)
    assert not (tmp_path / "adapter" / WEIGHTS).exists()
