"""Gradients through quantised layers: the forward stays theirs, the backward multiplies by the matrix that they stand for.

A value is learnt by the gradient that comes down to it, and layers that compute in whole numbers let none through. Their product is
that of a matrix all the same, so its transpose gives the gradient (straight-through estimator, Bengio, Léonard & Courville 2013,
arXiv:1308.3432; with the weight as it was dequantised, as QLoRA does, Dettmers et al. 2023, section 3). What comes out of the forward is
bit for bit the layer's own, so what is checked is what will be served. The matrix is made for one layer at a time, while its
gradient is computed, and let go: no second model is held.

Layers are known by what they offer, not by their class:

* torch's quantised modules: ``weight()``, a quantised tensor;
* torchao and others that put a tensor of their own kind into ``nn.Linear``: ``weight.dequantize()``;
* GPTQ and AWQ (``dequantize_weight()``), HQQ (``dequantize()``), whichever way round they keep the matrix;
* any other linear layer: what it makes of the unit vectors.

Each is tried on a few vectors first, past the hooks on the layer, and taken only where it gives what the layer gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from agentmem.editors.hooks import Hook, is_own_forward
from agentmem.editors.structure import widths
from agentmem.llm.placement import device_of

__all__ = ["StraightThrough", "is_quantised", "stored_tensors"]

_CLOSE = 0.1
"""A matrix stands for a layer whose activations are quantised as well, too: to a few hundredths of its output."""
_PROBES = 8
Matrix = Callable[[], Tensor]


class StraightThrough:
    """The layers of one model that let no gradient through, and what stands for them.

    Args:
        model: any model; it is looked at once, when first used.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._found: dict[nn.Module, Matrix] | None = None

    @property
    def layers(self) -> dict[nn.Module, Matrix]:
        """Each layer without a gradient of its own, with how its matrix [out, in] is made."""
        if self._found is None:
            kind = _float_kind(self._model)
            opaque = [m for m in self._model.modules() if is_quantised(m) and not _passes(m, kind)]
            matrices = ((module, _matrix_of(module, kind)) for module in opaque)
            self._found = {module: matrix for module, matrix in matrices if matrix is not None}
        return self._found

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Own forwards inside that record gradients get them through these layers."""
        if not torch.is_grad_enabled():
            yield
            return
        # Before the others: what they add to a layer's output is to be differentiated, too.
        handles = [
            module.register_forward_hook(Hook(partial(_instead, matrix)), prepend=True)
            for module, matrix in self.layers.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def is_quantised(module: nn.Module) -> bool:
    """Whether this is a linear layer, not one around another, that keeps no ordinary matrix of floating numbers."""
    if widths(module) is None or any(widths(inner) is not None for inner in module.children()):
        return False
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or type(weight) not in (Tensor, nn.Parameter):
        return True
    return not weight.is_floating_point() or weight.dtype.itemsize < 2


def stored_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The numbers that a quantised layer keeps, under names that do not change: levels, scales, zero points."""
    if _is_packed(module):
        yield "weight", cast("Any", module).weight().int_repr()
    yield from module.named_buffers(recurse=False)


def _is_packed(module: nn.Module) -> bool:
    """Torch's own quantised layers: the weight is packed where nobody sees it, and a method gives it back."""
    weight = getattr(module, "weight", None)
    return callable(weight) and not isinstance(weight, Tensor)


class _Through(torch.autograd.Function):
    """A layer's output, with the gradient of the matrix that it stands for."""

    @staticmethod
    def forward(ctx: Any, entered: Tensor, left: Tensor, matrix: Matrix) -> Tensor:
        ctx.matrix = matrix
        ctx.kind = entered.dtype
        return left.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        weight = ctx.matrix().to(gradient)
        return (gradient @ weight).to(ctx.kind), None, None


def _instead(matrix: Matrix, _module: nn.Module, args: Any, output: Any) -> Any:
    if not is_own_forward() or not torch.is_grad_enabled() or not args or not isinstance(output, Tensor):
        return None
    entered = args[0]
    if not entered.requires_grad:
        return None
    return _Through.apply(entered, output.detach(), matrix)  # type: ignore[no-untyped-call]


def _float_kind(model: nn.Module) -> torch.dtype:
    """In which numbers the layers are given their inputs."""
    kinds = [p.dtype for p in model.parameters() if p.is_floating_point() and p.dtype.itemsize > 1]
    return kinds[0] if kinds else torch.float32


def _few(module: nn.Module, kind: torch.dtype) -> Tensor:
    """[_PROBES, in] vectors to try a layer with; their own generator, so that nobody's draws change."""
    shape = cast("tuple[int, int]", widths(module))
    drawn = torch.randn(_PROBES, shape[0], generator=torch.Generator().manual_seed(0))
    return drawn.to(device_of(module), kind)


def _passes(module: nn.Module, kind: torch.dtype) -> bool:
    """Whether a gradient comes through a layer as it is."""
    if _is_packed(module):  # known to have none, and torch warns of the attempt
        return False
    with torch.inference_mode(False), torch.enable_grad():
        entered = _few(module, kind).requires_grad_()
        try:
            (gradient,) = torch.autograd.grad(module.forward(entered).sum(), [entered], allow_unused=True)
        except (RuntimeError, NotImplementedError):
            return False
    return gradient is not None


def _matrix_of(module: nn.Module, kind: torch.dtype) -> Matrix | None:
    """How a layer's matrix [out, in] is made; ``None`` where nothing gives what the layer gives."""
    with torch.inference_mode(False), torch.no_grad():
        entered = _few(module, kind)
        wanted = module.forward(entered) - module.forward(torch.zeros_like(entered))
        wanted = wanted.float()
        for made in _candidates(module, kind):
            for matrix in (made, partial(_turned, made)):
                try:
                    weight = matrix().float()
                except (RuntimeError, NotImplementedError, TypeError, AttributeError):
                    continue  # an offer of that name that means something else
                if weight.shape != (wanted.shape[-1], entered.shape[-1]):
                    continue
                gap = entered.float() @ weight.T - wanted
                if float(gap.norm()) <= _CLOSE * float(wanted.norm()) + 1e-6:
                    return matrix
    return None


def _turned(made: Matrix) -> Tensor:
    return made().T


def _candidates(module: nn.Module, kind: torch.dtype) -> Iterator[Matrix]:
    offered = cast("Any", module)
    weight = getattr(module, "weight", None)
    if _is_packed(module):
        yield lambda: offered.weight().dequantize()
    elif isinstance(weight, Tensor) and type(weight) not in (Tensor, nn.Parameter):
        yield partial(_called, weight, "dequantize")
    for name in ("dequantize_weight", "dequantize"):
        if callable(getattr(module, name, None)):
            yield partial(_called, offered, name)
    yield partial(_units, module, kind)


def _called(module: Any, name: str) -> Tensor:
    made = getattr(module, name)()
    return cast("Tensor", made[0] if isinstance(made, tuple) else made)


def _units(module: nn.Module, kind: torch.dtype) -> Tensor:
    """What a layer makes of the unit vectors, less what it makes of nothing: [out, in]."""
    shape = cast("tuple[int, int]", widths(module))
    unit = torch.eye(shape[0], dtype=kind, device=device_of(module))
    with torch.no_grad():
        return cast("Tensor", module.forward(unit) - module.forward(torch.zeros_like(unit[:1]))).T
