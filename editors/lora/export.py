"""Edits as a LoRA adapter in PEFT's layout, for servers that know LoRA and no routing.

This is an approximation of what an editor does, and says how good a one: an adapter acts on every token of every request, knows no
scopes, and forgets nothing. It is trained on the requests of edits (LoRA, Hu et al. 2022, eq. 3), and what it is worth is measured on
itself: the share of edits that the model says by free generation with the adapter alone, and of other questions that it answers as before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, cast

from safetensors.torch import save
from torch import Tensor, nn

from agentmem.editors.background import background_groups
from agentmem.editors.evaluation import answer
from agentmem.editors.hooks import Hook, own_forward
from agentmem.editors.lora.config import LoraConfig
from agentmem.editors.lora.training import Factors, train
from agentmem.editors.packs import write_file
from agentmem.editors.port import ModelPort
from agentmem.editors.prompts import Rendered, Renderer
from agentmem.editors.structure import first_tensor, projection, widths
from agentmem.errors import EditError, InvalidArgument, LayerNotFound
from agentmem.notes.adapter import CONFIG, HELD, WEIGHTS, AdapterReport
from agentmem.notes.edit import EditRequest

__all__ = ["export_adapter"]

_OTHERS = 24
"""Questions about other things whose answers are compared."""
_SERVING: ContextVar[object | None] = ContextVar("agentmem_adapter_serving", default=None)


def export_adapter(
    model: Any,
    tokenizer: Any,
    edits: Sequence[EditRequest],
    folder: Path | str,
    *,
    rank: int = 16,
    epochs: int = 60,
    layers: str | None = None,
    announce: Callable[[AdapterReport], None] = lambda report: None,
) -> AdapterReport:
    """Train one adapter on edits, write it as PEFT reads it, and measure it.

    Args:
        model, tokenizer: the base that the adapter is for; editors on it are not seen, and it stays as it is.
        edits: what the adapter shall say.
        folder: gets the adapter, and in ``agentmem.json`` which edits and notes are in it.
        rank: of each matrix; epochs: at most, fewer when every target leads.
        layers: dotted path of the decoder layer list, when it cannot be found by structure.
        announce: called with the report before anything is written.

    Raises:
        InvalidArgument: there are no edits, or the rank is none.
        LayerNotFound: the feed-forward output projections could not be found.
        EditError: they are no ordinary linear layers, which alone PEFT puts adapters on.
    """
    if not edits:
        raise InvalidArgument("There are no edits to export.", hint="write some, or memory.consolidate() first.")
    if rank < 1 or epochs < 1:
        raise InvalidArgument(f"rank={rank}, epochs={epochs}: both are 1 at least.", hint="rank=16, epochs=60.")
    port, renderer = ModelPort(model, tokenizer, layers=layers), Renderer(tokenizer)
    sites = _sites(port)
    config = LoraConfig(rank=rank, alpha=2.0 * rank, epochs=epochs)
    ordered = sorted(edits, key=lambda edit: str(edit.id))
    trained = train(port, {i: site for i, (site, _) in sites.items()}, _rows(renderer, ordered, config), config)
    weights = _weights(sites, trained.factors)
    said, kept = _measured(port, sites, trained.factors, config, ordered)
    report = AdapterReport(
        Path(folder), rank, tuple(str(edit.id) for edit in ordered),
        tuple(sorted({edit.note_id for edit in ordered if edit.note_id})),
        tuple(said), kept, hashlib.sha256(weights).hexdigest(),
    )  # fmt: skip
    announce(report)
    held = {name: getattr(report, name) for name in ("edits", "notes", "said", "sha256")} | {"base": port.fingerprint()}
    report.folder.mkdir(parents=True, exist_ok=True)
    write_file(report.folder / WEIGHTS, weights)
    for name, described in ((CONFIG, _described(port, sites, config)), (HELD, held)):
        write_file(report.folder / name, (json.dumps(described, indent=2) + "\n").encode())
    return report


def _sites(port: ModelPort) -> dict[int, tuple[nn.Module, str]]:
    """By layer, the projection that every token passes; layers without one get no adapter."""
    found: dict[int, tuple[nn.Module, str]] = {}
    for layer in range(port.depth):
        try:
            found[layer] = projection(port.structure, layer)
        except LayerNotFound:
            continue
    if not found:
        raise LayerNotFound(
            "No feed-forward output projection that every token passes was found in this model.",
            hint="an adapter needs one; serve this model with agentmem, which does not.",
        )
    odd = next((module for module, _ in found.values() if not _adaptable(module)), None)
    if odd is not None:
        raise EditError(
            f"PEFT puts no adapter on a {type(odd).__name__}.",
            hint="export from the base in floating point: the adapter then fits its quantised copies as well as any.",
        )
    return found


def _adaptable(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    ordinary = isinstance(weight, Tensor) and type(weight) in (Tensor, nn.Parameter) and weight.is_floating_point()
    return ordinary and widths(module) is not None


def _rows(renderer: Renderer, edits: Sequence[EditRequest], config: LoraConfig) -> list[Rendered]:
    """Each edit's prompt and its first paraphrases, with the target."""
    asked = [
        (text, e.target) for e in edits for text in list(dict.fromkeys((e.prompt, *e.paraphrases)))[: config.contexts]
    ]
    return [renderer.pair(text, target) for text, target in asked]


def _weights(sites: Mapping[int, tuple[nn.Module, str]], factors: Factors) -> bytes:
    """The matrices under the names that PEFT gives them."""
    tensors: dict[str, Tensor] = {}
    for layer, (down, up) in factors.items():
        name = f"base_model.model.{sites[layer][1]}"
        tensors |= {f"{name}.lora_A.weight": down.contiguous(), f"{name}.lora_B.weight": up.contiguous()}
    return bytes(save(tensors, metadata={"format": "pt"}))


def _described(port: ModelPort, sites: Mapping[int, tuple[nn.Module, str]], config: LoraConfig) -> dict[str, object]:
    return {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": config.rank, "lora_alpha": config.alpha, "lora_dropout": 0.0, "bias": "none",
        "base_model_name_or_path": str(getattr(getattr(port.model, "config", None), "_name_or_path", "")),
        "target_modules": [path for _, path in sites.values()], "inference_mode": True,
        "fan_in_fan_out": any(hasattr(site, "nf") for site, _ in sites.values()),  # GPT-2's Conv1D keeps its weight transposed
    }  # fmt: skip


def _measured(
    port: ModelPort,
    sites: Mapping[int, tuple[nn.Module, str]],
    factors: Factors,
    config: LoraConfig,
    edits: Sequence[EditRequest],
) -> tuple[list[str], float]:
    """The ids of the edits that are said with the adapter alone, and the share of other answers that stay."""
    others = [group[0] for group in background_groups()[:_OTHERS]]
    asked = [edit.prompt for edit in edits]
    with own_forward():  # editors on this model look away
        before = answer(port.model, port.tokenizer, others, max_new_tokens=12)
        with _serving(sites, factors, config):
            said = answer(port.model, port.tokenizer, asked, max_new_tokens=48)
            after = answer(port.model, port.tokenizer, others, max_new_tokens=12)
    survived = [str(edit.id) for edit, text in zip(edits, said, strict=True) if text == edit.target.strip()]
    return survived, sum(a == b for a, b in zip(before, after, strict=True)) / len(others)


@contextmanager
def _serving(sites: Mapping[int, tuple[nn.Module, str]], factors: Factors, config: LoraConfig) -> Iterator[None]:
    """The adapter acts in this context's forwards alone, as PEFT would let it act in all."""
    mark = object()

    def add(layer: int, _module: nn.Module, args: Any, output: Any) -> Any:
        if _SERVING.get() is not mark:
            return None
        x = cast("Tensor", first_tensor(args))
        down, up = (factor.to(x) for factor in factors[layer])
        return output + config.alpha / config.rank * (x @ down.T) @ up.T

    token = _SERVING.set(mark)
    handles = [site.register_forward_hook(Hook(partial(add, layer))) for layer, (site, _) in sites.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        _SERVING.reset(token)
