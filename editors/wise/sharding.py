"""Which records share a shard: a pure function of the set of records.

So a state never depends on the order in which it grew, and deleting a record leads to the very state that would be
there had it never been written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from agentmem.editors.packs import PackedEdit
from agentmem.notes.note import Scope

__all__ = ["Cell", "partition"]


@dataclass(frozen=True)
class Cell:
    """A side memory's records, shard by shard.

    Attributes:
        name: scope and place in the tree; masks are drawn from it.
        scope: whose requests the memory may answer; records of two scopes never share a memory.
        shards: ids in canonical order, one tuple per shard; a shard may be empty.
    """

    name: str
    scope: Scope | None
    shards: tuple[tuple[str, ...], ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, shard by shard."""
        return tuple(name for shard in self.shards for name in shard)


def partition(edits: Iterable[PackedEdit], size: int, shards: int) -> tuple[Cell, ...]:
    """Sort records into memories of ``shards`` shards with at most ``size`` records each.

    Up to ``size`` records lie in the first shard, with nothing to merge, as the first ``save_freq`` edits do in the published
    algorithm; beyond, they are dealt to all shards by their ids' hashes.
    Records of one scope are split by the bits of their ids' hashes, and only where there are too many, as in
    extendible hashing (Fagin et al. 1979): adding or removing a record changes the memory it falls into, splits
    that one, or joins it with its sibling, and leaves all others alone.
    """
    groups: dict[str, tuple[Scope | None, list[str]]] = {}
    for edit in edits:
        scope = edit.request.scope or None
        label = json.dumps(asdict(scope), sort_keys=True) if scope is not None else ""
        groups.setdefault(label, (scope, []))[1].append(edit.id)
    cells: list[Cell] = []
    for label in sorted(groups):
        scope, ids = groups[label]
        _split(sorted(ids), "", (label, scope), (size, shards), cells)
    return tuple(cells)


def _split(
    ids: Sequence[str], path: str, owner: tuple[str, Scope | None], limits: tuple[int, int], into: list[Cell]
) -> None:
    size, shards = limits
    dealt: list[list[str]] = [[] for _ in range(shards)]
    for name in ids:
        dealt[_digest(name)[0] % shards if len(ids) > size else 0].append(name)
    if max(map(len, dealt)) <= size or len(path) >= 200:
        into.append(Cell(f"{owner[0]}/{path}", owner[1], tuple(tuple(shard) for shard in dealt)))
        return
    for bit in "01":
        mine = [name for name in ids if _bit(name, len(path)) == bit]
        if mine:
            _split(mine, path + bit, owner, limits, into)


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _bit(name: str, depth: int) -> str:
    """Bit ``depth`` of the hash, not counting the byte that deals records to shards."""
    return str(_digest(name)[1 + depth // 8] >> (7 - depth % 8) & 1)
