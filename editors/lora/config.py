"""Options of the LoRA baseline."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentmem.errors import InvalidArgument

__all__ = ["LoraConfig", "make_config"]


class LoraConfig(BaseModel):
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
        layers: dotted path of the decoder layers, when they cannot be found by structure.
        chat: render prompts through the chat template; ``None``: when there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(8, ge=1)
    alpha: float = Field(16.0, gt=0)
    layer: int = Field(0, ge=0)
    epochs: int = Field(60, ge=1)
    lr: float = Field(5e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    batch: int = Field(16, ge=1)
    contexts: int = Field(4, ge=1)
    seed: int = 0
    layers: str | None = None
    chat: bool | None = None


def make_config(options: dict[str, object]) -> LoraConfig:
    """Check options given by name.

    Raises:
        InvalidArgument: an unknown option or a value out of range.
    """
    try:
        return LoraConfig.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        known = ", ".join(sorted(LoraConfig.model_fields))
        raise InvalidArgument(f"LoRA option {name}: {first['msg']}.", hint=f"the options are: {known}.") from error
