"""What a consolidation proposes, by the store alone: no model, nothing written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from agentmem import Fact, Memory, Settings
from agentmem.consolidation.candidates import gather
from agentmem.consolidation.phraser import FactPhraser
from agentmem.consolidation.phrasing import Heard, NotPhrased, Phrased
from agentmem.consolidation.proposal import UNDONE
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import ManualClock, micros
from agentmem.notes.note import Note
from agentmem.notes.rows import EditRow
from agentmem.settings import ConsolidationSettings

ONE = Settings(consolidation=ConsolidationSettings(max_edits=1))
Open = Callable[..., Memory]


def tell(
    memory: Memory, subject: str, relation: str, value: str, content: str = "", user: str = "ann", uses: int = 1
) -> str:
    note = memory.remember(content or f"{subject} {relation} {value}.", user=user, fact=Fact(subject, relation, value))
    for _ in range(uses):
        memory.reinforce(str(note.id), user=user)
    return str(note.id)


def enter(memory: Memory, note_id: str, user: str = "ann") -> None:
    """An edit of a note in the registry, as a consolidation enters it."""
    core, note = memory._parts.core, memory.get(note_id, user=user)
    with core.store.write() as tx:
        owner = tx.notes.owner(note.scope)
        assert owner is not None
        edit = EditRow(
            f"edit-{note_id}", note_id, owner, "grace", "active", note.version, {"prompt": "?", "target": "."}, "", 0
        )
        tx.ledger.put_edit(edit)


def record(memory: Memory, note_id: str, event: str, **more: str) -> None:
    """A line of the ledger: an edit of this version failed, or was undone."""
    core = memory._parts.core
    details = {"version": 1, "reason": UNDONE if event == "retired" else "it failed", **more}
    with core.store.write() as tx:
        tx.ledger.append(micros(core.clock.now()), event, note_id=note_id, details=details)


def test_the_side_memory_has_one_capacity_for_all_users(open_memory: Open) -> None:
    """Runs for one user at a time must not fill it once for each."""
    memory = open_memory(settings=ONE)
    enter(memory, tell(memory, "Oren Dorrell", "plays", "cello", user="bob"), user="bob")
    tell(memory, "Ilva Quist", "lives in", "Porto")

    (decision,) = memory.consolidate(user="ann", dry_run=True).decisions
    assert (decision.action, decision.reasons) == ("keep", ("the side memory is full",))


@pytest.mark.parametrize("event", ["failed", "retired"])
def test_what_failed_or_was_undone_takes_nobodys_place(open_memory: Open, clock: ManualClock, event: str) -> None:
    """When the side memory is full, it is barred as it is when there is room."""
    memory = open_memory(settings=ONE)
    held = tell(memory, "Ilva Quist", "lives in", "Porto")
    enter(memory, held)
    barred = tell(memory, "Oren Dorrell", "plays", "cello")
    for _ in range(8):
        clock.advance(days=1)
        memory.reinforce(barred, user="ann")
    assert memory.consolidate(user="ann", dry_run=True).demoted == (held,)

    record(memory, barred, event)
    report = memory.consolidate(user="ann", dry_run=True)

    assert (report.demoted, {d.action for d in report.decisions}) == ((), {"keep"})


@pytest.mark.parametrize(("event", "word"), [("failed", "failed verification"), ("retired", "undone")])
def test_what_will_not_be_written_again_is_not_said_to_wait(memory: Memory, event: str, word: str) -> None:
    """status() and explain() say what consolidate() will do; new words for the note open the way again."""
    note = tell(memory, "Ilva Quist", "lives in", "Porto")
    assert memory.status(user="ann").waiting == (note,)
    assert memory.explain(note, user="ann").startswith("promote")

    record(memory, note, event)
    assert memory.status(user="ann").waiting == ()
    said = memory.explain(note, user="ann")
    assert said.startswith("keep")
    assert word in said.splitlines()[0]
    memory.update(note, "Ilva Quist lives in Bergen.", user="ann")
    assert memory.status(user="ann").waiting == (note,)
    assert memory.explain(note, user="ann").startswith("promote")


def test_what_failed_on_one_model_may_be_tried_on_another(memory: Memory) -> None:
    """The words are the same, the one who is to learn them is not."""
    note = tell(memory, "Ilva Quist", "lives in", "Porto")
    record(memory, note, "failed", base="some other model")
    assert memory.status(user="ann").waiting == (), "without a model nobody can tell"

    memory.attach(*load_small_model())
    assert memory.status(user="ann").waiting == (note,)
    record(memory, note, "failed", base=str(memory.status(user="ann").attached))
    assert memory.status(user="ann").waiting == ()


@pytest.mark.parametrize(
    ("relation", "value", "content"),
    [
        ("email", "ilva@example.org", "How to reach Ilva Quist."),
        ("door code", "4711", "4711 opens the door of Ilva Quist."),
        ("phone", "+351 21 342 9000", "Ilva Quist can be called."),
    ],
)
def test_a_secret_in_the_fact_alone_is_a_secret(memory: Memory, relation: str, value: str, content: str) -> None:
    """The weights would learn the fact, whatever the words of the note are."""
    tell(memory, "Ilva Quist", relation, value, content)
    (decision,) = memory.consolidate(user="ann", dry_run=True).decisions
    assert decision.action == "keep"
    assert any("secret" in reason for reason in decision.reasons)


def test_a_fact_that_does_not_hold_yet_waits_for_its_day(memory: Memory, clock: ManualClock) -> None:
    """In the weights it would be behind its note from the first moment on."""
    begins = clock.now() + timedelta(days=30)
    fact = Fact("Ilva Quist", "lives in", "Porto")
    note = str(memory.remember("Ilva Quist lives in Porto.", user="ann", fact=fact, valid_from=begins).id)
    memory.reinforce(note, user="ann")
    assert "not valid yet" in memory.explain(note, user="ann")
    assert memory.status(user="ann").waiting == ()

    clock.advance(days=31)
    assert memory.status(user="ann").waiting == (note,)


# -- one of many pays for one -----------------------------------------------------------------------------------------


class Counting(FactPhraser):
    """Keeps the ids of the notes that it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def phrase(self, note: Note, heard: Sequence[Heard]) -> Phrased | NotPhrased:
        self.asked.append(note.id)
        return super().phrase(note, heard)


def test_why_one_note_was_decided_so_is_found_out_from_that_note_alone(memory: Memory) -> None:
    """Among thousands of facts it would take seconds to find the wordings of all."""
    wanted, _ = tell(memory, "Ilva Quist", "lives in", "Porto"), tell(memory, "Oren Dorrell", "plays", "cello")
    memory.phraser = counting = Counting()

    assert "promote" in memory.explain(wanted, user="ann")

    assert counting.asked == [wanted]


def test_the_notes_are_looked_through_as_they_are_taken(memory: Memory) -> None:
    """Those that are in the weights, or those that are not, are told apart before anything is made of them."""
    inside, outside = tell(memory, "Ilva Quist", "lives in", "Porto"), tell(memory, "Oren Dorrell", "plays", "cello")
    enter(memory, inside)
    core, counting = memory._parts.core, Counting()
    with core.store.read() as tx:
        owners = tx.notes.all_owners()
        for edited, only, ids in (
            (True, None, [inside]),
            (False, None, [outside]),
            (None, [outside, "nobody's"], [outside]),
            (None, None, [inside, outside]),
        ):
            assert [c.note.id for c in gather(tx, core, owners, counting, edited=edited, only=only)] == ids
        counting.asked.clear()
        next(iter(gather(tx, core, owners, counting)))
    assert counting.asked == [inside]
