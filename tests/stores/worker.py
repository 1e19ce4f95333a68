"""A process that writes notes until it is told to stop, or killed.

Usage: worker.py <database> <name> <count> [ack]
With ``ack`` it prints each note's number once its transaction is acknowledged.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from agentmem.notes.note import MemoryState, Note, Scope
from agentmem.notes.rows import LinkRow
from agentmem.stores.sqlite.store import SqliteStore


def main() -> None:
    path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    store = SqliteStore(path)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    scope = Scope(user=name)
    before = None
    for number in range(count):
        note = Note(
            id=f"{name}-{number}",
            content=f"note {number} of {name}",
            scope=scope,
            occurred_at=moment,
            created_at=moment,
            state=MemoryState(1.0, 5.0, moment),
        )
        with store.write() as tx:
            owner = tx.notes.owner(scope, create=True)
            row = tx.notes.insert(note, owner, b"%d" % number)
            tx.text.put(row, owner, note.content, "")
            tx.vectors.put([row], owner, np.full((1, 16), 0.25, np.float32))
            tx.outbox.put("upsert", owner, [row])
            if before is not None:
                tx.links.put([LinkRow(before, row, "next", 1.0, "")])
            if number % 7 == 3 and before is not None:
                tx.links.delete_rows([before])
                tx.text.delete([before])
                tx.vectors.delete([before])
                tx.outbox.put("remove", owner, [before])
                tx.notes.delete([before])
        before = row
        if len(sys.argv) > 4:
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
    store.close()


main()
