"""Which model edits were made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

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
    for _, parameter in sorted(model.named_parameters(), key=lambda item: item[0]):
        flat = parameter.detach().reshape(-1)
        step = max(1, flat.numel() // 64)
        sample = flat[::step][:64].to(torch.bfloat16) if flat.is_floating_point() else flat[::step][:64]
        digest.update(str(tuple(parameter.shape)).encode() + sample.float().cpu().numpy().tobytes())
    return digest.hexdigest()
