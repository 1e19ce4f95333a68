"""Packs of records: one row of equally shaped arrays per edit, and what belongs to all edits together.

The layout of editors whose effect is computed from the whole set of edits; the bytes are canonical, as those of
every pack (:mod:`agentmem.editors.packs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agentmem.editors.core.scopes import admits
from agentmem.editors.core.state import State
from agentmem.editors.packs import decode, encode, entry_of, read_bytes, request_from
from agentmem.errors import EditError, PackMismatch, UnknownEdit
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope
from agentmem.runtime.lazily import cached_property

__all__ = ["Arrays", "Book", "DeltaRecord", "drop", "parse"]

LAYOUT = "records"

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class DeltaRecord:
    """One stored edit.

    Attributes:
        request: what was asked for; its ``id`` is set.
        labels: target token ids, the stop token included.
        arrays: what the method keeps of it, of the same names and shapes in every record.
    """

    request: EditRequest
    labels: tuple[int, ...]
    arrays: Arrays = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The edit's identity."""
        return str(self.request.id)

    @property
    def key_count(self) -> int:
        """Each is one change, at however many layers."""
        return 1


@dataclass(frozen=True, eq=False)
class Book(State[DeltaRecord]):
    """An immutable set of records, sorted by id; everything else is derived from it.

    Attributes:
        shared: arrays that belong to the set as a whole; without them any subset of the edits is a state.
    """

    shared: Arrays = field(default_factory=dict)

    def with_edits(
        self, added: Iterable[DeltaRecord], removed: Iterable[str] = (), shared: Arrays | None = None
    ) -> Book:
        """A book with some edits more and some less, in canonical order."""
        edits = self.changed(added, removed)
        return replace(self, edits=edits, shared=dict(shared or {}) if edits else {})

    @cached_property
    def bytes(self) -> bytes:
        """The canonical pack of this state."""
        head: dict[str, Any] = {
            "layout": LAYOUT,
            "method": self.method,
            "fingerprint": self.fingerprint,
            "settings": dict(self.settings),
            "edits": [entry_of(record.request) for record in self.edits],
        }
        return encode(head, self._tensors())

    def visible(self, scope: Scope | None) -> tuple[int, ...]:
        """The records that a request in this scope may see, in order."""
        return tuple(i for i, record in enumerate(self.edits) if admits(scope, record.request.scope))

    def stacked(self, name: str, chosen: Sequence[int] | None = None) -> npt.NDArray[Any]:
        """[n, …] one array of the chosen records, or of all."""
        rows = range(len(self.edits)) if chosen is None else chosen
        return np.stack([self.edits[i].arrays[name] for i in rows])

    def _tensors(self) -> dict[str, npt.NDArray[Any]]:
        if not self.edits:
            return {}
        tensors: dict[str, npt.NDArray[Any]] = {
            f"record.{name}": np.ascontiguousarray(self.stacked(name)) for name in self.edits[0].arrays
        }
        tensors |= {f"shared.{name}": np.ascontiguousarray(array) for name, array in self.shared.items()}
        tensors["labels"] = np.array([t for record in self.edits for t in record.labels], dtype=np.int64)
        tensors["label_count"] = np.array([len(record.labels) for record in self.edits], dtype=np.int32)
        return tensors


def parse(pack: bytes | Path | str) -> Book:
    """Read a pack of records from its bytes or its path.

    Raises:
        PackMismatch: it cannot be read, is damaged, or has another layout.
    """
    head, tensors = decode(read_bytes(pack))
    if head.get("layout") != LAYOUT:
        raise PackMismatch(
            f"This is a {head.get('method')!r} pack.",
            hint=f'load it with make_editor("{head.get("method")}", …).',
        )
    requests = [request_from(entry) for entry in head["edits"]]
    try:
        edits = _records(requests, tensors)
    except (KeyError, IndexError, ValueError) as error:
        raise PackMismatch(f"The pack is incomplete: {error}.", hint="restore it from a copy.") from error
    shared = {name.removeprefix("shared."): a for name, a in tensors.items() if name.startswith("shared.")}
    return Book(head["method"], head["fingerprint"], tuple(sorted(head["settings"].items())), shared, edits=edits)


def drop(pack: bytes | Path | str, ids: Iterable[str]) -> bytes:
    """The pack without some edits: the very bytes that the editor would save after deleting them.

    Raises:
        UnknownEdit: an id is not in the pack.
        EditError: what the edits share would have to be trained anew, which needs the model.
    """
    book, unwanted = parse(pack), set(ids)
    if missing := unwanted - book.ids:
        raise UnknownEdit(f"The pack holds no edit {min(missing)!r}.", hint="list_edits(pack) says what it holds.")
    if not unwanted:
        return book.bytes
    if book.shared and unwanted != book.ids:
        raise EditError(
            f"Edits of a {book.method!r} pack share one set of trained values, so one cannot be taken out without the model.",
            hint=f'editor = make_editor("{book.method}", model, tokenizer); editor.load(path); editor.delete(ids).',
        )
    return book.with_edits((), unwanted).bytes


def _records(requests: Sequence[EditRequest], tensors: Arrays) -> tuple[DeltaRecord, ...]:
    if not requests:
        return ()
    labels = np.split(tensors["labels"], np.cumsum(tensors["label_count"])[:-1])
    rows = {name.removeprefix("record."): a for name, a in tensors.items() if name.startswith("record.")}
    if any(len(array) != len(requests) for array in rows.values()) or len(labels) != len(requests):
        raise ValueError("rows and edits differ in number")
    return tuple(
        DeltaRecord(request, tuple(int(t) for t in label), {name: array[i] for name, array in rows.items()})
        for i, (request, label) in enumerate(zip(requests, labels, strict=True))
    )
