"""Learning a key space from background prompts, for any causal language model.

The raw key (what the last layer's feed-forward part is about to write) is dominated by what comes next and by a
few large directions; whitening lets the question itself decide the distance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agentmem.editors.compact import FINE, coarse
from agentmem.editors.gate.config import GateConfig
from agentmem.editors.packs import Array, Calibration
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Renderer
from agentmem.errors import InvalidArgument

__all__ = ["calibrate", "fit_projection", "is_constant"]

Doubles = npt.NDArray[np.float64]
_HELD_OUT = 4  # every fourth group measures distances and takes no part in finding the projection
_SHRINKAGE = 0.1


def calibrate(port: ModelPort, renderer: Renderer, config: GateConfig, groups: Sequence[Sequence[str]]) -> Calibration:
    """Run the background prompts through the model once and derive its key space.

    Args:
        groups: prompts; those of one group ask the same in other words.

    Raises:
        InvalidArgument: there are too few prompts to tell anything.
    """
    groups = [tuple(group) for group in groups if group]
    if len(groups) < 2 * _HELD_OUT:
        raise InvalidArgument(
            f"{len(groups)} background groups are too few to calibrate keys.",
            hint=f"give at least {2 * _HELD_OUT}, better a few hundred; or leave background=None for the built-in ones.",
        )
    prompts = [renderer.prompt(text) for group in groups for text in group]
    raw = port.keys(prompts).numpy()
    member = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    held = member % _HELD_OUT == 0
    mean, projection = fit_projection(raw[~held], member[~held], config.key_norm, config.key_dim)
    projection = coarse(projection, FINE)
    space = Calibration(mean, projection, config.unit_keys, np.zeros((0, projection.shape[1]), np.float32), 0.0)
    alone = port.keys(prompts[:8], batch_size=1).numpy()
    noise = float(np.linalg.norm(space.keys(alone) - coarse(space.keys(raw[:8]), FINE), axis=1).max())
    return Calibration(mean, projection, config.unit_keys, coarse(space.keys(raw[held]), FINE), noise)


def fit_projection(raw: Array, member: npt.NDArray[np.int64], norm: str, size: int) -> tuple[Array, Array]:
    """Mean [d_key] and projection [d_key, r] of raw keys.

    ``white`` divides each principal direction by its spread. ``lda`` whitens what differs *within* a group (Fisher's
    discriminant: directions in which paraphrases agree count more), with shrinkage towards the average.

    Args:
        raw: [n, d_key] raw keys of background prompts.
        member: [n] the group of each.
        norm: ``lda``, ``white`` or ``raw``.
        size: at most this many dimensions.

    Raises:
        InvalidArgument: every prompt has the same raw key.
    """
    if is_constant(raw):
        raise _same_keys()
    wide = raw.astype(np.float64)
    mean = wide.mean(0)
    centred = wide - mean
    if norm == "raw":
        return mean.astype(np.float32), np.eye(raw.shape[1], dtype=np.float32)
    basis, spread = _principal(centred, 2 * size)
    if not len(spread):
        raise _same_keys()
    if norm == "white" or len(np.unique(member)) == len(member):  # no two ask the same: nothing differs within a group
        scale = 1 / np.sqrt(spread + _SHRINKAGE * spread.mean())
        return mean.astype(np.float32), (basis * scale)[:, :size].astype(np.float32)
    return mean.astype(np.float32), (basis @ _discriminant(centred @ basis, member, size)).astype(np.float32)


def _same_keys() -> InvalidArgument:
    return InvalidArgument(
        "Every prompt has the same key: the layer reads nothing but the last token, or is no layer of the model.",
        hint='choose a later key_layer, or name the decoder layers: layers="path.to.layers".',
    )


def is_constant(raw: Array) -> bool:
    """Whether raw keys [n, d_key] differ by no more than rounding."""
    return bool(np.ptp(raw, axis=0).max(initial=0.0) <= 1e-5 * np.abs(raw).max(initial=0.0))


def _principal(centred: Doubles, size: int) -> tuple[Doubles, Doubles]:
    """The leading principal directions [d, k] and the variance along each [k]."""
    tall = len(centred) >= centred.shape[1]
    gram = centred.T @ centred if tall else centred @ centred.T  # the smaller of the two has the same spectrum
    squares, vectors = np.linalg.eigh(gram)
    squares, vectors = squares[::-1], vectors[:, ::-1]
    keep = min(size, int((squares > 1e-10 * squares[0]).sum()), max(1, len(centred) // 3))
    squares, vectors = squares[:keep], vectors[:, :keep]
    basis = vectors if tall else centred.T @ vectors / np.sqrt(squares)
    return _signed(basis), squares / len(centred)


def _discriminant(points: Doubles, member: npt.NDArray[np.int64], size: int) -> Doubles:
    """[k, r] directions by decreasing ratio of between-group to within-group variance, within-whitened."""
    names, index = np.unique(member, return_inverse=True)
    sums = np.zeros((len(names), points.shape[1]))
    np.add.at(sums, index, points)
    centres = sums / np.bincount(index)[:, None]
    within = points - centres[index]
    scatter = within.T @ within / max(1, len(points) - len(names))
    scatter += _SHRINKAGE * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    values, vectors = np.linalg.eigh(scatter)
    whiten = vectors / np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    between = np.cov((centres @ whiten).T, bias=True).reshape(len(scatter), -1)
    _, rotation = np.linalg.eigh(between)
    return _signed(whiten @ rotation[:, ::-1][:, :size])


def _signed(columns: Doubles) -> Doubles:
    """Fix each column's sign by its largest entry: decompositions leave it open."""
    largest = columns[np.abs(columns).argmax(0), np.arange(columns.shape[1])]
    return np.where(largest < 0, -columns, columns)
