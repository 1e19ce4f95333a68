"""Options of the locate-and-edit editors."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from agentmem.editors.core.config import EditorConfig, Layer, layer_below_another

__all__ = ["EmmetConfig", "LocateConfig", "MemitConfig", "RomeConfig"]


class LocateConfig(EditorConfig):
    """What the three methods share.

    Attributes:
        layer: where the fact is written: an index, or a fraction of the depth. MEMIT writes it here and before.
        contexts: the prompt and at most this many - 1 paraphrases that name the subject; keys are averaged over
            them, and the value has to work in all.
        prefixes: so many more contexts with an unrelated text before the prompt.
        essence: so many other questions about the subject whose answers the value shall leave alone.
        kl_weight: how much that counts (paper: 0.0625).
        steps, lr, norm_cap: optimiser steps at most; step size and largest norm of the value, as multiples of the
            residual stream's root mean square and norm at the subject.
        weight_decay: pull of the value towards zero (paper: 1.5e-3).
        margin, patience: a value is done when every target token leads by ``margin`` nats for so many steps.
        tokens: how many background tokens make the second moment C.
        shrinkage: C + shrinkage · mean(diag C) · I is what is inverted.
        batch: values optimised together. With 1, an edit's bits do not depend on what is written beside it.
        cache: folder that keeps C between processes, by the model's fingerprint; ``None`` for none.
    """

    layer: Layer = 0.25
    contexts: int = Field(4, ge=1)
    prefixes: int = Field(2, ge=0)
    essence: int = Field(6, ge=0)
    kl_weight: float = Field(0.0625, ge=0)
    steps: int = Field(60, ge=1)
    lr: float = Field(0.15, gt=0)
    norm_cap: float = Field(4.0, gt=0)
    weight_decay: float = Field(1.5e-3, ge=0)
    margin: float = Field(3.0, ge=0)
    patience: int = Field(2, ge=1)
    tokens: int = Field(6000, ge=64)
    shrinkage: float = Field(0.01, gt=0)
    batch: int = Field(1, ge=1)
    cache: Path | None = None

    def span(self, depth: int) -> tuple[int, ...]:
        """The layers that are written to, ascending.

        Raises:
            InvalidArgument: no layer lies above them.
        """
        last = layer_below_another("layer", self.layer, depth)
        return tuple(range(max(0, last - self.width + 1), last + 1))

    @property
    def width(self) -> int:
        """Over how many layers an edit is spread."""
        return 1

    @property
    def weight(self) -> float:
        """λ relative to the expected kᵀ C⁻¹ k of a background key, which is d_key."""
        return 0.0


class RomeConfig(LocateConfig):
    """ROME: one layer, one rank-one update after the other, in the order of the edits' ids."""


class EmmetConfig(LocateConfig):
    """EMMET: one layer, all equality constraints at once.

    Attributes:
        ridge: λ_E in units of d_key, for more than one edit; 0 asks for equality.
    """

    ridge: float = Field(0.0, ge=0)

    @property
    def weight(self) -> float:
        return self.ridge


class MemitConfig(LocateConfig):
    """MEMIT: several layers share the change, each by regularised least squares.

    Attributes:
        spread: how many layers, ending with ``layer``.
        ridge: λ in units of d_key (paper: 15,000 at d_key = 16,384, so about 0.9).
    """

    layer: Layer = 0.4
    spread: int = Field(3, ge=1)
    ridge: float = Field(0.9, gt=0)

    @property
    def width(self) -> int:
        return self.spread

    @property
    def weight(self) -> float:
        return self.ridge
