"""The closed forms of ROME, EMMET and MEMIT against the papers' formulas and against what they minimise."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.editors.rome.closed_form import closed_form, whiten
from agentmem.errors import EditError

WIDE, NARROW = 24, 10


def problem(n, seed, d_key=WIDE, d_model=NARROW):
    """Keys, residuals and a second moment with a spread spectrum; fp32 like a model's, C in fp64."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.logspace(0, -1, d_key)
    background = torch.randn(4 * d_key, d_key, generator=generator) * scales
    moment = (background.T @ background).double() / len(background) + 1e-3 * torch.eye(d_key, dtype=torch.float64)
    keys = torch.randn(n, d_key, generator=generator) * scales
    residuals = torch.randn(n, d_model, generator=generator)
    return keys, residuals, moment


def solve(form, n, seed, weight=0.0, **sizes):
    keys, residuals, moment = problem(n, seed, **sizes)
    delta = closed_form(keys, whiten(keys, moment), residuals, form, weight).dense()
    return delta, keys.double(), residuals.double(), moment


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, WIDE - 4), seed=st.integers(0, 10_000))
def test_emmet_meets_every_constraint_and_disturbs_the_background_least(n, seed):
    """Δ k = v - W k for every edit, and Δ C has no part that no key asks for."""
    delta, keys, residuals, moment = solve("emmet", n, seed)

    assert torch.allclose(delta @ keys.T, residuals.T, atol=1e-4 * float(residuals.abs().max()))
    _, _, basis = torch.linalg.svd(keys, full_matrices=True)
    free = basis[n:].T  # directions in which Δ could change without touching a constraint
    slope = delta @ moment @ free
    assert slope.abs().max() <= 1e-6 * (delta @ moment).abs().max()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_emmet_of_one_edit_is_rome(seed):
    """In float32, to 1e-5; and both are the rank-one formula of the ROME paper."""
    emmet, keys, residuals, moment = solve("emmet", 1, seed)
    rome, *_ = solve("rome", 1, seed)
    u = torch.linalg.solve(moment, keys[0])
    paper = torch.outer(residuals[0], u) / (u @ keys[0])

    assert torch.allclose(emmet.float(), rome.float(), rtol=1e-5, atol=1e-5 * float(paper.abs().max()))
    assert torch.allclose(rome, paper, rtol=1e-9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 30), seed=st.integers(0, 10_000))
def test_rome_is_one_rank_one_update_after_the_other(n, seed):
    """The triangular solve gives what inserting edit by edit gives; the last one's constraint holds exactly."""
    rome, keys, residuals, moment = solve("rome", n, seed)
    step = torch.zeros_like(rome)
    for key, residual in zip(keys, residuals, strict=True):
        u = torch.linalg.solve(moment, key)
        step = step + torch.outer(residual - step @ key, u) / (u @ key)

    assert torch.allclose(rome, step, rtol=1e-7, atol=1e-7 * float(step.abs().max()))
    assert torch.allclose(rome @ keys[-1], residuals[-1], atol=1e-6 * float(step.abs().max()) * WIDE)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 3 * WIDE), seed=st.integers(0, 10_000), weight=st.floats(1e-2, 100))
def test_memit_is_its_formula_whichever_side_is_solved(n, seed, weight):
    """R Kᵀ (λ C + K Kᵀ)⁻¹, with fewer and with more edits than key dimensions; EMMET with λ_E = λ is the same."""
    memit, keys, residuals, moment = solve("memit", n, seed, weight)
    paper = residuals.T @ keys @ torch.linalg.inv(weight * moment + keys.T @ keys)
    ridged, *_ = solve("emmet", n, seed, weight)

    assert torch.allclose(memit, paper, rtol=1e-6, atol=1e-8)
    assert torch.equal(memit, ridged)


@pytest.mark.parametrize("form", ["rome", "emmet", "memit"])
def test_a_thousand_edits_at_once_are_finite(form):
    """Ten times more edits than key dimensions: nothing overflows."""
    delta, *_ = solve(form, 1000, 3, weight=10.0, d_key=96, d_model=48)

    assert torch.isfinite(delta.float()).all()


def test_a_thousand_edits_that_contradict_are_met_in_least_squares():
    """1,000 random keys in 96 dimensions: EMMET's residual is orthogonal to the keys, so no Δ comes closer."""
    delta, keys, residuals, _ = solve("emmet", 1000, 4, d_key=96, d_model=48)
    slope = (delta @ keys.T - residuals.T) @ keys
    reference = torch.linalg.lstsq(keys, residuals).solution.T

    assert slope.abs().max() <= 1e-6 * (residuals.T @ keys).abs().max()
    assert torch.allclose(delta, reference, rtol=1e-5, atol=1e-7)


def test_a_thousand_edits_that_fit_are_met_exactly():
    """1,000 keys in 1,200 dimensions: every constraint holds to 1e-4."""
    delta, keys, residuals, _ = solve("emmet", 1000, 5, d_key=1200, d_model=16)

    assert (delta @ keys.T - residuals.T).abs().max() <= 1e-4


def test_two_wishes_for_one_key_are_averaged():
    """Equal keys make the Gram matrix singular; each gets half of what differs, and nothing explodes."""
    keys, residuals, moment = problem(2, 6)
    keys = keys[:1].repeat(2, 1)
    delta = closed_form(keys, whiten(keys, moment), residuals, "emmet").dense()

    assert torch.allclose(delta @ keys[0].double(), residuals.double().mean(0), atol=1e-6)


def test_what_is_not_finite_is_refused():
    """A key of infinite length cannot be solved for, and says so."""
    keys, residuals, moment = problem(2, 7)
    residuals[0, 0] = float("inf")
    with pytest.raises(EditError, match="not finite"):
        closed_form(keys, whiten(keys, moment), residuals, "memit", 1.0)
