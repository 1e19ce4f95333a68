"""Options of the LoRA baseline."""

from __future__ import annotations

from pydantic import Field

from agentmem.editors.core.config import EditorConfig

__all__ = ["LoraConfig"]


class LoraConfig(EditorConfig):
    """How the adapter is trained.

    Attributes:
        rank: of the matrix added at each feed-forward output projection.
        alpha: the added matrix is scaled by ``alpha / rank``.
        layer: only layers from this one on get an adapter.
        epochs: passes over all requests at most; fewer when every target leads everywhere.
        lr: AdamW's step size; ``weight_decay``: its decay.
        batch: rows per step.
        contexts: the prompt and at most this many - 1 paraphrases are trained on.
        seed: of the first values and of the order of rows.
    """

    rank: int = Field(8, ge=1)
    alpha: float = Field(16.0, gt=0)
    layer: int = Field(0, ge=0)
    epochs: int = Field(60, ge=1)
    lr: float = Field(5e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    batch: int = Field(16, ge=1)
    contexts: int = Field(4, ge=1)
    seed: int = 0
