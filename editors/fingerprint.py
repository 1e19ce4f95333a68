"""Which model edits were made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from agentmem.editors.straight_through import is_quantised, stored_tensors
from agentmem.errors import EditError

__all__ = ["fingerprint"]


def fingerprint(model: nn.Module, tokenizer: Any) -> str:
    """Hash what decides a model's answers: its config, its tokenizer, and 64 values of each parameter."""
    digest = hashlib.sha256()
    config = getattr(model, "config", None)
    described = config.to_dict() if config is not None else {}
    volatile = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache", "return_dict"}
    volatile |= {"pad_token_id", "bos_token_id", "eos_token_id"}  # users set these to silence warnings
    stable = {k: v for k, v in described.items() if k not in volatile and not k.startswith("_")}
    digest.update(json.dumps(stable, sort_keys=True, default=str).encode())
    vocabulary: Callable[[], dict[str, int]] = tokenizer.get_vocab
    digest.update(json.dumps(sorted(vocabulary().items()), ensure_ascii=True).encode())
    digest.update(str(getattr(tokenizer, "chat_template", None)).encode())
    for _, parameter in sorted(_parameters(model), key=lambda item: item[0]):
        digest.update(str(tuple(parameter.shape)).encode())
        for part in _parts(parameter):
            digest.update(_sample(part))
    for name, module in model.named_modules():
        if is_quantised(module):  # what it computes with are no parameters
            for own, tensor in stored_tensors(module):
                digest.update(f"{name}.{own} {tuple(tensor.shape)}".encode() + _sample(tensor))
    return digest.hexdigest()


def _parameters(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All parameters by name; of those that are offloaded, the numbers that are kept elsewhere."""
    for name, parameter in model.named_parameters():
        if parameter.device.type != "meta":
            yield name, parameter.detach()
            continue
        owner, _, own = name.rpartition(".")
        held = getattr(getattr(model.get_submodule(owner), "_hf_hook", None), "weights_map", None)
        if held is None:
            raise EditError(
                f"The weight {name} is nowhere: it was never loaded.",
                hint="load the model with from_pretrained, on a device or with a device map.",
            )
        yield name, held[own]


def _parts(parameter: Tensor) -> tuple[Tensor, ...]:
    """The ordinary tensors in a parameter: a quantised one keeps levels, scales and zero points."""
    if type(parameter) in (Tensor, nn.Parameter):
        return (parameter,)
    flatten = getattr(parameter, "__tensor_flatten__", None)
    if flatten is None:
        return (parameter,)
    held = (getattr(parameter, name) for name in sorted(flatten()[0]))
    return tuple(part for part in held if isinstance(part, Tensor))


def _sample(tensor: Tensor) -> bytes:
    """64 values, spread over a tensor."""
    flat = tensor.detach().reshape(-1)
    step = max(1, flat.numel() // 64)
    sample = flat[::step][:64].to(torch.bfloat16) if flat.is_floating_point() else flat[::step][:64]
    return bytes(sample.float().cpu().numpy().tobytes())
