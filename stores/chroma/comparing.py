"""The vectors that an index holds beside those of the store: they must be the same, however they got there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agentmem.notes.spaces import both
from agentmem.records.transaction import NoteStore

if TYPE_CHECKING:
    from agentmem.notes.arrays import Rows, Vectors
    from agentmem.stores.chroma.chroma import ChromaIndex

__all__ = ["compare"]

_SAMPLE: Final = 200
_PART: Final = 1000
_EQUAL: Final = 1e-3
"""Most that a coordinate of a unit vector may be off: Chroma normalises once more."""


def compare(store: NoteStore, index: ChromaIndex, *, deep: bool) -> list[str]:
    """Problems, in words; of what waits in the outbox the index need not know.

    Args:
        deep: all vectors, rather than about 200 spread over every owner's.
    """
    with store.read() as tx:
        waiting = {item.row for item in tx.outbox.take(2**62)}
        spaces = both(tx.notes.all_owners())
    missing = other = over = 0
    for space in spaces:
        with store.read() as tx:
            rows, vectors = tx.vectors.load_owner(space)
        places = np.flatnonzero(~np.isin(rows, list(waiting)))
        if not deep:
            places = places[:: max(1, len(places) // max(1, _SAMPLE // len(spaces)))]
        for start in range(0, len(places), _PART):
            part = places[start : start + _PART]
            lacking, wrong = _differ(index, space, rows[part], vectors[part])
            missing, other = missing + lacking, other + wrong
        over += 0 if waiting else max(0, index.count(space) - len(rows))
    found = [f"{over} vectors in the vector index have no note"] if over else []
    found += [f"{missing} vectors are not in the vector index"] if missing else []
    return [*found, f"{other} vectors in the vector index are not those of their notes"] if other else found


def _differ(index: ChromaIndex, owner: int, rows: Rows, vectors: Vectors) -> tuple[int, int]:
    held = index.vectors(owner, rows.tolist())
    pairs = [(held[row], vector) for row, vector in zip(rows.tolist(), vectors, strict=True) if row in held]
    return len(rows) - len(pairs), sum(not _same(a, b) for a, b in pairs)


def _same(a: Vectors, b: Vectors) -> bool:
    unit = b / (float(np.linalg.norm(b)) or 1.0)
    return bool(np.isfinite(a).all()) and bool(np.abs(a / (float(np.linalg.norm(a)) or 1.0) - unit).max() < _EQUAL)
