"""The closed forms of ROME, EMMET and MEMIT, written with one matrix.

With keys K [d_key, n], wanted changes R = V - W K [d_model, n], the second moment C = E[k kᵀ] of background keys,
directions U = C⁻¹ K and the Gram matrix G = Uᵀ K = Kᵀ C⁻¹ K, each of the three is

    Δ = R M⁻¹ Uᵀ,    M = triu(G)     ROME:  one rank-one update after the other, in the order of the columns
                     M = G + λ_E I   EMMET: all constraints Δ K = R at once, with the least ‖Δ C^½‖
                     M = G + λ I     MEMIT: min ‖Δ K - R‖² + λ ‖Δ C^½‖²

so that for n = 1 the first two are the same rank-one matrix R uᵀ / (uᵀ k), and MEMIT, usually written
R Kᵀ (λ C + K Kᵀ)⁻¹, equals EMMET with λ_E = λ. Neither W nor C is needed once R and U are known, and nothing
larger than min(n, d_key) is ever solved for. Everything is computed in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from agentmem.errors import EditError

__all__ = ["Form", "LowRankDelta", "closed_form", "whiten"]

Form = Literal["rome", "emmet", "memit"]
_CUTOFF = 1e-10  # keys that agree to about 1e-5 are one constraint: they share what both want


@dataclass(frozen=True, eq=False)
class LowRankDelta:
    """A matrix ``left @ right.T`` kept as factors: left [d_model, n], right [d_key, n], float64.

    As long as no more than d_key edits were solved for, ``left`` is Rᵀ and ``x @ right`` says how much of each
    edit's residual an input x gets.
    """

    left: Tensor
    right: Tensor

    def dense(self) -> Tensor:
        """[d_model, d_key]."""
        return self.left @ self.right.T

    @property
    def norm(self) -> float:
        """The Frobenius norm, without building the matrix."""
        inner = (self.left.T @ self.left) * (self.right.T @ self.right)
        return float(inner.sum().clamp(min=0).sqrt())


def closed_form(keys: Tensor, directions: Tensor, residuals: Tensor, form: Form, weight: float = 0.0) -> LowRankDelta:
    """The change of a linear map that answers ``residuals`` at ``keys`` and disturbs the background least.

    Args:
        keys: [n, d_key], one key per row.
        directions: [n, d_key], C⁻¹ k of each, in float64: what is lost here is lost in every constraint.
        residuals: [n, d_model], what each key shall give more than it does.
        form: ``rome`` (order counts), ``emmet`` or ``memit``.
        weight: λ of MEMIT or λ_E of EMMET; not used by ROME.

    Returns:
        Δ as factors; ``Δ @ keys.T == residuals.T`` for EMMET with independent keys and weight 0.

    Raises:
        EditError: an input or the result is not finite.
    """
    try:
        delta = _solved(keys.double(), directions.double(), residuals.double(), form, weight)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise EditError(
            f"The closed form could not be solved: {error}.", hint="raise `ridge` or `shrinkage`."
        ) from error
    if not (torch.isfinite(delta.left).all() and torch.isfinite(delta.right).all()):
        raise EditError("The closed form gave values that are not finite.", hint="raise `ridge`, or write fewer edits.")
    return delta


def _solved(k: Tensor, u: Tensor, r: Tensor, form: Form, weight: float) -> LowRankDelta:
    if form == "rome":
        triangle = torch.triu(u @ k.T)
        delta = LowRankDelta(r.T, torch.linalg.solve_triangular(triangle, u, upper=True).T)
    elif weight > 0 and len(k) > k.shape[1]:
        # (Uᵀ K + λ)⁻¹ Uᵀ = Uᵀ (K Uᵀ + λ)⁻¹: the smaller side is solved (Woodbury)
        small = u.T @ k + weight * torch.eye(k.shape[1], dtype=torch.float64)
        delta = _thin(torch.linalg.solve(small, u.T @ r).T)
    elif weight > 0:
        gram = _symmetric(u @ k.T) + weight * torch.eye(len(k), dtype=torch.float64)
        delta = LowRankDelta(r.T, torch.cholesky_solve(u, torch.linalg.cholesky(gram)).T)
    else:
        delta = LowRankDelta(r.T, (_pseudo_inverse(_symmetric(u @ k.T)) @ u).T)
    return delta


def whiten(keys: Tensor, second_moment: Tensor) -> Tensor:
    """[n, d_key] directions C⁻¹ k of keys [n, d_key], float64; C must be positive definite."""
    factor = torch.linalg.cholesky(second_moment.double())
    return torch.cholesky_solve(keys.double().T, factor).T.contiguous()


def _thin(dense: Tensor) -> LowRankDelta:
    """A dense matrix as factors of its smaller side."""
    rows, columns = dense.shape
    if rows <= columns:
        return LowRankDelta(torch.eye(rows, dtype=dense.dtype), dense.T)
    return LowRankDelta(dense, torch.eye(columns, dtype=dense.dtype))


def _symmetric(gram: Tensor) -> Tensor:
    """Rounding leaves a Gram matrix a little askew."""
    return (gram + gram.T) / 2


def _pseudo_inverse(gram: Tensor) -> Tensor:
    """Moore-Penrose inverse of a positive semi-definite matrix; with it, contradicting constraints are averaged."""
    values, vectors = torch.linalg.eigh(gram)
    kept = values > _CUTOFF * values[-1].clamp(min=1e-300)
    inverse: Tensor = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return inverse
