"""Options of the published GRACE."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agentmem.editors.core.config import EditorConfig, Layer

__all__ = ["PublishedGraceConfig"]


class PublishedGraceConfig(EditorConfig):
    """Raw keys, deferral balls, values that replace; the defaults are the published numbers.

    Attributes:
        algorithm: names this algorithm where options are given one by one.
        value_layer: where key and value sit: an index, or a fraction of the depth.
        steps, lr: of Adam.
        eps_init: radius of a new deferral ball, in the units of the layer's input.
        init: values start at random in [0, 1) (``cold``) or from the layer's own output (``warm``).
        replacement: which tokens' outputs the value replaces: the asking token's (``replace_last``), the prompt's
            (``replace_prompt``), or those of prompt and answer (``replace_all``).
    """

    algorithm: Literal["paper"] = "paper"
    value_layer: Layer = 0.65
    steps: int = Field(100, ge=1)
    lr: float = Field(1.0, gt=0)
    eps_init: float = Field(1.0, gt=0)
    init: Literal["cold", "warm"] = "cold"
    replacement: Literal["replace_last", "replace_all", "replace_prompt"] = "replace_last"
