"""Packs of two tiers: a GRACE pack and a WISE pack in one file, and the records that wait for their shard.

A shard is learnt as a whole, so without the model no single record can be taken out of it. What is to be forgotten
must go at once all the same: its whole shard goes, and the records that shared it wait, as plain requests, until an
editor with the model writes them anew (:meth:`~agentmem.editors.tiers.editor.TieredEditor.settle`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agentmem.editors import packs
from agentmem.editors.wise.sharding import partition
from agentmem.errors import PackMismatch, UnknownEdit
from agentmem.notes.edit import EditRequest

__all__ = ["LAYOUT", "METHOD", "TieredPack", "drop", "loosened", "parse"]

METHOD = "tiered"
LAYOUT = "tiers"


@dataclass(frozen=True)
class TieredPack:
    """The state of both tiers.

    Attributes:
        fingerprint: of the base model.
        fresh, settled: the pack of a tier; ``None`` for a tier without edits.
        waiting: requests whose shard is gone, sorted by id; no weights hold them.
    """

    fingerprint: str
    fresh: bytes | None = None
    settled: bytes | None = None
    waiting: tuple[EditRequest, ...] = ()

    @property
    def requests(self) -> tuple[EditRequest, ...]:
        """Everything that the pack answers for, sorted by id."""
        held = [r for part in (self.fresh, self.settled) if part is not None for r in packs.list_edits(part)]
        return tuple(sorted((*held, *self.waiting), key=lambda request: str(request.id)))

    def dump(self) -> bytes:
        """The canonical bytes."""
        head: dict[str, Any] = {
            "layout": LAYOUT,
            "method": METHOD,
            "fingerprint": self.fingerprint,
            "settings": {},
            "edits": [packs.entry_of(request) for request in self.requests],
            "waiting": sorted(str(request.id) for request in self.waiting),
        }
        parts = {"fresh": self.fresh, "settled": self.settled}
        tensors = {name: np.frombuffer(part, np.uint8) for name, part in parts.items() if part is not None}
        return packs.encode(head, tensors)


def parse(pack: bytes | Path | str) -> TieredPack:
    """Read a pack of two tiers; a GRACE pack is one whose other tier is empty.

    Raises:
        PackMismatch: it cannot be read, is damaged, or holds another method's edits.
    """
    data = packs.read_bytes(pack)
    head, tensors = packs.decode(data)
    if head["method"] == "grace" and "layout" not in head:
        return TieredPack(head["fingerprint"], data if head["edits"] else None)
    if head.get("layout") != LAYOUT:
        raise PackMismatch(
            f"This is a {head['method']!r} pack.", hint=f'load it with make_editor("{head["method"]}", …).'
        )
    names = set(head["waiting"])
    waiting = tuple(packs.request_from(entry) for entry in head["edits"] if entry["id"] in names)
    return TieredPack(head["fingerprint"], _part(tensors, "fresh"), _part(tensors, "settled"), waiting)


def drop(pack: bytes | Path | str, ids: Iterable[str]) -> bytes:
    """The pack without some edits; needs neither torch nor the model.

    What shared a shard with them is not lost: it waits to be written anew.

    Raises:
        UnknownEdit: an id is not in the pack.
        PackMismatch: the pack is damaged.
    """
    held, unwanted = parse(pack), set(ids)
    if missing := unwanted - {str(request.id) for request in held.requests}:
        raise UnknownEdit(f"The pack holds no edit {min(missing)!r}.", hint="list_edits(pack) says what it holds.")
    waiting = [request for request in held.waiting if request.id not in unwanted]
    fresh, settled = held.fresh, held.settled
    if fresh is not None and (mine := unwanted & _ids(fresh)):
        fresh = _or_none(packs.drop(fresh, mine))
    if settled is not None and (mine := unwanted & _ids(settled)):
        loose, freed = loosened(settled, mine)
        settled, waiting = _or_none(loose), [*waiting, *freed]
    waiting.sort(key=lambda request: str(request.id))
    return replace(held, fresh=fresh, settled=settled, waiting=tuple(waiting)).dump()


def loosened(pack: bytes, ids: Collection[str]) -> tuple[bytes, tuple[EditRequest, ...]]:
    """A WISE pack without some records, and those that went with them because they shared a shard.

    The bytes are those that an editor would save that had never held any of these.
    """
    held = packs.parse(pack)
    size, shards = int(held.settings["shard_size"]), int(held.settings["shards"])
    stored = {entry["name"]: (number, entry) for number, entry in enumerate(held.parts["memories"])}
    kept = [edit for edit in held.edits if edit.id not in ids]
    # Fewer records may let two shards join; neither is then what would have been trained, and both go.
    while True:
        cells = partition(kept, size, shards)
        sound = [cell for cell in cells if _as_stored(stored, cell.name) == cell.shards]
        names = {name for cell in sound for name in cell.ids}
        if len(names) == len(kept):
            break
        kept = [edit for edit in kept if edit.id in names]
    numbers = [stored[cell.name][0] for cell in cells]
    tensors = {
        f"delta.{new:05}{name[11:]}": array
        for new, old in enumerate(numbers)
        for name, array in held.tensors.items()
        if name.startswith(f"delta.{old:05}.")
    }
    parts: Mapping[str, Any] = {"memories": [stored[c.name][1] for c in cells]} if cells else {}
    rest = packs.dump(replace(held, edits=tuple(kept), parts=parts, tensors=tensors))
    gone = {edit.id for edit in held.edits} - {edit.id for edit in kept} - set(ids)
    return rest, tuple(edit.request for edit in held.edits if edit.id in gone)


def _as_stored(stored: Mapping[str, tuple[int, Any]], name: str) -> tuple[tuple[str, ...], ...] | None:
    return tuple(tuple(shard) for shard in stored[name][1]["shards"]) if name in stored else None


def _part(tensors: Mapping[str, Any], name: str) -> bytes | None:
    return bytes(tensors[name].tobytes()) if name in tensors else None


def _ids(pack: bytes) -> set[str]:
    return {str(request.id) for request in packs.list_edits(pack)}


def _or_none(pack: bytes) -> bytes | None:
    return pack if packs.list_edits(pack) else None
