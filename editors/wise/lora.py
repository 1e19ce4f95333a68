"""A side memory as a LoRA adapter, for servers that know LoRA and no routing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from agentmem.editors.packs import Array, write_file
from agentmem.editors.wise.side import SideSite
from agentmem.errors import InvalidArgument

__all__ = ["LoraExport", "factors", "write_adapter"]


@dataclass(frozen=True)
class LoraExport:
    """What an exported adapter is worth.

    Attributes:
        error: Frobenius norm of what the rank lost, relative to the whole change.
        sha256: of ``adapter_model.safetensors``.
    """

    folder: Path
    memory: str
    rank: int
    error: float
    edits: tuple[str, ...]
    sha256: str


def factors(dense: Array, rank: int | None) -> tuple[Array, Array, float]:
    """The best approximation ``up @ down`` of a matrix by rank (Eckart and Young 1936).

    Args:
        dense: [d_model, d_ffn].
        rank: ``None`` for as many as the matrix has.

    Returns:
        up [d_model, r], down [r, d_ffn], and the relative Frobenius error.
    """
    left, sizes, right = np.linalg.svd(dense.astype(np.float64), full_matrices=False)
    own = max(1, int((sizes > 1e-7 * sizes[0]).sum())) if sizes[0] > 0 else 1
    if rank is not None and rank < 1:
        raise InvalidArgument(f"rank={rank} is no rank.", hint=f"choose 1 … {own}, or None for all.")
    kept = own if rank is None else min(rank, own)
    root = np.sqrt(sizes[:kept])
    up, down = (left[:, :kept] * root).astype(np.float32), (root[:, None] * right[:kept]).astype(np.float32)
    whole = float(np.linalg.norm(sizes))
    error = float(np.linalg.norm(dense - up.astype(np.float64) @ down)) / whole if whole else 0.0
    return up, down, error


def write_adapter(
    folder: Path,
    site: SideSite,
    base: str,
    memory: tuple[str, tuple[str, ...]],
    dense: Array,
    rank: int | None,
) -> LoraExport:
    """Write ``adapter_model.safetensors`` and ``adapter_config.json`` as peft names and shapes them.

    Args:
        base: the base model's name or path, for the reader's sake.
        memory: its name and its edits' ids.
    """
    up, down, error = factors(dense, rank)
    size = down.shape[0]
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"base_model.model.{site.path}"
    data = bytes(save({f"{prefix}.lora_A.weight": down, f"{prefix}.lora_B.weight": up}, metadata={"format": "pt"}))
    described = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base, "r": size,
        "lora_alpha": size, "lora_dropout": 0.0, "bias": "none", "target_modules": [site.path],
        "fan_in_fan_out": hasattr(site.module, "nf"),  # GPT-2's Conv1D keeps its weight transposed
        "inference_mode": True,
    }  # fmt: skip
    digest = write_file(folder / "adapter_model.safetensors", data)
    write_file(folder / "adapter_config.json", (json.dumps(described, indent=2) + "\n").encode())
    return LoraExport(folder, memory[0], size, error, memory[1], digest)
