"""Options of the GRACE editor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from agentmem.editors.core.config import checked, resolved_layer
from agentmem.editors.gate.config import GateConfig
from agentmem.errors import InvalidArgument

__all__ = ["GraceConfig", "make_config"]


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
        algorithm: ``late``, or ``paper`` for what Hartvigsen et al. 2023 published. The options below, and only
            they, ``value_layer``, ``steps``, ``lr``, ``layers`` and ``chat``, count in the latter.
        eps_init: radius of a new deferral ball, in the units of the layer's input.
        init: values start at random in [0, 1) (``cold``) or from the layer's own output (``warm``).
        replacement: which tokens' outputs the value replaces: the asking token's (``replace_last``), the prompt's
            (``replace_prompt``), or those of prompt and answer (``replace_all``).
    """

    key_layer: int | Literal["last", "auto"] = "last"
    value_layer: int | float = 0
    steps: int = Field(100, ge=1)
    lr: float = Field(0.15, gt=0)
    norm_cap: float = Field(5.0, gt=0)
    margin: float = Field(3.0, ge=0)
    patience: int = Field(3, ge=1)
    batch: int | None = Field(None, ge=1)
    algorithm: Literal["late", "paper"] = "late"
    eps_init: float = Field(1.0, gt=0)
    init: Literal["cold", "warm"] = "cold"
    replacement: Literal["replace_last", "replace_all", "replace_prompt"] = "replace_last"

    @classmethod
    def paper(cls, **changes: object) -> GraceConfig:
        """The published algorithm (Hartvigsen et al. 2023): raw keys, deferral balls, values that replace.

        Key and value sit at one layer, by default after two thirds of the depth; the radius of a new ball is 1, the
        step size 1, in 100 steps of Adam, all as published.

        Args:
            changes: options that shall differ.

        Raises:
            InvalidArgument: an unknown option or a value out of range.
        """
        published: dict[str, object] = {"algorithm": "paper", "value_layer": 0.65, "lr": 1.0, "steps": 100}
        return make_config(published | changes)

    @model_validator(mode="after")
    def _layer_in_range(self) -> GraceConfig:
        if isinstance(self.value_layer, float) and not 0 <= self.value_layer < 1:
            raise ValueError("value_layer as a fraction must be in [0, 1)")
        return self

    def batch_on(self, device: str) -> int:
        """How many contexts are computed at once on a kind of device, such as ``cpu``."""
        return self.batch or (8 if device == "cpu" else 64)

    def layer_of(self, depth: int) -> int:
        """The value layer as an index in ``[0, depth - 1)``: at least one layer must lie above it.

        Raises:
            InvalidArgument: no layer would be left above the value to read it.
        """
        layer = resolved_layer(self.value_layer, depth)
        if not 0 <= layer < depth - 1:
            raise InvalidArgument(
                f"value_layer={self.value_layer} leaves no layer above the value: the model has {depth}.",
                hint=f"choose 0 … {depth - 2}; early layers can express longer targets.",
            )
        return layer


def make_config(options: dict[str, object]) -> GraceConfig:
    """Check GRACE's options given by name.

    Raises:
        InvalidArgument: an unknown option or a value out of range.
    """
    return checked(GraceConfig, "GRACE", options)
