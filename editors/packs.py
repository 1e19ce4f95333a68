"""Edit packs: the whole side memory in one safetensors file, readable without torch and without the model.

The bytes are canonical (edits sorted by id, values stored once, one metadata entry), so the sha256 of a pack
identifies the state it holds, and :func:`drop` gives the very bytes that the editor would save after deleting.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from agentmem.editors.layer_scores import LayerScore, score_table
from agentmem.edits import EditRequest
from agentmem.errors import EditError, PackMismatch, UnknownEdit
from agentmem.notes import Scope

__all__ = [
    "FORMAT",
    "Calibration",
    "Pack",
    "PackSummary",
    "PackedEdit",
    "decode",
    "drop",
    "dump",
    "encode",
    "list_edits",
    "parse",
    "read_bytes",
    "read_pack",
    "request_from",
    "summary",
    "write_file",
]

FORMAT = 2
_ENTRY = "agentmem"
_PART = "part."
_LAYOUTS = {"records": "agentmem.editors.records", "tiers": "agentmem.editors.tiers.pack"}

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Calibration:
    """The key space: how raw activations become keys, and where unrelated prompts lie in it.

    Attributes:
        mean: [d_key] subtracted from a raw key.
        projection: [d_key, r] applied to the rest.
        unit: keys are scaled to Euclidean norm 1.
        background: [n, r] keys of unrelated prompts that took no part in finding ``projection``.
        noise: largest distance between the keys of one prompt computed alone and in a batch.
        layer: whose feed-forward input the key is; ``None`` for the last.
        scores: what was measured to find the layer; empty when nothing was. Not part of a pack.
    """

    mean: Array
    projection: Array
    unit: bool
    background: Array
    noise: float
    layer: int | None = None
    scores: tuple[LayerScore, ...] = ()

    def table(self) -> str:
        """The measured layers as text, the chosen one marked."""
        last = max((row.layer for row in self.scores), default=-1)
        return score_table(self.scores, last if self.layer is None else self.layer)

    def keys(self, raw: Array) -> Array:
        """[n, d_key] raw activations -> [n, r] keys."""
        keys = (raw - self.mean) @ self.projection
        if self.unit:
            keys = keys / np.maximum(np.linalg.norm(keys, axis=-1, keepdims=True), 1e-12)
        return np.ascontiguousarray(keys, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class PackedEdit:
    """One stored edit.

    Attributes:
        request: what was asked for; its ``id`` is set.
        labels: target token ids, the stop token included.
        keys: [k, r], the prompt's key first, then those of its paraphrases.
        value: [d_model], fp32, added to the residual stream.
        negatives: [m] distances from look-alike prompts to the nearest of ``keys``.
        limits: [k] distance from each key to the nearest look-alike of this edit, which it must not reach.
        others: [o, r] keys, in half precision, of the other questions about the edit's subject that come nearest.
    """

    request: EditRequest
    labels: tuple[int, ...]
    keys: Array
    value: Array
    negatives: Array
    limits: Array
    others: npt.NDArray[np.float16]

    @property
    def id(self) -> str:
        """The edit's identity."""
        return str(self.request.id)


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
        "edits": [asdict(edit.request) for edit in edits],
    }
    if edits and pack.calibration is not None:
        tensors = _edit_tensors(edits) | _calibration_tensors(pack.calibration)
        head["unit"], head["noise"] = pack.calibration.unit, pack.calibration.noise
        if pack.calibration.layer is not None:
            head["key_layer"] = pack.calibration.layer
        tensors |= {_PART + name: array for name, array in pack.tensors.items()}
        if pack.parts:
            head["parts"] = dict(pack.parts)
    return encode(head, tensors)


def encode(head: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The canonical bytes of any kind of pack: its tensors, and ``head`` with format and digest."""
    whole = {"format": FORMAT, **head}
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
        raise PackMismatch(
            "The pack holds values that are not finite.", hint="rebuild the edits from the notes."
        )
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
    requests = [request_from(entry) for entry in head["edits"]]
    try:
        edits, calibration = _edits(requests, tensors), _calibration(head, tensors)
    except (KeyError, IndexError, ValueError) as error:
        raise PackMismatch(f"The pack is incomplete: {error}.", hint="restore it from a copy.") from error
    own = {name.removeprefix(_PART): array for name, array in tensors.items() if name.startswith(_PART)}
    return Pack(
        head["method"], head["fingerprint"], head["settings"], calibration, edits, head.get("parts", {}), own
    )


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
        raise UnknownEdit(
            f"The pack holds no edit {min(missing)!r}.", hint="list_edits(pack) says what it holds."
        )
    kept = tuple(edit for edit in held.edits if edit.id not in unwanted)
    return dump(replace(held, edits=kept))


def list_edits(pack: bytes | Path | str) -> tuple[EditRequest, ...]:
    """The requests that a pack holds, in canonical order."""
    head, _ = decode(read_bytes(pack))
    return tuple(request_from(entry) for entry in head["edits"])


def summary(pack: bytes | Path | str) -> PackSummary:
    """What a pack says of itself, of any method.

    Raises:
        PackMismatch: it cannot be read, or is damaged.
    """
    head, _ = decode(read_bytes(pack))
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
        raise PackMismatch(
            f"The pack {pack} cannot be read: {error.strerror}.", hint="check the path."
        ) from error


def write_file(path: Path | str, data: bytes) -> str:
    """Write bytes so that a crash leaves the old file or the new one, never a part; returns their sha256."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise EditError(
            f"The pack could not be written to {path}: {error.strerror}.", hint="check space and rights."
        ) from error
    _sync_folder(path.parent)
    return hashlib.sha256(data).hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened, and the rename is durable by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _digest(head: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256(_canonical(head).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name}{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _edit_tensors(edits: Sequence[PackedEdit]) -> dict[str, npt.NDArray[Any]]:
    """Edits as flat arrays; aliases share one row of ``values``, in the order of their first owner."""
    rows: dict[bytes, int] = {}
    value_of = [rows.setdefault(edit.value.tobytes(), len(rows)) for edit in edits]
    values = [np.frombuffer(row, dtype=np.float32) for row in rows]
    return {
        "keys": np.concatenate([edit.keys for edit in edits]),
        "key_count": np.array([len(edit.keys) for edit in edits], dtype=np.int32),
        "values": np.stack(values),
        "value_of": np.array(value_of, dtype=np.int32),
        "labels": np.array([token for edit in edits for token in edit.labels], dtype=np.int64),
        "label_count": np.array([len(edit.labels) for edit in edits], dtype=np.int32),
        "negatives": np.concatenate([edit.negatives for edit in edits]).astype(np.float32),
        "limits": np.concatenate([edit.limits for edit in edits]).astype(np.float32),
        "negative_count": np.array([len(edit.negatives) for edit in edits], dtype=np.int32),
        "others": np.concatenate([edit.others for edit in edits]).astype(np.float16),
        "other_count": np.array([len(edit.others) for edit in edits], dtype=np.int32),
    }


def _calibration_tensors(calibration: Calibration) -> dict[str, npt.NDArray[Any]]:
    return {
        "mean": np.ascontiguousarray(calibration.mean),
        "projection": np.ascontiguousarray(calibration.projection),
        "background": np.ascontiguousarray(calibration.background),
    }


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
    except (ValueError, KeyError, TypeError) as error:
        raise PackMismatch(
            "This is not an edit pack.", hint="packs are written by editor.save(path)."
        ) from error
    if version < FORMAT:
        raise PackMismatch(
            f"The pack has format {version}, this version reads {FORMAT}.",
            hint='write its edits anew: memory.rebuild("weights"), or editor.write(requests).',
        )
    if version > FORMAT:
        raise PackMismatch(
            f"The pack has format {version}, this version reads up to {FORMAT}.",
            hint="upgrade agentmem-toolkit.",
        )
    return head


def request_from(entry: Mapping[str, Any]) -> EditRequest:
    """A request as it stands in a pack's head."""
    scope = entry["scope"]
    fields = dict(entry) | {
        "paraphrases": tuple(entry["paraphrases"]),
        "scope": None if scope is None else Scope(**scope),
    }
    return EditRequest(**fields)


def _edits(
    requests: Sequence[EditRequest], tensors: Mapping[str, npt.NDArray[Any]]
) -> tuple[PackedEdit, ...]:
    if not requests:
        return ()
    keys = _split(tensors["keys"], tensors["key_count"])
    labels = _split(tensors["labels"], tensors["label_count"])
    negatives = _split(tensors["negatives"], tensors["negative_count"])
    limits = _split(tensors["limits"], tensors["key_count"])
    others = _split(tensors["others"], tensors["other_count"])
    values = tensors["values"][tensors["value_of"]]
    return tuple(
        PackedEdit(request, tuple(int(token) for token in label), *arrays)
        for request, label, *arrays in zip(
            requests, labels, keys, values, negatives, limits, others, strict=True
        )
    )


def _split(flat: npt.NDArray[Any], counts: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return list(np.split(flat, np.cumsum(counts)[:-1]))


def _calibration(head: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> Calibration | None:
    if not head["edits"]:
        return None
    return Calibration(
        tensors["mean"],
        tensors["projection"],
        bool(head["unit"]),
        tensors["background"],
        float(head["noise"]),
        head.get("key_layer"),
    )
