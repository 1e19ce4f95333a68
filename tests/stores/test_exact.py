"""The exact index finds what a matrix product finds, whoever changed the store."""

from __future__ import annotations

import math
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.errors import EmbedderMismatch, InvalidArgument
from agentmem.notes.note import Scope
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.stores.vectors.exact import ExactIndex

ANA = Scope(user="ana")


class Stop(Exception):
    pass


def ask(index: ExactIndex, store: SqliteStore, owners, query, k=5, rows=None):
    with store.read() as tx:
        found, cosines = index.search(tx, owners, query, k, rows)
    return found.tolist(), cosines


def test_the_best_come_first(store, fill, unit, scan) -> None:
    """Rows and cosines equal a scan; k may be larger than the store, or zero."""
    vectors, index = unit(300), ExactIndex(store)
    rows = fill(store, vectors)
    for query in unit(20, seed=1):
        found, cosines = ask(index, store, (1,), 3 * query, 10)
        assert found == scan(rows, vectors, query, 10)
        assert np.allclose(cosines, [vectors[rows.index(r)] @ query for r in found], atol=2e-3)
        assert (np.diff(cosines) <= 1e-6).all()
    assert len(ask(index, store, (1,), query, 1000)[0]) == 300
    assert ask(index, store, (1,), query, 0)[0] == []
    assert ask(index, store, (1,), query, 2, rows=[rows[7], rows[9], 9999])[0] in (
        [rows[7], rows[9]],
        [rows[9], rows[7]],
    )
    assert index.size() >= 300 * 32 * 4


def test_an_empty_store(store, unit) -> None:
    index = ExactIndex(store)
    assert ask(index, store, (1, 7), unit(1)[0])[0] == []
    with store.read() as tx:
        assert np.isnan(index.scores(tx, [1, 2], (1,), unit(1)[0])).all()


def test_no_bit_of_a_cosine_depends_on_what_else_is_compared(store, fill) -> None:
    """One at a time, all at once, after others have gone, from the last to the first: each is the root and the quotient of exact sums."""
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(120, 384)).astype(np.float32) + np.repeat(rng.normal(size=(12, 384)), 10, axis=0).astype(
        np.float32
    )
    vectors[:, ::7] *= 1e-6  # halves below the smallest normal one, too
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows, index = fill(store, vectors), ExactIndex(store)
    stored = {
        row: [Fraction(float(x)) for x in half] for row, half in zip(rows, vectors.astype(np.float16), strict=True)
    }

    def exactly(a: int, b: int) -> float:
        dot, aa, bb = (
            float(sum(x * y for x, y in zip(stored[p], stored[q], strict=True))) for p, q in ((a, b), (a, a), (b, b))
        )
        return dot / math.sqrt(aa * bb)

    with store.read() as tx:
        together = index.nearest(tx, 1, vectors, 6, 0.3)
        alone = [index.nearest(tx, 1, vectors[place : place + 1], 6, 0.3)[0] for place in range(120)]
        backwards = index.nearest(tx, 1, vectors[::-1], 6, 0.3)[::-1]
    assert together == alone == backwards
    for row, near in zip(rows[::17], together[::17], strict=True):
        assert len(near) == 6
        assert [cosine for _, cosine in near] == [exactly(row, other) for other, _ in near]
    with store.write() as tx:
        tx.vectors.delete(rows[3:9])  # the last ones move into the gaps
    with store.read() as tx:
        left = index.nearest(tx, 1, vectors[10:11], 114, 0.3)[0]
        known = index.nearest(tx, 1, vectors[10:11], 114, 0.3, before=[rows[60]])[0]
    assert [cosine for _, cosine in left] == [exactly(rows[10], other) for other, _ in left]
    assert known == [each for each in left if each[0] < rows[60]]


def test_a_vector_and_its_twin_have_the_cosine_one(store, fill, unit) -> None:
    """Not a digit more or less, and equal ones come by row."""
    rows = fill(store, np.repeat(unit(1), 40, axis=0))
    with store.read() as tx:
        assert ExactIndex(store).nearest(tx, 1, unit(1), 7, 1.0)[0] == [(row, 1.0) for row in rows[:7]]


def test_ties_are_decided_by_row(store, fill, unit) -> None:
    """Equal vectors come in the order of their rows, wherever the cut falls."""
    rows = fill(store, np.repeat(unit(2), 50, axis=0))
    index = ExactIndex(store)
    for k in (1, 3, 50, 60):
        assert ask(index, store, (1,), unit(1)[0], k)[0][: min(k, 50)] == rows[: min(k, 50)]


def test_owners_do_not_mix(store, fill, unit) -> None:
    """A search sees the vectors of its owners alone, and scores are NaN for others."""
    vectors, index = unit(20), ExactIndex(store)
    shared, mine = fill(store, vectors[:10]), fill(store, vectors[10:], ANA, start=100)
    query = vectors[15]
    assert ask(index, store, (2,), query, 1)[0] == [mine[5]]
    assert set(ask(index, store, (1,), query, 99)[0]) == set(shared)
    assert set(ask(index, store, (1, 2, 2), query, 99)[0]) == {*shared, *mine}
    with store.read() as tx:
        scores = index.scores(tx, [mine[5], shared[0], 9999], (2,), query)
    assert scores[0] == pytest.approx(1, abs=1e-3)
    assert np.isnan(scores[1:]).all()


def test_wrong_queries(store, fill, unit) -> None:
    fill(store, unit(3))
    index = ExactIndex(store)
    with pytest.raises(EmbedderMismatch):
        ask(index, store, (1,), np.ones(8, np.float32))
    for bad in (np.full(32, np.nan, np.float32), np.ones((2, 32), np.float32)):
        with pytest.raises(InvalidArgument):
            ask(index, store, (1,), bad)
    assert len(ask(index, store, (1,), np.zeros(32, np.float32))[0]) == 3


def test_a_write_sees_itself_and_leaves_nothing_when_it_fails(store, fill, make, put, unit) -> None:
    """A search inside a write finds its notes; after a rollback they are gone and later ones are not missed."""
    vectors, index = unit(12), ExactIndex(store)
    rows = fill(store, vectors[:3])
    ask(index, store, (1,), vectors[0])
    for undo in (True, False):
        try:
            with store.write() as tx:
                row = put(tx, make(50), vectors[10])
                assert index.search(tx, (1,), vectors[10], 1)[0].tolist() == [row]
                if undo:
                    raise Stop  # noqa: TRY301
        except Stop:
            assert ask(index, store, (1,), vectors[10], 9)[0] != [row]
            assert set(ask(index, store, (1,), vectors[10], 9)[0]) == set(rows)
    assert ask(index, store, (1,), vectors[10], 1)[0] == [row]
    with store.write() as tx:
        with pytest.raises(Stop), store.write():
            lost = put(tx, make(60), vectors[11])
            assert index.search(tx, (1,), vectors[11], 1)[0].tolist() == [lost]
            raise Stop
        assert lost not in index.search(tx, (1,), vectors[11], 99)[0]
        kept = put(tx, make(61), vectors[11])
        assert index.search(tx, (1,), vectors[11], 1)[0].tolist() == [kept]
    assert ask(index, store, (1,), vectors[11], 1)[0] == [kept]


def test_another_process_is_followed(tmp_path, fill, make, put, unit, scan) -> None:
    """What another connection adds, replaces and removes is seen by the next search."""
    one, two = SqliteStore(tmp_path / "n.db"), SqliteStore(tmp_path / "n.db")
    index, vectors = ExactIndex(one), unit(10)
    rows = fill(two, vectors[:5])
    assert ask(index, one, (1,), vectors[2], 1)[0] == [rows[2]]
    with two.write() as tx:
        new = put(tx, make(70), vectors[7])
        tx.vectors.put([rows[2]], 1, vectors[8:9])
        tx.vectors.delete([rows[0]])
    assert ask(index, one, (1,), vectors[7], 1)[0] == [new]
    assert ask(index, one, (1,), vectors[8], 1)[0] == [rows[2]]
    assert rows[0] not in ask(index, one, (1,), vectors[0], 99)[0]
    one.close()
    two.close()


def test_threads(store, fill, make, put, unit) -> None:
    """Searches and writes of several threads do not disturb each other."""
    vectors, index, failures = unit(400), ExactIndex(store), []
    fill(store, vectors[:200])

    def search() -> None:
        for query in vectors[:60]:
            found, cosines = ask(index, store, (1,), query, 3)
            if cosines[0] < 0.99 or len(found) != 3:
                failures.append(found)

    def write() -> None:
        for number in range(200, 260):
            with store.write() as tx:
                put(tx, make(number), vectors[number])

    threads = [threading.Thread(target=target) for target in (search, write, search)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "replace", "remove", "undo", "search"]), st.integers(0, 50)),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_any_history_equals_a_fresh_index(make, put, unit, steps) -> None:
    """After any sequence of changes the index says what an index loaded just now says."""
    store, vectors = SqliteStore(), unit(64, 8)
    index, rows = ExactIndex(store), []
    for number, (step, pick) in enumerate(steps):
        try:
            with store.write() as tx:
                if step in ("add", "undo"):
                    rows.append(put(tx, make(number), vectors[pick]))
                elif rows and step == "replace":
                    tx.vectors.put([rows[pick % len(rows)]], 1, vectors[number : number + 1])
                elif rows and step == "remove":
                    tx.vectors.delete([rows.pop(pick % len(rows))])
                if pick % 2 or step == "search":
                    index.search(tx, (1,), vectors[pick], 5)
                if step == "undo":
                    rows.pop()
                    raise Stop  # noqa: TRY301
        except Stop:
            pass
    kept, kept_scores = ask(index, store, (1,), vectors[0], 99)
    fresh, fresh_scores = ask(ExactIndex(store), store, (1,), vectors[0], 99)
    assert sorted(kept) == sorted(fresh) == sorted(set(rows))
    assert np.allclose(np.sort(kept_scores), np.sort(fresh_scores), atol=1e-5)
    store.close()
