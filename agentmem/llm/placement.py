"""Where a loaded model computes: on one device, on several, or with weights that are fetched for each layer's turn."""

from __future__ import annotations

import itertools
from typing import Any

__all__ = ["device_of"]


def device_of(module: Any) -> Any:
    """The torch device on which a module computes.

    What accelerate offloads lies on the ``meta`` device between its calls, and quantised layers may have no parameters.
    """
    import torch

    executes = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
    if executes is not None:
        return torch.device(executes)
    tensors = itertools.chain(module.parameters(), module.buffers())
    found = next((tensor.device for tensor in tensors if tensor.device.type != "meta"), None)
    return torch.device("cpu") if found is None else found
