"""A torch model in a process that was forked from the one that loaded it."""

from __future__ import annotations

from typing import Any

__all__ = ["stranded"]


def stranded(model: Any) -> str:
    """In the child: let torch compute in one thread, since its others stayed with the parent and would be waited for.

    Returns:
        Why the model cannot be used here, in words; empty when it can.
    """
    import torch

    torch.set_num_threads(1)
    device = next((each.device for each in model.parameters()), None)
    if device is None or device.type == "cpu":
        return ""
    return f"The model is on {device}, which a process forked from the one that loaded it cannot use."
