"""Packs where a user said that they be: what is forgotten leaves the answers at once, and the place as soon as it can be reached."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from agentmem import Fact, Memory
from agentmem.errors import PackUnreachable
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock
from agentmem.stores.objects.folder import FolderObjects
from agentmem.stores.objects.packs import MARKER

FACTS = [
    ("Ilva Quist", "lives in", "Porto", "Where does Ilva Quist live?"),
    ("Oren Dorrell", "plays", "cello", "What instrument does Oren Dorrell play?"),
    ("Mira Halse", "lives in", "Bergen", "Where does Mira Halse live?"),
]


class Place:
    """A folder that can go out of reach, as one does that is not mounted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._away = root.with_name("away")

    def leave(self) -> None:
        self.root.rename(self._away)
        self.root.mkdir()  # the empty folder that is left of a mount

    def come_back(self) -> None:
        self.root.rmdir()
        self._away.rename(self.root)

    def packs(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file() and path.name != MARKER)

    def holds(self, word: str) -> bool:
        return any(word.encode() in path.read_bytes() for path in self.packs())


@pytest.fixture(scope="module")
def models() -> list[Any]:
    torch.set_num_threads(1)
    return [load_small_model(), load_small_model()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "packs")


@pytest.fixture
def pair(tmp_path: Path, place: Place, models: list[Any]) -> Iterator[tuple[Memory, Memory]]:
    """One that learns and one that serves; both see the same notes."""
    options: dict[str, Any] = {"embedder": "hash", "packs": place.root, "clock": ManualClock()}
    with (
        Memory(tmp_path / "m", model=models[0], **options) as worker,
        Memory(tmp_path / "m", model=models[1], **options) as serving,
    ):
        yield worker, serving


def tell(memory: Memory, fact: tuple[str, str, str, str]) -> str:
    subject, relation, value, _ = fact
    receipt = memory.remember(f"{subject} {relation} {value}.", user="ann", fact=Fact(subject, relation, value))
    memory.reinforce(str(receipt.id), user="ann")
    return str(receipt.id)


def learn(memory: Memory, *facts: tuple[str, str, str, str]) -> list[str]:
    notes = [tell(memory, fact) for fact in facts]
    assert len(memory.consolidate(user="ann").promoted) == len(facts)
    return notes


def says(memory: Memory, fact: tuple[str, str, str, str]) -> str:
    return memory.ask(fact[3], user="ann", use="weights").text


def later(memory: Memory) -> None:
    """The pause after a failed attempt is over."""
    memory._parts.weights._monotonic = lambda: 1e12


def test_what_one_process_learns_lies_in_the_place_alone_and_another_serves_it(
    pair: tuple[Memory, Memory], place: Place, tmp_path: Path
) -> None:
    worker, serving = pair
    (note,) = learn(worker, FACTS[0])

    assert says(serving, FACTS[0]) == "Porto."
    (pack,) = place.packs()
    assert (pack.parent / MARKER).exists()
    assert not list((tmp_path / "m").rglob("*.safetensors"))
    assert worker.check().ok

    receipt = worker.forget(note, user="ann")
    assert receipt.gone
    assert not place.packs()
    assert "Porto" not in says(serving, FACTS[0])
    assert worker.check().ok


def test_forgotten_while_the_place_is_out_of_reach_it_leaves_the_answers_at_once_and_the_place_later(
    pair: tuple[Memory, Memory], place: Place
) -> None:
    worker, serving = pair
    note, _ = learn(worker, *FACTS[:2])
    assert says(serving, FACTS[0]) == "Porto."
    place.leave()

    receipt = worker.forget(note, user="ann")

    assert not receipt.gone
    assert (receipt.probes["packs"], receipt.probes["weights"]) == (False, False)
    assert (receipt.probes["model"], receipt.probes["routing"], receipt.probes["notes"]) == (True, True, True)
    (warning,) = [text for text in receipt.warnings if str(place.root) in text]
    assert "not gone yet" in warning
    for memory in pair:
        assert "Porto" not in says(memory, FACTS[0])
        assert says(memory, FACTS[1]) == "cello."
    assert "packs" in worker._parts.scrubber.due()

    place.come_back()
    assert place.holds("Porto"), "else nothing is shown here"
    worker.flush()

    assert not place.holds("Porto")
    assert len(place.packs()) == 1
    assert not worker._parts.scrubber.due()
    assert says(serving, FACTS[1]) == "cello."
    assert worker.check().ok
    assert serving.check().ok


def test_corrected_while_the_place_is_out_of_reach_the_verb_goes_on_and_what_is_left_is_done_later(
    pair: tuple[Memory, Memory], place: Place
) -> None:
    worker, serving = pair
    learn(worker, *FACTS[:2])
    assert says(serving, FACTS[0]) == "Porto."
    place.leave()
    clock: Any = worker.clock
    clock.advance(days=1)

    worker.remember("Ilva Quist lives in Bergen.", user="ann", fact=Fact("Ilva Quist", "lives in", "Bergen"))
    assert "Porto" not in says(serving, FACTS[0])
    assert says(serving, FACTS[1]) == "cello."
    place.come_back()
    worker._parts.scrubber._monotonic = lambda: 1e12
    worker.remember("Something else.", user="ann")
    worker._parts.scrubber.wait()

    assert not place.holds("Porto")
    assert worker.check().ok


def test_who_opens_the_memory_next_finishes_what_was_left(
    pair: tuple[Memory, Memory], place: Place, tmp_path: Path
) -> None:
    worker, _ = pair
    note, _ = learn(worker, *FACTS[:2])
    place.leave()
    worker.forget(note, user="ann")
    place.come_back()

    with Memory(tmp_path / "m", embedder="hash", packs=place.root.as_uri()) as opened:
        assert not opened._parts.scrubber.due()
    assert not place.holds("Porto")


def test_loaded_while_the_place_is_out_of_reach_notes_answer_and_later_the_weights_do(
    pair: tuple[Memory, Memory], place: Place
) -> None:
    """And nothing is consolidated on a model that lacks what others have learnt."""
    worker, serving = pair
    learn(worker, FACTS[0])
    place.leave()

    answer = serving.ask(FACTS[0][3], user="ann")
    assert (answer.source, "Porto" in answer.text) == ("notes", True)
    assert any("cannot be served" in text for text in answer.warnings)
    assert "no packs of this memory" in serving.status(user="ann").trouble
    tell(serving, FACTS[1])
    with pytest.raises(PackUnreachable) as caught:
        serving.consolidate(user="ann")
    assert caught.value.hint
    place.come_back()
    later(serving)

    assert says(serving, FACTS[0]) == "Porto."
    assert serving.status(user="ann").trouble == ""


def test_a_pack_that_cannot_be_put_is_not_registered_and_the_next_run_does_it(
    pair: tuple[Memory, Memory], place: Place
) -> None:
    """Whether the place is gone before the work on it or behind it."""
    worker, serving = pair
    learn(worker, FACTS[0])
    before = place.packs()
    tell(worker, FACTS[1])
    place.leave()
    with pytest.raises(PackUnreachable):
        worker.consolidate(user="ann")
    place.come_back()

    def leave(step: str) -> None:
        if step == "consolidate:before-commit":
            place.leave()

    worker._parts.fail = leave
    with pytest.raises(PackUnreachable) as caught:
        worker.consolidate(user="ann")
    worker._parts.fail = lambda step: None
    assert caught.value.hint
    place.come_back()
    assert [edit.target for edit in worker.edits(user="ann")] == ["Porto."]
    assert place.packs() == before
    assert says(worker, FACTS[0]) == says(serving, FACTS[0]) == "Porto."

    assert len(worker.consolidate(user="ann").promoted) == 1
    assert says(serving, FACTS[1]) == "cello."
    assert worker.check().ok


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1] + b"\0",
        pytest.param(lambda data: data[:-40], marks=pytest.mark.slow),
        pytest.param(lambda data: b"", marks=pytest.mark.slow),
    ],
)
def test_a_pack_with_other_bytes_is_never_loaded_and_the_one_before_it_goes_on(
    pair: tuple[Memory, Memory], place: Place, damage: Any
) -> None:
    """Less what was forgotten; as soon as the bytes are right it is served."""
    worker, serving = pair
    doomed, _ = learn(worker, *FACTS[:2])
    assert says(serving, FACTS[1]) == "cello."
    learn(worker, FACTS[2])
    (pack,) = place.packs()
    data = pack.read_bytes()
    pack.write_bytes(damage(data))

    answer = serving.ask(FACTS[1][3], user="ann", use="weights")
    assert (answer.text, answer.source) == ("cello.", "weights")
    assert any("earlier pack" in text for text in answer.warnings)
    assert "damaged" in serving.status(user="ann").trouble
    assert "damaged" in str(serving.check())
    assert "Bergen" not in says(serving, FACTS[2])
    with serving._parts.core.store.write() as tx:  # as another process does that cannot reach the place
        tx.ledger.delete_edits([edit.id for edit in tx.ledger.edits(note_ids=[doomed])])
    assert "Porto" not in says(serving, FACTS[0])

    pack.write_bytes(data)
    later(serving)
    assert says(serving, FACTS[2]) == "Bergen."


def test_who_cannot_reach_the_place_goes_on_with_what_it_has_less_what_others_forgot(
    pair: tuple[Memory, Memory], place: Place, tmp_path: Path
) -> None:
    """And learns what they have learnt as soon as it can."""
    worker, serving = pair
    doomed, _ = learn(worker, *FACTS[:2])
    assert says(serving, FACTS[0]) == "Porto."
    copies: Any = serving._parts.weights.pack_store
    reached, copies._copies._objects = copies._copies._objects, FolderObjects(tmp_path / "not-mounted")

    assert worker.forget(doomed, user="ann").gone
    learn(worker, FACTS[2])
    answer = serving.ask(FACTS[1][3], user="ann", use="weights")
    assert (answer.text, answer.source) == ("cello.", "weights")
    assert any("earlier pack" in text for text in answer.warnings)
    assert "Porto" not in says(serving, FACTS[0])
    assert "Bergen" not in says(serving, FACTS[2])
    tell(serving, FACTS[0])
    with pytest.raises(PackUnreachable):
        serving.consolidate(user="ann")

    copies._copies._objects = reached
    later(serving)
    assert (says(serving, FACTS[2]), says(serving, FACTS[1])) == ("Bergen.", "cello.")
    assert serving.ask(FACTS[1][3], user="ann").warnings == ()


def test_who_does_not_say_where_the_packs_are_is_told_and_breaks_nothing(
    pair: tuple[Memory, Memory], place: Place, tmp_path: Path, models: list[Any]
) -> None:
    """And who names another place neither."""
    worker, serving = pair
    note, _ = learn(worker, *FACTS[:2])
    (pack,) = place.packs()
    worker.detach()

    with Memory(tmp_path / "m", embedder="hash", model=models[0], clock=ManualClock()) as unsaid:
        answer = unsaid.ask(FACTS[0][3], user="ann")
        assert answer.source == "notes"
        assert any(str(place.root) in text for text in answer.warnings)
        with pytest.raises(PackUnreachable, match=str(place.root)) as caught:
            unsaid.consolidate(user="ann")
        assert "packs=" in caught.value.hint
        with pytest.raises(PackUnreachable, match=str(place.root)):
            unsaid.rebuild("weights")
        receipt = unsaid.forget(note, user="ann")
        assert not receipt.gone
        unsaid.detach()
    with Memory(tmp_path / "m", embedder="hash", packs=tmp_path / "other", clock=ManualClock()) as other:
        other.flush()
        assert "no packs of this memory" in str(other.check())
    assert place.packs() == [pack]
    assert not (tmp_path / "other").exists()
    assert "Porto" not in says(serving, FACTS[0])
    assert says(serving, FACTS[1]) == "cello."

    serving.flush()
    assert not place.holds("Porto")
    assert serving.check().ok


def test_packs_of_before_are_taken_along(tmp_path: Path, place: Place, models: list[Any]) -> None:
    path, clock = tmp_path / "m", ManualClock()
    with Memory(path, embedder="hash", model=models[0], clock=clock) as memory:
        learn(memory, FACTS[0])
        memory.detach()
    assert len([*path.rglob("*.safetensors")]) == 1

    with Memory(path, embedder="hash", model=models[0], packs=place.root, clock=clock) as memory:
        assert says(memory, FACTS[0]) == "Porto."
        assert len(place.packs()) == 1
        assert not [*path.rglob("*.safetensors")]
        assert memory.check().ok
        memory.detach()


def test_where_all_packs_are_lost_a_rebuild_begins_anew(pair: tuple[Memory, Memory], place: Place) -> None:
    worker, serving = pair
    learn(worker, FACTS[0])
    place.leave()

    assert worker.rebuild("weights") == 1

    assert len(place.packs()) == 1
    assert says(serving, FACTS[0]) == "Porto."
    assert worker.check().ok


def test_nobody_removes_a_pack_that_is_being_published_and_one_that_never_was_goes(
    pair: tuple[Memory, Memory], place: Place
) -> None:
    """Who looks for packs of nobody waits for who is publishing; what one left that was stopped is found."""
    worker, serving = pair
    swept = threading.Event()

    def sweep(step: str) -> None:
        if step == "pack:written":
            thread = threading.Thread(target=lambda: (serving._parts.weights.collect(), swept.set()))
            thread.start()
            assert not swept.wait(0.3)
            assert len(place.packs()) == 1

    worker._parts.weights._fail = sweep
    learn(worker, FACTS[0])
    assert swept.wait(30)
    assert len(place.packs()) == 1
    assert says(serving, FACTS[0]) == "Porto."

    def stop(step: str) -> None:
        if step == "pack:written":
            raise KeyboardInterrupt

    worker._parts.weights._fail = stop
    tell(worker, FACTS[1])
    with pytest.raises(KeyboardInterrupt):
        worker.consolidate(user="ann")
    worker._parts.weights._fail = lambda step: None
    assert len(place.packs()) == 2
    serving._parts.weights.collect()
    assert len(place.packs()) == 1
    assert says(serving, FACTS[0]) == "Porto."


def test_two_memories_in_one_place_leave_each_other_alone(tmp_path: Path, place: Place, models: list[Any]) -> None:
    options: dict[str, Any] = {"embedder": "hash", "packs": place.root, "clock": ManualClock()}
    with (
        Memory(tmp_path / "a", model=models[0], **options) as one,
        Memory(tmp_path / "b", model=models[1], **options) as two,
    ):
        learn(one, FACTS[0])
        (note,) = learn(two, FACTS[1])
        assert len(place.packs()) == 2
        two.forget(note, user="ann")

        assert says(one, FACTS[0]) == "Porto."
        assert one.check().ok
        assert len(place.packs()) == 1


def test_a_rehearsed_forgetting_counts_the_same_and_writes_nothing(pair: tuple[Memory, Memory], place: Place) -> None:
    worker, _ = pair
    note, _ = learn(worker, *FACTS[:2])
    before = place.packs()

    planned = worker.forget(note, user="ann", dry_run=True)
    assert place.packs() == before
    receipt = worker.forget(note, user="ann")
    assert (planned.places, planned.edits) == (receipt.places, receipt.edits)
