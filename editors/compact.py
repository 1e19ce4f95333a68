"""Rows of numbers in few bytes: whole numbers, and one power of two for each row.

Keys are compared by distances that other prompts move by whole units, so they need neither the range nor the precision of
single floats. An editor rounds what it keeps once (:func:`coarse`); from then on the state *is* what was rounded, and a
pack holds it in as few bits as lose nothing (:func:`shrink`). Powers of two make that exact: the same bits give the same scale
again, of which each number is a whole multiple.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FINE", "ROUGH", "Compact", "coarse", "expand", "shrink"]

Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[Any]

FINE = 4e-3  # a share of a row's length that moves it by less than a distance between prompts is worth
ROUGH = 0.7  # a share by which what an edit keeps of other questions may move: what counts is how far they are
_WIDTHS = (4, 8, 12, 16)
_SCALE = ".scale"
_LEAST = -120  # exponents fit a byte
_PAIRS = np.stack(np.divmod(np.arange(256), 16)[::-1], axis=-1).astype(np.float32) - 8  # the two numbers in a byte
_HALF = 1 << 11  # added to numbers of twelve bits, so that none is negative
_SAMPLE = 64  # rows that show most often already that a width does not do


class Compact:
    """Rows in the bits that lose nothing of them: for what is seldom looked at.

    Args:
        rows: [n, r], rounded already.
    """

    __slots__ = ("_scales", "_stored")

    def __init__(self, rows: Array) -> None:
        tensors = shrink("rows", rows)
        self._stored, self._scales = tensors["rows"], tensors.get("rows" + _SCALE)

    @classmethod
    def split(cls, tensors: Mapping[str, Numbers], name: str, ends: npt.NDArray[np.int64]) -> list[Compact]:
        """The rows of a pack as they lie there, cut before each of ``ends``.

        Raises:
            KeyError, ValueError: as :func:`expand`.
        """
        expand(tensors, name)  # for what it raises
        scales = tensors.get(name + _SCALE)
        cut = None if scales is None else np.split(scales, ends)
        parts = []
        for at, stored in enumerate(np.split(tensors[name], ends)):
            part = cls.__new__(cls)
            part._stored, part._scales = stored, None if cut is None else cut[at]
            parts.append(part)
        return parts

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def rows(self) -> Array:
        """[n, r] what was given."""
        return self._stored if self._scales is None else _decoded(self._stored, self._scales)

    @property
    def nbytes(self) -> int:
        """The bytes of the numbers and of their scales."""
        return self._stored.nbytes + (0 if self._scales is None else self._scales.nbytes)


def coarse(rows: Array, tolerance: float) -> Array:
    """[n, r] the rows as the fewest bits hold them that move no row by more than a share of its length.

    Args:
        rows: [n, r].
        tolerance: that share; rows that sixteen bits cannot hold so well stay as they are.
    """
    lengths = np.linalg.norm(rows.astype(np.float64), axis=-1)
    for bits in _WIDTHS:
        scales = _scales(rows, bits)
        # half the scale cuts off the largest numbers, and is nearer to all others: often the better choice in four bits
        both = [_rounded(rows, bits, scale) for scale in (scales, np.maximum(scales - 1, _LEAST))]
        errors = [np.linalg.norm(rounded.astype(np.float64) - rows, axis=-1) for rounded in both]
        if (np.minimum(*errors) <= tolerance * lengths).all():
            return np.where((errors[0] <= errors[1])[:, None], *both)
    return rows


def shrink(name: str, rows: Array) -> dict[str, Numbers]:
    """The rows as tensors of a pack: in the fewest bits that lose nothing, or as they are."""
    for bits in _WIDTHS:
        if _holds(rows[:_SAMPLE], bits) and _holds(rows, bits):
            scales = _scales(rows, bits)
            return {name: _codes(rows, scales, bits), name + _SCALE: scales.astype(np.int8)}
    return {name: np.ascontiguousarray(rows, dtype=np.float32)}


def expand(tensors: Mapping[str, Numbers], name: str) -> Array:
    """Undo :func:`shrink`.

    Raises:
        KeyError: there are no such rows.
        ValueError: there are not as many scales as rows, or a scale makes numbers that are not finite.
    """
    stored, scales = tensors[name], tensors.get(name + _SCALE)
    if scales is None:
        return np.asarray(stored, dtype=np.float32)
    if len(scales) == len(stored):
        with np.errstate(over="ignore"):
            rows = _decoded(stored, scales)
        if np.isfinite(rows).all():
            return rows
    raise ValueError(f"the scales of {name!r} do not fit")


def _decoded(stored: Numbers, scales: Numbers) -> Array:
    rows: Array = _unpacked(stored) * np.ldexp(np.float32(1), scales)[:, None]
    return rows


def _unpacked(stored: Numbers) -> Numbers:
    """[n, r] the whole numbers; two share a byte [n, r / 2], or three bytes [n, r / 2, 3]."""
    if stored.dtype != np.uint8:
        return stored
    if stored.ndim == 2:
        return _PAIRS[stored].reshape(len(stored), 2 * stored.shape[1])
    low, shared, high = (stored[..., i].astype(np.int16) for i in range(3))
    pairs = np.stack([low | (shared & 15) << 8, shared >> 4 | high << 4], axis=-1)
    return pairs.reshape(len(stored), 2 * stored.shape[1]) - _HALF


def _holds(rows: Array, bits: int) -> bool:
    return (bits not in (4, 12) or rows.shape[-1] % 2 == 0) and np.array_equal(
        _rounded(rows, bits, _scales(rows, bits)), rows
    )


def _scales(rows: Array, bits: int) -> npt.NDArray[np.int32]:
    """[n] the least exponents of two at which the largest number of each row fits; 0 for rows of zeros."""
    largest = np.abs(rows).max(-1, initial=0).astype(np.float64)
    fitting = np.ceil(np.log2(np.where(largest > 0, largest, 1) / _most(bits)))
    return np.where(largest > 0, np.maximum(fitting, _LEAST), 0).astype(np.int32)


def _whole(rows: Array, scales: npt.NDArray[np.int32]) -> Array:
    return np.rint(np.ldexp(rows, -scales[:, None]))


def _rounded(rows: Array, bits: int, scales: npt.NDArray[np.int32]) -> Array:
    return np.ldexp(np.clip(_whole(rows, scales), -_most(bits), _most(bits)), scales[:, None])


def _codes(rows: Array, scales: npt.NDArray[np.int32], bits: int) -> Numbers:
    whole = _whole(rows, scales)
    if bits == 16:
        return whole.astype(np.int16)
    if bits == 12:
        ahead, behind = np.moveaxis((whole.astype(np.int16) + _HALF).reshape(len(rows), -1, 2), -1, 0)
        return np.stack([ahead & 255, ahead >> 8 | (behind & 15) << 4, behind >> 4], axis=-1).astype(np.uint8)
    codes = whole.astype(np.int8)
    if bits == 8:
        return codes
    nibbles = (codes + 8).astype(np.uint8)
    return nibbles[:, ::2] | nibbles[:, 1::2] << 4


def _most(bits: int) -> int:
    """The largest number; its negative fits as well."""
    return int((1 << (bits - 1)) - 1)
