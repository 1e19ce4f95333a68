"""The cosine of two stored vectors: the same bits, however many others were compared at once, in whatever order, by whatever library.

A cosine that becomes the weight of a link is written down, exported and compared. A matrix product in single precision gives another one in
its last digits for every shape of the matrices. Vectors are stored in half precision: products of two halves are multiples of 2^-48, and
for vectors of about unit length their partial sums stay below 2^5, so a double holds every one of them exactly, and the order of a sum
is of no matter. What is left, a root and a division, IEEE 754 rounds the same everywhere. So a rough product finds who may be near, and those few
get their cosine here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]

__all__ = ["ROUGH", "as_stored", "cosines", "may_be_best"]

ROUGH: Final = 1e-5
"""By how much a product of unit vectors in single precision may miss their cosine."""
_LEAST: Final = 1e-60


def as_stored(vectors: npt.NDArray[np.floating]) -> Doubles:
    """``vectors`` as the store holds them, in half precision; the numbers themselves are doubles."""
    stored: Doubles = vectors.astype(np.float16).astype(np.float64)
    return stored


def cosines(one: Doubles, others: Doubles) -> Doubles:
    """[n] the cosine of one vector, shape (dimension,), with each of ``others``, shape (n, dimension): all as :func:`as_stored` gives them."""
    lengths = np.einsum("ij,ij->i", others, others) * np.dot(one, one)
    found: Doubles = (others @ one) / np.sqrt(np.maximum(lengths, _LEAST))
    return found


def may_be_best(rough: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.int64]:
    """Where those of n rough cosines stand that may be among the ``k`` best: all that come as near as the k-th, give or take their error."""
    if k < 1:
        return np.empty(0, np.int64)
    if len(rough) <= k:
        return np.arange(len(rough))
    edge = np.partition(rough, len(rough) - k)[len(rough) - k]
    return np.flatnonzero(rough >= edge - 2 * ROUGH)
