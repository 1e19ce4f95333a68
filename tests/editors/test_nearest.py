"""Searching many keys: what is found is what an exact look at every key would find."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.editors.compact import Compact
from agentmem.editors.gate import codebook
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.gate.nearest import KeySearch, KeySieve
from agentmem.editors.packs import Calibration, PackedEdit
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope


def measured(queries, rows):
    """[n, K] every distance, in double precision."""
    return np.linalg.norm(queries[:, None].astype(np.float64) - rows[None].astype(np.float64), axis=-1)


@st.composite
def clouds(draw, wide=st.integers(1, 96)):
    """Keys and queries of any spread and place, with equal ones and near-equal ones among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width, count = draw(wide), draw(st.integers(1, 40))
    spread = rng.exponential(size=width) ** draw(st.sampled_from([0.0, 1.0, 3.0]))
    centre = draw(st.sampled_from([0.0, 1.0, 300.0])) * rng.normal(size=width)
    rows = rng.normal(size=(count, width)) * spread + centre
    rows[rng.integers(count)] = rows[0]
    rows = np.concatenate([rows, rows[:3] * (1 + 1e-7)]).astype(np.float32)
    queries = rng.normal(size=(5, width)) * spread + centre
    queries[0] = rows[-1]
    return rows, queries.astype(np.float32)


@given(clouds())
@settings(max_examples=200, deadline=None)
def test_the_nearest_is_the_nearest_however_close_the_next(cloud):
    """Also where single precision alone could not tell two keys apart."""
    rows, queries = cloud
    at, gaps = KeySearch(rows).nearest(queries)
    exact = measured(queries, rows)
    assert (exact[np.arange(5), at] == exact.min(1)).all()
    assert np.allclose(gaps, exact.min(1), rtol=1e-12, atol=0)


@given(clouds(), st.floats(0, 3))
@settings(max_examples=200, deadline=None)
def test_within_a_radius_none_is_missed_and_none_is_added(cloud, times):
    """By all columns, and by the few of the shadow."""
    rows, queries = cloud
    keys, exact = KeySearch(rows), measured(queries, rows)
    radius = float(np.median(exact)) * times
    shadow = KeySieve(keys).within(queries, radius)
    for query, gaps, (found, how_far) in zip(queries, exact, shadow, strict=True):
        plain = keys.measured(query, np.flatnonzero(keys.maybe_within(query[None], radius)[0]), radius)
        wanted = np.flatnonzero(gaps <= radius)
        edge = np.abs(gaps - radius) <= 1e-12 * radius  # summed in another order, the last bit may differ
        for each in (found, plain[0]):
            assert not set(np.setxor1d(each, wanted)) - set(np.flatnonzero(edge))
        assert np.allclose(how_far, gaps[found], rtol=1e-12, atol=0)


def test_a_shadow_rules_nearly_all_out_when_few_columns_tell_keys_apart():
    """What an index is for: its columns are chosen by what they tell apart."""
    rng = np.random.default_rng(0)
    spread = rng.permutation(np.r_[np.full(24, 6.0), np.full(104, 0.5)])
    rows = (rng.normal(size=(20_000, 128)) * spread).astype(np.float32)
    keys = KeySearch(rows)
    shadow = KeySieve(keys)
    with patch.object(KeySearch, "measured", autospec=True, side_effect=KeySearch.measured) as looked_at:
        ((found, _),) = shadow.within(rows[:1] + np.float32(0.1), 8.0)
    assert 0 in found
    assert looked_at.call_args.args[2].size < 20
    assert shadow.nbytes < 0.6 * rows.nbytes


def test_no_keys_and_no_queries():
    """Nothing is near nothing."""
    none, one = np.zeros((0, 4), np.float32), np.ones((1, 4), np.float32)
    at, gaps = KeySearch(none).nearest(one)
    assert (at.tolist(), gaps.tolist()) == ([-1], [np.inf])
    assert KeySearch(one).nearest(none)[0].shape == (0,)
    assert KeySieve(KeySearch(none)).within(one, 9.0)[0][0].size == 0
    hidden = np.full((1, 1), np.inf, np.float32)
    assert KeySearch(one).nearest(one, hidden)[0].tolist() == [-1]


SCOPES = (None, Scope(user="u"), Scope(user="v"), Scope(agent="a"))


@st.composite
def books(draw):
    """A codebook with clustered keys, few targets, some subjects and scopes; and requests near its keys."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    subjects = ("Ana Lima", "Ben Roth", None)
    made = []
    for i in range(draw(st.integers(1, 30))):
        subject, scope = subjects[i % 3], SCOPES[rng.integers(4)]
        keys = (rng.normal(size=(rng.integers(1, 4), 6)) * 3).astype(np.float32)
        made.append(
            PackedEdit(
                EditRequest(f"Where does {subject or 'it'} live?", "t", subject=subject, id=f"e{i:02}", scope=scope),
                (int(rng.integers(3)),), keys, np.zeros(3, np.float32), np.zeros(0, np.float16),
                np.full(len(keys), 9, np.float32), Compact(rng.normal(size=(2, 6)).astype(np.float32)),
            )
        )  # fmt: skip
    background = rng.normal(size=(12, 6)).astype(np.float32) * 4
    space = Calibration(np.zeros(6, np.float32), np.eye(6, dtype=np.float32), False, background, 0.0)
    held = Codebook("grace", "f", (), 0.1, 0.1).with_edits(made, (), space)
    near = held.keys[rng.integers(len(held.keys), size=6)] + rng.normal(size=(6, 6)) * draw(
        st.sampled_from([0.0, 0.3, 2.0])
    )
    return held, near.astype(np.float32), [SCOPES[rng.integers(4)] for _ in range(6)]


@given(books(), st.sampled_from(["", "Where does Ana Lima live?", "Who is Carl?"]))
@settings(max_examples=150, deadline=None)
def test_an_indexed_book_decides_as_one_that_looks_at_every_key(book, text):
    """The same edits answer, at the same distance, with the same radius; what lies beyond every reach is not named."""
    held, queries, scopes = book
    asked = [AskedText(text, bool(text))] * len(queries)
    looked = held.match(queries, scopes, asked)
    with patch.multiple(codebook, INDEXED_FROM=0, _WORTH_IT=1.0):
        fresh = held.with_edits(())
        found = fresh.match(queries, scopes, asked)
        assert fresh.index is not None
    for plain, quick in zip(looked, found, strict=True):
        assert quick.edit is plain.edit
        assert quick.radius <= held.reach or quick.edit is not None
        if quick.nearest is not None:
            assert quick.nearest is plain.nearest
            assert (quick.distance, quick.radius) == pytest.approx((plain.distance, plain.radius), rel=1e-9)
            assert quick.margin <= plain.margin + 1e-9
        else:
            assert plain.edit is None
            assert plain.distance >= held.reach * (1 - 1e-9)


def test_an_index_that_would_rule_nothing_out_is_not_kept():
    """Keys that no few columns tell apart are looked at as they are."""
    rng = np.random.default_rng(0)
    keys = rng.normal(size=(codebook.INDEXED_FROM + 1, 160)).astype(np.float32)
    background = rng.normal(size=(64, 160)).astype(np.float32)
    space = Calibration(np.zeros(160, np.float32), np.eye(160, dtype=np.float32), False, background, 0.0)
    limits, none = np.full(len(keys), 99, np.float32), Compact(np.zeros((0, 160), np.float32))
    edit = PackedEdit(
        EditRequest("p", "t", id="e"), (1,), keys, np.zeros(1, np.float32), np.zeros(0, np.float16), limits, none
    )
    assert Codebook("grace", "f", (), 0.01, 0.03).with_edits([edit], (), space).index is None


def test_a_large_book_is_indexed_and_a_small_one_is_not():
    """Where looking at all is as fast, nothing is kept beside the keys."""
    space = Calibration(
        np.zeros(2, np.float32), np.eye(2, dtype=np.float32), False, np.full((9, 2), 99, np.float32), 0.0
    )
    rest = np.zeros(1, np.float32), np.zeros(0, np.float16)
    few = np.arange(codebook.INDEXED_FROM * 2 + 2, dtype=np.float32).reshape(-1, 2)

    def book(keys):
        limits, none = np.full(len(keys), 9, np.float32), Compact(np.zeros((0, 2), np.float32))
        return Codebook("grace", "f", (), 0.0, 0.0).with_edits(
            [PackedEdit(EditRequest("p", "t", id="e"), (1,), keys, *rest, limits, none)], (), space
        )

    assert book(few[:-1]).index is None
    assert book(few).index is not None
    (match,) = book(few).match(few[7:8] + np.float32(0.1), [None])
    assert match.edit is not None
    assert match.distance == pytest.approx(0.1 * 2**0.5, rel=1e-3)
