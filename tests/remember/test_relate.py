"""What a learned model holds for replaced is marked, and ends only where the settings and the probability allow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agentmem import Memory, Settings
from agentmem.embedding.relation_model import RelationModel
from agentmem.notes.clock import ManualClock
from agentmem.notes.protocols import Relations
from agentmem.settings import RememberSettings

OLD, NEW = "We page through Beeper, schedule platform", "Since Monday the platform schedule pages through Larm"
ELSE = "The platform schedule of Beeper has a calendar"


class Heard:
    """A reader of pairs that knows some probabilities, and counts what it was given to read."""

    closes, marks = 0.9, 0.5

    def __init__(self, **chances: float) -> None:
        self.chances = chances or {OLD: 0.95}
        self.read: list[tuple[str, str]] = []

    def replaced(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.read += pairs
        return [self.chances.get(before, 0.0) if "Larm" in later else 0.0 for before, later in pairs]


def _memory(clock: ManualClock, updates: str, heard: Relations, path: Path | None = None) -> Memory:
    memory = Memory(path, embedder="hash", clock=clock)
    core = memory._parts.core
    core.settings = Settings(remember=RememberSettings(updates=updates))
    core.relations = heard
    return memory


@pytest.fixture
def closing(clock: ManualClock) -> Iterator[Memory]:
    with _memory(clock, "closed", Heard()) as memory:
        yield memory


def _later(clock: ManualClock) -> None:
    clock.advance(days=3)


def _updates(memory: Memory, id: str) -> list[tuple[str, float]]:
    """(kind, weight) of what a note does to others, as the store has it."""
    with memory._parts.core.reading(memory.scope) as tx:
        row = tx.notes.rows_of([id])[id]
        links = tx.links.touching([row], ("updates", "supersedes"))
        return [(link.kind, round(link.weight, 2)) for link in links if link.source == row]


def test_what_is_sure_is_closed_as_by_a_rule(closing: Memory, clock: ManualClock) -> None:
    """The older note ends when the newer begins; receipt, history and link say so."""
    old = closing.remember(OLD)
    _later(clock)
    new = closing.remember(NEW)

    assert (new.status, new.superseded) == ("superseded", (old.id,))
    assert closing.get(old.id).valid_to == closing.get(new.id).valid_from
    assert closing.history(old.id)[-1].reason == f"superseded by {new.id}"
    assert [(link.kind, link.target) for link in new.links if link.kind == "supersedes"] == [("supersedes", old.id)]
    assert "read as replaced" in str(closing.why_linked(new.id, old.id))


def test_forgetting_the_newer_one_takes_the_end_back(closing: Memory, clock: ManualClock) -> None:
    old = closing.remember(OLD)
    _later(clock)
    new = closing.remember(NEW)
    assert closing.get(old.id).valid_to is not None

    closing.forget(new.id)

    assert closing.get(old.id).valid_to is None


def test_other_words_of_the_newer_one_take_the_end_back(closing: Memory, clock: ManualClock) -> None:
    old = closing.remember(OLD)
    _later(clock)
    new = closing.remember(NEW)
    assert closing.get(old.id).valid_to is not None

    closing.update(new.id, "The platform schedule pages nobody on Monday")

    assert closing.get(old.id).valid_to is None
    assert _updates(closing, new.id) == []


def test_a_mark_ends_nothing(clock: ManualClock) -> None:
    """Where closing is not asked for, the newer note is linked to the older one, with the probability as weight."""
    with _memory(clock, "marked", Heard()) as memory:
        old = memory.remember(OLD)
        _later(clock)
        new = memory.remember(NEW)

        assert [(k.kind, k.target, k.weight) for k in new.links if k.kind == "updates"] == [("updates", old.id, 0.95)]
        assert new.status == "stored"
        assert memory.get(old.id).valid_to is None


BOTH = "The platform schedule is in Beeper and pages twice"
TWO = [("platform", "schedule", "Beeper"), ("platform", "pages", "twice")]


@pytest.mark.parametrize(
    ("told", "facts", "sure"),
    [
        ("I live in Graz and work as a plumber.", True, ["I live in Graz"]),
        ("I live in Graz and work as a plumber.", True, []),
        (BOTH, TWO, []),
        ("The platform schedule is in Beeper. The dog of the platform is called Rex", False, []),
        ("The platform schedule is in Beeper and the dog of the platform is called Rex", False, []),
    ],
    ids=["one of two facts", "neither fact", "facts that are given", "two sentences", "two clauses"],
)
def test_what_a_note_says_besides_does_not_end_with_what_is_replaced(
    clock: ManualClock, told: str, facts: bool | list[tuple[str, str, str]], sure: list[str]
) -> None:
    """Of several facts those end that are read as replaced by themselves; a note whose parts cannot be told apart is marked."""
    heard = Heard(**{told: 0.95} | dict.fromkeys(sure, 0.95))
    with _memory(clock, "closed", heard) as memory:
        old = memory.remember(told, facts=facts)
        _later(clock)
        new = memory.remember("I live with Larm in Linz, not in Graz, and work on the platform schedule")
        note = memory.get(old.id)

        assert note.valid_to is None
        assert [fact.ended_by for fact in note.facts if fact.valid_to is not None] == [new.id] * len(sure)
        assert new.superseded == ()
        assert [kind for kind, _ in _updates(memory, new.id)] == ["supersedes" if sure else "updates"]
        memory.forget(new.id)
        assert all(fact.valid_to is None for fact in memory.get(old.id).facts)


def test_what_was_read_as_replaced_can_be_taken_back(closing: Memory, clock: ManualClock) -> None:
    old = closing.remember(OLD)
    _later(clock)
    new = closing.remember(NEW)

    assert closing.undo_updates(new.id) == (old.id,)
    assert closing.get(old.id).valid_to is None
    assert _updates(closing, new.id) == []
    assert closing.history(old.id)[-1].reason == f"holds again: that note {new.id} replaces it was taken back"


def test_a_prompt_says_of_a_marked_note_that_a_newer_one_says_otherwise(clock: ManualClock) -> None:
    with _memory(clock, "marked", Heard()) as memory:
        first = f"{clock.now():%Y-%m-%d}"
        memory.remember(OLD)
        _later(clock)
        then = f"{clock.now():%Y-%m-%d}"
        memory.remember(NEW)
        lines = memory.recall(OLD).context().splitlines()

        assert lines[1:] == [
            f"- [{first} note] {OLD} (a newer note says otherwise, on {then})",
            f"- [{then} note] {NEW}",
        ]


def test_a_prompt_has_room_for_what_it_says_of_marked_notes(clock: ManualClock) -> None:
    """However little there is, the block is never longer; without the newer note, nothing points to it."""
    with _memory(clock, "marked", Heard()) as memory:
        memory.remember(OLD)
        _later(clock)
        memory.remember(NEW)
        found = memory.recall(OLD)
        blocks = [found.context(room, count=len) for room in range(400)]

        assert all(len(block) <= room for room, block in enumerate(blocks))
        assert all(("otherwise" in block) == (OLD in block and NEW in block) for block in blocks)
        assert any("otherwise" in block for block in blocks)
        assert any(OLD in block and NEW not in block for block in blocks) or any(NEW in block for block in blocks)


def test_what_is_not_sure_is_marked_alone(clock: ManualClock) -> None:
    with _memory(clock, "closed", Heard(**{OLD: 0.7, ELSE: 0.4})) as memory:
        old, other = memory.remember(OLD), memory.remember(ELSE)
        _later(clock)
        new = memory.remember(NEW)

        assert [k.target for k in new.links if k.kind == "updates"] == [old.id]
        assert [memory.get(id).valid_to for id in (old.id, other.id)] == [None, None]


def test_a_mark_goes_with_the_words_it_was_made_from(clock: ManualClock) -> None:
    """Of either note: reworded, the two are read anew."""
    with _memory(clock, "marked", Heard(**{OLD: 0.7, f"{OLD}-2": 0.6})) as memory:
        old = memory.remember(OLD)
        _later(clock)
        new = memory.remember(NEW)

        memory.update(old.id, f"{OLD}-2")
        assert _updates(memory, new.id) == [("updates", 0.6)]
        memory.update(old.id, ELSE)
        assert _updates(memory, new.id) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"user": "ana"}, {"user": "bo"}),
        ({"actor": "Ana"}, {"actor": "Bo"}),
        ({}, {"actor": "assistant"}),
        ({"actor": "assistant"}, {}),
        ({}, {"trust": 0.2}),
    ],
    ids=["users", "tellers", "by an agent", "of an agent", "untrusted"],
)
def test_nobody_updates_what_another_told(clock: ManualClock, first: dict[str, str], second: dict[str, str]) -> None:
    heard = Heard()
    with _memory(clock, "closed", heard) as memory:
        memory.remember(OLD, **first)
        _later(clock)
        new = memory.remember(NEW, **second)

        assert heard.read == []
        assert new.superseded == ()


def test_one_batch_is_read_as_single_notes_are(clock: ManualClock) -> None:
    """Of messages handed over together, the later one is the newer."""
    with _memory(clock, "closed", Heard()) as memory:
        old, new = memory.remember([{"role": "user", "content": OLD}, {"role": "user", "content": NEW}]).items

        assert new.superseded == (old.id,)


def test_two_newer_ones_end_an_older_one_once(clock: ManualClock) -> None:
    """It ends with the first of them; the other is marked as newer, too."""
    with _memory(clock, "closed", Heard()) as memory:
        told = [OLD, NEW, f"{NEW}, as I said"]
        old, first, second = memory.remember([{"role": "user", "content": text} for text in told]).items

        assert (first.superseded, second.superseded) == ((old.id,), ())
        assert [k.target for k in second.links if k.kind == "updates"] == [old.id]
        assert [version.reason for version in memory.history(old.id)] == ["stored", f"superseded by {first.id}"]


def test_what_was_said_before_the_older_one_replaces_nothing(clock: ManualClock) -> None:
    heard = Heard()
    with _memory(clock, "closed", heard) as memory:
        memory.remember(OLD)
        memory.remember(NEW, occurred_at="2020-01-01")

        assert heard.read == []


def test_at_most_eight_are_read(clock: ManualClock) -> None:
    heard = Heard()
    with _memory(clock, "marked", heard) as memory:
        for day in range(20):
            memory.remember(f"We page through Beeper, schedule platform, day {day}")
            _later(clock)
        heard.read.clear()
        memory.remember(NEW)

        assert len(heard.read) == 8


def test_a_model_that_fails_loses_no_note(clock: ManualClock, tmp_path: Path) -> None:
    """The note is stored, and its receipt says what was not done."""
    (damaged := tmp_path / "relations.safetensors").write_bytes(b"nothing of a model")
    with _memory(clock, "marked", RelationModel(damaged)) as memory:
        memory.remember(OLD)
        _later(clock)
        new = memory.remember(NEW)

        assert new.status == "stored"
        assert any("not read against older notes" in warning for warning in new.warnings)
        assert len(memory.notes()) == 2


def test_by_rules_alone_nothing_is_read(clock: ManualClock) -> None:
    with Memory(None, embedder="hash", clock=clock) as memory:
        assert memory._parts.core.relations is None


def test_a_stop_between_note_and_mark_leaves_the_note(
    open_memory: Callable[..., Memory], clock: ManualClock, tmp_path: Path
) -> None:
    """What is stored is stored; the mark alone is missing."""

    class Stopped(Exception):
        pass

    def stop(step: str) -> None:
        if step == "relate:before-commit":
            raise Stopped

    with _memory(clock, "closed", Heard(), tmp_path / "m") as memory:
        old = memory.remember(OLD)
        _later(clock)
        memory._parts.rememberer._relater._fail = stop
        with pytest.raises(Stopped):
            memory.remember(NEW)

        assert [n.content for n in memory.notes()] == [OLD, NEW]
        assert memory.get(old.id).valid_to is None
        assert memory.check().ok
