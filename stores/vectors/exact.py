"""Nearest neighbours in memory: every vector of an owner in one block, kept in step with the store.

Cosines are exact. Which vectors are compared is the caller's choice: all of them, some rows, or a shortlist by sign bits; and whether a
long note counts by the whole of it or by its nearest passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from agentmem.errors import EmbedderMismatch, InvalidArgument
from agentmem.notes.columns import places, together
from agentmem.notes.cosines import ROUGH, as_stored, may_be_best
from agentmem.notes.cosines import cosines as exactly
from agentmem.notes.passages import NEAREST
from agentmem.notes.rows import Change
from agentmem.records.transaction import Transaction
from agentmem.stores.following import Following, Store
from agentmem.stores.holding import ROOM, Holding
from agentmem.stores.vectors.block import Block
from agentmem.stores.vectors.passages import Passages

if TYPE_CHECKING:
    from agentmem.notes.arrays import Rows, Vectors

__all__ = ["ExactIndex"]

_BLOCKS, _PASSAGES = range(2)  # the kinds of what is held
_TIE: Final = 6  # decimals: equal vectors may differ in the last bits, depending on where they lie in a block
_BATCH: Final = 4096
_PRODUCTS: Final = 4_000_000  # cosines computed at a time
_MOST_PASSAGES: Final = 300_000  # of an owner, 1.5 kB each; beyond, its long notes count by the whole of them
_LOADED: Final = (
    4_096  # vectors read at a time: a large owner is never in memory twice, and what was just read is in the cache
)


class ExactIndex(Following):
    """Compares a query with every vector of some owners.

    Args:
        store: tells when a write was rolled back; room: how many vectors are held for all owners together, and how many passages.
    """

    def __init__(self, store: Store, room: int = ROOM) -> None:
        self._room = room
        super().__init__(store, lambda tx: tx.vectors)

    def _kinds(self) -> tuple[Holding[Block], Holding[Passages]]:
        return Holding(self._room), Holding(self._room)

    @property
    def _blocks(self) -> Holding[Block]:
        return self._held_now.kinds[_BLOCKS]

    @property
    def _passages(self) -> Holding[Passages]:
        return self._held_now.kinds[_PASSAGES]

    def search(
        self,
        tx: Transaction,
        owners: Sequence[int],
        vector: Vectors,
        k: int,
        rows: Sequence[int] | None = None,
        *,
        shortlist: int = 0,
        passages: bool = False,
    ) -> tuple[Rows, Vectors]:
        """The ``k`` best rows of ``owners`` and their cosines, best first, equal ones by row.

        Args:
            tx: the transaction to read in.
            owners: whose vectors to look at.
            vector: the query, shape (dimension,).
            k: how many to return at most.
            rows: when given, look at these rows only.
            shortlist: when given, of each owner compare only so many, those with the most similar sign bits.
            passages: the nearest passage of a long note counts besides, by :data:`agentmem.notes.passages.NEAREST`.
        """
        with self._looking(tx):
            blocks = self._loaded(tx, owners)
            query = _unit(vector, blocks)
            near, nearest = (
                self._passages_of(tx, owners, query) if passages else (np.empty(0, np.int64), np.empty(0, np.float32))
            )
            found_rows, found = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
            for block in blocks:
                slots = None if rows is None else block.slots(rows)
                if slots is not None:
                    slots = slots[slots >= 0]
                elif 0 < shortlist < len(block):
                    slots = block.shortlist(query, shortlist)
                    lifted = block.slots(
                        _best(near, nearest, k)[0]
                    )  # what a passage brings near is compared as a whole, too
                    slots = together(slots, lifted[lifted >= 0])
                block_rows, cosines = block.cosines(query, slots)
                found_rows.append(block_rows)
                found.append(_lifted(cosines, _of_rows(block_rows, near, nearest)))
            return _best(np.concatenate(found_rows), np.concatenate(found), k)

    def nearest(
        self,
        tx: Transaction,
        owner: int,
        vectors: Vectors,
        k: int,
        floor: float,
        *,
        before: Sequence[int] | None = None,
    ) -> list[list[tuple[int, float]]]:
        """For each of many vectors the nearest (row, cosine) of one owner, best first, equal ones by row: one matrix product finds them.

        Their cosines are those of :mod:`agentmem.notes.cosines`: no bit of them depends on what else is compared.

        Args:
            tx: the transaction to read in.
            owner: whose vectors to look at.
            vectors: as they are or will be stored, shape (n, dimension).
            k: how many for each at most.
            floor: the least cosine.
            before: for each vector, a row: only those before it are compared.
        """
        with self._looking(tx):
            earlier = None if before is None else np.asarray(before, np.int64)
            found: list[list[tuple[int, float]]] = [[] for _ in vectors]
            for block in self._loaded(tx, (owner,)):
                _unit(vectors.sum(axis=0), [block])
                queries = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-30))
                step = max(1, _PRODUCTS // len(block))
                for start in range(0, len(queries), step):
                    rows, cosines = block.products(queries[start : start + step])
                    near = cosines >= floor - ROUGH
                    if earlier is not None:
                        near &= rows[None, :] < earlier[start : start + step, None]
                    for place in np.flatnonzero(near.any(axis=1)).tolist():
                        at = np.flatnonzero(near[place])
                        at = at[may_be_best(cosines[place, at], k)]
                        exact = exactly(as_stored(vectors[start + place]), block.stored(at))
                        best = sorted(
                            (-cosine, row)
                            for row, cosine in zip(rows[at].tolist(), exact.tolist(), strict=True)
                            if cosine >= floor
                        )
                        found[start + place] = [(row, -cosine) for cosine, row in best[:k]]
            return found

    def count(self, tx: Transaction, owners: Sequence[int], limit: int) -> int:
        """How many vectors some owners have; more than ``limit`` when one of them has more, which is not loaded then."""
        with self._looking(tx):
            tx.need(owners)
            self.refresh(tx)
            for owner in dict.fromkeys(map(int, owners)):
                block: Block | None = self._held_now.get(_BLOCKS, owner)
                if len(block) > limit if block is not None else tx.vectors.more_than(owner, limit):
                    return limit + 1
            return sum(len(block) for block in self._loaded(tx, owners))

    def scores(
        self,
        tx: Transaction,
        rows: Sequence[int] | Rows,
        owners: Sequence[int],
        vector: Vectors,
        *,
        by_part: Sequence[bool] | None = None,
    ) -> Vectors:
        """The cosine of each of ``rows``, in their order, that of a long note moved towards its nearest passage; NaN where these owners
        have no vector for it.

        Args:
            by_part: of each row, whether the nearest of its passages alone counts, where it has some: those of a text in parts.
        """
        if not len(rows):
            return np.empty(0, np.float32)
        with self._looking(tx):
            blocks = self._loaded(tx, owners)
            query = _unit(vector, blocks)
            scores = np.full(len(rows), np.nan, dtype=np.float32)
            for block in blocks:
                slots = block.slots(rows)
                known = slots >= 0
                scores[known] = block.cosines(query, slots[known])[1]
            for held in self._held_passages(tx, owners):
                nearest = held.of(rows, query)
                scores = _lifted(scores, nearest)
                if by_part is not None:
                    scores = np.where(np.asarray(by_part) & ~np.isnan(nearest), nearest, scores)
            return scores

    def by_passage(self, tx: Transaction, owners: Sequence[int], vector: Vectors, k: int) -> Rows:
        """The ``k`` notes of each owner with the nearest passages."""
        with self._looking(tx):
            query = _unit(vector, self._loaded(tx, owners))
            found = [_best(*held.best(query), k)[0] for held in self._held_passages(tx, owners)]
            return np.concatenate(found) if found else np.empty(0, np.int64)

    def nearest_passages(
        self, tx: Transaction, rows: Sequence[int], owners: Sequence[int], vector: Vectors
    ) -> dict[int, int]:
        """Which passage is the nearest, counted from 0, for those of ``rows`` that have some."""
        with self._looking(tx):
            query = _unit(vector, self._loaded(tx, owners))
            found = {row: held.nearest_in(row, query) for held in self._held_passages(tx, owners) for row in rows}
            return {row: place for row, place in found.items() if place is not None}

    def units(self, tx: Transaction, rows: Rows, owners: Sequence[int]) -> tuple[Rows, Vectors]:
        """Those of ``rows`` that these owners have vectors for, and those vectors at unit length: shape (rows, dimension)."""
        with self._looking(tx):
            found: list[Rows] = []
            units: list[Vectors] = []
            for block in self._loaded(tx, owners):
                slots = block.slots(rows)
                known = slots >= 0
                found.append(rows[known])
                units.append(block.units(slots[known]))
            if not found:
                return rows[:0], np.empty((0, 0), np.float32)
            return np.concatenate(found), np.concatenate(units) if len(units) > 1 else units[0]

    def size(self) -> int:
        """How many bytes the blocks take."""
        with self._lock:
            return sum(held.nbytes for kind in (_BLOCKS, _PASSAGES) for held in self._shared.all(kind))

    def held(self, rows: Sequence[int]) -> bool:
        """Whether any of these rows is held in memory."""
        with self._lock:
            return any((block.slots(rows) >= 0).any() for block in self._held_now.all(_BLOCKS))

    def _held_passages(self, tx: Transaction, owners: Sequence[int]) -> list[Passages]:
        """The passages of some owners, after :meth:`_loaded`; not of one that has too many of them."""
        held = [self._held(tx, owner) for owner in dict.fromkeys(map(int, owners))]
        return [passages for passages in held if len(passages)]

    def _passages_of(self, tx: Transaction, owners: Sequence[int], query: Vectors) -> tuple[Rows, Vectors]:
        """The rows that have passages, ascending, and the cosine of the nearest passage of each."""
        found = [held.best(query) for held in self._held_passages(tx, owners)]
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        rows, cosines = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(rows)
        return rows[order], cosines[order]

    def _loaded(self, tx: Transaction, owners: Sequence[int]) -> list[Block]:
        tx.need(owners)
        self.refresh(tx)
        blocks = [self._block(tx, owner) for owner in dict.fromkeys(map(int, owners))]
        return [block for block in blocks if len(block)]

    def _block(self, tx: Transaction, owner: int) -> Block:
        block: Block = self._held_now.ask(_BLOCKS, owner, lambda: self._as_read(_load(tx, owner)))
        return block

    def _held(self, tx: Transaction, owner: int) -> Passages:
        held: Passages = self._held_now.ask(_PASSAGES, owner, lambda: self._as_read(_load_passages(tx, owner)))
        return held

    def _follow(self, tx: Transaction, changes: Sequence[Change]) -> None:
        added: dict[int, list[int]] = {}
        for change in changes:
            block, held = self._blocks.get(change.owner), self._passages.get(change.owner)
            if block is not None and change.removed:
                block.remove(change.row)
            if held is not None:
                held.remove(change.row)
            if not change.removed and (block is not None or held is not None):
                added.setdefault(change.owner, []).append(change.row)
        for owner, rows in added.items():
            block, held = self._blocks.get(owner), self._passages.get(owner)
            for start in range(0, len(rows), _BATCH):
                part = rows[start : start + _BATCH]
                if block is not None:
                    block.put(*tx.vectors.load(part))
                if held is not None:
                    for row, vectors in tx.passages.load(part).items():
                        held.put(row, vectors)


def _load(tx: Transaction, owner: int) -> Block:
    block, size = Block(), tx.vectors.size_of(owner)
    for rows, vectors in tx.vectors.batches(owner, _LOADED):
        if not len(block):
            block = Block(size, int(vectors.shape[1]))
        block.put(rows, vectors)
    return block


def _load_passages(tx: Transaction, owner: int) -> Passages:
    held, last = Passages(), -1
    size = 0
    while found := tx.passages.batch(owner, last, _LOADED):
        size += sum(map(len, found.values()))
        if size > _MOST_PASSAGES:
            return Passages()
        for row, vectors in found.items():
            held.put(row, vectors)
        last = max(found)
    return held


def _of_rows(rows: Rows, known: Rows, values: Vectors) -> Vectors:
    """The value of each of ``rows``, NaN for a row that is not in ``known``, which ascends."""
    if not len(known):
        return np.full(len(rows), np.nan, np.float32)
    at = places(rows, known)
    found: Vectors = np.where(at < 0, np.float32(np.nan), values[at])
    return found


def _lifted(cosines: Vectors, nearest: Vectors) -> Vectors:
    """Cosines of notes, each moved towards that of its nearest passage; ``nearest`` is NaN where there is none, and ``fmax`` passes over it."""
    lifted: Vectors = cosines + np.float32(NEAREST) * np.fmax(nearest - cosines, np.float32(0.0))
    return lifted


def _unit(vector: Vectors, blocks: Sequence[Block]) -> Vectors:
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
