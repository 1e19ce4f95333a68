"""Muon: momentum whose matrix is brought close to an orthogonal one before it is applied.

Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, https://kellerjordan.github.io/posts/muon/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Muon", "orthogonalise"]

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrices: torch.Tensor, steps: int = 4, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Push all singular values towards one by a quintic Newton-Schulz iteration.

    Args:
        matrices: Shape `(n, rows, columns)` with `rows <= columns`.
        steps: Number of iterations.
        dtype: What products are formed in; for a direction half precision will do.

    Returns:
        A tensor of the same shape and type.
    """
    a, b, c = _COEFFICIENTS
    x = (matrices / (matrices.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).to(dtype)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.to(matrices.dtype)


class Muon:
    """Nesterov momentum with orthogonalised updates for a set of matrices.

    Matrices of the same shape are processed as one batch, which on a CPU is several times faster than one by one.
    """

    def __init__(
        self,
        matrices: Iterable[torch.nn.Parameter],
        momentum: float = 0.95,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Keep the matrices, grouped by shape, each lying on its long side."""
        self._momentum, self._dtype = momentum, dtype
        self._groups: dict[tuple[int, int], list[torch.nn.Parameter]] = {}
        for matrix in matrices:
            rows, columns = sorted(matrix.shape)
            self._groups.setdefault((rows, columns), []).append(matrix)
        self.buffers = {shape: torch.zeros(len(group), *shape) for shape, group in self._groups.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Apply one update from the gradients."""
        for shape, group in self._groups.items():
            gradients = torch.stack([_lying(_gradient(p)) for p in group])
            buffer = self.buffers[shape]
            buffer.mul_(self._momentum).add_(gradients, alpha=1 - self._momentum)
            updates = orthogonalise(gradients.lerp(buffer, self._momentum), dtype=self._dtype)
            for parameter, update in zip(group, updates, strict=True):
                rows, columns = parameter.shape
                scale = max(1.0, rows / columns) ** 0.5
                parameter.add_(update if rows <= columns else update.mT, alpha=-rate * scale)


def _gradient(parameter: torch.nn.Parameter) -> torch.Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _lying(matrix: torch.Tensor) -> torch.Tensor:
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
