"""What goes into an index: the batches of the outbox, or every vector that is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from agentmem.notes.rows import OutboxItem
from agentmem.notes.spaces import both
from agentmem.records.transaction import NoteStore

if TYPE_CHECKING:
    from agentmem.notes.arrays import Rows, Vectors
    from agentmem.stores.chroma.chroma import ChromaIndex

__all__ = ["Progress", "deliver", "fill"]

Progress = Callable[[int, int], None]
"""Called with how many vectors are done, and how many there are."""
Fail = Callable[[str], None]

_CHUNK: Final = 2000


def deliver(index: ChromaIndex, newest: Mapping[int, OutboxItem], rows: Rows, vectors: Vectors, fail: Fail) -> bool:
    """Hand a batch over; true when vectors were removed that had been delivered before.

    Args:
        newest: the last item of each row. rows, vectors: [n] and [n, d], what is stored of those to be put in.
    """
    present = {row: place for place, row in enumerate(rows.tolist())}
    stained = False
    for owner in sorted({item.owner for item in newest.values()}):
        mine = [row for row, item in newest.items() if item.owner == owner]
        # a note without a vector has been forgotten since; its removal may still wait in the outbox
        gone = [row for row in mine if row not in present]
        if gone:
            stained = bool(index.holds(owner, gone)) or stained
            index.remove(owner, gone)
        fail("mid-apply")
        kept = [row for row in mine if row in present]
        if kept:
            index.upsert(owner, kept, vectors[[present[row] for row in kept]])
    return stained


def fill(index: ChromaIndex, store: NoteStore, progress: Progress | None, fail: Fail) -> int:
    """Put every stored vector into an empty index; returns how many."""
    with store.read() as tx:
        spaces, total = both(tx.notes.all_owners()), tx.vectors.count()
    done = 0
    for space in spaces:
        with store.read() as tx:
            rows, vectors = tx.vectors.load_owner(space)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            index.upsert(space, rows[part].tolist(), vectors[part])
            done += len(rows[part])
            fail("mid-rebuild")
            if progress is not None:
                progress(done, max(total, done))
    return done
