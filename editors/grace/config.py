"""Options of the GRACE editor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from agentmem.editors.core.config import Layer, checked
from agentmem.editors.gate.config import GateConfig

if TYPE_CHECKING:
    from agentmem.editors.published.grace.config import PublishedGraceConfig

__all__ = ["GraceConfig"]


class GraceConfig(GateConfig):
    """How the gate decides (see :class:`GateConfig`), and how values are found.

    The defaults *read late and write early*: the key is the input of the last layer's feed-forward projection,
    where the question is understood; the value is added after an early layer, so that the layers above it can
    say several tokens.

    :meth:`paper` is the published algorithm instead.

    Attributes:
        key_layer: the layer whose feed-forward input is the key: ``last``, an index, or ``auto`` to measure which tells
            questions apart best (see :func:`agentmem.editors.calibrate`).
        value_layer: the layer after which the value is added: an index, or a fraction of the depth.
        steps, lr, norm_cap: optimiser steps at most; step size and largest norm of a value, as multiples of the
            residual stream's root mean square and norm at the key position.
        margin, patience: a value is done when every target token leads by ``margin`` nats for so many steps.
        batch: contexts that are computed at once, always: fewer are filled up, so that company changes no bit of a value.
            ``None``: 8 on a processor, 64 on an accelerator.
    """

    key_layer: int | Literal["last", "auto"] = "last"
    value_layer: Layer = 0
    steps: int = Field(100, ge=1)
    lr: float = Field(0.15, gt=0)
    norm_cap: float = Field(5.0, gt=0)
    margin: float = Field(3.0, ge=0)
    patience: int = Field(3, ge=1)
    batch: int | None = Field(None, ge=1)

    @classmethod
    def paper(cls, **changes: object) -> PublishedGraceConfig:
        """The options of the published algorithm (Hartvigsen et al. 2023), as published.

        Args:
            changes: options that shall differ.

        Raises:
            InvalidArgument: an unknown option or a value out of range.
        """
        from agentmem.editors.published.grace.config import PublishedGraceConfig

        return checked(PublishedGraceConfig, "grace", changes)

    def batch_on(self, device: str) -> int:
        """How many contexts are computed at once on a kind of device, such as ``cpu``."""
        return self.batch or (8 if device == "cpu" else 64)
