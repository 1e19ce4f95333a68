"""A recollection as prompt text: the best hits that fit, oldest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agentmem.notes.note import Hit, MemoryState, Note, Scope
from agentmem.notes.quoting import hit_line, notes_block
from agentmem.recall import result as recollection
from agentmem.recall.result import Recollection, estimate_tokens

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def found(count: int) -> Recollection:
    """Hits whose times are not in the order of their scores, of different lengths."""
    notes = [
        Note(
            id=f"id-{n:03}", content=f"Note {n} " + "says more " * (n % 7), scope=Scope(user="ana"), created_at=NOON,
            occurred_at=NOON + timedelta(hours=37 * n % 101), state=MemoryState(1.0, 5.0, NOON),
        )
        for n in range(count)
    ]  # fmt: skip
    return Recollection("what?", tuple(Hit(note, 1.0 - n / count) for n, note in enumerate(notes)), NOON)


@pytest.mark.parametrize("room", [0, 20, 60, 200, 1000, 100_000])
def test_the_best_hits_that_fit_are_taken_and_told_oldest_first(room: int) -> None:
    hits = found(50)
    chosen: list[Note] = []
    for hit in hits:
        if estimate_tokens(notes_block([*chosen, hit.note])) <= room:
            chosen.append(hit.note)

    assert [h.note for h in hits.within(room)] == chosen
    assert hits.context(room) == notes_block(chosen)


def test_a_note_becomes_a_line_once_however_many_notes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(
        recollection, "hit_line", lambda hit, said_on: made.append(hit.note.id) or hit_line(hit, said_on)
    )

    found(100).within(100_000)

    assert len(made) == 100
