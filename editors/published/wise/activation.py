"""The paper's gate: the norm of what a side memory would add to the projection's output (Eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from agentmem.editors.core.scopes import admits
from agentmem.editors.gate.codebook import KeyMatch
from agentmem.editors.packs import Array, PackedEdit
from agentmem.editors.wise.library import Library
from agentmem.editors.wise.memory import SideMemory
from agentmem.notes.note import Scope

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["mean_norm", "norms", "weigh"]


def norms(library: Library, heard: Tensor, whole: bool) -> npt.NDArray[np.float32]:
    """[M] the activation norm of every memory for one prompt.

    Args:
        heard: [T, d_ffn] what the projection read, up to the deciding token.
        whole: the mean over all tokens (what a memory that governs all would change), else the last alone.
    """
    read = (heard if whole else heard[-1:]).float()
    found = [float(m.delta(read.device)(read).norm(dim=-1).mean()) for m in library.memories]
    return np.array(found, dtype=np.float32)


def weigh(
    library: Library, gate: str, keys: Array, scores: npt.NDArray[np.float32], scopes: Sequence[Scope | None]
) -> list[KeyMatch]:
    """Decide by activation norms: the memory that would add most answers, if it is above its threshold.

    Distance and radius of a match are the norm and the threshold with their signs turned, so that a request
    is answered, as with keys, when the distance is at most the radius. The edit named is the memory's record
    with the nearest key: the norm alone does not say which.

    Args:
        gate: ``activation``, or ``both`` when the keys have to agree.
        keys: [n, r] keys of requests.
        scores: [n, M] activation norms.
        scopes: [n] whose requests they are.
    """
    by_key = library.match(keys, scopes)
    found = []
    for key, row, scope, named in zip(keys, scores, scopes, by_key, strict=True):
        best = _heaviest(library, gate, row, scope, named)
        if best is None:
            found.append(replace(named, edit=None) if gate == "both" else KeyMatch(None))
            continue
        edit = named.edit if gate == "both" else _nearest_in(library, library.memories[best], key)
        score, threshold = float(row[best]), library.memories[best].threshold
        fired = edit if score >= threshold else None
        rest = float(np.max(np.delete(row, best), initial=0.0))
        found.append(KeyMatch(fired, edit, -score, -threshold, score - rest))
    return found


def _heaviest(
    library: Library, gate: str, row: npt.NDArray[np.float32], scope: Scope | None, named: KeyMatch
) -> int | None:
    if gate == "both":
        mine = library.memory_of.get(named.edit.id) if named.edit is not None else None
        return library.memories.index(mine) if mine is not None else None
    seen = [i for i, m in enumerate(library.memories) if admits(scope, m.cell.scope)]
    return max(seen, key=lambda i: float(row[i]) - library.memories[i].threshold, default=None)


def _nearest_in(library: Library, memory: SideMemory, key: Array) -> PackedEdit:
    mine = set(memory.cell.ids)
    edits = [edit for edit in library.edits if edit.id in mine]
    return min(edits, key=lambda e: (float(np.linalg.norm(e.keys - key, axis=1).min()), e.id))


def mean_norm(vectors: Tensor, real: Tensor) -> Tensor:
    """[B] the mean Euclidean norm of [B, T, d] vectors over the tokens that are real."""
    norms, real = (vectors.square().sum(-1) + 1e-20).sqrt(), real.to(vectors.device)
    return (norms * real).sum(-1) / real.sum(-1).clamp(min=1)
