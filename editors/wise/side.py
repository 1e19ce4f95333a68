"""The one place where WISE touches a model: a hook on one feed-forward output projection.

The projection computes ``W a``. For the tokens that a side memory governs the hook adds ``D a``, which is what the
paper's edited copy ``W' = W + D`` would have written; every other token keeps the bits that ``W`` gave it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from agentmem.editors.hooks import Hook
from agentmem.editors.port import ModelPort
from agentmem.editors.structure import by_row, first_tensor, side_projection
from agentmem.llm.placement import device_of
from agentmem.runtime.forks import at_fork

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Governed", "SideDelta", "SideSite"]


@dataclass(frozen=True, eq=False)
class SideDelta:
    """A change of the projection, on the inputs that it reads.

    Attributes:
        weight: [d_model, k], fp32, differentiable while it is trained.
        inputs: [k] which of the projection's inputs it reads; ``None`` for all of them.
    """

    weight: Tensor
    inputs: Tensor | None = None

    def __call__(self, activations: Tensor) -> Tensor:
        """[..., d_ffn] activations -> [..., d_model] what the change adds."""
        read = activations if self.inputs is None else activations[..., self.inputs]
        return read.to(self.weight.dtype) @ self.weight.T


@dataclass(frozen=True, eq=False)
class Governed:
    """The tokens of one forward that one side memory answers for: [n] rows and [n] columns."""

    rows: Tensor
    columns: Tensor
    delta: SideDelta


@dataclass
class _Tap:
    batch: int
    seen: Tensor | None = None


class SideSite:
    """Where a side memory computes: the output projection of one layer's feed-forward part or what stands for it, with its hook.

    Args:
        port: the model.
        layer: which decoder layer.

    Raises:
        LayerNotFound: no module of this layer gives every token a vector of the stream's width.
    """

    def __init__(self, port: ModelPort, layer: int) -> None:
        self.layer = layer
        self.module, self.path = side_projection(port.structure, layer)
        self._free_lock()
        at_fork(self._free_lock)
        self._holders = 0
        self._handle: Any = None
        self._adding: ContextVar[tuple[int, tuple[Governed, ...]] | None] = ContextVar(
            "agentmem_wise_adding", default=None
        )
        self._tap: ContextVar[_Tap | None] = ContextVar("agentmem_wise_tap", default=None)

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.Lock()

    @property
    def device(self) -> torch.device:
        """Where the projection computes."""
        return cast("torch.device", device_of(self.module))

    def hold(self) -> None:
        """Install the hook; counted, so that holders do not meet."""
        with self._lock:
            self._holders += 1
            if self._handle is None:
                self._handle = self.module.register_forward_hook(Hook(self._after), with_kwargs=True)

    def release(self) -> None:
        """Undo one :meth:`hold`; the last one removes the hook."""
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._handle.remove()
                self._handle = None

    @contextmanager
    def adding(self, batch: int, governed: Sequence[Governed]) -> Iterator[None]:
        """Forwards of ``batch`` rows inside get what ``governed`` says."""
        self.hold()
        token = self._adding.set((batch, tuple(governed)))
        try:
            yield
        finally:
            self._adding.reset(token)
            self.release()

    def add(self, batch: int, governed: Sequence[Governed]) -> None:
        """The same for a forward that is already under way; undo with :meth:`stop`."""
        self._adding.set((batch, tuple(governed)) if governed else None)

    def listen(self, batch: int) -> None:
        """Keep the activations of a forward of ``batch`` rows that is under way, for :meth:`stop` to give back."""
        self._tap.set(_Tap(batch))

    def stop(self) -> Tensor | None:
        """Undo :meth:`add` and :meth:`listen`; [B, T, d_ffn] what was heard."""
        tap = self._tap.get()
        self._adding.set(None)
        self._tap.set(None)
        return None if tap is None else tap.seen

    @contextmanager
    def hearing(self, batch: int) -> Iterator[list[Tensor]]:
        """A list that holds, afterwards, the [B, T, d_ffn] activations of the last forward inside."""
        self.hold()
        tap, heard = _Tap(batch), []  # type: ignore[var-annotated]
        token = self._tap.set(tap)
        try:
            yield heard
            if tap.seen is not None:
                heard.append(tap.seen)
        finally:
            self._tap.reset(token)
            self.release()

    def _after(self, _module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        entered, left = cast("Tensor", first_tensor(args or kwargs)), cast("Tensor", first_tensor(output))
        tap = self._tap.get()
        if tap is not None:
            tap.seen = by_row(entered, tap.batch).detach()
        adding = self._adding.get()
        if adding is None:
            return None
        batch, governed = adding
        activations, changed = by_row(entered, batch), by_row(left, batch)
        for part in governed:
            rows, columns = part.rows.to(changed.device), part.columns.to(changed.device)
            here = changed[rows, columns].to(part.delta.weight.dtype) + part.delta(activations[rows, columns])
            changed = changed.index_put((rows, columns), here.to(changed.dtype))
        changed = changed.view(left.shape)
        return changed if isinstance(output, torch.Tensor) else (changed, *output[1:])
