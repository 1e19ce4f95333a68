"""The state of a WISE editor: the gate's codebook of records, and the side memories that hold their answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.packs import Array, Pack, PackedEdit, dump
from agentmem.editors.wise.memory import Blueprint, SideMemory
from agentmem.editors.wise.sharding import Cell, partition
from agentmem.errors import PackMismatch
from agentmem.runtime.lazily import cached_property

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Library", "shard_digest", "unpacked"]


@dataclass(frozen=True, eq=False)
class Library(Codebook):
    """An immutable set of records with the memories trained on them."""

    memories: tuple[SideMemory, ...] = ()

    def with_memories(self, memories: Iterable[SideMemory]) -> Library:
        """The same records with these memories, which must be trained on just them."""
        return replace(self, memories=tuple(memories))

    @cached_property
    def bytes(self) -> bytes:
        """The canonical pack of this state."""
        pack = Pack(self.method, self.fingerprint, dict(self.settings), self.calibration, self.edits)
        cells = [
            {"name": m.cell.name, "shards": m.cell.shards, "digests": m.digests, "threshold": m.threshold}
            for m in self.memories
        ]
        tensors: dict[str, npt.NDArray[Any]] = {
            f"delta.{number:05}.{shard:02}": packed
            for number, memory in enumerate(self.memories)
            for shard, packed in enumerate(memory.packed)
            if packed is not None
        }
        return dump(replace(pack, parts={"memories": cells} if cells else {}, tensors=tensors))

    @cached_property
    def memory_of(self) -> dict[str, SideMemory]:
        """Which memory holds a record, by its id."""
        return {name: memory for memory in self.memories for name in memory.cell.ids}

    @cached_property
    def trained(self) -> dict[str, Array]:
        """Shards by the digest of their records."""
        return {
            digest: packed
            for memory in self.memories
            for digest, packed in zip(memory.digests, memory.packed, strict=True)
            if packed is not None
        }


def shard_digest(name: str, shard: int, edits: Sequence[PackedEdit]) -> str:
    """Which training a shard is the result of: its place and its records, whole."""
    described = json.dumps([name, shard, [asdict(edit.request) for edit in edits]], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


def unpacked(empty: Library, pack: Pack, plan: Blueprint) -> Library:
    """The state that a pack of this model and these options holds.

    Raises:
        PackMismatch: its memories do not fit its records, or the model.
    """
    config = plan.config
    book = empty.with_edits(pack.edits, (), pack.calibration)
    cells = partition(book.edits, config.shard_size, config.shards)
    stored: list[Mapping[str, Any]] = list(pack.parts.get("memories", ()))
    named = [(entry["name"], tuple(tuple(shard) for shard in entry["shards"])) for entry in stored]
    if named != [(cell.name, cell.shards) for cell in cells]:
        raise PackMismatch(
            "The pack's shards do not hold its records.", hint="write its edits anew from list_edits(pack)."
        )
    memories = [
        SideMemory(cell, plan, _packed(cell, number, pack, plan), tuple(entry["digests"]), float(entry["threshold"]))
        for number, (cell, entry) in enumerate(zip(cells, stored, strict=True))
    ]
    return book.with_memories(memories)


def _packed(cell: Cell, number: int, pack: Pack, plan: Blueprint) -> tuple[Array | None, ...]:
    found: list[Array | None] = []
    for shard, ids in enumerate(cell.shards):
        array = pack.tensors.get(f"delta.{number:05}.{shard:02}")
        if bool(ids) != (array is not None) or (
            array is not None and array.shape != plan.packed_shape(cell.name, shard)
        ):
            raise PackMismatch("A shard of the pack has another size.", hint="write its edits anew.")
        found.append(array)
    return tuple(found)
