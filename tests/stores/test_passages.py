"""Passages in memory: what a scan over all of them finds, through every change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.errors import AgentMemError, EmbedderMismatch, InvalidArgument, StoreCorrupt
from agentmem.notes.passages import NEAREST
from agentmem.notes.tables import PASSAGE
from agentmem.stores.vectors.exact import ExactIndex
from agentmem.stores.vectors.passages import Passages

SIZE = 8


def some(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, SIZE)).astype(np.float32)


def cosines(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    return vectors @ query / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))


STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_nearest_passage_is_that_of_a_scan(steps: list[tuple[int, int]]) -> None:
    """Notes come, change and go (with no passages left); what went is not in the array any more."""
    held, model, gone = Passages(), {}, []
    query = some(99, 1)[0]
    query /= np.linalg.norm(query)
    for number, (row, count) in enumerate(steps):
        vectors = some(number, count)
        if row in model:
            gone.append(model.pop(row))
        if count:
            model[row] = vectors
        held.put(row, vectors)
    rows, best = held.best(query)
    assert len(held) == sum(map(len, model.values()))
    assert dict(zip(rows.tolist(), best.tolist(), strict=True)) == pytest.approx(
        {row: cosines(vectors, query).max() for row, vectors in model.items()}, abs=1e-5
    )
    asked = held.of(range(10), query)
    assert [row for row in range(10) if not np.isnan(asked[row])] == sorted(model)
    assert {row: held.nearest_in(row, query) for row in range(10)} == {
        row: int(cosines(model[row], query).argmax()) if row in model else None for row in range(10)
    }
    kept = held._vectors
    for vectors in gone:
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        assert not any((np.abs(kept - unit).max(axis=1) < 1e-6).any() for unit in units if len(kept))


def test_passages_of_another_dimension_are_refused() -> None:
    held = Passages()
    held.put(1, some(0, 2))
    with pytest.raises(EmbedderMismatch):
        held.put(2, np.ones((1, SIZE + 1), np.float32))


@pytest.fixture
def long_notes(store, fill, unit):
    """Twenty notes, of which each third has three passages."""
    vectors = unit(20)
    rows = fill(store, vectors)
    parts = {row: unit(3, seed=row) for row in rows[::3]}
    with store.write() as tx:
        for row, passages in parts.items():
            tx.passages.put(row, 1, passages)
    return rows, vectors, parts


def _expected(rows, vectors, parts, query) -> dict[int, float]:
    found = {}
    for row, vector in zip(rows, vectors, strict=True):
        whole = float(vector @ query)
        nearest = max((float(c) for c in parts.get(row, np.zeros((0, len(query)))) @ query), default=whole)
        found[row] = whole + NEAREST * max(0.0, nearest - whole)
    return found


@pytest.mark.parametrize("shortlist", [0, 5])
def test_a_long_note_is_nearer_by_its_nearest_passage(store, unit, long_notes, shortlist: int) -> None:
    """Whether all vectors are compared or those with like signs; and each note comes once."""
    rows, vectors, parts = long_notes
    index = ExactIndex(store)
    for query in unit(15, seed=5):
        wanted = _expected(rows, vectors, parts, query)
        with store.read() as tx:
            found, near = index.search(tx, (1,), query, 6, shortlist=shortlist, passages=True)
            scores = index.scores(tx, rows, (1,), query)
            few, _ = index.search(tx, (1,), query, 9, rows=rows[:4], passages=True)
            whole, _ = index.search(tx, (1,), query, 20)
        assert len(set(found.tolist())) == 6
        assert near.tolist() == pytest.approx([wanted[row] for row in found.tolist()], abs=4e-3)
        assert scores.tolist() == pytest.approx([wanted[row] for row in rows], abs=4e-3)
        assert found[0] == max(wanted, key=wanted.__getitem__) or shortlist
        assert sorted(few.tolist()) == sorted(rows[:4])
        assert len(whole) == 20


def test_passages_follow_the_note(store, unit, long_notes) -> None:
    """A new vector takes the passages of the former words away, and removal all of them; the index in memory follows."""
    rows, vectors, _ = long_notes
    index, query = ExactIndex(store), unit(1, seed=9)[0]
    with store.read() as tx:
        index.search(tx, (1,), query, 5, passages=True)
    with store.write() as tx:
        tx.vectors.put([rows[0]], 1, vectors[:1])
        tx.vectors.delete([rows[3]])
        tx.passages.put(rows[6], 1, query[None, :])
        assert sorted(tx.passages.load(rows)) == [row for row in rows[::3] if row not in (rows[0], rows[3])]
    with store.read() as tx:
        scores = index.scores(tx, [rows[0], rows[3], rows[6]], (1,), query)
        found, _ = index.search(tx, (1,), query, 1, passages=True)
    assert scores[0] == pytest.approx(float(vectors[0] @ query), abs=4e-3)
    assert np.isnan(scores[1])
    assert found.tolist() == [rows[6]]


def test_a_write_that_fails_leaves_no_passages(store, unit, long_notes) -> None:
    rows, _, _ = long_notes
    index, query = ExactIndex(store), unit(1, seed=9)[0]
    with pytest.raises(ZeroDivisionError), store.write() as tx:
        tx.passages.put(rows[1], 1, query[None, :])
        assert index.search(tx, (1,), query, 1, passages=True)[0].tolist() == [rows[1]]
        raise ZeroDivisionError
    with store.read() as tx:
        assert index.search(tx, (1,), query, 1, passages=True)[0].tolist() != [rows[1]]
        assert rows[1] not in tx.passages.load(rows)


@pytest.mark.parametrize("bad", [np.full((2, 32), np.nan), np.zeros((1, 32)), np.ones((1, 31)), np.ones(32)])
def test_passages_that_are_no_vectors_are_refused(store, long_notes, bad: np.ndarray) -> None:
    rows, _, parts = long_notes
    with pytest.raises((InvalidArgument, EmbedderMismatch)), store.write() as tx:
        tx.passages.put(rows[0], 1, bad)
    with store.read() as tx:
        assert len(tx.passages.load([rows[0]])[rows[0]]) == len(parts[rows[0]])


def test_damaged_passages_are_an_error_with_the_cure(store, long_notes) -> None:
    rows, _, _ = long_notes
    with store.write() as tx:
        tx.tables.change(PASSAGE, {"row": rows[0]}, {"data": b"\0"})
    with store.read() as tx, pytest.raises(StoreCorrupt) as caught:
        tx.passages.load(rows)
    assert isinstance(caught.value, AgentMemError)
    assert "rebuild" in caught.value.hint
