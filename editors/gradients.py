"""The gradient that every value is learnt by, and what is said where a model lets none through."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agentmem.errors import EditError

__all__ = ["gradients"]

_BROKEN = ("used in the graph", "does not require grad", "is not implemented", "not differentiable")


def gradients(loss: Tensor, to: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Of a loss with respect to each of ``to``, in their shapes; the parameters' own ``.grad`` stays as it is.

    Raises:
        EditError: something above the edited layer lets no gradient through, as layers of whole numbers do.
    """
    try:
        return torch.autograd.grad(loss, list(to))
    except RuntimeError as error:
        if not any(words in str(error) for words in _BROKEN):
            raise
        raise EditError(
            f"No gradient comes down to the edited layer: {str(error).splitlines()[0]}",
            hint="load the model in floating point (float32, bfloat16), or with a quantisation that can be trained through; notes work with any model.",
        ) from error
