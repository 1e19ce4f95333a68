"""The types of arrays: vectors, rows of notes, digests of words."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Digests", "Rows", "TextRows", "Vectors"]

Vectors: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = npt.NDArray[np.int64]
Digests: TypeAlias = npt.NDArray[np.uint64]


class TextRows(NamedTuple):
    """The words of n notes. ``sizes`` has shape (2, n): how many words each has in content and in context; those lie one after another."""

    rows: Rows
    sizes: Rows
    content: Digests
    context: Digests
