"""The uncentred second moment of background keys, C = E[k kᵀ], per layer: what an edit shall leave alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from agentmem.editors.packs import write_file
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Renderer
from agentmem.editors.reading import read
from agentmem.errors import InvalidArgument

__all__ = ["Moments", "corpus_name", "second_moments"]

_BATCH = 32

Moments = dict[int, Tensor]
"""By layer: C, [d_key, d_key] float64, regularised."""


def second_moments(
    port: ModelPort,
    renderer: Renderer,
    texts: Sequence[str],
    layers: Sequence[int],
    *,
    tokens: int,
    shrinkage: float,
    cache: Path | None = None,
) -> Moments:
    """C of each layer over the first ``tokens`` tokens of the texts, plus ``shrinkage`` of its mean diagonal.

    Args:
        cache: a folder; there each layer's C is kept under a name made of the model's fingerprint, the texts and the
            layer, so that another model or another text never meets it. A damaged file is made anew.

    Raises:
        InvalidArgument: there are no texts.
    """
    if not texts:
        raise InvalidArgument(
            "There is no background text to estimate C from.",
            hint="leave background=None for the built-in prompts.",
        )
    name = corpus_name(port, renderer, texts, tokens)
    files = {layer: cache / f"moment-{name[:32]}-{layer}.safetensors" for layer in layers} if cache else {}
    found = {layer: c for layer, path in files.items() if (c := _kept(path, port.structure.d_key)) is not None}
    missing = [layer for layer in layers if layer not in found]
    if missing:
        made = _estimate(port, renderer, texts, missing, tokens)
        for layer, moment in made.items():
            if layer in files:
                files[layer].parent.mkdir(parents=True, exist_ok=True)
                write_file(files[layer], save({"moment": moment}))
        found |= made
    return {layer: _regularised(found[layer], shrinkage) for layer in layers}


def corpus_name(port: ModelPort, renderer: Renderer, texts: Sequence[str], tokens: int) -> str:
    """A hash of whatever C depends on besides the layer."""
    described = json.dumps([port.fingerprint(), renderer.chat, tokens, list(texts)])
    return hashlib.sha256(described.encode()).hexdigest()


def _estimate(port: ModelPort, renderer: Renderer, texts: Sequence[str], layers: Sequence[int], tokens: int) -> Moments:
    sums = {layer: torch.zeros(port.structure.d_key, port.structure.d_key, dtype=torch.float64) for layer in layers}
    count = 0
    for start in range(0, len(texts), _BATCH):
        rows = [renderer.prompt(text) for text in texts[start : start + _BATCH]]
        reading = read(port, rows, layers)
        left = tokens - count
        for layer in layers:
            keys = torch.cat([reading.keys[layer][i, : len(row)] for i, row in enumerate(rows)])
            wide = keys[:left].double().cpu()
            sums[layer] += wide.T @ wide
        count += min(left, sum(map(len, rows)))
        if count >= tokens:
            break
    return {layer: total / max(1, count) for layer, total in sums.items()}


def _regularised(moment: Tensor, shrinkage: float) -> Tensor:
    """A few thousand tokens do not span every direction, and C has to be inverted."""
    mean = float(moment.diagonal().mean()) or 1.0
    return moment + shrinkage * mean * torch.eye(len(moment), dtype=torch.float64)


def _kept(path: Path, width: int) -> Tensor | None:
    """C from a file of the cache; ``None`` when it is not there or damaged, and it is then made anew."""
    if not path.is_file():
        return None
    try:
        moment: Tensor = load(path.read_bytes())["moment"]
    except (SafetensorError, KeyError, ValueError):
        return None
    usable = moment.shape == (width, width) and moment.dtype == torch.float64
    return moment if usable and bool(torch.isfinite(moment).all()) else None
