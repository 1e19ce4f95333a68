"""The geometry of a codebook: how far apart keys are, which of them conflict, and how far each may reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from agentmem.editors.core.scopes import coded, together
from agentmem.editors.gate.nearest import Bools, Doubles, Integers, KeySearch
from agentmem.editors.packs import Array
from agentmem.notes.note import Scope
from agentmem.runtime.lazily import cached_property

__all__ = [
    "CLEAR_OF",
    "Bools",
    "Conflicts",
    "Doubles",
    "Integers",
    "Rivals",
    "base_radius",
    "radii",
]

CLEAR_OF = 0.9  # a look-alike stays outside by a tenth of its distance
_SHRINK = 1 - 1e-6  # rounding must not let two balls touch


class Conflicts(Protocol):
    """[K, K] True where two keys have different targets and one request may see both: an array, or what stands for it."""

    def __getitem__(self, block: Integers, /) -> Bools: ...


@dataclass(frozen=True, eq=False)
class Rivals:
    """The conflicts of keys, worked out some rows at a time: all at once they would be as many as the keys squared.

    Args:
        targets: [K] equal numbers for equal targets.
        users, agents: [K] of the keys' scopes, as numbers; -1 for none.
    """

    targets: Integers
    users: Integers
    agents: Integers

    @classmethod
    def of(cls, targets: Integers, scopes: Sequence[Scope | None], owners: Integers) -> Rivals:
        """``scopes`` [E] of the edits, ``owners`` [K] the edit of each key."""
        users, agents = coded(scopes)
        return cls(targets, users[owners], agents[owners])

    @cached_property
    def _unscoped(self) -> bool:
        return bool((self.users < 0).all() and (self.agents < 0).all())

    def __getitem__(self, block: Integers, /) -> Bools:
        different: Bools = self.targets[block, None] != self.targets[None, :]
        if self._unscoped:
            return different
        return different & together(self.users[block], self.agents[block], self.users, self.agents)


def radii(keys: KeySearch, conflicts: Conflicts, reach: float, limits: Array, rows: Integers | None = None) -> Doubles:
    """How far each key reaches: ``min(reach, limit, half the distance to the nearest key with another target)``.

    So balls of different targets never overlap: r_i + r_j <= d(K_i, K_j).

    Args:
        keys: [K, r].
        conflicts: [K, K] True where two keys have different targets and one request may see both; read by blocks of rows.
        reach: the radius that background prompts allow.
        limits: [K] distance to a look-alike that must stay unanswered.
        rows: whose radii are wanted; all when ``None``. One costs a pass over the keys, all of them K passes.
    """
    asked = np.arange(len(keys)) if rows is None else rows
    if not len(asked):
        return np.zeros(0)
    nearest = np.full(len(asked), np.inf)
    for block in keys.blocks(len(asked)):
        own = keys.rows[asked[block]]
        rivals = np.where(conflicts[asked[block]], keys.rough(own), np.float32(np.inf))
        nearest[block] = keys.nearest(own, rivals)[1]
    apart_enough = np.minimum(0.5 * nearest * _SHRINK, CLEAR_OF * limits[asked].astype(np.float64))
    return np.minimum(reach, apart_enough)


def base_radius(keys: KeySearch, background: Array, negatives: Array, alarms: tuple[float, float]) -> float:
    """The radius at which unrelated and look-alike prompts would raise no more false alarms than allowed.

    It shrinks as keys accumulate, because the nearest of many keys is nearer.

    Args:
        keys: [K, r] all keys.
        background: [n, r] keys of unrelated prompts.
        negatives: [m] distances from look-alike prompts to the keys that they resemble.
        alarms: the shares allowed among the background and among look-alikes, by the lower quantile. Look-alikes are
            made by rule, and some ask the same in other words; those must not decide how far every key reaches.
    """
    if not len(keys):
        return 0.0
    unrelated, alike = keys.nearest(background)[1], negatives.astype(np.float64)
    found = [_low(near, share) for near, share in ((unrelated, alarms[0]), (alike, alarms[1])) if len(near)]
    return min(found) * _SHRINK if found else 0.0


def _low(distances: npt.NDArray[np.floating], share: float) -> float:
    return float(np.quantile(distances.astype(np.float64), share, method="lower"))
