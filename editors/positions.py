"""How a model knows where a token stands: by a vector that is added before the first layer, or by what attention does inside."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, NamedTuple

import torch

from agentmem.editors.hooks import own_forward
from agentmem.editors.structure import first_tensor, in_eval_mode
from agentmem.llm.placement import device_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from agentmem.editors.structure import Structure

__all__ = ["Positions", "find_positions"]

_PROBE_LENGTH = 5


class Positions(NamedTuple):
    """What is known of a model's positions.

    Attributes:
        taken: the model can be told at which positions tokens stand.
        absolute: what the first layer reads of a token depends on its position, as with learnt or sinusoidal embeddings. Where positions
            turn or weaken attention (rotary, ALiBi), only the distance between two tokens counts.
        by_mask: a model that is not told counts the tokens that the attention mask shows; else it counts columns, padding among them.
    """

    taken: bool
    absolute: bool = False
    by_mask: bool = False


def find_positions(model: nn.Module, structure: Structure) -> Positions:
    """Ask a model with a few forwards of five tokens: what its first layer reads shows it."""
    if "position_ids" not in inspect.signature(structure.backbone.forward).parameters:
        return Positions(False)
    device = device_of(model)
    here = torch.arange(_PROBE_LENGTH, device=device).unsqueeze(0)
    later = (here - 1).clamp(min=0)
    padded = (here > 0).long()
    whole = torch.ones_like(here)
    with torch.inference_mode(False), torch.no_grad(), in_eval_mode(model):
        moved = _entered(structure, here, whole, later)[:, 1:]
        if torch.equal(_entered(structure, here, whole, here)[:, 1:], moved):
            return Positions(True)
        return Positions(True, True, torch.equal(_entered(structure, here, padded, None)[:, 1:], moved))


def _entered(structure: Structure, ids: Tensor, mask: Tensor, positions: Tensor | None) -> Tensor:
    """[1, n, d_model] what the first layer is given."""
    seen: list[Tensor] = []

    def keep(_module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        value = first_tensor(args) if args else first_tensor(kwargs)
        if value is not None:
            seen.append(value)

    handle = structure.layers[0].register_forward_pre_hook(keep, with_kwargs=True)
    try:
        with own_forward():
            structure.backbone(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
    finally:
        handle.remove()
    return seen[0]
