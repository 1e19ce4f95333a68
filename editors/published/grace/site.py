"""The layer that the published algorithm edits: what it reads is the key, what it writes is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from agentmem.editors.hooks import Hook
from agentmem.editors.port import ModelPort
from agentmem.editors.structure import by_row, first_tensor, projection
from agentmem.errors import InvalidArgument

__all__ = ["Replacement", "Site", "chosen"]


@dataclass
class Replacement:
    """What a site shall do in this context's own forwards of ``batch`` rows.

    Attributes:
        rows, columns: [n] where ``value`` [d_model], differentiable, stands instead of the layer's output.
        read: [batch, tokens, d_key] what the layer read last.
    """

    batch: int
    rows: Tensor | None = None
    columns: Tensor | None = None
    value: Tensor | None = None
    read: Tensor | None = None


_ACTIVE: ContextVar[Replacement | None] = ContextVar("agentmem_paper_replacement", default=None)


class Site:
    """The output projection of one block's feed-forward part, as in the authors' code; the residual stream goes on
    beside it.

    Where no module does that for every token (fused mixtures of experts), the site is the whole block.

    Raises:
        InvalidArgument: the whole block would be the first one, whose input is the token alone.
    """

    def __init__(self, port: ModelPort, layer: int) -> None:
        self._before: nn.Module | None = None
        if port.structure.ffn_out is not None:
            self.module = projection(port.structure, layer)[0]
            self.path = f"feed-forward output projection of layer {layer}"
            return
        if layer == 0:
            raise InvalidArgument(
                "The first layer's input is the token alone: every prompt with the same last token has one key.",
                hint="choose a later value_layer.",
            )
        self._before, self.module = port.structure.layers[layer - 1], port.structure.layers[layer]
        self.path = f"layer {layer}"

    def hook(self, read: Callable[[Tensor], None], write: Callable[[Tensor], Tensor | None]) -> list[Any]:
        """Install hooks: ``read`` gets the layer's input, ``write`` its output, and may give back another one."""

        def entered(_module: nn.Module, args: Any) -> None:
            read(args[0])

        def passed(_module: nn.Module, _args: Any, output: Any) -> None:
            read(cast("Tensor", first_tensor(output)))

        def left(_module: nn.Module, _args: Any, output: Any) -> Any:
            changed = write(cast("Tensor", first_tensor(output)))
            return changed if changed is None or isinstance(output, Tensor) else (changed, *output[1:])

        first = (
            self.module.register_forward_pre_hook(Hook(entered))
            if self._before is None
            else self._before.register_forward_hook(Hook(passed))
        )
        return [first, self.module.register_forward_hook(Hook(left))]

    @contextmanager
    def acting(self, replacement: Replacement) -> Iterator[None]:
        """Inside, forwards of this context do what ``replacement`` says; other threads see nothing of it."""

        def read(value: Tensor) -> None:
            if _ACTIVE.get() is replacement:
                replacement.read = by_row(value, replacement.batch).detach()

        def write(output: Tensor) -> Tensor | None:
            if _ACTIVE.get() is not replacement or replacement.value is None:
                return None
            wide = by_row(output, replacement.batch)
            assert replacement.rows is not None
            assert replacement.columns is not None
            value = replacement.value.to(wide)[None].expand(len(replacement.rows), -1)
            return wide.index_put((replacement.rows, replacement.columns), value).view_as(output)

        handles, token = self.hook(read, write), _ACTIVE.set(replacement)
        try:
            yield
        finally:
            _ACTIVE.reset(token)
            for handle in handles:
                handle.remove()


def chosen(plan: Tensor, values: Tensor, output: Tensor) -> Tensor:
    """``output`` [B, T, d] with ``values[plan]`` where ``plan`` [B, T] is not negative; the rest keeps its bits."""
    return torch.where((plan >= 0)[..., None], values[plan.clamp(min=0)], output)
