"""Vectors as they are kept: half-precision numbers in blobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agentmem.errors import EmbedderMismatch, InvalidArgument, StoreCorrupt

if TYPE_CHECKING:
    from agentmem.notes.arrays import Rows, Vectors

__all__ = ["arrays", "checked", "matrix"]

_LIMIT: Final = 1e4  # beyond it, float16 overflows and a cosine means nothing


def checked(rows: Sequence[int], vectors: Vectors, dimension: int | None) -> Any:
    """``vectors`` in half precision: one finite, non-zero row of ``dimension`` (if known) for each of ``rows``."""
    try:
        array = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"The vectors are not numbers: {error}.", hint="pass a float32 array.") from error
    if array.ndim != 2 or array.shape[0] != len(rows) or array.shape[1] == 0:
        raise InvalidArgument(
            f"Expected {len(rows)} vectors, got an array of shape {array.shape}.",
            hint="pass an array of shape (rows, dimension).",
        )
    if dimension is not None and dimension != array.shape[1]:
        raise EmbedderMismatch(
            f"The store holds vectors of {dimension} dimensions, not of {array.shape[1]}.",
            hint="open it with the embedder it was built with, or call rebuild('vectors').",
        )
    largest = np.abs(array).max(axis=1)
    if not np.isfinite(largest).all() or (largest > _LIMIT).any():
        raise InvalidArgument("A vector is not finite or too long.", hint="normalise vectors to length 1.")
    halves = array.astype(np.float16)
    if not halves.any(axis=1).all():
        raise InvalidArgument("A vector is zero.", hint="normalise vectors to length 1.")
    return halves


def arrays(found: Sequence[tuple[int, bytes]]) -> tuple[Rows, Vectors]:
    """(row, blob) each as one array of rows and one of vectors, float32 of shape (rows, dimension)."""
    if not found:
        return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float32)
    rows, blobs = zip(*found, strict=True)
    sizes = set(map(len, blobs))
    size = sizes.pop()
    if sizes or size == 0 or size % 2:
        raise StoreCorrupt("The stored vectors differ in length.", hint="call rebuild('vectors').")
    joined = np.frombuffer(b"".join(blobs), dtype=np.float16)
    return np.array(rows, dtype=np.int64), joined.reshape(len(found), size // 2).astype(np.float32)


def matrix(blob: bytes, width: int) -> Vectors:
    """The vectors of one blob, of ``width`` bytes each: float32 of shape (vectors, dimension)."""
    if not blob or not width or len(blob) % width:
        raise StoreCorrupt("The stored passages differ in length.", hint="call rebuild('vectors').")
    return np.frombuffer(blob, dtype=np.float16).reshape(-1, width // 2).astype(np.float32)
