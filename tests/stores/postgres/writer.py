"""A process that writes notes, and says the id of each once it is durable: url, schema, name, how many."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from agentmem.notes.note import MemoryState, Note, Scope
from agentmem.stores.postgres.store import PostgresStore


def main(url: str, schema: str, name: str, count: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = PostgresStore(url, schema=schema)
    for number in range(int(count)):
        note = Note(
            id=f"{name}-{number}", content=f"{name} ate {number} apples", scope=Scope(), occurred_at=now, created_at=now,
            state=MemoryState(1.0, 5.0, now),
        )  # fmt: skip
        with store.write() as tx:
            row = tx.notes.insert(note, 1, note.id.encode())
            tx.text.put(row, 1, note.content, "")
        print(note.id, flush=True)  # noqa: T201 - what was acknowledged is said
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
