"""Exact nearest neighbours: every vector of an owner in one block of memory, kept in step with the store."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from agentmem.errors import EmbedderMismatch, InvalidArgument
from agentmem.storage import Change, Transaction

if TYPE_CHECKING:
    from agentmem.storage import Rows, Vectors

__all__ = ["ExactIndex"]

_TIE: Final = 6  # decimals: equal vectors may differ in the last bits, depending on where they lie in a block
_BATCH: Final = 4096


class _Store(Protocol):
    @property
    def rollbacks(self) -> int: ...
    @property
    def writing(self) -> bool: ...


class ExactIndex:
    """Compares a query with every vector of some owners.

    An owner's block is loaded on its first search; after that the store's change log keeps it fresh, whichever
    process wrote. Vectors added inside a write are seen by searches inside it, and leave again when it fails.

    Args:
        store: tells when a write was rolled back.
    """

    def __init__(self, store: _Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._blocks: dict[int, _Block] = {}
        self._counter = 0
        self._rollbacks = 0
        self._tentative = False

    def refresh(self, tx: Transaction) -> None:
        """Take over what was added and removed since the last call; one look-up when nothing was."""
        with self._lock:
            self._forget_undone()
            counter = tx.vectors.counter()
            if counter == self._counter:
                return
            if counter < self._counter:
                self._blocks.clear()  # another database was put in place of the one we knew
            if self._blocks:
                self._follow(tx, tx.vectors.changes(self._counter))
            self._counter = counter
            self._tentative = self._tentative or self._store.writing

    def search(
        self,
        tx: Transaction,
        owners: Sequence[int],
        vector: Vectors,
        k: int,
        rows: Sequence[int] | None = None,
    ) -> tuple[Rows, Vectors]:
        """The ``k`` best rows of ``owners`` and their cosines, best first, equal ones by row.

        Args:
            tx: the transaction to read in.
            owners: whose vectors to look at.
            vector: the query, shape (dimension,).
            k: how many to return at most.
            rows: when given, look at these rows only.
        """
        with self._lock:
            blocks = self._loaded(tx, owners)
            query = _unit(vector, blocks)
            found_rows, found = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
            for block in blocks:
                slots = None if rows is None else block.slots(rows)
                if slots is not None:
                    slots = slots[slots >= 0]
                block_rows, cosines = block.cosines(query, slots)
                found_rows.append(block_rows)
                found.append(cosines)
            return _best(np.concatenate(found_rows), np.concatenate(found), k)

    def scores(self, tx: Transaction, rows: Sequence[int], owners: Sequence[int], vector: Vectors) -> Vectors:
        """The cosine of each of ``rows``, in their order; NaN where these owners have no vector for it."""
        with self._lock:
            blocks = self._loaded(tx, owners)
            query = _unit(vector, blocks)
            scores = np.full(len(rows), np.nan, dtype=np.float32)
            for block in blocks:
                slots = block.slots(rows)
                known = slots >= 0
                scores[known] = block.cosines(query, slots[known])[1]
            return scores

    def size(self) -> int:
        """How many bytes the blocks take."""
        with self._lock:
            return sum(block.nbytes for block in self._blocks.values())

    def clear(self) -> None:
        """Let go of all blocks; they are loaded again when needed."""
        with self._lock:
            self._blocks.clear()

    def _loaded(self, tx: Transaction, owners: Sequence[int]) -> list[_Block]:
        self.refresh(tx)
        blocks = []
        for owner in dict.fromkeys(map(int, owners)):
            if owner not in self._blocks:
                self._blocks[owner] = _Block(*tx.vectors.load_owner(owner))
                self._tentative = self._tentative or self._store.writing
            blocks.append(self._blocks[owner])
        return [block for block in blocks if len(block)]

    def _forget_undone(self) -> None:
        """Drop what was read inside a write that failed: its change numbers will be used again."""
        undone = self._rollbacks != self._store.rollbacks
        self._rollbacks = self._store.rollbacks
        if self._tentative and undone:
            self._blocks.clear()
            self._counter = 0
        if undone or not self._store.writing:
            self._tentative = False

    def _follow(self, tx: Transaction, changes: Sequence[Change]) -> None:
        added: dict[int, list[int]] = {}
        for change in changes:
            block = self._blocks.get(change.owner)
            if block is None:
                continue
            if change.removed:
                block.remove(change.row)
            else:
                added.setdefault(change.owner, []).append(change.row)
        for owner, rows in added.items():
            for start in range(0, len(rows), _BATCH):
                self._blocks[owner].put(*tx.vectors.load(rows[start : start + _BATCH]))


class _Block:
    """The unit vectors of one owner in an array that doubles when it is full."""

    def __init__(self, rows: Rows, vectors: Vectors) -> None:
        self._size = 0
        self._rows: Rows = np.empty(0, np.int64)
        self._vectors: Vectors = np.empty((0, 0), np.float32)
        self._slot: dict[int, int] = {}
        self.put(rows, vectors)

    def __len__(self) -> int:
        return self._size

    @property
    def dimension(self) -> int:
        return int(self._vectors.shape[1])

    @property
    def nbytes(self) -> int:
        return self._vectors.nbytes + self._rows.nbytes

    def put(self, rows: Rows, vectors: Vectors) -> None:
        """Add vectors, or replace those of known rows."""
        if not len(rows):
            return
        if self._size and vectors.shape[1] != self.dimension:
            raise EmbedderMismatch(
                f"The store holds vectors of {self.dimension} and of {vectors.shape[1]} dimensions.",
                hint="call rebuild('vectors').",
            )
        self._reserve(self._size + len(rows), int(vectors.shape[1]))
        first = self._size
        slots = np.empty(len(rows), np.int64)
        for place, row in enumerate(rows.tolist()):
            slot = self._slot.setdefault(row, self._size)
            self._size += slot == self._size
            slots[place] = slot
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
        if self._size - first == len(rows):
            # all of them are new and lie side by side, as after loading: no copy in between
            self._rows[first : self._size] = rows
            np.divide(vectors, norms, out=self._vectors[first : self._size])
        else:
            self._rows[slots], self._vectors[slots] = rows, vectors / norms

    def remove(self, row: int) -> None:
        """Move the last vector into the gap; the order of a block means nothing."""
        slot = self._slot.pop(row, None)
        if slot is None:
            return
        self._size -= 1
        if slot != self._size:
            last = int(self._rows[self._size])
            self._rows[slot], self._vectors[slot] = last, self._vectors[self._size]
            self._slot[last] = slot
        self._vectors[self._size] = 0.0  # what was forgotten does not stay in memory either

    def slots(self, rows: Sequence[int]) -> npt.NDArray[np.int64]:
        """Where each row lies; -1 when it does not."""
        get = self._slot.get
        return np.fromiter((get(int(row), -1) for row in rows), np.int64, len(rows))

    def cosines(self, query: Vectors, slots: npt.NDArray[np.int64] | None) -> tuple[Rows, Vectors]:
        """Rows and cosines at some slots, or all."""
        if slots is None:
            return self._rows[: self._size], self._vectors[: self._size] @ query
        return self._rows[slots], self._vectors[slots] @ query

    def _reserve(self, needed: int, dimension: int) -> None:
        capacity = len(self._rows)
        if self._size == 0 and self._vectors.shape[1] != dimension:
            capacity = 0
        if needed <= capacity:
            return
        capacity = max(needed, 2 * self._size, 16)
        rows, vectors = np.zeros(capacity, np.int64), np.zeros((capacity, dimension), np.float32)
        if self._size:
            rows[: self._size], vectors[: self._size] = self._rows[: self._size], self._vectors[: self._size]
        self._rows, self._vectors = rows, vectors


def _unit(vector: Vectors, blocks: Sequence[_Block]) -> Vectors:
    query = np.asarray(vector, dtype=np.float32)
    if query.ndim != 1 or not np.isfinite(query).all():
        raise InvalidArgument(
            f"The query is not one finite vector (shape {query.shape}).",
            hint="pass an array of shape (dimension,).",
        )
    for block in blocks:
        if block.dimension != len(query):
            raise EmbedderMismatch(
                f"The query has {len(query)} dimensions, the stored vectors have {block.dimension}.",
                hint="open the store with the embedder it was built with, or call rebuild('vectors').",
            )
    norm = float(np.linalg.norm(query))
    return query / np.float32(norm) if norm else query


def _best(rows: Rows, cosines: Vectors, k: int) -> tuple[Rows, Vectors]:
    if k < 1:
        return rows[:0], cosines[:0]
    if len(rows) > 4 * k:
        # everything that could tie with the k-th is kept, so that ties are decided by row and not by place
        edge = np.partition(cosines, len(cosines) - k)[len(cosines) - k] - 10.0**-_TIE
        kept = np.flatnonzero(cosines >= edge)
        rows, cosines = rows[kept], cosines[kept]
    order = np.lexsort((rows, -np.round(cosines, _TIE)))[:k]
    return rows[order], cosines[order]
