"""Side memories as values: packed deltas on seeded masks, merged by TIES when a memory has several shards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from agentmem.editors.packs import Array
from agentmem.editors.wise.config import WiseConfig
from agentmem.editors.wise.sharding import Cell
from agentmem.editors.wise.side import SideDelta
from agentmem.runtime.lazily import cached_property

__all__ = ["Blueprint", "SideMemory", "ties"]


@dataclass(frozen=True)
class Blueprint:
    """What every shard of an editor has in common; masks are drawn from the seed and a name, never stored.

    Attributes:
        d_model, d_ffn: the projection's output and input width.
    """

    d_model: int
    d_ffn: int
    config: WiseConfig

    def columns(self, name: str, shard: int) -> npt.NDArray[np.int64]:
        """[k] the inputs that a shard may read, ascending; shards of one memory read different ones."""
        count = max(1, int(self.config.ratio * self.d_ffn))
        order = np.argsort(self._generator(name, -1).random(self.d_ffn), kind="stable")
        return np.sort(order[shard * count : (shard + 1) * count])

    def elements(self, name: str, shard: int) -> npt.NDArray[np.bool_]:
        """[d_model, d_ffn] the entries that a shard may change."""
        drawn: npt.NDArray[np.bool_] = (
            self._generator(name, shard).random((self.d_model, self.d_ffn)) < self.config.ratio
        )
        return drawn

    def packed_shape(self, name: str, shard: int) -> tuple[int, ...]:
        """The shape in which a shard is stored."""
        if self.config.mask == "columns":
            return (self.d_model, len(self.columns(name, shard)))
        return (int(self.elements(name, shard).sum()),)

    def dense(self, name: str, shard: int, packed: Array) -> Array:
        """[d_model, d_ffn] a shard's change of the projection; exactly zero outside of its mask."""
        whole = np.zeros((self.d_model, self.d_ffn), dtype=np.float32)
        if self.config.mask == "columns":
            whole[:, self.columns(name, shard)] = packed
        else:
            whole[self.elements(name, shard)] = packed
        return whole

    def _generator(self, name: str, shard: int) -> np.random.Generator:
        seed = hashlib.sha256(f"{self.config.seed}/{shard}/{name}".encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(seed[:16], "little")))


@dataclass(frozen=True, eq=False)
class SideMemory:
    """The records of one cell in trained shards.

    Attributes:
        packed: one array per shard; ``None`` for a shard without records.
        digests: of each shard's records: equal digests in one editor mean equal shards.
        threshold: activation norms above it answer; 0 when keys alone decide.
    """

    cell: Cell
    blueprint: Blueprint
    packed: tuple[Array | None, ...]
    digests: tuple[str, ...]
    threshold: float = 0.0

    @cached_property
    def dense(self) -> Array:
        """[d_model, d_ffn] the change of the projection, merged."""
        name, plan = self.cell.name, self.blueprint
        shards = [plan.dense(name, i, p) for i, p in enumerate(self.packed) if p is not None]
        return shards[0] if len(shards) == 1 else ties(shards, plan.config.ties_density)

    @property
    def size_bytes(self) -> int:
        """Of the packed deltas."""
        return sum(p.nbytes for p in self.packed if p is not None)

    def delta(self, device: torch.device | str = "cpu") -> SideDelta:
        """The change as the hook applies it, on a device; built once."""
        weight, inputs = self._tensors
        held = self._placed.get(str(device))
        if held is None:
            moved = inputs.to(device) if inputs is not None else None
            held = self._placed[str(device)] = SideDelta(weight.to(device), moved)
        return held

    @cached_property
    def _placed(self) -> dict[str, SideDelta]:
        return {}

    @cached_property
    def _tensors(self) -> tuple[Tensor, Tensor | None]:
        only = self.packed[0] if len(self.packed) == 1 else None
        if only is not None and self.blueprint.config.mask == "columns":
            columns = self.blueprint.columns(self.cell.name, 0)
            return torch.from_numpy(only.copy()), torch.from_numpy(columns.copy())
        read = np.flatnonzero(self.dense.any(axis=0))
        if len(read) == self.dense.shape[1]:
            return torch.from_numpy(self.dense.copy()), None
        return torch.from_numpy(self.dense[:, read].copy()), torch.from_numpy(read)


def ties(deltas: Sequence[npt.NDArray[Any]], density: float) -> Array:
    """Merge changes of one matrix (TIES, Yadav et al. 2023): trim, elect signs, average who agrees.

    Args:
        deltas: of one shape.
        density: the share of each change's largest non-zero entries that is kept.
    """
    trimmed = []
    for delta in deltas:
        size = np.abs(delta[delta != 0])
        keep = int(np.ceil(density * size.size))
        floor = np.partition(size, size.size - keep)[size.size - keep] if keep else np.inf
        trimmed.append(np.where(np.abs(delta) >= floor, delta, 0).astype(np.float64))
    stacked = np.stack(trimmed)
    agrees = (np.sign(stacked) == np.sign(stacked.sum(0))) & (stacked != 0)
    merged: Array = ((stacked * agrees).sum(0) / np.maximum(agrees.sum(0), 1)).astype(np.float32)
    return merged
