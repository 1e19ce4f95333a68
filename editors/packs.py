"""Edit packs: the whole side memory in one safetensors file, readable without torch and without the model.

The bytes are canonical (edits sorted by id, values stored once, one metadata entry), so the sha256 of a pack
identifies the state it holds, and :func:`drop` gives the very bytes that the editor would save after deleting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from agentmem.editors.packed import (
    Array,
    Calibration,
    PackedEdit,
    calibration_from,
    calibration_tensors,
    edit_tensors,
    edits_from,
    entry_of,
    request_from,
)
from agentmem.errors import EditError, PackMismatch, StoreError, UnknownEdit
from agentmem.files.writing import written_whole
from agentmem.notes.edit import EditRequest

__all__ = [
    "FORMAT",
    "Array",
    "Calibration",
    "Pack",
    "PackSummary",
    "PackedEdit",
    "decode",
    "drop",
    "dump",
    "encode",
    "entry_of",
    "list_edits",
    "parse",
    "read_bytes",
    "read_pack",
    "request_from",
    "summary",
    "write_file",
]

FORMAT = 4
WITH_TAILS = 5
"""The format of packs in which a value has a tail: a version that knows none of these must not serve half of it."""
_ENTRY = "agentmem"
_PART = "part."
_LAYOUTS = {"records": "agentmem.editors.deltas.records", "tiers": "agentmem.editors.tiers.pack"}


@dataclass(frozen=True, eq=False)
class Pack:
    """A whole side memory; ``calibration`` is ``None`` exactly when there are no edits.

    ``parts`` and ``tensors`` are what a method holds for all edits together, beside what each edit holds.
    """

    method: str
    fingerprint: str
    settings: Mapping[str, Any]
    calibration: Calibration | None
    edits: tuple[PackedEdit, ...]
    parts: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PackSummary:
    """Whose edits a pack answers for, which of them wait to be written anew, and the fingerprint of the model it is for."""

    ids: tuple[str, ...]
    waiting: tuple[str, ...]
    base: str


def dump(pack: Pack) -> bytes:
    """The canonical bytes of a pack."""
    edits = sorted(pack.edits, key=lambda edit: edit.id)
    tensors: dict[str, npt.NDArray[Any]] = {}
    head: dict[str, Any] = {
        "method": pack.method,
        "fingerprint": pack.fingerprint,
        "settings": dict(pack.settings),
        "edits": [entry_of(edit.request) for edit in edits],
    }
    if edits and pack.calibration is not None:
        tensors = edit_tensors(edits) | calibration_tensors(pack.calibration)
        head["unit"], head["noise"] = pack.calibration.unit, pack.calibration.noise
        if pack.calibration.layer is not None:
            head["key_layer"] = pack.calibration.layer
        tensors |= {_PART + name: array for name, array in pack.tensors.items()}
        if pack.parts:
            head["parts"] = dict(pack.parts)
    return encode(head, tensors)


def encode(head: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The canonical bytes of any kind of pack: its tensors, and ``head`` with format and digest."""
    whole = {"format": WITH_TAILS if "tail_count" in tensors else FORMAT, **head}
    whole["digest"] = _digest(whole, tensors)
    return bytes(save(dict(tensors), metadata={_ENTRY: _canonical(whole)}))


def decode(data: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Undo :func:`encode`, checking format, digest and values.

    Raises:
        PackMismatch: the bytes are damaged, from a newer version, or hold values that are not finite.
    """
    head, tensors = _head(data), _tensors(data)
    digest = head.pop("digest", None)
    if digest != _digest(head, tensors):
        raise PackMismatch("The pack is damaged: its digest does not match.", hint="restore it from a copy.")
    if any(not np.isfinite(array).all() for array in tensors.values()):
        raise PackMismatch("The pack holds values that are not finite.", hint="rebuild the edits from the notes.")
    return head, tensors


def parse(data: bytes) -> Pack:
    """Read the bytes of a pack.

    Raises:
        PackMismatch: the bytes are damaged, from a newer version, hold values that are not finite, or belong to an
            editor that keeps its edits in another layout.
    """
    head, tensors = decode(data)
    if "layout" in head:
        raise PackMismatch(
            f"This is a {head['method']!r} pack.", hint=f'load it with make_editor("{head["method"]}", …).'
        )
    with _as_it_should_be():
        requests = [request_from(entry) for entry in head["edits"]]
        edits, calibration = edits_from(requests, tensors), calibration_from(head, tensors) if requests else None
        width = (
            0 if calibration is None else calibration.projection.shape[1]
        )  # keys as they are read have no space of their own
        if width and any(edit.keys.shape[1] != width for edit in edits):
            raise ValueError("the keys are not of its key space")
    own = {name.removeprefix(_PART): array for name, array in tensors.items() if name.startswith(_PART)}
    return Pack(head["method"], head["fingerprint"], head["settings"], calibration, edits, head.get("parts", {}), own)


def drop(pack: bytes | Path | str, ids: Iterable[str]) -> bytes:
    """The pack without some edits; needs neither torch nor the model.

    Args:
        pack: the bytes of a pack, or where they are.
        ids: the edits to remove.

    Raises:
        UnknownEdit: an id is not in the pack.
        PackMismatch: the pack is damaged.
        EditError: the method's edits are learnt together, so that one cannot leave without the model.
    """
    data = read_bytes(pack)
    if (layout := _head(data).get("layout")) is not None:
        if layout not in _LAYOUTS:
            raise PackMismatch(f"The pack's layout {layout!r} is not known.", hint="upgrade agentmem-toolkit.")
        return bytes(import_module(_LAYOUTS[layout]).drop(data, ids))  # built on this module
    held = parse(data)
    unwanted = set(ids)
    if held.parts and unwanted != {edit.id for edit in held.edits}:
        raise EditError(
            f"A {held.method!r} pack cannot lose an edit without its model: the others have to be learnt anew.",
            hint="load it into its editor, editor.delete(ids), editor.save(path).",
        )
    if missing := unwanted - {edit.id for edit in held.edits}:
        raise UnknownEdit(f"The pack holds no edit {min(missing)!r}.", hint="list_edits(pack) says what it holds.")
    kept = tuple(edit for edit in held.edits if edit.id not in unwanted)
    return dump(replace(held, edits=kept))


@contextmanager
def _as_it_should_be() -> Iterator[None]:
    """What a pack with a fitting digest can still lack, as :class:`~agentmem.errors.PackMismatch`."""
    try:
        yield
    except PackMismatch:
        raise
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise PackMismatch(f"The pack is incomplete: {error}.", hint="restore it from a copy.") from error


def list_edits(pack: bytes | Path | str) -> tuple[EditRequest, ...]:
    """The requests that a pack holds, in canonical order."""
    head, _ = decode(read_bytes(pack))
    with _as_it_should_be():
        return tuple(request_from(entry) for entry in head["edits"])


def summary(pack: bytes | Path | str) -> PackSummary:
    """What a pack says of itself, of any method.

    Raises:
        PackMismatch: it cannot be read, or is damaged.
    """
    head, _ = decode(read_bytes(pack))
    with _as_it_should_be():
        ids = tuple(str(entry["id"]) for entry in head["edits"])
        return PackSummary(ids, tuple(map(str, head.get("waiting", ()))), str(head["fingerprint"]))


def read_pack(pack: bytes | Path | str) -> Pack:
    """Read a pack from its bytes or its path.

    Raises:
        PackMismatch: it cannot be read, or is damaged.
    """
    return parse(read_bytes(pack))


def read_bytes(pack: bytes | Path | str) -> bytes:
    """The bytes of a pack given as such or by path; not checked yet.

    Raises:
        PackMismatch: the file cannot be read.
    """
    if isinstance(pack, bytes):
        return pack
    try:
        return Path(pack).read_bytes()
    except OSError as error:
        raise PackMismatch(f"The pack {pack} cannot be read: {error.strerror}.", hint="check the path.") from error


def write_file(path: Path | str, data: bytes) -> str:
    """Write bytes so that a crash leaves the old file or the new one, never a part; returns their sha256."""
    path = Path(path)
    try:
        with written_whole(path) as file:
            file.write(data)
    except StoreError as error:
        raise EditError(f"The pack could not be written: {error.message}", hint="check space and rights.") from error
    return hashlib.sha256(data).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _digest(head: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256(_canonical(head).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name}{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _tensors(data: bytes) -> dict[str, npt.NDArray[Any]]:
    try:
        return dict(load(data))
    except (SafetensorError, ValueError, KeyError) as error:
        raise PackMismatch(f"The pack is damaged: {error}.", hint="restore it from a copy.") from error


def _head(data: bytes) -> dict[str, Any]:
    """The metadata entry, read from the header: 8 bytes of length, then JSON."""
    size = int.from_bytes(data[:8], "little")
    try:
        head: dict[str, Any] = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_ENTRY])
        version = int(head["format"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise PackMismatch("This is not an edit pack.", hint="packs are written by editor.save(path).") from error
    if version < FORMAT:
        raise PackMismatch(
            f"The pack has format {version}, this version reads {FORMAT}.",
            hint='write its edits anew: memory.rebuild("weights"), or editor.write(requests).',
        )
    if version > WITH_TAILS:
        raise PackMismatch(
            f"The pack has format {version}, this version reads up to {WITH_TAILS}.",
            hint="upgrade agentmem-toolkit.",
        )
    return head
