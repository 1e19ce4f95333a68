"""Finding a key space for a model once, and keeping it: which layer to read, and how raw keys become keys."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from agentmem.editors import packs
from agentmem.editors.background import background_groups
from agentmem.editors.gate.calibration import calibrate as calibrate_layer
from agentmem.editors.gate.config import GateConfig
from agentmem.editors.gate.separability import best_layer, measure_layers
from agentmem.editors.packed import Calibration, LayerScore, calibration_from, calibration_tensors
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Renderer
from agentmem.errors import InvalidArgument, PackMismatch

__all__ = ["calibrate", "found_key_space"]

KeyLayer = int | Literal["last", "auto"]


def calibrate(
    model: Any,
    tokenizer: Any,
    *,
    groups: Sequence[Sequence[str]] | None = None,
    key_layer: KeyLayer = "auto",
    config: GateConfig | None = None,
    cache: Path | str | None = None,
) -> Calibration:
    """Find the key space of a model: measure its layers, choose one, fit its projection.

    Pass the result to an editor as ``calibration=``, and print ``result.table()`` for the measurements. Where a paraphrase
    differs from its question, and where only the answer does, is learnt from ``groups`` alone: a few hundred, in
    the words of the users to come, are better than the built-in ones.

    Args:
        model: a transformers causal language model.
        tokenizer: its tokenizer.
        groups: prompts; those of one group ask the same in other words; built-in when ``None``.
        key_layer: ``"auto"`` measures, ``"last"`` or an index (negative: from the end) does not.
        config: how keys are made and matched; the defaults when ``None``.
        cache: a folder that keeps results by model fingerprint; by default ``$AGENTMEM_CACHE_DIR/calibrations``, and
            nothing is kept when that is not set either.

    Raises:
        InvalidArgument: too few groups, or no such layer.
        LayerNotFound: the decoder layers could not be found.
    """
    config = config or GateConfig()
    port = ModelPort(model, tokenizer, layers=config.layers)
    chosen = [tuple(group) for group in groups] if groups is not None else list(background_groups())
    return found_key_space(port, Renderer(tokenizer, chat=config.chat), config, chosen, key_layer, cache)


def found_key_space(
    port: ModelPort,
    renderer: Renderer,
    config: GateConfig,
    groups: Sequence[Sequence[str]],
    key_layer: KeyLayer,
    cache: Path | str | None = None,
) -> Calibration:
    """What :func:`calibrate` does, on a model that is already seen through a port; its key layer is set."""
    file = _file(port, config, groups, key_layer, renderer.chat, cache)
    known = _kept(file) if file is not None else None
    if known is not None:
        port.read_keys_at(known.layer)
        return known
    layer, scores = _chosen(port, renderer, config, groups, key_layer)
    port.read_keys_at(layer)
    found = replace(calibrate_layer(port, renderer, config, groups), layer=layer, scores=scores)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        packs.write_file(file, _encoded(found))
    return found


def _chosen(
    port: ModelPort,
    renderer: Renderer,
    config: GateConfig,
    groups: Sequence[Sequence[str]],
    key_layer: KeyLayer,
) -> tuple[int | None, tuple[LayerScore, ...]]:
    """The layer to read keys from (``None``: the last), and what was measured to find it."""
    last = port.depth - 1
    scores: tuple[LayerScore, ...] = ()
    if key_layer == "auto":
        if port.structure.ffn_out is not None:
            scores = measure_layers(port, renderer, config, groups)
        layer = best_layer(scores) if scores else last
    elif key_layer == "last":
        layer = last
    else:
        layer = key_layer + port.depth if key_layer < 0 else key_layer
    if not 0 <= layer <= last:
        raise InvalidArgument(f"There is no layer {key_layer}.", hint=f"the layers are 0 … {last}.")
    return (None if layer == last else layer), scores


def _file(
    port: ModelPort,
    config: GateConfig,
    groups: Sequence[Sequence[str]],
    key_layer: KeyLayer,
    chat: bool,
    cache: Path | str | None,
) -> Path | None:
    """Where a result is kept: named by everything that decides it."""
    shared = os.environ.get("AGENTMEM_CACHE_DIR")
    folder = Path(cache) if cache is not None else Path(shared) / "calibrations" if shared else None
    if folder is None:
        return None
    alarms = (config.false_alarm, config.look_alike_alarm)
    recipe = (config.key_norm, config.key_dim, config.unit_keys, *alarms, config.layers, chat, key_layer)
    told = json.dumps([packs.FORMAT, port.fingerprint(), recipe, [list(group) for group in groups]])
    return folder.expanduser() / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.safetensors"


def _encoded(found: Calibration) -> bytes:
    head = {
        "kind": "calibration", "unit": found.unit, "noise": found.noise, "key_layer": found.layer,
        "scores": [asdict(row) for row in found.scores],
    }  # fmt: skip
    return packs.encode(head, calibration_tensors(found))


def _kept(file: Path) -> Calibration | None:
    """What an earlier call kept; a damaged file is as good as none, for it is written anew."""
    if not file.is_file():
        return None
    try:
        head, tensors = packs.decode(packs.read_bytes(file))
    except PackMismatch:
        return None
    return calibration_from(head, tensors)
