"""Several packs at once: joining what was written apart, and saying what changed between two states.

Neither needs torch or the model. What a method learns for all edits together (a side memory, an adapter) cannot be joined
from files; such packs are only joined with empty ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from agentmem.editors import packs
from agentmem.editors.core.requests import rival_of
from agentmem.editors.deltas import records
from agentmem.editors.deltas.records import Book
from agentmem.editors.packs import Pack
from agentmem.errors import EditError, InvalidArgument, PackMismatch
from agentmem.notes.edit import EditRequest

__all__ = ["PackDiff", "diff", "merge"]

_NAMED = 5  # ids that a message lists before it counts the rest


@dataclass(frozen=True)
class PackDiff:
    """What lies between two packs; false when they hold the same state.

    Attributes:
        added, removed: requests that only the second or only the first pack holds, by id.
        changed: (before, after) of edits with one id whose request or learnt values differ.
        apart: what else differs: ``method``, ``base``, ``settings``, ``calibration``, ``shared`` (what a method learns for
            all edits together).
    """

    added: tuple[EditRequest, ...] = ()
    removed: tuple[EditRequest, ...] = ()
    changed: tuple[tuple[EditRequest, EditRequest], ...] = ()
    apart: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.apart)

    def __str__(self) -> str:
        counts = f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"
        return f"{counts}; other {', '.join(self.apart)}" if self.apart else counts


def merge(parts: Iterable[bytes | Path | str]) -> bytes:
    """One pack with the edits of all: the very bytes that an editor would save that wrote each part in a call of its own.

    An edit that stands alike in several packs counts once.

    Args:
        parts: packs of one method, base model, settings and key space, as bytes or paths; their order does not matter.

    Raises:
        InvalidArgument: no pack was given.
        PackMismatch: a pack is damaged, or was made by another method, on another base model, with other settings or in
            another key space.
        EditError: an id stands for different edits, two edits answer one prompt differently for the same people, or the
            method's edits are learnt together.
    """
    contents = [_PackContent.read(part) for part in parts]
    if not contents:
        raise InvalidArgument("There is nothing to merge.", hint="merge([one, other]) with packs as bytes or paths.")
    first = next((content for content in contents if content.edits), contents[0])
    for content in contents:
        apart = [name for name in first.differences(content) if name != "shared"]
        if apart:
            raise PackMismatch(
                f"The packs have another {' and another '.join(apart)}.",
                hint="write the edits of one anew beside the other: editor.write(list_edits(pack)).",
            )
    filled = [content for content in contents if content.edits]
    if len({content.data for content in filled}) > 1 and any(content.shared for content in filled):
        raise EditError(
            f"Edits of a {first.method!r} pack are learnt together, so two packs cannot be joined without the model.",
            hint="load one into its editor, then editor.write(list_edits(other)).",
        )
    joined: dict[str, _Edit] = {}
    clashes: set[str] = set()
    for content in contents:
        for id, edit in content.edits.items():
            if not joined.setdefault(id, edit).equals(edit):
                clashes.add(id)
    if clashes:
        raise EditError(
            f"The packs hold different edits under the same ids: {_some(sorted(clashes))}.",
            hint="drop(pack, ids) takes them out of one of the packs.",
        )
    _need_agreement(joined.values())
    return first.with_edits(joined)


def diff(before: bytes | Path | str, after: bytes | Path | str) -> PackDiff:
    """What changed from one pack to another, edit by edit.

    Raises:
        PackMismatch: a pack cannot be read, or is damaged.
    """
    one, other = _PackContent.read(before), _PackContent.read(after)
    both = sorted(set(one.edits) & set(other.edits))
    return PackDiff(
        added=tuple(other.edits[id].request for id in sorted(set(other.edits) - set(one.edits))),
        removed=tuple(one.edits[id].request for id in sorted(set(one.edits) - set(other.edits))),
        changed=tuple(
            (one.edits[id].request, other.edits[id].request) for id in both if not one.edits[id].equals(other.edits[id])
        ),
        apart=one.differences(other),
    )


@dataclass(frozen=True, eq=False)
class _Edit:
    """One edit of whichever layout; ``item`` is what the layout keeps."""

    request: EditRequest
    labels: tuple[int, ...]
    arrays: Mapping[str, Any]
    item: Any

    def equals(self, other: _Edit) -> bool:
        return (self.request, self.labels) == (other.request, other.labels) and _equal(self.arrays, other.arrays)


@dataclass(frozen=True, eq=False)
class _PackContent:
    """A pack of either layout, seen alike: ``space`` is what edits are measured in, ``shared`` what they share."""

    data: bytes
    held: Pack | Book
    edits: Mapping[str, _Edit]
    space: Mapping[str, Any]
    shared: Mapping[str, Any]

    @classmethod
    def read(cls, pack: bytes | Path | str) -> _PackContent:
        data = packs.read_bytes(pack)
        head, _ = packs.decode(data)
        if "layout" in head:
            book = records.parse(data)
            rows = {r.id: _Edit(r.request, r.labels, r.arrays, r) for r in book.edits}
            return cls(data, book, rows, {}, book.shared)
        held = packs.parse(data)
        names = [f.name for f in fields(packs.PackedEdit) if f.name not in ("request", "labels", "others")]
        edits = {
            e.id: _Edit(e.request, e.labels, {"others": e.others.rows, **{name: getattr(e, name) for name in names}}, e)
            for e in held.edits
        }
        space = vars(held.calibration) if held.calibration is not None else {}
        parts = {f"part {name}": part for name, part in held.parts.items()}
        return cls(data, held, edits, space, {**parts, **held.tensors})

    @property
    def method(self) -> str:
        return self.held.method

    def differences(self, other: _PackContent) -> tuple[str, ...]:
        """What keeps the edits of two packs apart; an empty pack has no key space, and nothing shared."""
        either = bool(self.edits) and bool(other.edits)
        pairs = {
            "method": self.method == other.method,
            "base": self.held.fingerprint == other.held.fingerprint,
            "settings": dict(self.held.settings) == dict(other.held.settings),
            "calibration": not either or _equal(self.space, other.space),
            "shared": not either or _equal(self.shared, other.shared),
        }
        return tuple(name for name, same in pairs.items() if not same)

    def with_edits(self, edits: Mapping[str, _Edit]) -> bytes:
        """This pack with these edits instead of its own."""
        items = [edit.item for edit in edits.values()]
        if isinstance(self.held, Book):
            return self.held.with_edits(items, self.held.ids, self.held.shared).bytes
        return packs.dump(replace(self.held, edits=tuple(items)))


def _need_agreement(edits: Iterable[_Edit]) -> None:
    """No two edits may answer one prompt differently in a request that could see both."""
    asked: dict[str, list[_Edit]] = {}
    rivals: list[str] = []
    for edit in edits:
        same = asked.setdefault(edit.request.prompt.strip(), [])
        rival = rival_of(edit.request, edit.labels, [(other.request, other.labels) for other in same])
        if rival is not None:
            rivals.append(f"{rival} and {edit.request.id}")
        same.append(edit)
    if rivals:
        raise EditError(
            f"Edits of the packs contradict each other: {_some(rivals)} answer the same prompt differently.",
            hint="drop(pack, ids) takes one of each out.",
        )


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
