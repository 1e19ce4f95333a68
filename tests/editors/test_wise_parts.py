"""The parts of WISE that need no model: sharding, masks, TIES, margins, spans."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.editors.packs import PackedEdit
from agentmem.editors.published.wise.training import margin_loss
from agentmem.editors.wise.config import WiseConfig
from agentmem.editors.wise.lora import factors
from agentmem.editors.wise.memory import Blueprint, ties
from agentmem.editors.wise.routing import GovernedSpan
from agentmem.editors.wise.sharding import partition
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope

EMPTY = np.zeros(0, np.float32)
NAMES = st.sets(st.integers(0, 500).map(str), max_size=60)


def records(names, scope=None):
    return [
        PackedEdit(EditRequest("a", "b", id=name, scope=scope), (1,), EMPTY, EMPTY, EMPTY, EMPTY, EMPTY)
        for name in names
    ]


@given(names=NAMES, size=st.integers(1, 9), shards=st.integers(1, 3), data=st.data())
@settings(max_examples=60, deadline=None)
def test_sharding_is_a_function_of_the_set(names, size, shards, data):
    """Every record is in one shard, none is too full, order is irrelevant, and a delete touches one memory or joins two."""
    cells = partition(records(names), size, shards)
    assert sorted(i for cell in cells for i in cell.ids) == sorted(names)
    assert all(len(shard) <= size for cell in cells for shard in cell.shards)
    shuffled = data.draw(st.permutations(sorted(names)))
    assert partition(records(shuffled), size, shards) == cells
    if not names:
        return

    gone = data.draw(st.sampled_from(sorted(names)))
    after = partition(records(names - {gone}), size, shards)
    changed = [cell for cell in cells if cell not in after]
    touched = {i for cell in changed for i in cell.ids}
    assert gone in touched
    assert len([cell for cell in after if cell not in cells]) <= 1
    assert len(touched) <= size * shards + 1


def test_scopes_do_not_share_a_memory():
    """Two users' records lie apart, whatever their ids."""
    cells = partition([*records("abc", Scope(user="x")), *records("def", Scope(user="y")), *records("g")], 64, 1)
    assert [set(cell.ids) for cell in cells] == [{"g"}, {"a", "b", "c"}, {"d", "e", "f"}]
    assert [cell.scope for cell in cells] == [None, Scope(user="x"), Scope(user="y")]


def test_masks_come_from_the_seed_and_the_name():
    """The same shard always gets the same mask; another name or seed another; shards of one memory never overlap."""
    plan = Blueprint(8, 100, WiseConfig(ratio=0.25, shards=4))
    other = Blueprint(8, 100, WiseConfig(ratio=0.25, shards=4, seed=1))
    drawn = [plan.columns("/", shard) for shard in range(4)]
    assert sorted(np.concatenate(drawn)) == list(range(100))
    assert (plan.columns("/", 0) == drawn[0]).all()
    assert not np.array_equal(plan.columns("/0", 0), drawn[0])
    assert not np.array_equal(other.columns("/", 0), drawn[0])
    dense = plan.dense("/", 1, np.ones((8, 25), np.float32))
    assert set(np.flatnonzero(dense.any(0))) == set(drawn[1])


def test_ties_by_hand():
    """Trim to the largest half, elect the sign with more weight, average those who agree (Yadav et al. 2023)."""
    a = np.array([[4.0, -3.0, 0.1, 0.2]], np.float32)
    b = np.array([[2.0, 5.0, 0.3, 0.1]], np.float32)
    assert ties([a, b], 0.5) == pytest.approx(np.array([[3.0, 5.0, 0.0, 0.0]]))
    assert ties([a], 1.0) == pytest.approx(a)
    assert not ties([np.zeros((1, 2), np.float32)], 0.5).any()


def test_the_papers_margin_loss_by_hand():
    """L_a = max(0, d_i - alpha) + max(0, beta - d_e) + max(0, gamma - (d_e - d_i))."""
    loss = margin_loss(torch.tensor([18.0]), torch.tensor([7.0, 2.0]), (5.0, 20.0, 10.0))
    assert float(loss) == pytest.approx((2 + 0) / 2 + 2 + (0 + 0) / 2)
    close = margin_loss(torch.tensor([12.0]), torch.tensor([7.0]), (5.0, 20.0, 10.0))
    assert float(close) == pytest.approx(2 + 8 + 5)
    assert float(margin_loss(torch.tensor([30.0]), torch.tensor([1.0]), (5.0, 20.0, 10.0))) == 0


def test_paper_mode_has_the_published_numbers():
    """The paper's hyper-parameters, and options of one's own on top."""
    paper = WiseConfig.paper(steps=30)
    assert (paper.alpha, paper.beta, paper.gamma, paper.ratio, paper.shards, paper.steps) == (
        5,
        20,
        10,
        0.2,
        2,
        30,
    )
    assert (paper.gate, paper.span, paper.threshold, paper.optimiser) == (
        "activation",
        "all",
        "minimum",
        "sgd",
    )


@given(row=st.lists(st.integers(0, 4), min_size=1, max_size=12), data=st.data())
def test_an_answer_ends_before_its_stop_token(row, data):
    """A memory governs from the deciding token up to the first stop after it, or up to the next decision."""
    at = data.draw(st.integers(0, len(row) - 1))
    span = GovernedSpan(whole=False, stops=frozenset({0})).of(row, at, [])
    assert span.start == at
    assert 0 not in row[at + 1 : span.stop]
    assert span.stop == len(row) or row[span.stop] == 0
    assert GovernedSpan(whole=True, stops=frozenset({0})).of(row, at, []) == range(len(row))
    assert GovernedSpan(whole=False, stops=frozenset()).of(row, at, [at, len(row)]) == range(at, len(row))


@given(seed=st.integers(0, 99), rank=st.integers(1, 6))
@settings(deadline=None)
def test_factors_are_the_best_approximation(seed, rank):
    """The error of rank r is what the dropped singular values say; full rank has none."""
    dense = np.random.default_rng(seed).normal(size=(5, 7)).astype(np.float32)
    up, down, error = factors(dense, rank)
    sizes = np.linalg.svd(dense, compute_uv=False)
    assert error == pytest.approx(np.linalg.norm(sizes[rank:]) / np.linalg.norm(sizes), abs=1e-5)
    assert up.shape[1] == down.shape[0] == min(rank, 5)
    assert factors(np.zeros((3, 4), np.float32), None)[2] == 0.0
