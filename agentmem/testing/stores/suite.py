"""What the promises are tested on: an empty store, notes from little, vectors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from agentmem.notes.arrays import Vectors
from agentmem.notes.clock import ManualClock
from agentmem.notes.note import MemoryState, Note, Scope
from agentmem.notes.protocols import Clock
from agentmem.records.transaction import NoteStore, Transaction

__all__ = ["ANA", "BEN", "BOT", "DAY", "MAY", "StoreSuite"]

START: Final = datetime(2026, 1, 1, 9, tzinfo=UTC)
ANA, BEN, BOT = Scope(user="ana"), Scope(user="ben"), Scope(agent="bot")
DAY: Final = 86_400_000_000
MAY: Final = datetime(2026, 5, 1, tzinfo=UTC)


class StoreSuite:
    """The ground of the promises."""

    clock: ManualClock
    store: NoteStore

    def open(self, clock: Clock) -> NoteStore:
        """A new, empty store, whose versions are dated by ``clock``."""
        raise NotImplementedError

    def setup_method(self) -> None:
        """Each test has a store of its own."""
        self.clock = ManualClock(START)
        self.store = self.open(self.clock)

    def teardown_method(self) -> None:
        """Closed at the end, whatever the test did."""
        self.store.close()

    def note(self, number: int, **values: Any) -> Note:
        """A note from little: ``note(3)`` is the third one, three minutes later."""
        moment = START + timedelta(minutes=number)
        defaults: dict[str, Any] = {
            "id": f"note-{number:06d}",
            "content": f"note {number} speaks of apples",
            "occurred_at": moment,
            "created_at": moment,
            "state": MemoryState(1.0, 5.0, moment),
        }
        return Note(**(defaults | values))

    def owner(self, tx: Transaction, scope: Scope) -> int:
        """The owner of notes with this scope, made where there is none."""
        owner = tx.notes.owner(scope, create=True)
        assert owner is not None
        return owner

    def put(self, tx: Transaction, note: Note, vector: Vectors | None = None) -> int:
        """Store a note in all areas, as the memory layer does; returns its row."""
        owner = self.owner(tx, note.scope)
        row = tx.notes.insert(note, owner, note.content.encode("utf-8", "replace"))
        tx.text.put(row, owner, note.content, "")
        if vector is not None:
            tx.vectors.put([row], owner, vector[None, :])
            tx.outbox.put("upsert", owner, [row])
        return row

    def unit(self, count: int, dimension: int = 32, seed: int = 0) -> Vectors:
        """Random unit vectors, the same for the same seed."""
        found = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found

    def counts(self, store: NoteStore) -> Mapping[str, int]:
        """How much there is of everything."""
        with store.read() as tx:
            return tx.counts()
