"""Which layer's key tells paraphrases from other questions: measured, by the rules that edits are matched with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agentmem.editors.gate.calibration import fit_projection, is_constant
from agentmem.editors.gate.config import GateConfig
from agentmem.editors.gate.geometry import base_radius
from agentmem.editors.gate.nearest import KeySearch
from agentmem.editors.packed import LayerScore
from agentmem.editors.packs import Array, Calibration
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Renderer
from agentmem.editors.reading import read
from agentmem.errors import InvalidArgument, LayerNotFound

__all__ = ["best_layer", "candidate_layers", "measure_layers", "score_keys"]

_AT_MOST = 8  # layers measured
_GROUPS = 400  # phrasing groups measured on
_BATCH = 32
_FOLDS = 4
_FEWER = 0.75  # share of the last layer's misses that another may leave


def candidate_layers(depth: int) -> tuple[int, ...]:
    """The layers worth measuring: all of a shallow model, else some evenly over the depth; always the last."""
    count = min(depth, _AT_MOST)
    return tuple(sorted({depth - 1 - round(i * (depth - 1) / max(1, count - 1)) for i in range(count)}))


def measure_layers(
    port: ModelPort,
    renderer: Renderer,
    config: GateConfig,
    groups: Sequence[Sequence[str]],
    layers: Sequence[int] | None = None,
) -> tuple[LayerScore, ...]:
    """Score the keys of several layers on held-out phrasing groups.

    Args:
        groups: prompts; those of one group ask the same in other words. Groups of one only fit projections.
        layers: which to measure; :func:`candidate_layers` when ``None``.

    Raises:
        InvalidArgument: there are too few groups of several phrasings, or no such layer.
        LayerNotFound: the model's layers have no projection to read keys from.
    """
    asked = [tuple(group) for group in groups if len(group) > 1][:_GROUPS]
    if len(asked) < 4 * _FOLDS:
        raise InvalidArgument(
            f"{len(asked)} groups of several phrasings are too few to compare layers.",
            hint=f"give at least {4 * _FOLDS}, or leave the groups out for the built-in ones.",
        )
    chosen = tuple(layers) if layers is not None else candidate_layers(port.depth)
    if wrong := [layer for layer in chosen if not 0 <= layer < port.depth]:
        raise InvalidArgument(f"There is no layer {wrong[0]}.", hint=f"the layers are 0 … {port.depth - 1}.")
    prompts = [renderer.prompt(text) for group in asked for text in group]
    member = np.repeat(np.arange(len(asked)), [len(group) for group in asked])
    raw = _raw_keys(port, prompts, chosen)
    return tuple(score_keys(layer, raw[layer], member, config) for layer in chosen)


def score_keys(layer: int, raw: Array, member: npt.NDArray[np.int64], config: GateConfig) -> LayerScore:
    """Score one layer's raw keys [n, d_key]; ``member`` [n] is the group of each.

    Every group is held out once: a projection is fitted to three quarters of the groups; of the last quarter, one
    half takes the part of edits (the first phrasing is the edit, the others must be recognised), the other half that
    of unrelated prompts, and vice versa.
    """
    if is_constant(raw):  # a layer that reads the last token alone
        return LayerScore(layer, 0.0, 0.5, 0.0, len(member) - len(np.unique(member)))
    inside: list[npt.NDArray[np.bool_]] = []
    own: list[npt.NDArray[np.float64]] = []
    strange: list[npt.NDArray[np.float64]] = []
    for fold in range(_FOLDS):
        held = member % _FOLDS == fold
        mean, projection = fit_projection(raw[~held], member[~held], config.key_norm, config.key_dim)
        space = Calibration(mean, projection, config.unit_keys, np.zeros((0, projection.shape[1]), np.float32), 0.0)
        keys, names = space.keys(raw[held]), member[held]
        for half in (0, 1):
            edited = (names // _FOLDS) % 2 == half
            found = _recognise(keys[edited], names[edited], keys[~edited], config)
            inside.append(found[0])
            own.append(found[1])
            strange.append(found[2])
    hits, near, far = np.concatenate(inside), np.concatenate(own), np.concatenate(strange)
    spread = np.sqrt((near.var() + far.var()) / 2)
    return LayerScore(
        layer=layer,
        recognised=float(hits.mean()),
        auc=_auc(near, far),
        d_prime=float((far.mean() - near.mean()) / max(spread, 1e-12)),
        paraphrases=len(hits),
    )


def best_layer(scores: Sequence[LayerScore]) -> int:
    """The layer to read keys from: the last, unless another leaves clearly fewer paraphrases unrecognised.

    Clearly: a quarter fewer, and by over a standard error of the difference. Paraphrases also share words, which early
    layers read; a few points won by them are lost again on questions in other words. Of several layers that are clearly
    better, the best; of equal ones, the later.
    """
    last = max(scores, key=lambda row: row.layer)
    best = max(scores, key=lambda row: (row.recognised, row.auc, row.layer))
    doubt = float(np.hypot(best.standard_error, last.standard_error))
    sure = best.recognised > last.recognised + doubt
    return best.layer if sure and 1 - best.recognised <= _FEWER * (1 - last.recognised) else last.layer


def _recognise(
    keys: Array, names: npt.NDArray[np.int64], unrelated: Array, config: GateConfig
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(per paraphrase: recognised, distance to its own edit; per unrelated prompt: distance to the nearest edit)."""
    groups, first = np.unique(names, return_index=True)
    edits = keys[first]
    rest = np.setdiff1d(np.arange(len(keys)), first)
    owner = np.searchsorted(groups, names[rest])
    none = np.zeros(0, np.float32)
    reach = base_radius(KeySearch(edits), unrelated, none, (config.false_alarm, config.look_alike_alarm))
    gaps = _gaps(keys[rest], edits)
    near = gaps[np.arange(len(rest)), owner]
    return (gaps.argmin(1) == owner) & (near <= reach), near, _gaps(unrelated, edits).min(1)


def _gaps(queries: Array, keys: Array) -> npt.NDArray[np.float64]:
    gaps: npt.NDArray[np.float64] = np.linalg.norm(
        queries[:, None].astype(np.float64) - keys[None].astype(np.float64), axis=-1
    )
    return gaps


def _auc(near: npt.NDArray[np.float64], far: npt.NDArray[np.float64]) -> float:
    """The probability that a member of ``near`` is smaller than one of ``far`` (Mann-Whitney U / nm)."""
    ordered = np.sort(far)
    above = len(far) - (np.searchsorted(ordered, near, "left") + np.searchsorted(ordered, near, "right")) / 2
    return float(above.mean() / len(far))


def _raw_keys(port: ModelPort, prompts: Sequence[tuple[int, ...]], layers: Sequence[int]) -> dict[int, Array]:
    """By layer, [n, d_key] the feed-forward input at each prompt's last token, in one pass over the prompts."""
    if port.structure.ffn_out is None:
        raise LayerNotFound(
            "This model's keys are read after its last layer; there are no others to compare.",
            hint='leave key_layer at "last".',
        )
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    found: dict[int, list[Array]] = {layer: [] for layer in layers}
    for start in range(0, len(order), _BATCH):
        rows = [prompts[i] for i in order[start : start + _BATCH]]
        keys = read(port, rows, layers).keys
        for layer in layers:
            found[layer] += [keys[layer][i, len(row) - 1].float().cpu().numpy() for i, row in enumerate(rows)]
    back = np.argsort(order)
    return {layer: np.stack(rows)[back] for layer, rows in found.items()}
