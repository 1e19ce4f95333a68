"""One stored edit, the key space that all share, and how both lie in a pack as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agentmem.editors.compact import Compact, expand, shrink
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope

__all__ = [
    "Array",
    "Calibration",
    "LayerScore",
    "PackedEdit",
    "calibration_from",
    "calibration_tensors",
    "edit_tensors",
    "edits_from",
    "entry_of",
    "request_from",
]

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LayerScore:
    """What one layer's keys are worth, measured on phrasing groups that took no part in fitting its projection.

    Attributes:
        layer: whose feed-forward input the key is.
        recognised: share of paraphrases that are nearest to their own question's key, and within the radius that the
            allowed false alarm leaves.
        auc: probability that a paraphrase is nearer to its question than an unrelated prompt is to any.
        d_prime: distance between the two means, in units of their pooled standard deviation.
        paraphrases: how many paraphrases were asked.
    """

    layer: int
    recognised: float
    auc: float
    d_prime: float
    paraphrases: int

    @property
    def standard_error(self) -> float:
        """Of :attr:`recognised`."""
        share = self.recognised
        return float((share * (1 - share) / max(1, self.paraphrases)) ** 0.5)


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
        return _score_table(self.scores, last if self.layer is None else self.layer)

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
        value: [d_model], added to the residual stream.
        negatives: [m] distances, in half precision, from look-alike prompts to the nearest of ``keys``.
        limits: [k] distance from each key to the nearest look-alike of this edit, which it must not reach.
        others: [o, r] what the keys of the other questions about the edit's subject that come nearest add to its first key.
        tail: [m, d_model], added where the first, second … token of the target has been read, as long as nothing else was said;
            ``None`` where the value alone brings the target about.
    """

    request: EditRequest
    labels: tuple[int, ...]
    keys: Array
    value: Array
    negatives: npt.NDArray[np.float16]
    limits: Array
    others: Compact
    tail: Array | None = None

    @property
    def id(self) -> str:
        """The edit's identity."""
        return str(self.request.id)

    @property
    def key_count(self) -> int:
        """How many keys it has."""
        return len(self.keys)


def entry_of(request: EditRequest) -> dict[str, Any]:
    """A request as it stands in a pack's head: what was not said is left out."""
    return {name: value for name, value in asdict(request).items() if value not in (None, ())}


def request_from(entry: Mapping[str, Any]) -> EditRequest:
    """A request as it stands in a pack's head."""
    scope = entry.get("scope")
    fields = dict(entry) | {
        "paraphrases": tuple(entry.get("paraphrases", ())),
        "unlike": tuple(entry.get("unlike", ())),
        "scope": None if scope is None else Scope(**scope),
    }
    return EditRequest(**fields)


def edit_tensors(edits: Sequence[PackedEdit]) -> dict[str, npt.NDArray[Any]]:
    """Edits as flat arrays; aliases share one row of ``values``, in the order of their first owner."""
    rows: dict[bytes, int] = {}
    value_of = [rows.setdefault(edit.value.tobytes(), len(rows)) for edit in edits]
    values = np.stack([np.frombuffer(row, dtype=np.float32) for row in rows])
    return {
        **shrink("keys", np.concatenate([edit.keys for edit in edits])),
        "key_count": _counts(edit.keys for edit in edits),
        **shrink("values", values),
        "value_of": _narrow(np.array(value_of, dtype=np.int64)),
        "labels": _narrow(np.array([token for edit in edits for token in edit.labels], dtype=np.int64)),
        "label_count": _counts(edit.labels for edit in edits),
        "negatives": np.concatenate([edit.negatives for edit in edits]),
        "limits": np.concatenate([edit.limits for edit in edits]).astype(np.float32),
        "negative_count": _counts(edit.negatives for edit in edits),
        **shrink("others", np.concatenate([edit.others.rows for edit in edits])),
        "other_count": _counts(edit.others for edit in edits),
        **_tail_tensors(edits),
    }


def _tail_tensors(edits: Sequence[PackedEdit]) -> dict[str, npt.NDArray[Any]]:
    """Of packs in which no edit has a tail, nothing: they are what they were before there were any."""
    tails = [edit.tail for edit in edits if edit.tail is not None]
    if not tails:
        return {}
    counts = np.array([0 if edit.tail is None else len(edit.tail) for edit in edits], dtype=np.int64)
    return {**shrink("tails", np.concatenate(tails)), "tail_count": _narrow(counts)}


def edits_from(requests: Sequence[EditRequest], tensors: Mapping[str, npt.NDArray[Any]]) -> tuple[PackedEdit, ...]:
    """Undo :func:`edit_tensors`.

    Raises:
        KeyError, IndexError, ValueError: the tensors do not fit together.
    """
    if not requests:
        return ()
    keys = _split(expand(tensors, "keys"), tensors["key_count"])
    labels = _split(tensors["labels"], tensors["label_count"])
    negatives = _split(tensors["negatives"], tensors["negative_count"])
    limits = _split(tensors["limits"], tensors["key_count"])
    others = Compact.split(tensors, "others", _ends(tensors["other_count"]))
    values = expand(tensors, "values")[tensors["value_of"]]
    tails = _tails(tensors, len(requests), values)
    if keys[0].ndim != 2 or values.ndim != 2 or min(map(len, keys)) < 1 or min(map(len, labels)) < 1:
        raise ValueError("an edit has no keys, no value or no target")
    if sum(map(len, others)) != int(tensors["other_count"].sum(dtype=np.int64)):
        raise ValueError("the look-alikes are not as many as they should be")
    return tuple(
        PackedEdit(request, tuple(int(token) for token in label), *arrays)
        for request, label, *arrays in zip(
            requests, labels, keys, values, negatives, limits, others, tails, strict=True
        )
    )


def _tails(tensors: Mapping[str, npt.NDArray[Any]], count: int, values: Array) -> list[Array | None]:
    if "tail_count" not in tensors:
        return [None] * count
    flat = expand(tensors, "tails")
    if flat.ndim != 2 or flat.shape[1:] != values.shape[1:] or len(tensors["tail_count"]) != count:
        raise ValueError("the tails do not fit to the values")
    return [tail if len(tail) else None for tail in _split(flat, tensors["tail_count"])]


def calibration_tensors(calibration: Calibration) -> dict[str, npt.NDArray[Any]]:
    """The key space as tensors."""
    return {
        "mean": np.ascontiguousarray(calibration.mean),
        **shrink("projection", calibration.projection),
        **shrink("background", calibration.background),
    }


def calibration_from(head: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> Calibration:
    """Undo :func:`calibration_tensors`; ``head`` says the rest.

    Raises:
        KeyError, ValueError: they do not fit together.
    """
    mean, projection, background = tensors["mean"], expand(tensors, "projection"), expand(tensors, "background")
    if projection.ndim != 2 or mean.shape != projection.shape[:1] or background.shape[1:] != projection.shape[1:]:
        raise ValueError("the key space does not fit together")
    return Calibration(
        mean,
        projection,
        bool(head["unit"]),
        background,
        float(head["noise"]),
        head.get("key_layer"),
        tuple(LayerScore(**row) for row in head.get("scores", ())),
    )


def _split(flat: npt.NDArray[Any], counts: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    if int(counts.sum(dtype=np.int64)) != len(flat):  # numpy would share out what there is
        raise ValueError(f"{len(flat)} rows are to be {int(counts.sum(dtype=np.int64))}")
    return list(np.split(flat, _ends(counts)))


def _ends(counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.cumsum(counts, dtype=np.int64)[:-1]


def _counts(parts: Iterable[Sized]) -> npt.NDArray[Any]:
    return _narrow(np.array([len(part) for part in parts], dtype=np.int64))


def _narrow(numbers: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Numbers that are not negative, in as few bytes as hold the largest."""
    return numbers.astype(np.min_scalar_type(numbers.max(initial=0)))


def _score_table(scores: Sequence[LayerScore], chosen: int) -> str:
    """The rows as text, the chosen layer marked."""
    lines = ["  layer  recognised    AUC     d'"]
    for row in scores:
        mark = "*" if row.layer == chosen else " "
        lines.append(f"{mark} {row.layer:>5}  {row.recognised:>10.3f}  {row.auc:.3f}  {row.d_prime:>5.2f}")
    return "\n".join(lines)
